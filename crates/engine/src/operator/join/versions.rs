//! The versions of a table's rows: found by key and event time, dropped once a newer one holds for every row to come.
//!
//! Rows are in runs in the order in which they came: `key` (16 bytes), `time` and `from` (microseconds: its event time,
//! and from when on it holds), `partition` and `record` (what orders rows of one time), `deleted`, then the columns. What was
//! dropped stays in its run until that is merged; after a restore it is found out again from the watermark alone. A run is in
//! memory, or where the last snapshot has it: then it is read for the rows that are answered from it, and not kept.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, SeamError, SeamResult};

use super::columns::Columns;
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::operator::runs::widened;
use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::snapshot::run_id;

/// Columns of a run before those of the row.
const OWN_COLUMNS: usize = 6;
/// Rows that a run may hold besides twice as many as are alive.
const SLACK_ROWS: usize = 1_024;
/// Runs are not merged to more than this: all of one is read for the sake of a row.
const RUN_BYTES_MAX: u64 = 4 << 20;

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

/// Where a row is: the number of its run, and its place there.
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
    /// By their numbers, oldest first.
    runs: BTreeMap<u32, VersionRun>,
    next_run: u32,
    /// Of each key the versions, by time and place.
    index: HashMap<Digest, Vec<(Version, Spot)>, FixedState>,
    /// When there may be something to drop of which key.
    due: BTreeSet<(i64, Digest)>,
    len: usize,
    lost: Option<SeamError>,
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
            runs: BTreeMap::new(),
            next_run: 0,
            index: HashMap::default(),
            due: BTreeSet::new(),
            len: 0,
            lost: None,
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
        let run = self.next_run;
        self.next_run += 1;
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
        let rows = RunRows::Held(batch.expect("the columns are of the fields' types"));
        let len = versions.len();
        self.runs.insert(run, VersionRun { id: None, rows, len, live: len });
        self.merge_runs();
    }

    fn add(&mut self, key: Digest, version: Version, spot: Spot) {
        // Of most keys there is one: a vector that grows by itself begins with four.
        let versions = self.index.entry(key).or_insert_with(|| Vec::with_capacity(1));
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

    /// The columns of the rows at these places, nulls where there is none, and everywhere if they cannot be loaded, which
    /// [`Versions::lost`] tells.
    pub(super) fn gather(&mut self, spots: &[Option<Spot>]) -> Vec<ArrayRef> {
        self.try_to_gather(spots).unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            self.columns.fields().iter().map(|field| new_null_array(field.data_type(), spots.len())).collect()
        })
    }

    fn try_to_gather(&self, spots: &[Option<Spot>]) -> SeamResult<Vec<ArrayRef>> {
        let schema = run_schema(self.columns.schema());
        // What stands for no row comes first.
        let (mut batches, mut known) = (Vec::new(), BTreeMap::new());
        let mut found = Vec::with_capacity(spots.len());
        for spot in spots {
            let Some((run, row)) = spot else {
                found.push((0, 0));
                continue;
            };
            let batch = match known.entry(*run) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    batches.push(self.runs[run].load(&schema)?);
                    *new.insert(batches.len())
                }
            };
            found.push((batch, *row as usize));
        }
        let column = |(index, field): (usize, &Arc<Field>)| {
            let null = new_null_array(field.data_type(), 1);
            let runs = batches.iter().map(|batch| batch.column(OWN_COLUMNS + index).as_ref());
            let arrays: Vec<&dyn Array> = [null.as_ref()].into_iter().chain(runs).collect();
            interleave(&arrays, &found).expect("the runs of a table are of one kind")
        };
        Ok(self.columns.fields().iter().enumerate().map(column).collect())
    }

    /// Why rows could not be loaded, if some could not.
    pub(super) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of the columns of versions that `store` has, oldest first, until about `wanted` bytes are free; where they are
    /// found stays. Returns how many bytes are.
    pub(super) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let kept = self.runs.values_mut().filter(|run| run.id.is_some());
        release_in_turn(kept.map(|run| &mut run.rows), wanted, store)
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
            for (_, (run, _)) in versions.drain(..current + usize::from(over)) {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.live -= 1;
                }
            }
            if versions.capacity() > 2 * versions.len() {
                versions.shrink_to_fit();
            }
        }
        self.len -= before - versions.len();
        if versions.is_empty() {
            self.index.remove(&key);
        }
    }

    /// Merges the last runs as long as one is at most twice as long as those after it and all are not too long together, and
    /// makes those anew of which most rows are dropped.
    fn merge_runs(&mut self) {
        self.runs.retain(|_, run| run.live > 0);
        let stale = |run: &VersionRun| run.len > 2 * run.live + SLACK_ROWS;
        let stale: Vec<u32> = self.runs.iter().filter(|(_, run)| stale(run)).map(|(number, _)| *number).collect();
        for number in stale {
            self.merge(&[number]);
        }
        let (mut last, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for (number, run) in self.runs.iter().rev() {
            let live_bytes = run.rows.bytes() * run.live as u64 / run.len as u64;
            if !last.is_empty() && (run.live > 2 * rows || bytes + live_bytes > RUN_BYTES_MAX) {
                break;
            }
            last.push(*number);
            (rows, bytes) = (rows + run.live, bytes + live_bytes);
        }
        if last.len() > 1 {
            last.reverse();
            self.merge(&last);
        }
    }

    /// Makes one run, that is called like the first, of the rows in these neighbours that are not dropped.
    fn merge(&mut self, numbers: &[u32]) {
        let schema = run_schema(self.columns.schema());
        let batches: SeamResult<Vec<RecordBatch>> =
            numbers.iter().map(|number| self.runs[number].load(&schema)).collect();
        let batches = match batches {
            Ok(batches) => batches,
            Err(lost) => {
                self.lost.get_or_insert(lost);
                return;
            }
        };
        let (mut alive, mut moved, first) = (Vec::new(), 0u32, numbers[0]);
        for (index, (number, batch)) in numbers.iter().zip(&batches).enumerate() {
            let keys = digests_of_column(batch.column(0)).expect("the first column has the keys");
            for (row, key) in keys.into_iter().enumerate() {
                let spot = (*number, row as u32);
                let versions = self.index.get_mut(&key).map_or(&mut [][..], Vec::as_mut_slice);
                if let Some((_, known)) = versions.iter_mut().find(|(_, known)| *known == spot) {
                    // No row moves behind one that is still to come: a place is never that of two.
                    *known = (first, moved);
                    alive.push((index, row));
                    moved += 1;
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

    /// Takes over what a snapshot holds, that had dropped what holds for no row at `low` or later.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn restore(&mut self, meta: VersionsMeta, runs: &[Run], low: i64) -> Result<(), String> {
        let runs: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        let found = |id: u64| runs.get(&id).copied().ok_or_else(|| format!("the run {id} is missing"));
        let loaded = |run: &Run| run.rows.load(run.id).map_err(|error| error.full());
        let columns = loaded(found(meta.columns)?)?;
        let known = std::mem::replace(&mut self.columns, Columns::of_schema(columns.schema()));
        self.columns_run = Some((meta.columns, columns));
        let low = low.div_euclid(self.grid).saturating_mul(self.grid);
        for id in meta.runs {
            let run = found(id)?;
            let versions = versions_of(&loaded(run)?)?;
            let (number, len) = (self.next_run, versions.len());
            self.next_run += 1;
            for (row, (key, version)) in (0u32..).zip(versions) {
                self.add(key, version, (number, row));
                self.await_drops(key, &version, low);
            }
            self.runs.insert(number, VersionRun { id: Some(id), rows: run.rows.clone(), len, live: len });
        }
        let keys: Vec<Digest> = self.index.keys().copied().collect();
        keys.into_iter().for_each(|key| self.drop_of(key, low));
        self.learn(known.schema())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let runs: usize = self.runs.values().map(|run| run.rows.size()).sum();
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
