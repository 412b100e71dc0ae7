//! The versions of a table's rows: found by key and event time, dropped once a newer one holds for every row to come.
//!
//! Rows are in runs in the order in which they came: `key` (16 bytes), `time` and `from` (microseconds: its event time,
//! and from when on it holds), `partition` and `record` (what orders rows of one time), `deleted`, then the columns. What was
//! dropped stays in its run until that is merged; after a restore it is found out again from the watermark alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::EventTime;

use super::columns::Columns;
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::run::{Run, RunRows};
use crate::snapshot::run_id;

/// Columns of a run before those of the row.
const OWN_COLUMNS: usize = 6;
/// Rows that runs may hold besides twice as many as are alive.
const SLACK_ROWS: usize = 1_024;

/// A row as it comes: whose it is, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Its event time.
    pub(super) time: i64,
    /// Tells versions of one time apart, in the same order whenever they come: which partition, which record.
    pub(super) place: (u64, u64),
    /// From when on it holds: later than its time if it came late, when rows of its time had their answer.
    pub(super) from: i64,
    /// Whether it says that there is no row any more.
    pub(super) deleted: bool,
}

/// Where a row is: its run, and its place there.
pub(super) type Spot = (u32, u32);

/// The versions of a table.
#[derive(Debug)]
pub(super) struct Versions {
    /// What is dropped is dropped at multiples of this.
    grid: i64,
    /// For how long after its event time a version holds.
    ttl: Option<i64>,
    columns: Columns,
    /// An empty run that says which columns there are: rows that were dropped have told of some.
    columns_run: Option<(u64, RecordBatch)>,
    runs: Vec<(Option<u64>, RecordBatch)>,
    /// Of each key the versions, by time and place.
    index: HashMap<Digest, Vec<(Version, Spot)>, FixedState>,
    /// When there may be something to drop of which key.
    due: BTreeSet<(i64, Digest)>,
    len: usize,
}

/// What a snapshot keeps of it besides runs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct VersionsMeta {
    columns: u64,
    runs: Vec<u64>,
}

impl Versions {
    pub(super) fn new(grid: i64, ttl: Option<i64>, known: &[(String, DataType)]) -> Self {
        assert!(grid > 0, "a constant");
        Self {
            grid,
            ttl,
            columns: Columns::new(known),
            columns_run: None,
            runs: Vec::new(),
            index: HashMap::default(),
            due: BTreeSet::new(),
            len: 0,
        }
    }

    /// How many versions are held.
    pub(super) fn len(&self) -> usize {
        self.len
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
            for (id, batch) in &mut self.runs {
                // New columns stand behind those that there were.
                let known = batch.num_columns() - OWN_COLUMNS;
                let new = self.columns.fields()[known..].iter();
                let new = new.map(|field| new_null_array(field.data_type(), batch.num_rows()));
                let columns = batch.columns().iter().cloned().chain(new).collect();
                *batch = RecordBatch::try_new(schema.clone(), columns).expect("the columns are of the fields' types");
                *id = None;
            }
        }
        Ok(())
    }

    /// Whether a version would hold at any time: it is not over before it begins, and no newer one holds from then on.
    pub(super) fn matters(&self, key: Digest, version: &Version) -> bool {
        if self.is_over(version, version.from) {
            return false;
        }
        let versions = self.index.get(&key).map_or(&[][..], Vec::as_slice);
        let newer = versions.iter().rev().take_while(|(known, _)| order(known) > order(version));
        newer.clone().all(|(known, _)| known.from > version.from)
    }

    /// Holds versions that matter, with the columns of the table.
    pub(super) fn insert(&mut self, rows: &RecordBatch, versions: &[(Digest, Version)]) {
        if versions.is_empty() {
            return;
        }
        let run = u32::try_from(self.runs.len()).expect("runs are merged");
        for (row, (key, version)) in (0u32..).zip(versions) {
            self.add(*key, *version, (run, row));
            self.await_drops(*key, version, i64::MIN);
        }
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
        self.runs.push((None, batch.expect("the columns are of the fields' types")));
        self.merge_runs();
    }

    fn add(&mut self, key: Digest, version: Version, spot: Spot) {
        let versions = self.index.entry(key).or_default();
        let at = versions.partition_point(|(known, _)| order(known) <= order(&version));
        versions.insert(at, (version, spot));
        self.len += 1;
    }

    /// Notes when a version may let go of others, and when it is over, unless that lies before `after`.
    fn await_drops(&mut self, key: Digest, version: &Version, after: i64) {
        let over = self.ttl.map(|ttl| version.time.saturating_add(ttl));
        for at in [Some(version.from), over].into_iter().flatten() {
            let at = at.div_euclid(self.grid).saturating_add(1).saturating_mul(self.grid);
            if at > after {
                self.due.insert((at, key));
            }
        }
    }

    fn is_over(&self, version: &Version, at: i64) -> bool {
        self.ttl.is_some_and(|ttl| version.time.saturating_add(ttl) < at)
    }

    /// The row of the version that holds at `time`, if there is one.
    pub(super) fn find(&self, key: Digest, time: i64) -> Option<Spot> {
        let (version, spot) = self.index.get(&key)?.iter().rev().find(|(version, _)| version.from <= time)?;
        (!version.deleted && !self.is_over(version, time)).then_some(*spot)
    }

    /// The columns of the rows at these places, nulls where there is none.
    pub(super) fn gather(&self, spots: &[Option<Spot>]) -> Vec<ArrayRef> {
        let none = (self.runs.len(), 0);
        let found: Vec<(usize, usize)> =
            spots.iter().map(|spot| spot.map_or(none, |(run, row)| (run as usize, row as usize))).collect();
        let column = |(index, field): (usize, &Arc<Field>)| {
            let null = new_null_array(field.data_type(), 1);
            let runs = self.runs.iter().map(|(_, batch)| batch.column(OWN_COLUMNS + index).as_ref());
            let arrays: Vec<&dyn Array> = runs.chain([null.as_ref()]).collect();
            interleave(&arrays, &found).expect("the runs of a table are of one kind")
        };
        self.columns.fields().iter().enumerate().map(column).collect()
    }

    /// The next time at which something may be dropped, once no row before it can come.
    pub(super) fn next_drop(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Drops what holds for no row at `low` or later.
    pub(super) fn drop_before(&mut self, low: i64) {
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= low) {
            self.due.pop_first();
            self.drop_of(key, at);
        }
    }

    fn drop_of(&mut self, key: Digest, low: i64) {
        let ttl = self.ttl;
        let Some(versions) = self.index.get_mut(&key) else { return };
        let before = versions.len();
        if let Some(current) = versions.iter().rposition(|(version, _)| version.from <= low) {
            // A version that says "deleted" stays as long as any: without it one that is older and comes late would hold.
            let over = ttl.is_some_and(|ttl| versions[current].0.time.saturating_add(ttl) < low);
            versions.drain(..current + usize::from(over));
        }
        self.len -= before - versions.len();
        if versions.is_empty() {
            self.index.remove(&key);
        }
    }

    /// Merges the last runs as long as one is at most twice as long as those after it, and all when most rows are dropped.
    fn merge_runs(&mut self) {
        let rows = |runs: &[(Option<u64>, RecordBatch)]| runs.iter().map(|(_, run)| run.num_rows()).sum::<usize>();
        if rows(&self.runs) > 2 * self.len + SLACK_ROWS {
            return self.merge_from(0);
        }
        let mut first = self.runs.len() - 1;
        while first > 0 && self.runs[first - 1].1.num_rows() <= 2 * rows(&self.runs[first..]) {
            first -= 1;
        }
        if first + 1 < self.runs.len() {
            self.merge_from(first);
        }
    }

    /// Makes one run of the rows in the runs from `first` on that are not dropped.
    fn merge_from(&mut self, first: usize) {
        let (mut alive, mut moved) = (Vec::new(), 0u32);
        for run in first..self.runs.len() {
            let keys = digests_of_column(self.runs[run].1.column(0)).expect("the first column has the keys");
            for (row, key) in keys.into_iter().enumerate() {
                let spot = (run as u32, row as u32);
                let versions = self.index.get_mut(&key).map_or(&mut [][..], Vec::as_mut_slice);
                if let Some((_, known)) = versions.iter_mut().find(|(_, known)| *known == spot) {
                    *known = (first as u32, moved);
                    alive.push((run - first, row));
                    moved += 1;
                }
            }
        }
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> =
                self.runs[first..].iter().map(|(_, run)| run.column(index).as_ref()).collect();
            interleave(&arrays, &alive).expect("the runs of a table are of one kind")
        };
        let schema = run_schema(self.columns.schema());
        let columns = (0..schema.fields().len()).map(column).collect();
        self.runs.truncate(first);
        if !alive.is_empty() {
            let merged = RecordBatch::try_new(schema, columns).expect("the columns are of the fields' types");
            self.runs.push((None, merged));
        }
    }

    pub(super) fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let mut named = |id: &mut Option<u64>, batch: &RecordBatch| {
            let id = *id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, 0, batch)
            });
            Run { id, node, pane: EventTime::from_micros(0), rows: RunRows::Held(batch.clone()) }
        };
        let columns = self.columns_run.take();
        let (mut id, batch) = match columns {
            Some((id, batch)) => (Some(id), batch),
            None => (None, RecordBatch::new_empty(self.columns.schema().clone())),
        };
        let mut runs = vec![named(&mut id, &batch)];
        self.columns_run = Some((runs[0].id, batch));
        runs.extend(self.runs.iter_mut().map(|(id, batch)| named(id, batch)));
        runs
    }

    pub(super) fn meta(&self) -> VersionsMeta {
        VersionsMeta {
            columns: self.columns_run.as_ref().expect("it is named when it is sealed").0,
            runs: self.runs.iter().map(|(id, _)| id.expect("runs are named when they are sealed")).collect(),
        }
    }

    /// Takes over what a snapshot holds, that had dropped what holds for no row at `low` or later.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn restore(&mut self, meta: VersionsMeta, runs: &[Run], low: i64) -> Result<(), String> {
        let found = |id: u64| runs.iter().find(|run| run.id == id).ok_or_else(|| format!("the run {id} is missing"));
        let columns = found(meta.columns)?.batch().clone();
        let known = std::mem::replace(&mut self.columns, Columns::of_schema(columns.schema()));
        self.columns_run = Some((meta.columns, columns));
        let low = low.div_euclid(self.grid).saturating_mul(self.grid);
        for (run, id) in (0u32..).zip(meta.runs) {
            let batch = found(id)?.batch().clone();
            for (row, (key, version)) in (0u32..).zip(versions_of(&batch)?) {
                self.add(key, version, (run, row));
                self.await_drops(key, &version, low);
            }
            self.runs.push((Some(id), batch));
        }
        let keys: Vec<Digest> = self.index.keys().copied().collect();
        keys.into_iter().for_each(|key| self.drop_of(key, low));
        self.learn(known.schema())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let runs: usize = self.runs.iter().map(|(_, batch)| batch.get_array_memory_size()).sum();
        let keys = self.index.capacity() * (size_of::<(Digest, Vec<(Version, Spot)>)>() + 1);
        runs + keys + self.len * size_of::<(Version, Spot)>() + self.due.len() * 2 * size_of::<(i64, Digest)>()
    }
}

/// Which of two versions is newer.
fn order(version: &Version) -> (i64, (u64, u64)) {
    (version.time, version.place)
}

/// The versions of a run.
fn versions_of(run: &RecordBatch) -> Result<Vec<(Digest, Version)>, String> {
    let [keys, times, froms, first, second, deleted, ..] = run.columns() else {
        return Err(format!("a run of versions has {} columns", run.num_columns()));
    };
    let words = |column: &ArrayRef| {
        let words = column.as_primitive_opt::<UInt64Type>().filter(|words| words.null_count() == 0);
        words.map(|words| words.values().to_vec()).ok_or_else(|| format!("places of type {}", column.data_type()))
    };
    let deleted = deleted.as_boolean_opt().ok_or_else(|| format!("a flag of type {}", deleted.data_type()))?;
    let times = times_of_column(times)?.into_iter().zip(times_of_column(froms)?);
    let places = words(first)?.into_iter().zip(words(second)?);
    let versions = times.zip(places).zip(deleted.values().iter());
    let versions = versions.map(|(((time, from), place), deleted)| Version { time, place, from, deleted });
    Ok(digests_of_column(keys)?.into_iter().zip(versions).collect())
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
