//! Why an engine cannot be made. Once made it does not fail: what is wrong with a row leaves as an effect.

/// Why an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The plan contradicts itself.
    #[error("{place}: {problem}")]
    Plan {
        /// Which part of the plan.
        place: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The snapshot was made by another plan.
    #[error(
        "the snapshot was made by another plan (fingerprint {found}, this plan has {expected}): \
         restore it with the plan that made it, or start without it"
    )]
    OtherPlan {
        /// The fingerprint of this plan.
        expected: String,
        /// The fingerprint in the snapshot.
        found: String,
    },
    /// The snapshot cannot be understood.
    #[error("the snapshot is damaged: {0}")]
    Corrupt(String),
}
