//! Why a registry refuses, with the codes of the Confluent Schema Registry.

use super::Level;

/// A refusal. The first three digits of the code are the HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code, such as 40401.
    pub code: u32,
    /// Why.
    pub message: String,
}

/// Refusals have texts that clients know; where Weir's own say more, they begin with these.
impl Refusal {
    fn new(code: u32, message: String) -> Self {
        Self { code, message }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        let code = if self.code >= 1_000 { self.code / 100 } else { self.code };
        u16::try_from(code).unwrap_or(500)
    }

    pub(super) fn no_subject(subject: &str) -> Self {
        Self::new(40401, format!("Subject '{subject}' not found."))
    }

    pub(super) fn no_version(version: &str) -> Self {
        Self::new(40402, format!("Version {version} not found."))
    }

    pub(super) fn no_schema(message: String) -> Self {
        Self::new(40403, message)
    }

    pub(super) fn not_hidden(subject: &str, version: Option<u32>) -> Self {
        match version {
            None => {
                Self::new(40405, format!("Subject '{subject}' was not deleted first before being permanently deleted"))
            }
            Some(version) => Self::new(
                40407,
                format!("Subject '{subject}' Version {version} was not deleted first before being permanently deleted"),
            ),
        }
    }

    pub(super) fn no_level(subject: &str) -> Self {
        Self::new(40408, format!("Subject '{subject}' does not have subject-level compatibility configured"))
    }

    pub(super) fn incompatible(subject: &str, level: Level, faults: &[String]) -> Self {
        let message = format!(
            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\" ({level:?}): {}",
            faults.join("; ")
        );
        Self::new(409, message)
    }

    pub(super) fn wrong_schema(reason: String) -> Self {
        Self::new(42201, format!("Invalid schema: {reason}"))
    }

    pub(super) fn wrong_version(version: &str) -> Self {
        Self::new(
            42202,
            format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
            ),
        )
    }

    pub(crate) fn wrong_level(level: &str) -> Self {
        Self::new(
            42203,
            format!(
                "Invalid compatibility level {level}. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
            ),
        )
    }

    pub(crate) fn wrong_mode(mode: &str) -> Self {
        Self::new(42204, format!("Invalid mode {mode}. Valid values are READWRITE and READONLY"))
    }

    pub(super) fn read_only(subject: &str) -> Self {
        Self::new(42205, format!("Subject {subject} is in read-only mode"))
    }

    pub(super) fn referenced(subject: &str, version: u32) -> Self {
        Self::new(
            42206,
            format!("One or more references exist to the schema of version {version} of subject {subject}"),
        )
    }

    pub(super) fn wrong_subject(subject: &str) -> Self {
        Self::new(42208, format!("The specified subject '{subject}' is not a valid"))
    }

    pub(super) fn full() -> Self {
        Self::new(50001, format!("the registry holds {} schemas, and no more fit", super::SCHEMAS_MAX))
    }

    pub(crate) fn unkept(reason: &str) -> Self {
        Self::new(50001, format!("Error in the backend data store: {reason}"))
    }
}
