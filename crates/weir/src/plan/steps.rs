//! Which columns each step takes and gives, for people who want to know why a field is decoded. Computes nothing that
//! the plan has not been checked with.

use super::{Job, fields, types};

/// The columns of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepColumns {
    /// Those that it takes; `None` is every one there is.
    pub takes: Option<Vec<String>>,
    /// Those that it gives; `None` when that depends on the data.
    pub gives: Option<Vec<String>>,
}

impl Job {
    /// The columns of each step, in the order of `plan.nodes`.
    pub fn step_columns(&self) -> Vec<StepColumns> {
        let taken = fields::needs_of_all(&self.plan, &self.places).map(|needs| needs.taken).unwrap_or_default();
        let given =
            types::check_all(&self.plan, &self.sources, &self.places).map(|(_, given, _)| given).unwrap_or_default();
        let columns = taken.iter().zip(&given).map(|(taken, given)| StepColumns {
            takes: taken.names(),
            gives: given.columns().map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect()),
        });
        columns.collect()
    }
}
