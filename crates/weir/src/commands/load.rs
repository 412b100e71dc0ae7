//! Reads a pipeline file and makes a job of it, or says everything that is wrong with it.

use std::path::Path;

use weir_pipeline::{Diagnostic, Document, Input, Origin, PipelineConfig};

use crate::cli::Overrides;
use crate::exit::Failure;
use crate::plan::{self, Job};

/// What a pipeline file means.
pub(super) struct Loaded {
    pub(super) config: PipelineConfig,
    pub(super) document: Document,
    pub(super) job: Job,
}

/// The job in the file at `path`.
pub(super) fn job(path: &Path, overrides: &Overrides) -> Result<Job, Failure> {
    load(Input::File(path), overrides).map(|loaded| loaded.job).map_err(|diagnostics| refused(&diagnostics))
}

/// Everything there is in the file at `path`.
pub(super) fn loaded(path: &Path, overrides: &Overrides) -> Result<Loaded, Failure> {
    load(Input::File(path), overrides).map_err(|diagnostics| refused(&diagnostics))
}

/// The job in `text`, which errors call `name`.
pub(super) fn text(name: &str, text: &str, overrides: &Overrides) -> Result<Job, Failure> {
    load(Input::Text { name, text }, overrides).map(|loaded| loaded.job).map_err(|diagnostics| refused(&diagnostics))
}

/// Everything there is to say about a pipeline.
pub(super) fn load(input: Input<'_>, overrides: &Overrides) -> Result<Loaded, Vec<Diagnostic>> {
    load_with(input, &overrides.set, environment())
}

/// The same where `WEIR__a__b=...` in the environment does not count; references to secrets still read it.
pub(super) fn load_without_environment(input: Input<'_>, overrides: &[String]) -> Result<Loaded, Vec<Diagnostic>> {
    let names_no_key = |name: &str| !name.starts_with(weir_pipeline::ENV_PREFIX);
    load_with(input, overrides, environment().filter(|(name, _)| names_no_key(name)))
}

fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn load_with(
    input: Input<'_>,
    overrides: &[String],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, Vec<Diagnostic>> {
    let (config, document) = weir_pipeline::load(input, overrides, environment)?;
    match plan::resolve(&config) {
        Ok(mut job) => {
            if let Some(Origin { file, line, column }) = document.origin("state.memory") {
                job.state_said_at = job.state_said_at.map(|_| format!("{file}:{line}:{column}"));
            }
            Ok(Loaded { config, document, job })
        }
        Err(problems) => Err(problems
            .into_iter()
            .map(|problem| {
                let before = problem.column.map(|column| column.saturating_sub(1));
                document.error_at(&problem.path, problem.message, problem.hint, before)
            })
            .collect()),
    }
}

fn refused(diagnostics: &[Diagnostic]) -> Failure {
    let shown: Vec<String> = diagnostics.iter().map(Diagnostic::render).collect();
    Failure::refused(shown.join("\n"))
}
