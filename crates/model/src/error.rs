//! The error of the seams: its kind says what the caller does.

use std::fmt;
use std::time::Duration;

/// What the caller of a seam does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Back off and try the same again.
    Retry,
    /// Nobody knows whether it happened, or it happened in part: go back to the last commit and begin anew from there.
    Unknown,
    /// Do not start: the configuration or the environment is wrong, and trying again will not help.
    Config,
    /// What was stored is damaged: use an older copy, and say so.
    Corrupt,
    /// Stop: the other side is gone for good, or can no longer be trusted (a failed fsync).
    Closed,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::Config => "config",
            Self::Corrupt => "corrupt",
            Self::Closed => "closed",
        })
    }
}

/// An error at a seam: what happened, to what, and what the caller does about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SeamError {
    /// What the caller does about it.
    pub kind: ErrorKind,
    /// What happened, with the value that offended; lower case, no full stop.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// How long the other side wants to be left alone before it is tried again.
    pub retry_after: Option<Duration>,
}

/// The result of a seam.
pub type SeamResult<T> = Result<T, SeamError>;

impl SeamError {
    /// An error of `kind` without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, retry_after: None }
    }

    /// An error of `kind` that `source` caused.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()), retry_after: None }
    }

    /// The same error, not to be tried again for `pause`.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { retry_after: Some(pause), ..self }
    }

    /// Whether it was caused by a disk without room for more.
    pub fn is_no_room(&self) -> bool {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The message and everything that caused it, on one line.
    pub fn full(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
