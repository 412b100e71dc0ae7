//! What became of every record: nothing disappears without being counted.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Offset, PartitionId};

/// A record that could not be decoded or processed. A value, not an error: the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which partition it came from.
    pub partition: PartitionId,
    /// What people know that partition by.
    pub origin: Arc<str>,
    /// Where it begins.
    pub offset: Offset,
    /// What is wrong with it, with the field and the value that offended, and what would be right.
    pub reason: String,
    /// The record as it came, or its beginning if it was over the limit.
    pub payload: Bytes,
    /// How long the record really is, in bytes.
    pub original_bytes: u64,
}

/// What became of the rows on the way to one output. The conservation law of the engine is
/// `read + added = results + filtered + merged + late + rejected + open`, at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Records taken from the source.
    pub read: u64,
    /// Rows that a step made besides those that it took: the elements of a list after the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added: u64,
    /// Rows that are in emitted results: written as they are, or counted in a window that has fired.
    pub results: u64,
    /// Rows dropped because a step said so.
    pub filtered: u64,
    /// Rows that became part of another row: the lines of a record after the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub merged: u64,
    /// Rows whose windows were all gone; they are in the late output.
    pub late: u64,
    /// Records in the dead letters.
    pub rejected: u64,
    /// Rows held in windows that have not fired yet or in records that may go on; zero once bounded sources have ended.
    pub open: u64,
}

impl Balance {
    /// Whether the conservation law holds.
    pub fn holds(&self) -> bool {
        self.read + self.added == self.results + self.filtered + self.merged + self.late + self.rejected + self.open
    }
}

impl std::ops::AddAssign for Balance {
    fn add_assign(&mut self, other: Self) {
        let Self { read, added, merged, results, filtered, late, rejected, open } = other;
        self.read += read;
        self.added += added;
        self.merged += merged;
        self.results += results;
        self.filtered += filtered;
        self.late += late;
        self.rejected += rejected;
        self.open += open;
    }
}

fn is_zero(rows: &u64) -> bool {
    *rows == 0
}
