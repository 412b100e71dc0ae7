//! The seam where results go out, once.

use std::fmt;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Epoch, NewSegment, SeamResult};

/// What a sink promises about every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// At least once: a crash may show a row again.
    AtLeastOnce,
    /// Effectively once: a row may be sent again, and the other side recognises it by its id.
    EffectivelyOnce,
    /// Exactly once: visible together with the source positions, or not at all.
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at least once",
            Self::EffectivelyOnce => "effectively once",
            Self::ExactlyOnce => "exactly once",
        })
    }
}

/// What a sink has made durable but not visible for an epoch; becomes part of the one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Segments that the commit makes part of their tables.
    #[serde(default)]
    pub segments: Vec<NewSegment>,
    /// What the sink needs to roll forward after the commit, also in another process; `None` when the commit is all.
    #[serde(default)]
    pub roll_forward: Option<String>,
}

/// A row that the other side will never take, however often it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Which one: its index among the rows of the call that wrote it, or, found at the commit, among those of the epoch.
    pub row: u64,
    /// The row as it was to be sent.
    pub payload: Bytes,
    /// Why it was not taken, in the words of the other side where it has some.
    pub reason: String,
}

/// What became of rows that a sink was given: delivered, but for some that were rejected. The other outcomes are errors:
/// `Retry` when the other side cannot take rows now, `Unknown` when nobody can tell what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The rows that will never be taken, in their order. They count as done: nobody gives them to the sink again.
    pub rejected: Vec<RejectedRow>,
}

impl Delivered {
    /// Every row was taken.
    pub fn all() -> Self {
        Self::default()
    }
}

/// Takes results. Between two [`Sink::prepare`]s lie the results of one epoch.
#[async_trait]
pub trait Sink: Send {
    /// What this sink promises.
    fn guarantee(&self) -> Guarantee;

    /// Takes rows of the epoch that is being built. The schema may grow from one call to the next.
    ///
    /// # Errors
    /// `Retry` when the other side cannot take rows now and nothing of `rows` was taken; `Unknown` when that is not known;
    /// `Closed` when it is gone.
    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered>;

    /// Makes the rows since the last prepare durable without showing them to anyone.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared>;

    /// Shows what was prepared, after the commit. Idempotent: recovery calls it again for the last committed epoch, and
    /// rows that were rejected are rejected again.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<Delivered>;

    /// Forgets what was written or prepared after the last committed epoch, `last`. Idempotent; recovery calls it first.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn abort(&mut self, last: Epoch) -> SeamResult<()>;

    /// Recovery must go back from the commits that held `undone` (oldest first, one after the other; `None` when that
    /// cannot be read) to the one before them, which held `kept` for this output, if it was there already. What the
    /// commit that goes back has to hold for the output, so that from its [`Sink::commit`] on it shows what it showed
    /// then; `None` when what it shows cannot be taken back. Changes nothing yet.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn take_back(
        &mut self,
        kept: Option<&Prepared>,
        undone: Option<&[Prepared]>,
    ) -> SeamResult<Option<Prepared>> {
        let _ = (kept, undone);
        Ok(None)
    }

    /// What a commit has to hold for the output when everything that it shows stays and the rows of later epochs follow
    /// it. Called after [`Sink::abort`] and, where that is known, [`Sink::commit`] of the last epoch.
    ///
    /// # Errors
    /// As [`Sink::write`].
    async fn let_stand(&mut self) -> SeamResult<Prepared> {
        Ok(Prepared::default())
    }
}
