//! Where a page of log lines ends, as an opaque text: stays right while lines are added, flushed and compacted.
//!
//! Lines are ordered by time, newest first, then by a key of their content ([`super::row_key`]). A place in that order
//! does not depend on where a line is stored, so that a line that is added behind or before the cursor shifts nothing.

use std::fmt;

use crate::error::{QueryError, QueryErrorCode};

/// The last line that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Its event time in microseconds.
    pub(super) time: i64,
    /// Its key among the lines of the same time.
    pub(super) key: i64,
    /// How many lines with this time and key were shown: equal lines have equal keys.
    pub(super) shown: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}", self.time, self.key, self.shown)
    }
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Result<Self, QueryError> {
        let mut parts = text.splitn(3, '.');
        let mut hex = || u64::from_str_radix(parts.next()?, 16).ok();
        let parsed = (|| Some(Self { time: hex()?.cast_signed(), key: hex()?.cast_signed(), shown: hex()? }))();
        parsed.ok_or_else(|| {
            let message = format!("\"{}\" is not a cursor", text.chars().take(80).collect::<String>());
            QueryError::new(QueryErrorCode::InvalidRequest, message).hint("use `next` of the page before")
        })
    }
}
