//! The one act that publishes an epoch.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Epoch, Positions, Prepared, SeamResult};

/// A file that a commit makes part of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSegment {
    /// The table.
    pub table: String,
    /// The file's path relative to the data folder.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// XXH3-64 of its content.
    pub checksum: u64,
    /// Its rows.
    pub rows: u64,
    /// Smallest and largest event time in microseconds, where the table has a time column with values.
    pub time_range: Option<(i64, i64)>,
    /// The segment's schema as Arrow IPC (base64), by which the table's schema grows.
    pub schema: String,
}

/// Everything that becomes true at once when an epoch commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochCommit {
    /// Which pipeline.
    pub pipeline: String,
    /// Which epoch.
    pub epoch: Epoch,
    /// Where to go on reading, per source.
    pub positions: BTreeMap<String, Positions>,
    /// The name of the state snapshot, if the pipeline has state.
    pub snapshot: Option<String>,
    /// What each output has prepared, by the output's name.
    pub prepared: BTreeMap<String, Prepared>,
    /// Identifies the plan that made the snapshot; another plan must not read it.
    pub plan_fingerprint: String,
    /// Counters that go on after a restart (the balance of each output), as JSON.
    pub counters: String,
}

/// The last commit of a pipeline, as recovery reads it.
pub type Committed = EpochCommit;

/// A commit that can still be gone back to.
#[derive(Debug)]
pub struct KeptCommit {
    /// Its epoch.
    pub epoch: Epoch,
    /// What it holds; `Corrupt` when that does not match its checksum.
    pub commit: SeamResult<Committed>,
}

/// Publishes epochs. On one machine: a transaction in the catalog.
#[async_trait]
pub trait CommitPoint: Send + Sync {
    /// Makes everything in `commit` true, or nothing. Returns only after it is durable.
    ///
    /// # Errors
    /// `Closed` when the result is not known: the caller stops and recovers. `Retry` when nothing happened.
    async fn commit(&self, commit: EpochCommit) -> SeamResult<()>;

    /// The last commit of `pipeline`, or `None` if it never ran here.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    async fn last(&self, pipeline: &str) -> SeamResult<Option<Committed>>;

    /// The commits of `pipeline` that are kept, newest first; at most [`CommitPoint::keeps`].
    ///
    /// # Errors
    /// When they cannot be listed.
    async fn kept(&self, pipeline: &str) -> SeamResult<Vec<KeptCommit>>;

    /// How many commits of each pipeline are kept.
    fn keeps(&self) -> usize;

    /// Makes `commit` after undoing every commit of its pipeline after epoch `to`: their positions, their snapshots and
    /// their rows, in one act. For recovery from an older snapshot, before the pipeline runs. `commit` says what the
    /// commit of `to` says, has an epoch after all of them, and no segments.
    ///
    /// # Errors
    /// `Config` when `to` is not kept; else as [`CommitPoint::commit`].
    async fn go_back(&self, to: Epoch, commit: EpochCommit) -> SeamResult<()>;
}
