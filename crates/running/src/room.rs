//! Whether a table has room for more rows. Refuses to make room: letters are deleted by whoever answers for them.

use std::sync::Arc;

use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_store::Store;

use crate::TableLimit;

/// A table with a limit.
pub(super) struct Room {
    store: Arc<Store>,
    table: String,
    limit: TableLimit,
}

impl Room {
    pub(super) fn new(store: Arc<Store>, table: &str, limit: TableLimit) -> Self {
        Self { store, table: table.to_owned(), limit }
    }

    /// Whether a batch more may be written.
    ///
    /// # Errors
    /// `Retry` when the table is full.
    pub(super) fn ask(&self) -> SeamResult<()> {
        let tables = self.store.snapshot()?.tables;
        let (rows, bytes) = tables.get(&self.table).map_or((0, 0), |table| (table.rows(), table.bytes()));
        if rows < self.limit.rows && bytes < self.limit.bytes {
            return Ok(());
        }
        let message = format!(
            "the table {} is full of dead letters: {rows} rows of at most {}, {bytes} bytes of at most {}; the pipeline \
             waits until some are given again (weir dlq replay) or deleted (weir dlq purge)",
            self.table, self.limit.rows, self.limit.bytes
        );
        Err(SeamError::new(ErrorKind::Retry, message))
    }
}
