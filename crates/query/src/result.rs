//! The answer to a query, batch by batch; dropping it ends the query.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use weir_model::ByteSize;

use crate::engine::Alarm;
use crate::error::{QueryError, QueryErrorCode};
use crate::guard::Stop;
use crate::limits::{Limits, RunOptions};
use crate::running::Question;
use crate::size;

/// How many batches are computed ahead of the reader.
pub(crate) const BATCHES_AHEAD: usize = 2;

/// The answer to a query.
#[derive(Debug)]
pub struct QueryResult {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    /// Says that the time is over, whether or not the query has noticed.
    pub(crate) deadline: Alarm,
    pub(crate) timeout: Duration,
    pub(crate) task: AbortHandle,
    pub(crate) stop: Stop,
    pub(crate) question: Arc<Question>,
    pub(crate) limits: Arc<Limits>,
    /// Where blocking callers wait.
    pub(crate) clock: Handle,
    pub(crate) options: RunOptions,
    pub(crate) started: Instant,
    pub(crate) elapsed: Option<Duration>,
    pub(crate) warnings: Vec<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) truncated: bool,
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        self.stop();
    }
}

impl QueryResult {
    /// The columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What the answer lacks, one sentence each: rows in damaged files.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How many rows were returned so far.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// Whether there are more rows than were asked for; known at the end.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// How long it took, planning included; so far, if it goes on.
    pub fn elapsed(&self) -> Duration {
        self.elapsed.unwrap_or_else(|| self.started.elapsed())
    }

    /// The next batch; `None` at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.elapsed.is_some() {
            return None;
        }
        let received = tokio::select! {
            biased;
            () = self.question.is_given_up() => None,
            received = self.batches.recv() => received,
            () = self.deadline.rings() => Some(Err(QueryError::timeout(self.timeout))),
        };
        // One that is given up ends without a word, as one does that has no more rows.
        let received = match self.question.error() {
            Some(error) => Some(Err(error)),
            None => received,
        };
        match received.map(|received| received.and_then(|batch| self.writable(batch))) {
            Some(Ok(batch)) => self.bounded(batch).map(Ok),
            Some(Err(error)) => {
                self.stop();
                Some(Err(error))
            }
            None => {
                self.stop();
                None
            }
        }
    }

    /// [`QueryResult::next`] for threads that may wait. Not to be called inside of an async runtime.
    pub fn next_blocking(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let clock = self.clock.clone();
        clock.block_on(self.next())
    }

    /// All batches that there are.
    ///
    /// # Errors
    /// The first error on the way; `Memory` when they are more than [`Limits::page_bytes_max`].
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
            let most = self.limits.page_bytes_max as u64;
            if self.bytes > most {
                self.stop();
                let most = ByteSize(most);
                let message = format!("the {} rows so far take more than the {most} that are gathered", self.rows);
                return Err(QueryError::new(QueryErrorCode::Memory, message).hint("ask for fewer rows"));
            }
        }
        Ok(batches)
    }

    /// All rows as one batch.
    ///
    /// # Errors
    /// The first error on the way.
    pub async fn collect_one(&mut self) -> Result<RecordBatch, QueryError> {
        let batches = self.collect().await?;
        arrow::compute::concat_batches(&Arc::clone(&self.schema), &batches).map_err(|error| {
            QueryError::new(crate::QueryErrorCode::Internal, format!("the batches of an answer differ: {error}"))
        })
    }

    /// The batch, unless one of its rows is too large to be written.
    fn writable(&self, batch: RecordBatch) -> Result<RecordBatch, QueryError> {
        let (most, largest) = (self.limits.row_bytes_max, size::largest_row(&batch, self.limits.row_bytes_max));
        if largest <= most {
            return Ok(batch);
        }
        let (row, most) = (ByteSize((largest >> 10 << 10) as u64), ByteSize(most as u64));
        let message = format!("a row of the answer takes {row}; at most {most} are written");
        let hint = "ask for parts of it, such as array_slice(…) or substr(…), or for its rows without gathering them";
        Err(QueryError::new(QueryErrorCode::Memory, message).hint(hint))
    }

    /// As much of a batch as may still be returned.
    fn bounded(&mut self, batch: RecordBatch) -> Option<RecordBatch> {
        let left = self.options.max_rows.map_or(u64::MAX, |max| max - self.rows);
        let too_large = self.options.max_bytes.is_some_and(|max| self.bytes >= max);
        if too_large || (left == 0 && batch.num_rows() > 0) {
            self.truncated = true;
            self.stop();
            return None;
        }
        let rows = usize::try_from(left).map_or(batch.num_rows(), |left| batch.num_rows().min(left));
        self.truncated = rows < batch.num_rows();
        self.rows += rows as u64;
        self.bytes += size::bytes_of(&batch, 0..rows) as u64;
        if self.truncated {
            self.stop();
        }
        Some(batch.slice(0, rows))
    }

    fn stop(&mut self) {
        self.elapsed.get_or_insert_with(|| self.started.elapsed());
        self.stop.now();
        self.task.abort();
    }
}
