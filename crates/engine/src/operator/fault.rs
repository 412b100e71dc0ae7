//! What is wrong with the plan of a step, and where in it: whoever read the plan from a file can point at the line.

use std::collections::BTreeSet;

/// What is wrong with the plan of a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}{}", if key.is_empty() { String::new() } else { format!("{key}: ") }, hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct PlanFault {
    /// The key inside the step, such as `types.status`; empty for the step as a whole.
    pub key: String,
    /// What is wrong, with the value that offends.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl PlanFault {
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None }
    }
}

/// Refuses a name that is empty or comes twice.
pub(super) fn distinct<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<(), PlanFault> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(PlanFault::new(key, "the name of a column is empty"));
        }
        if !seen.insert(name) {
            return Err(PlanFault::new(key, format!("the column `{name}` is named twice")));
        }
    }
    Ok(())
}
