//! The rows of versions: immutable runs in the order in which they came, in memory or where the last snapshot has them, then
//! read for the rows that are answered from them, and not kept. Knows not which version holds when.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::{Spot, Version};
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::operator::join::columns::Columns;
use crate::operator::join::runs::widened;
use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::snapshot::run_id;

/// Columns of a run before those of the row.
const OWN_COLUMNS: usize = 6;
/// Rows that a run may hold besides twice as many as are alive.
const SLACK_ROWS: usize = 1_024;
/// Runs are not merged to more than this: all of one is read for the sake of a row.
const RUN_BYTES_MAX: u64 = 4 << 20;

/// The rows of all versions.
#[derive(Debug)]
pub(super) struct VersionRows {
    columns: Columns,
    /// An empty run that says which columns there are: rows that were dropped have told of some.
    columns_run: Option<(u64, RecordBatch)>,
    /// By their numbers, oldest first.
    runs: BTreeMap<u32, VersionRun>,
    next_run: u32,
}

/// What a snapshot keeps of versions besides runs.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::operator::join) struct VersionsMeta {
    columns: u64,
    runs: Vec<u64>,
}

#[derive(Debug)]
struct VersionRun {
    /// Given when a snapshot first holds it.
    id: Option<u64>,
    rows: RunRows,
    len: usize,
    /// Rows that are not dropped.
    live: usize,
}

impl VersionRun {
    /// What is in it, with the columns of `schema`.
    fn load(&self, schema: &SchemaRef) -> SeamResult<RecordBatch> {
        let batch = self.rows.load(self.id.unwrap_or(0))?;
        Ok(if batch.schema() == *schema { batch } else { widened(&batch, schema) })
    }
}

impl VersionRows {
    pub(super) fn new(known: &[(String, DataType)]) -> Self {
        Self { columns: Columns::new(known), columns_run: None, runs: BTreeMap::new(), next_run: 0 }
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Takes up columns that are new; versions that are held have nulls there.
    ///
    /// # Errors
    /// When a column has another type than before. Nothing has happened then.
    pub(super) fn learn(&mut self, schema: &SchemaRef) -> Result<(), String> {
        if self.columns.learn(schema)? {
            self.columns_run = None;
            let schema = run_schema(self.columns.schema());
            // The others get them when they are loaded.
            for run in self.runs.values_mut() {
                if let RunRows::Held(batch) = &mut run.rows {
                    *batch = widened(batch, &schema);
                    run.id = None;
                }
            }
        }
        Ok(())
    }

    /// Holds rows with the columns of the table, as one run; its number.
    pub(super) fn push(&mut self, rows: &RecordBatch, versions: &[(Digest, Version)]) -> u32 {
        let keys: Vec<Digest> = versions.iter().map(|(key, _)| *key).collect();
        let longs = |long: fn(&Version) -> i64| -> ArrayRef {
            Arc::new(versions.iter().map(|(_, version)| long(version)).collect::<Int64Array>())
        };
        let words = |word: fn(&Version) -> u64| -> ArrayRef {
            Arc::new(versions.iter().map(|(_, version)| word(version)).collect::<UInt64Array>())
        };
        let deleted: BooleanArray = versions.iter().map(|(_, version)| Some(version.deleted)).collect();
        let own: [ArrayRef; OWN_COLUMNS] = [
            digest_column(&keys),
            longs(|version| version.time),
            longs(|version| version.from),
            words(|version| version.place.0),
            words(|version| version.place.1),
            Arc::new(deleted),
        ];
        let columns = own.into_iter().chain(rows.columns().iter().cloned()).collect();
        let batch = RecordBatch::try_new(run_schema(&rows.schema()), columns);
        let rows = RunRows::Held(batch.expect("the columns are of the fields' types"));
        self.put(None, rows, versions.len())
    }

    fn put(&mut self, id: Option<u64>, rows: RunRows, len: usize) -> u32 {
        let number = self.next_run;
        self.next_run += 1;
        self.runs.insert(number, VersionRun { id, rows, len, live: len });
        number
    }

    /// What tells the versions of a run from others of their times.
    ///
    /// # Errors
    /// When it cannot be loaded, or is no run of versions.
    pub(super) fn places(&self, run: u32) -> SeamResult<Vec<(u64, u64)>> {
        let run = &self.runs[&run];
        let damaged = |problem| SeamError::new(ErrorKind::Corrupt, problem);
        places_of(&run.rows.load(run.id.unwrap_or(0))?).map_err(damaged)
    }

    /// The columns of the rows at these places, nulls where there is none.
    ///
    /// # Errors
    /// When they cannot be loaded.
    pub(super) fn gather(&self, spots: &[Option<Spot>]) -> SeamResult<Vec<ArrayRef>> {
        let schema = run_schema(self.columns.schema());
        let mut of_runs: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
        for (index, (run, row)) in spots.iter().enumerate().filter_map(|(index, spot)| Some((index, (*spot)?))) {
            of_runs.entry(run).or_default().push((index, row));
        }
        // What stands for no row comes first.
        let (mut batches, mut found) = (Vec::new(), vec![(0, 0); spots.len()]);
        for (run, rows) in of_runs {
            let (run, number) = (&self.runs[&run], batches.len() + 1);
            let batch = run.load(&schema)?;
            if run.rows.in_memory().is_some() {
                rows.iter().for_each(|(index, row)| found[*index] = (number, *row as usize));
                batches.push(batch);
            } else {
                // What was read for these rows is not kept beyond them.
                let wanted: UInt32Array = rows.iter().map(|(_, row)| *row).collect::<Vec<_>>().into();
                rows.iter().enumerate().for_each(|(at, (index, _))| found[*index] = (number, at));
                batches.push(take_record_batch(&batch, &wanted).expect("they are rows of this run"));
            }
        }
        let column = |(index, field): (usize, &Arc<Field>)| {
            let null = new_null_array(field.data_type(), 1);
            let runs = batches.iter().map(|batch| batch.column(OWN_COLUMNS + index).as_ref());
            let arrays: Vec<&dyn Array> = [null.as_ref()].into_iter().chain(runs).collect();
            interleave(&arrays, &found).expect("the runs of a table are of one kind")
        };
        Ok(self.columns.fields().iter().enumerate().map(column).collect())
    }

    /// Lets go of the columns of versions that `store` has, oldest first, until about `wanted` bytes are free; where they are
    /// found stays. Returns how many bytes are.
    pub(super) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let kept = self.runs.values_mut().filter(|run| run.id.is_some());
        release_in_turn(kept.map(|run| &mut run.rows), wanted, store)
    }

    /// Its version was dropped.
    pub(super) fn forget(&mut self, (run, _): Spot) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.live -= 1;
        }
    }

    /// The runs that are to be made anew, as most of their rows are dropped; those without any are gone.
    pub(super) fn stale(&mut self) -> Vec<u32> {
        self.runs.retain(|_, run| run.live > 0);
        let is_stale = |run: &VersionRun| run.len > 2 * run.live + SLACK_ROWS;
        self.runs.iter().filter(|(_, run)| is_stale(run)).map(|(number, _)| *number).collect()
    }

    /// The last runs that are to be one, if there are several: as long as one is at most twice as long as those after it and all
    /// are not too long together.
    pub(super) fn last_ones(&self) -> Option<Vec<u32>> {
        let (mut last, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for (number, run) in self.runs.iter().rev() {
            let live_bytes = run.rows.bytes() * run.live as u64 / run.len as u64;
            if !last.is_empty() && (run.live > 2 * rows || bytes + live_bytes > RUN_BYTES_MAX) {
                break;
            }
            last.push(*number);
            (rows, bytes) = (rows + run.live, bytes + live_bytes);
        }
        last.reverse();
        (last.len() > 1).then_some(last)
    }

    /// Makes one run, that is called like the first, of the rows in these neighbours that are not dropped: `moved` is told where
    /// each goes, and says whether it is one.
    ///
    /// # Errors
    /// When one cannot be loaded. Nothing has happened then.
    pub(super) fn merge(
        &mut self,
        numbers: &[u32],
        mut moved: impl FnMut(Digest, Spot, Spot) -> bool,
    ) -> SeamResult<()> {
        let schema = run_schema(self.columns.schema());
        let batches = numbers.iter().map(|number| self.runs[number].load(&schema)).collect::<SeamResult<Vec<_>>>()?;
        let (mut alive, mut next, first) = (Vec::new(), 0u32, numbers[0]);
        for (index, (number, batch)) in numbers.iter().zip(&batches).enumerate() {
            let keys = digests_of_column(batch.column(0)).expect("the first column has the keys");
            for (row, key) in keys.into_iter().enumerate() {
                let spot = (*number, row as u32);
                // No row moves behind one that is still to come: a place is never that of two.
                if moved(key, spot, (first, next)) {
                    alive.push((index, row));
                    next += 1;
                }
            }
        }
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
            interleave(&arrays, &alive).expect("the runs of a table are of one kind")
        };
        let columns = (0..schema.fields().len()).map(column).collect();
        let merged = RecordBatch::try_new(schema.clone(), columns).expect("the columns are of the fields' types");
        numbers.iter().for_each(|number| drop(self.runs.remove(number)));
        let len = alive.len();
        self.runs.insert(first, VersionRun { id: None, rows: RunRows::Held(merged), len, live: len });
        Ok(())
    }

    pub(super) fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let mut named = |id: &mut Option<u64>, rows: &RunRows| {
            let id = *id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, 0, rows.held())
            });
            Run { id, node, pane: EventTime::from_micros(0), rows: rows.clone() }
        };
        let columns = self.columns_run.take();
        let (mut id, batch) = match columns {
            Some((id, batch)) => (Some(id), batch),
            None => (None, RecordBatch::new_empty(self.columns.schema().clone())),
        };
        let mut runs = vec![named(&mut id, &RunRows::Held(batch.clone()))];
        self.columns_run = Some((runs[0].id, batch));
        runs.extend(self.runs.values_mut().map(|run| named(&mut run.id, &run.rows)));
        runs
    }

    pub(super) fn meta(&self) -> VersionsMeta {
        let named = |run: &VersionRun| run.id.expect("runs are named when they are sealed");
        VersionsMeta {
            columns: self.columns_run.as_ref().expect("it is named when it is sealed").0,
            runs: self.runs.values().map(named).collect(),
        }
    }

    /// Takes over what a snapshot holds: `take` is given each run by its number, with its versions.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn restore(
        &mut self,
        meta: VersionsMeta,
        runs: &[Run],
        mut take: impl FnMut(&mut Self, u32, &[(Digest, Version)]) -> Result<(), String>,
    ) -> Result<(), String> {
        let runs: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        let found = |id: u64| runs.get(&id).copied().ok_or_else(|| format!("the run {id} is missing"));
        let loaded = |run: &Run| run.rows.load(run.id).map_err(|error| error.full());
        let columns = loaded(found(meta.columns)?)?;
        self.columns = Columns::of_schema(columns.schema());
        self.columns_run = Some((meta.columns, columns));
        for id in meta.runs {
            let run = found(id)?;
            let versions = versions_of(&loaded(run)?)?;
            let number = self.put(Some(id), run.rows.clone(), versions.len());
            take(self, number, &versions)?;
        }
        Ok(())
    }

    /// About how many bytes they take.
    pub(super) fn size(&self) -> usize {
        let runs: usize = self.runs.values().map(|run| run.rows.size()).sum();
        runs + self.runs.len() * size_of::<VersionRun>()
    }
}

/// The versions of a run.
fn versions_of(run: &RecordBatch) -> Result<Vec<(Digest, Version)>, String> {
    let [keys, times, froms, first, second, deleted, ..] = run.columns() else {
        return Err(format!("a run of versions has {} columns", run.num_columns()));
    };
    let deleted = deleted.as_boolean_opt().ok_or_else(|| format!("a flag of type {}", deleted.data_type()))?;
    let times = times_of_column(times)?.into_iter().zip(times_of_column(froms)?);
    let places = words(first)?.into_iter().zip(words(second)?);
    let versions = times.zip(places).zip(deleted.values().iter());
    let versions = versions.map(|(((time, from), place), deleted)| Version { time, place, from, deleted });
    Ok(digests_of_column(keys)?.into_iter().zip(versions).collect())
}

/// What tells the versions of a run from others of their times.
fn places_of(run: &RecordBatch) -> Result<Vec<(u64, u64)>, String> {
    let [_, _, _, first, second, ..] = run.columns() else {
        return Err(format!("a run of versions has {} columns", run.num_columns()));
    };
    Ok(words(first)?.into_iter().zip(words(second)?).collect())
}

fn words(column: &ArrayRef) -> Result<Vec<u64>, String> {
    let words = column.as_primitive_opt::<UInt64Type>().filter(|words| words.null_count() == 0);
    words.map(|words| words.values().to_vec()).ok_or_else(|| format!("places of type {}", column.data_type()))
}

fn run_schema(columns: &SchemaRef) -> SchemaRef {
    let own = [
        Field::new("key", DataType::FixedSizeBinary(16), false),
        Field::new("time", DataType::Int64, false),
        Field::new("from", DataType::Int64, false),
        Field::new("partition", DataType::UInt64, false),
        Field::new("record", DataType::UInt64, false),
        Field::new("deleted", DataType::Boolean, false),
    ];
    let fields = own.into_iter().map(Arc::new).chain(columns.fields().iter().cloned());
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
