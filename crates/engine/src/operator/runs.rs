//! The runs of one bucket of an operator that remembers rows: immutable, oldest first, in memory or where the last snapshot
//! has them.
//!
//! A new run is merged with the one before it as long as that one is in memory, at most twice as long, and both together are
//! not too long to be read for the sake of a few rows (a size-tiered log-structured merge): of n rows each was rewritten
//! about log2(n) times, and a snapshot finds nearly all of them where the last one left them.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use weir_model::{EventTime, SeamResult};

use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::snapshot::run_id;

/// Runs are not merged to more rows than this.
const ROWS_MAX: usize = 1 << 16;

/// The runs of one bucket.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<OfBucket>,
}

#[derive(Debug)]
struct OfBucket {
    /// Given when a snapshot first holds it.
    id: Option<u64>,
    rows: RunRows,
    len: usize,
}

impl OfBucket {
    fn new(batch: RecordBatch) -> Self {
        Self { id: None, len: batch.num_rows(), rows: RunRows::Held(batch) }
    }
}

impl Runs {
    /// Adds rows; their columns are always the same.
    pub(crate) fn push(&mut self, rows: RecordBatch) {
        self.runs.push(OfBucket::new(rows));
        while let [.., before, last] = &self.runs[..]
            && before.len <= 2 * last.len
            && before.len + last.len <= ROWS_MAX
            && let (Some(first), Some(second)) = (before.rows.in_memory(), last.rows.in_memory())
            && first.schema() == second.schema()
        {
            let merged =
                concat_batches(&second.schema(), [first, second]).expect("the runs of a bucket are of one kind");
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(OfBucket::new(merged));
        }
    }

    /// Gives every run that is in memory the columns of `schema`; those that it does not have are null. The others get them
    /// when they are loaded.
    pub(crate) fn widen(&mut self, schema: &SchemaRef) {
        for run in &mut self.runs {
            if let RunRows::Held(batch) = &mut run.rows {
                *batch = widened(batch, schema);
                run.id = None;
            }
        }
    }

    /// Every run, named.
    pub(crate) fn seal(&mut self, (node, pane): (usize, i64), next_run: &mut u64) -> impl Iterator<Item = Run> {
        self.runs.iter_mut().map(move |run| {
            let id = *run.id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, pane, run.rows.held())
            });
            Run { id, node, pane: EventTime::from_micros(pane), rows: run.rows.clone() }
        })
    }

    /// The names of the runs; they were sealed before.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.runs.iter().map(|run| run.id.expect("runs are named when they are sealed")).collect()
    }

    /// Puts a run of a snapshot behind the others, and returns what is in it.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub(crate) fn restore(&mut self, run: &Run) -> SeamResult<RecordBatch> {
        let batch = run.rows.load(run.id)?;
        self.runs.push(OfBucket { id: Some(run.id), rows: run.rows.clone(), len: batch.num_rows() });
        Ok(batch)
    }

    /// Which run the row with this number lies in, and which of its rows it is.
    pub(crate) fn find(&self, row: usize) -> (usize, usize) {
        let mut left = row;
        for (index, run) in self.runs.iter().enumerate() {
            if left < run.len {
                return (index, left);
            }
            left -= run.len;
        }
        unreachable!("the row {row} is of this bucket")
    }

    /// The run with this number, with the columns of `schema`.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub(crate) fn load(&self, index: usize, schema: &SchemaRef) -> SeamResult<RecordBatch> {
        let run = &self.runs[index];
        let batch = run.rows.load(run.id.unwrap_or(0))?;
        Ok(if batch.schema() == *schema { batch } else { widened(&batch, schema) })
    }

    /// Lets go of runs that `store` has, oldest first, until about `wanted` bytes are free; all are named. Returns how many
    /// are.
    pub(crate) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let kept = self.runs.iter_mut().filter(|run| run.id.is_some());
        release_in_turn(kept.map(|run| &mut run.rows), wanted, store)
    }

    /// About how many bytes they take in memory.
    pub(crate) fn size(&self) -> usize {
        self.runs.iter().map(|run| run.rows.size()).sum()
    }
}

/// The rows of `batch` with the columns of `schema`: its own, behind which others are new, and null. Not by their names: a
/// row may have a column that is called like one of the operator's.
pub(crate) fn widened(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let new = schema.fields()[batch.num_columns()..].iter();
    let new = new.map(|field| new_null_array(field.data_type(), batch.num_rows()));
    let columns = batch.columns().iter().cloned().chain(new).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("the columns are of the fields' types")
}
