//! Going back to an older commit: a new commit that takes back what those in between made true. Refuses to go back to one
//! that is not kept.

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use weir_model::{Epoch, EpochCommit, ErrorKind, SeamError, SeamResult};

use super::commits::{body_of, record};
use super::tables::{bury, object_of};
use super::{Catalog, catalog_error};

impl Catalog {
    /// Undoes the commits of `commit`'s pipeline after `to` and makes `commit`, which comes after all of them, in one
    /// transaction: epochs only ever grow, so names made of them are not used twice. The files go to the graves.
    pub(crate) fn go_back(&mut self, to: Epoch, commit: &EpochCommit, now: i64) -> SeamResult<()> {
        let path = self.path.clone();
        let body = body_of(commit)?;
        let (pipeline, to_epoch) = (commit.pipeline.as_str(), to.0.cast_signed());
        let mut go_back = || -> rusqlite::Result<Result<(), String>> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let kept = "SELECT 1 FROM commits WHERE pipeline = ?1 AND epoch = ?2";
            if transaction.query_row(kept, params![pipeline, to_epoch], |_| Ok(())).optional()?.is_none() {
                return Ok(Err(format!("cannot go back to epoch {to}: its commit is not kept any more")));
            }
            let newest: i64 =
                transaction
                    .query_row("SELECT max(epoch) FROM commits WHERE pipeline = ?1", [pipeline], |row| row.get(0))?;
            if newest.cast_unsigned() >= commit.epoch.0 {
                return Ok(Err(format!("cannot go back as epoch {}: epoch {newest} is there already", commit.epoch)));
            }
            let files: Vec<(String, Option<String>)> = transaction
                .prepare("DELETE FROM segments WHERE pipeline = ?1 AND epoch > ?2 RETURNING path, lies_at")?
                .query_map(params![pipeline, to_epoch], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (file, lies_at) in files {
                bury(&transaction, &file, object_of(lies_at).as_ref(), true, now)?;
            }
            transaction
                .execute("DELETE FROM commits WHERE pipeline = ?1 AND epoch > ?2", params![pipeline, to_epoch])?;
            record(&transaction, commit, &body, now)?;
            transaction.commit()?;
            Ok(Ok(()))
        };
        go_back()
            .map_err(|error| catalog_error("write", &path, error))?
            .map_err(|why| SeamError::new(ErrorKind::Config, format!("pipeline {pipeline} {why}")))
    }
}
