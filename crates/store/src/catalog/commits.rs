//! Commits of pipelines in the catalog: the one act that publishes an epoch.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use weir_disk::checksum_of;
use weir_model::{Committed, Epoch, EpochCommit, ErrorKind, KeptCommit, NewSegment, SeamError, SeamResult};

use super::tables::{insert, widen};
use super::{Catalog, catalog_error};

/// A commit to be made, with what the catalog needs to know besides.
#[derive(Debug)]
pub(crate) struct NewCommit<'a> {
    pub(crate) commit: &'a EpochCommit,
    /// The time columns of the tables that it writes to, where they are known.
    pub(crate) time_columns: &'a BTreeMap<String, String>,
    /// How many commits of the pipeline stay.
    pub(crate) keep: usize,
    /// Now, in microseconds.
    pub(crate) now: i64,
}

impl Catalog {
    /// Makes a commit true, or nothing. Returns the id of each of its segments by path; empty when this very commit
    /// was made before.
    pub(crate) fn commit(&mut self, new: &NewCommit<'_>) -> SeamResult<BTreeMap<String, i64>> {
        let commit = new.commit;
        let body = body_of(commit)?;
        let path = self.path.clone();
        let failed = |error| catalog_error("commit to", &path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        if is_repeated(&transaction, commit, &body)? {
            return Ok(BTreeMap::new());
        }
        let mut ids = BTreeMap::new();
        for segment in segments_of(commit) {
            let time = new.time_columns.get(&segment.table).map(String::as_str);
            widen(&transaction, segment, time)?.map_err(failed)?;
            let owner = (commit.pipeline.as_str(), commit.epoch.0);
            let id = insert(&transaction, segment, owner, 0, None).map_err(failed)?;
            ids.insert(segment.path.clone(), id);
        }
        let record = || -> rusqlite::Result<()> {
            record(&transaction, commit, &body, new.now)?;
            transaction.execute(
                "DELETE FROM commits WHERE pipeline = ?1 AND epoch NOT IN
                 (SELECT epoch FROM commits WHERE pipeline = ?1 ORDER BY epoch DESC LIMIT ?2)",
                params![commit.pipeline, new.keep.max(1) as i64],
            )?;
            Ok(())
        };
        record().map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(ids)
    }

    /// The kept commits of `pipeline`, newest first.
    pub(crate) fn commits(&self, pipeline: &str) -> SeamResult<Vec<KeptCommit>> {
        let read = || -> rusqlite::Result<Vec<(i64, String, i64)>> {
            self.connection
                .prepare("SELECT epoch, body, checksum FROM commits WHERE pipeline = ?1 ORDER BY epoch DESC")?
                .query_map([pipeline], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        };
        let found = read().map_err(|error| self.error("read", error))?;
        let kept = |(epoch, body, checksum): (i64, String, i64)| KeptCommit {
            epoch: Epoch(epoch.cast_unsigned()),
            commit: self.checked(pipeline, epoch, &body, checksum),
        };
        Ok(found.into_iter().map(kept).collect())
    }

    /// The newest commit of `pipeline`.
    pub(crate) fn last(&self, pipeline: &str) -> SeamResult<Option<Committed>> {
        let found: Option<(i64, String, i64)> = self
            .connection
            .query_row(
                "SELECT epoch, body, checksum FROM commits WHERE pipeline = ?1 ORDER BY epoch DESC LIMIT 1",
                [pipeline],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(|error| self.error("read", error))?;
        found.map(|(epoch, body, checksum)| self.checked(pipeline, epoch, &body, checksum)).transpose()
    }

    fn checked(&self, pipeline: &str, epoch: i64, body: &str, checksum: i64) -> SeamResult<Committed> {
        let damaged = |why: String| {
            let path = self.path.display();
            SeamError::new(
                ErrorKind::Corrupt,
                format!("the commit of epoch {epoch} of pipeline {pipeline} in {path} {why}"),
            )
        };
        if checksum_of(body.as_bytes()) != checksum.cast_unsigned() {
            return Err(damaged("does not match its checksum".to_owned()));
        }
        serde_json::from_str(body).map_err(|error| damaged(format!("cannot be read: {error}")))
    }

    /// The oldest epoch of each pipeline that can still be gone back to.
    pub(crate) fn oldest_epochs(&self) -> SeamResult<BTreeMap<String, u64>> {
        let read = || -> rusqlite::Result<BTreeMap<String, u64>> {
            self.connection
                .prepare("SELECT pipeline, min(epoch) FROM commits GROUP BY pipeline")?
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?
                .collect()
        };
        read().map_err(|error| self.error("read", error))
    }
}

/// A commit as the catalog holds it.
pub(super) fn body_of(commit: &EpochCommit) -> SeamResult<String> {
    serde_json::to_string(commit)
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a commit as JSON", error))
}

/// Writes a commit down.
pub(super) fn record(
    transaction: &Transaction<'_>,
    commit: &EpochCommit,
    body: &str,
    now: i64,
) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO commits (pipeline, epoch, body, checksum, committed_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![commit.pipeline, commit.epoch.0.cast_signed(), body, checksum_of(body.as_bytes()).cast_signed(), now],
    )
}

/// The segments of all outputs.
fn segments_of(commit: &EpochCommit) -> impl Iterator<Item = &NewSegment> {
    commit.prepared.values().flat_map(|prepared| &prepared.segments)
}

/// Whether this very commit was made before. An epoch that is not the next of its pipeline is refused: somebody else
/// runs the pipeline.
fn is_repeated(transaction: &Transaction<'_>, commit: &EpochCommit, body: &str) -> SeamResult<bool> {
    let newest: Option<(i64, String)> = transaction
        .query_row(
            "SELECT epoch, body FROM commits WHERE pipeline = ?1 ORDER BY epoch DESC LIMIT 1",
            [&commit.pipeline],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot read the last commit", error))?;
    match newest {
        Some((epoch, there)) if epoch.cast_unsigned() == commit.epoch.0 && there == body => Ok(true),
        Some((epoch, _)) if epoch.cast_unsigned() >= commit.epoch.0 => Err(SeamError::new(
            ErrorKind::Closed,
            format!(
                "pipeline {} cannot commit epoch {}: epoch {epoch} is committed already",
                commit.pipeline, commit.epoch
            ),
        )),
        _ => Ok(false),
    }
}
