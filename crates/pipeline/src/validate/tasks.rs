//! That a pipeline has at least one thread and not absurdly many. Refuses to know the machine.

use super::Problem;
use crate::config::{PipelineConfig, TASKS_MAX};

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let problem = match config.tasks {
        Some(0) => Problem::new("tasks", "0 tasks do nothing: at least 1"),
        Some(tasks) if tasks > TASKS_MAX => {
            Problem::new("tasks", format!("{tasks} tasks are too many: at most {TASKS_MAX}"))
        }
        Some(_) | None => return,
    };
    problems.push(problem.hint("leave it out for as many as there are processors, at most 4"));
}
