//! A thread with a stack that planning cannot overflow; has no deadline and no queue.

use crate::{SqlError, SqlErrorKind};

/// The stack that an SQL text of the size that the [`crate::Gate`] lets through is planned on.
///
/// DataFusion's planner recurses over the text; 400 operators overflow the 2 MiB of an ordinary thread in a debug build.
pub const PLANNING_STACK_BYTES: usize = 32 << 20;

/// Runs `work` on a thread with [`PLANNING_STACK_BYTES`] of stack and waits for it.
///
/// # Errors
/// What `work` says; `TooComplex` when it panics or no thread can be had.
pub fn on_planning_stack<T: Send>(work: impl FnOnce() -> Result<T, SqlError> + Send) -> Result<T, SqlError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("weir-sql".into()).stack_size(PLANNING_STACK_BYTES);
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(|error| SqlError::new(SqlErrorKind::TooComplex, format!("no thread to plan on: {error}")))?;
        thread.join().unwrap_or_else(|_| {
            Err(SqlError::new(SqlErrorKind::TooComplex, "the planner gave up on this text").hint("simplify it"))
        })
    })
}
