//! The way into a table: rows are visible at once, become files when there are enough of them or the epoch ends, and
//! belong to the table when the epoch commits.

use arrow::array::RecordBatch;
use weir_model::{Epoch, ErrorKind, Prepared, SeamError, SeamResult};

/// Writes to one table. Encoding a segment takes its time: call it where blocking is allowed.
#[derive(Debug)]
pub struct TableWriter;

impl TableWriter {
    /// Takes rows, which queries of this process see at once. The schema may grow from one call to the next.
    ///
    /// # Errors
    /// `Retry` when the disk is full (the rows are taken nevertheless, do not append them again), `Closed` when it is broken.
    pub fn append(&mut self, _rows: &RecordBatch) -> SeamResult<()> {
        Err(SeamError::new(
            ErrorKind::Closed,
            "the store is not built yet",
        ))
    }

    /// Makes the rows since the last prepare durable; the returned segments become part of the table by the commit.
    ///
    /// # Errors
    /// As [`TableWriter::append`]; may be called again after a `Retry`.
    pub fn prepare(&mut self, _epoch: Epoch) -> SeamResult<Prepared> {
        Err(SeamError::new(
            ErrorKind::Closed,
            "the store is not built yet",
        ))
    }

    /// Tells the writer that the epoch it prepared is committed. Idempotent.
    ///
    /// # Errors
    /// None as yet.
    pub fn committed(&mut self, _epoch: Epoch) -> SeamResult<()> {
        Ok(())
    }

    /// Forgets all rows that are not committed. Idempotent.
    ///
    /// # Errors
    /// As the disk says.
    pub fn abort(&mut self) -> SeamResult<()> {
        Ok(())
    }
}
