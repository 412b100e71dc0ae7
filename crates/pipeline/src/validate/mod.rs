//! Whether a pipeline makes sense as a whole: what no single key can tell. Refuses to know SQL and the world outside.

mod chains;
pub(crate) mod columns;
mod connections;
mod memory;
mod names;
mod others;
mod outputs;
mod references;
mod rows;
mod tables;
mod tasks;
mod times;
mod workers;

use crate::config::PipelineConfig;

/// Something that makes no sense, and the path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Such as `steps[1].window.compute`.
    pub path: String,
    /// What is wrong, with the value that offends.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it may be only the consequence of something that is wrong elsewhere: a name that is not there.
    pub may_follow: bool,
}

impl Problem {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None, may_follow: false }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn may_follow(self) -> Self {
        Self { may_follow: true, ..self }
    }
}

/// Everything in a pipeline that makes no sense; nothing when it can be started.
pub fn validate(config: &PipelineConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    names::check(config, &mut problems);
    references::check(config, &mut problems);
    times::check(config, &mut problems);
    chains::check(config, &mut problems);
    tasks::check(config, &mut problems);
    columns::check(config, &mut problems);
    memory::check(config, &mut problems);
    rows::check(config, &mut problems);
    outputs::check(config, &mut problems);
    tables::check(config, &mut problems);
    connections::check(config, &mut problems);
    others::check(config, &mut problems);
    workers::check(config, &mut problems);
    problems
}
