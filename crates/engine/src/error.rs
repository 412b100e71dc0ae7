//! Why an engine cannot be made. Once made it does not fail: what is wrong with a row leaves as an effect.

use weir_model::SeamError;

use crate::Misfit;

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
    /// The state of some steps does not fit the plan.
    #[error("the state does not fit any more: {}", listed(.0))]
    Misfits(Vec<Misfit>),
    /// The snapshot was made by another plan, and is too old to say what that was.
    #[error("the state was made by another pipeline (fingerprint {found}, this one has {expected})")]
    OtherPlan {
        /// The fingerprint of this plan.
        expected: String,
        /// The fingerprint in the snapshot.
        found: String,
    },
    /// A part of the snapshot cannot be loaded.
    #[error("{}", .0.full())]
    Unreadable(SeamError),
    /// The snapshot cannot be understood.
    #[error("the snapshot is damaged: {0}")]
    Corrupt(String),
}

fn listed(misfits: &[Misfit]) -> String {
    let each: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    each.join("; ")
}
