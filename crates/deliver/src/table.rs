//! A table of the embedded store as an output. Refuses to commit anything itself: the pipeline's one commit does.

/// Writes rows to a table of the embedded store.
#[derive(Debug)]
pub struct TableSink {}
