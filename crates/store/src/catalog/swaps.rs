//! Exchanges of rows in the catalog: what goes, what comes and that it was done, in one transaction.

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use weir_model::{NewSegment, SeamResult};

use super::tables::{CatalogSegment, exchange_in, insert, widen};
use super::{Catalog, catalog_error};

/// An exchange as the catalog has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SwapRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) pipeline: &'a str,
    /// The epoch that the rows that come belong to.
    pub(crate) since: u64,
    /// Whether it is made, or taken back.
    pub(crate) is_in: bool,
    pub(crate) now: i64,
}

/// The ids of segments that were written anew, and of those that came.
pub(crate) type Swapped = (Vec<Option<i64>>, Vec<i64>);

impl Catalog {
    /// Whether the exchange was made and not taken back; `None` when nobody ever made it.
    pub(crate) fn is_swapped(&self, id: &str) -> SeamResult<Option<bool>> {
        self.connection
            .query_row("SELECT is_in FROM swaps WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .map_err(|error| self.error("read", error))
    }

    /// Makes an exchange true; `None` when a segment that changes is gone, and nothing happened. Commits of the pipeline
    /// before the one that the new rows belong to are forgotten: going back to them would make the rows twice.
    pub(crate) fn swap(
        &mut self,
        swap: &SwapRow<'_>,
        changes: &[(CatalogSegment, Option<&NewSegment>)],
        added: &[&NewSegment],
    ) -> SeamResult<Option<Swapped>> {
        let path = self.path.clone();
        let failed = |error| catalog_error("write", &path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let Some(changed) = exchange_in(&transaction, changes, swap.now).map_err(failed)? else { return Ok(None) };
        let mut ids = Vec::new();
        for segment in added {
            widen(&transaction, segment, None)?.map_err(failed)?;
            let owner = (swap.pipeline, swap.since);
            ids.push(insert(&transaction, segment, owner, 0, None).map_err(failed)?);
        }
        let record = || -> rusqlite::Result<()> {
            transaction.execute(
                "INSERT INTO swaps (id, pipeline, epoch, is_in, at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET is_in = ?4, at = ?5",
                params![swap.id, swap.pipeline, swap.since.cast_signed(), swap.is_in, swap.now],
            )?;
            transaction.execute(
                "DELETE FROM commits WHERE pipeline = ?1 AND epoch < ?2",
                params![swap.pipeline, swap.since.cast_signed()],
            )?;
            Ok(())
        };
        record().map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Some((changed, ids)))
    }
}
