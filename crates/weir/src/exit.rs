//! How a command ends: with what code, and what it says.

use std::fmt;

use weir_model::{ErrorKind, SeamError};

/// A command that did not go well.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What went wrong, for a person.
    pub message: String,
}

/// The exit codes, as `weir --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// It ran, and something went wrong.
    Failed = 1,
    /// It did not start.
    Refused = 2,
    /// Interrupted before the end.
    Interrupted = 130,
}

impl Failure {
    /// It ran, and something went wrong.
    pub fn run(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Failed, message: message.into() }
    }

    /// It did not start.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { code: ExitCode::Refused, message: message.into() }
    }
}

impl From<SeamError> for Failure {
    fn from(error: SeamError) -> Self {
        let code = if error.kind == ErrorKind::Config { ExitCode::Refused } else { ExitCode::Failed };
        Self { code, message: error.full() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
