//! Standard output as an output. Refuses to promise more than at least once.

use std::io::Write;

use crate::StdoutOutput;

/// Writes rows to standard output.
pub struct StdoutSink {}

impl StdoutSink {
    /// Writes to the process's standard output.
    pub fn open(config: &StdoutOutput) -> Self {
        Self::writing(config, Box::new(std::io::stdout()))
    }

    /// Writes to `out` in the place of standard output.
    pub fn writing(config: &StdoutOutput, out: Box<dyn Write + Send>) -> Self {
        let _ = (config, out);
        Self {}
    }
}
