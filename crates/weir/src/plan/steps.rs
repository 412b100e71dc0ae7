//! Which columns each step takes and gives, for people who want to know why a field is decoded. Computes nothing that
//! the plan has not been checked with.

use weir_pipeline::PipelineConfig;

use super::lowering::Lowered;
use super::{Job, fields, types};

/// The columns of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepColumns {
    /// Those that it takes; `None` is every one there is.
    pub takes: Option<Vec<String>>,
    /// Those that it gives; `None` when that depends on the data.
    pub gives: Option<Vec<String>>,
}

/// The columns of each step of `job`, which `config` describes, in the order of `plan.nodes`.
pub fn step_columns(config: &PipelineConfig, job: &Job) -> Vec<StepColumns> {
    let places = Lowered::of(config).map(|steps| steps.places).unwrap_or_default();
    let taken = fields::needs_of_all(&job.plan, &places).map(|needs| needs.taken).unwrap_or_default();
    let given = types::check_all(&job.plan, &job.sources, &places).map(|(_, given, _)| given).unwrap_or_default();
    let columns = taken.iter().zip(&given).map(|(taken, given)| StepColumns {
        takes: taken.names(),
        gives: given.columns().map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect()),
    });
    columns.collect()
}
