//! The runs of one bucket of a side of a join: immutable, oldest first, in memory or where the last snapshot has them.
//!
//! A new run is merged with the one before it as long as that one is in memory, at most twice as long, and both together are
//! not too long to be read for the sake of a few rows (a size-tiered log-structured merge): of n rows each was rewritten
//! about log2(n) times, and a snapshot finds nearly all of them where the last one left them.
//!
//! Of a run that was let go ([`Runs::release`]) its [`Prints`] stay, which say whether it has a key: less than six bytes of
//! each row. Such runs are merged too when there are many short ones, for each is asked for every key.
//! Nothing here decides which rows are partners.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, SchemaRef};
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::index::HELD_ROW_BYTES;
use super::side::NO_KEY;
use crate::keyed::Prints;
use crate::keys::{Digest, digests_of_column, times_of_column};
use crate::run::{Run, RunRows, RunStore};
use crate::snapshot::run_id;

/// Runs are not merged to more rows than this.
const ROWS_MAX: usize = 1 << 16;
/// Nor to more than this.
const BYTES_MAX: u64 = 4 << 20;
/// So many runs with prints that could be merged may there be in a bucket.
const SHORT_RUNS_MAX: usize = 8;

/// The runs of one bucket.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<OfBucket>,
}

#[derive(Debug)]
struct OfBucket {
    /// Given when a snapshot first holds it.
    id: Option<u64>,
    rows: RunRows,
    /// The number in the bucket of its first row.
    first: usize,
    len: usize,
    /// Which keys it has, of a run whose rows are not in the index of those in memory.
    prints: Option<Prints>,
}

impl OfBucket {
    fn is_short(&self) -> bool {
        self.prints.is_some() && self.len <= ROWS_MAX / 2 && self.rows.bytes() <= BYTES_MAX / 2
    }
}

impl Runs {
    /// How many rows they have.
    pub(super) fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.first + run.len)
    }

    /// Adds rows; their columns are always the same.
    pub(super) fn push(&mut self, rows: RecordBatch) {
        let (first, len) = (self.len(), rows.num_rows());
        self.runs.push(OfBucket { id: None, rows: RunRows::Held(rows), first, len, prints: None });
        while let [.., before, last] = &self.runs[..]
            && before.prints.is_none()
            && before.len <= 2 * last.len
            && before.len + last.len <= ROWS_MAX
            && let (Some(one), Some(two)) = (before.rows.in_memory(), last.rows.in_memory())
            && one.schema() == two.schema()
            && before.rows.bytes() + last.rows.bytes() <= BYTES_MAX
        {
            let merged = concat_batches(&two.schema(), [one, two]).expect("the runs of a bucket are of one kind");
            let (first, len) = (before.first, merged.num_rows());
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(OfBucket { id: None, rows: RunRows::Held(merged), first, len, prints: None });
        }
    }

    /// Merges neighbours that are short and have prints, if there are many.
    ///
    /// # Errors
    /// When one cannot be loaded. Nothing has happened then.
    pub(super) fn merge_short(&mut self, schema: &SchemaRef) -> SeamResult<()> {
        // Two that are short always fit into one.
        let pairs = self.runs.windows(2).filter(|pair| pair.iter().all(OfBucket::is_short)).count();
        if pairs < SHORT_RUNS_MAX {
            return Ok(());
        }
        let mut merged: Vec<OfBucket> = Vec::with_capacity(self.runs.len());
        let (mut rows, mut bytes, mut begin) = (0, 0, 0);
        for (index, run) in self.runs.iter().enumerate() {
            let fits = rows + run.len <= ROWS_MAX && bytes + run.rows.bytes() <= BYTES_MAX;
            if index > begin && !(run.is_short() && self.runs[begin].is_short() && fits) {
                merged.push(self.one_of(begin..index, schema)?);
                (rows, bytes, begin) = (0, 0, index);
            }
            (rows, bytes) = (rows + run.len, bytes + run.rows.bytes());
        }
        merged.push(self.one_of(begin..self.runs.len(), schema)?);
        self.runs = merged;
        Ok(())
    }

    /// One run of these, with prints if they have some.
    fn one_of(&self, which: std::ops::Range<usize>, schema: &SchemaRef) -> SeamResult<OfBucket> {
        let first = &self.runs[which.start];
        if which.len() == 1 {
            let OfBucket { id, rows, first, len, prints } = first;
            return Ok(OfBucket { id: *id, rows: rows.clone(), first: *first, len: *len, prints: prints.clone() });
        }
        let batches = which.map(|index| self.load(index, schema)).collect::<SeamResult<Vec<_>>>()?;
        let batch = concat_batches(schema, &batches).expect("the runs of a bucket are of one kind");
        let keys = digests_of_column(batch.column(0)).expect("the first column has the keys");
        let (len, prints) = (batch.num_rows(), Some(prints_of(&keys)));
        Ok(OfBucket { id: None, rows: RunRows::Held(batch), first: first.first, len, prints })
    }

    /// Gives every run that is in memory the columns of `schema`; those that it does not have are null. The others get them
    /// when they are loaded.
    pub(super) fn widen(&mut self, schema: &SchemaRef) {
        for run in &mut self.runs {
            if let RunRows::Held(batch) = &mut run.rows {
                *batch = widened(batch, schema);
                run.id = None;
            }
        }
    }

    /// Every run, named.
    pub(super) fn seal(&mut self, (node, pane): (usize, i64), next_run: &mut u64) -> impl Iterator<Item = Run> {
        self.runs.iter_mut().map(move |run| {
            let id = *run.id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, pane, run.rows.held())
            });
            Run { id, node, pane: EventTime::from_micros(pane), rows: run.rows.clone() }
        })
    }

    /// The names of the runs; they were sealed before.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.runs.iter().map(|run| run.id.expect("runs are named when they are sealed")).collect()
    }

    /// Puts a run of a snapshot behind the others. It stays where it is; rows are asked for by their keys if `has_index`.
    ///
    /// # Errors
    /// When it cannot be loaded, or is no run of rows.
    pub(super) fn restore(&mut self, run: &Run, has_index: bool) -> SeamResult<()> {
        let batch = run.rows.load(run.id)?;
        let damaged = |problem: String| SeamError::new(ErrorKind::Corrupt, problem);
        let [keys, times, ..] = batch.columns() else {
            return Err(damaged(format!("a run of rows has {} columns", batch.num_columns())));
        };
        let keys = digests_of_column(keys).map_err(damaged)?;
        times_of_column(times).map_err(damaged)?;
        let prints = (has_index && run.rows.in_memory().is_none()).then(|| prints_of(&keys));
        let (first, len) = (self.len(), batch.num_rows());
        self.runs.push(OfBucket { id: Some(run.id), rows: run.rows.clone(), first, len, prints });
        Ok(())
    }

    /// Which run the row with this number lies in, and which of its rows it is.
    pub(super) fn at(&self, row: usize) -> (usize, usize) {
        let run = self.runs.partition_point(|run| run.first + run.len <= row);
        (run, row - self.runs[run].first)
    }

    /// The number in the bucket of the first row of the run with this index.
    pub(super) fn first_row(&self, index: usize) -> usize {
        self.runs[index].first
    }

    /// The runs whose rows are in the index, with the numbers in the bucket of their first rows.
    pub(super) fn indexed(&self) -> impl Iterator<Item = (usize, &RecordBatch)> {
        let indexed = self.runs.iter().filter(|run| run.prints.is_none());
        indexed.filter_map(|run| run.rows.in_memory().map(|batch| (run.first, batch)))
    }

    /// The run with this index, if it is in memory.
    pub(super) fn held_run(&self, index: usize) -> Option<&RecordBatch> {
        self.runs[index].rows.in_memory()
    }

    /// Whether a run has prints.
    pub(super) fn any_printed(&self) -> bool {
        self.runs.iter().any(|run| run.prints.is_some())
    }

    /// The indices of the runs whose prints say that they have this key: they do, as good as certainly.
    pub(super) fn printed_with(&self, key: Digest) -> impl Iterator<Item = usize> {
        let has = move |run: &OfBucket| run.prints.as_ref().is_some_and(|prints| prints.has(key));
        self.runs.iter().enumerate().filter(move |(_, run)| has(run)).map(|(index, _)| index)
    }

    /// The run with this index, with the columns of `schema`.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub(super) fn load(&self, index: usize, schema: &SchemaRef) -> SeamResult<RecordBatch> {
        let run = &self.runs[index];
        let batch = run.rows.load(run.id.unwrap_or(0))?;
        Ok(if batch.schema() == *schema { batch } else { widened(&batch, schema) })
    }

    /// Lets go of runs that `store` has, oldest first, until about `wanted` bytes are free; all are named. Returns about how
    /// many are: if they have an index of their keys (`has_index`), of that too.
    pub(super) fn release(&mut self, wanted: usize, has_index: bool, store: &Arc<dyn RunStore>) -> usize {
        let mut freed: usize = 0;
        for run in self.runs.iter_mut().filter(|run| run.id.is_some()) {
            if freed >= wanted {
                break;
            }
            let Some(batch) = run.rows.in_memory() else { continue };
            if has_index && run.prints.is_none() {
                let keys = digests_of_column(batch.column(0)).expect("the first column has the keys");
                let prints = run.prints.insert(prints_of(&keys));
                freed += (run.len * HELD_ROW_BYTES).saturating_sub(prints.size());
            }
            freed += run.rows.release(store);
        }
        freed
    }

    /// About how many bytes they take in memory.
    pub(super) fn size(&self) -> usize {
        let of_rows = |run: &OfBucket| run.rows.size() + run.prints.as_ref().map_or(0, Prints::size);
        self.runs.iter().map(of_rows).sum::<usize>() + self.runs.capacity() * size_of::<OfBucket>()
    }
}

fn prints_of(keys: &[Digest]) -> Prints {
    let keys: Vec<Digest> = keys.iter().copied().filter(|key| *key != NO_KEY).collect();
    Prints::of(&keys)
}

/// The key of a row of a run.
pub(super) fn key_at(run: &RecordBatch, row: usize) -> Digest {
    let bytes = run.column(0).as_fixed_size_binary().value(row);
    Digest::from_le_bytes(bytes.try_into().expect("a run's first column has 16 bytes"))
}

/// The event time of a row of a run.
pub(super) fn time_at(run: &RecordBatch, row: usize) -> i64 {
    run.column(1).as_primitive::<Int64Type>().value(row)
}

/// The rows of `batch` with the columns of `schema`: its own, behind which others are new, and null. Not by their names: a
/// row may have a column that is called like one of the operator's.
pub(super) fn widened(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let new = schema.fields()[batch.num_columns()..].iter();
    let new = new.map(|field| new_null_array(field.data_type(), batch.num_rows()));
    let columns = batch.columns().iter().cloned().chain(new).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("the columns are of the fields' types")
}
