//! The versions of a table's rows: found by key and event time, dropped once a newer one holds for every row to come.
//!
//! Most keys have one version, of which no more is in memory than its time and its place ([`Sole`]). Those of keys that have
//! several are lists, until all but one of them are dropped.
//!
//! Rows are in runs in the order in which they came: `key` (16 bytes), `time` and `from` (microseconds: its event time,
//! and from when on it holds), `partition` and `record` (what orders rows of one time), `deleted`, then the columns. What was
//! dropped stays in its run until that is merged; after a restore it is found out again from the watermark alone. A run is in
//! memory, or where the last snapshot has it: then it is read for the rows that are answered from it, and not kept.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::columns::Columns;
use super::runs::widened;
use super::sole::{One, Sole};
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::snapshot::run_id;

/// Columns of a run before those of the row.
const OWN_COLUMNS: usize = 6;
/// Rows that a run may hold besides twice as many as are alive.
const SLACK_ROWS: usize = 1_024;
/// Runs are not merged to more than this: all of one is read for the sake of a row.
const RUN_BYTES_MAX: u64 = 4 << 20;
/// As soon as such a part of what is known is over it is taken out.
const OVER_SHARE: usize = 4;

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
    /// The keys that have one version, which holds from its time on, or is the oldest that may be asked for.
    sole: Sole,
    /// Of each other key the versions, by time and place.
    several: HashMap<Digest, Vec<Known>, FixedState>,
    /// How many versions there are in `several`.
    listed: usize,
    /// When there may be something to drop of which key of `several`.
    due: BTreeSet<(i64, Digest)>,
    /// When versions in `sole` are over, and how many are then.
    ends: BTreeMap<i64, u32>,
    /// No row before this comes any more.
    passed: i64,
    /// How many versions in `sole` are over since.
    over: usize,
    lost: Option<SeamError>,
}

/// A version of a key that has several.
#[derive(Clone, Copy, Debug)]
struct Known {
    time: i64,
    /// What tells it from others of its time; not known until there is one.
    place: Option<(u64, u64)>,
    from: i64,
    deleted: bool,
    spot: Spot,
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
            sole: Sole::new(),
            several: HashMap::default(),
            listed: 0,
            due: BTreeSet::new(),
            ends: BTreeMap::new(),
            passed: i64::MIN,
            over: 0,
            lost: None,
        }
    }

    /// How many versions are held.
    pub(super) fn len(&self) -> usize {
        self.sole.len() - self.over + self.listed
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

    /// Makes sure that [`Versions::matters`] and [`Versions::insert`] can tell these from what is known: reads what tells
    /// versions of one time apart, of those that need it.
    pub(super) fn compare_with(&mut self, versions: impl Iterator<Item = (Digest, i64)>) {
        // By the run, whose place is not known of which rows.
        let mut unknown: BTreeMap<u32, Vec<(u32, Digest)>> = BTreeMap::new();
        for (key, time) in versions {
            let sole = self.sole.get(key).map(|one| (one.time, one.spot));
            let listed = self.several.get(&key).into_iter().flatten();
            let listed = listed.filter(|known| known.place.is_none()).map(|known| (known.time, known.spot));
            for (_, (run, row)) in sole.into_iter().chain(listed).filter(|(known, _)| *known == time) {
                unknown.entry(run).or_default().push((row, key));
            }
        }
        for (run, rows) in unknown {
            if let Err(lost) = self.read_places(run, rows) {
                self.lost.get_or_insert(lost);
            }
        }
    }

    fn read_places(&mut self, run: u32, rows: Vec<(u32, Digest)>) -> SeamResult<()> {
        let (id, found) = (self.runs[&run].id.unwrap_or(0), &self.runs[&run].rows);
        let places = places_of(&found.load(id)?).map_err(damaged)?;
        for (row, key) in rows {
            let spot = (run, row);
            if let Some(one) = self.sole.get(key).filter(|one| one.spot == spot) {
                self.list(key, None);
                // It may stay alone.
                self.due.insert((after(self.grid, one.time.max(self.passed)), key));
            }
            let versions = self.several.get_mut(&key).into_iter().flatten();
            versions.filter(|known| known.spot == spot).for_each(|known| known.place = Some(places[row as usize]));
        }
        Ok(())
    }

    /// Makes a list of the one version that a key has.
    fn list(&mut self, key: Digest, place: Option<(u64, u64)>) {
        let Some(one) = self.take_sole(key) else { return };
        let One { time, spot, deleted } = one;
        self.several.insert(key, vec![Known { time, place, from: time, deleted, spot }]);
        self.listed += 1;
        self.due.extend(self.end(&one).map(|end| (end, key)));
    }

    /// Whether a version would hold at any time: it is not over before it begins, and no newer one holds from then on.
    pub(super) fn matters(&self, key: Digest, version: &Version) -> bool {
        if self.is_over(version.time, version.from) {
            return false;
        }
        if let Some(one) = self.sole.get(key) {
            // Of one time with it, it would be in a list.
            return one.time < version.time || one.time > version.from;
        }
        let versions = self.several.get(&key).map_or(&[][..], Vec::as_slice);
        let newer = versions.iter().rev().take_while(|known| known.is_newer_than(version));
        newer.clone().all(|known| known.from > version.from)
    }

    /// Holds versions that matter, with the columns of the table.
    pub(super) fn insert(&mut self, rows: &RecordBatch, versions: &[(Digest, Version)]) {
        if versions.is_empty() {
            return;
        }
        let run = self.next_run;
        self.next_run += 1;
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
        self.add_all(run, versions, i64::MIN);
        self.merge_runs();
    }

    /// Takes up the versions of a run, which were compared with what is known of their keys. What is dropped before `after` is
    /// dropped by whoever calls.
    fn add_all(&mut self, run: u32, versions: &[(Digest, Version)], after: i64) {
        for (row, (key, version)) in (0u32..).zip(versions) {
            // Of versions that come together it is known what tells them apart.
            match self.sole.get(*key) {
                Some(One { spot: (of, at), .. }) if of == run => self.list(*key, Some(versions[at as usize].1.place)),
                Some(_) => self.list(*key, None),
                None => {}
            }
            self.add(*key, *version, (run, row));
            self.await_drops(*key, version, after);
        }
    }

    fn add(&mut self, key: Digest, version: Version, spot: Spot) {
        let Version { time, place, from, deleted } = version;
        if from == time && !self.several.contains_key(&key) {
            self.put_sole(key, One { time, spot, deleted });
            return;
        }
        let versions = self.several.entry(key).or_default();
        let at = versions.partition_point(|known| !known.is_newer_than(&version));
        versions.insert(at, Known { time, place: Some(place), from, deleted, spot });
        self.listed += 1;
    }

    /// Notes when a version of a list may let go of others, and when it is over, unless that lies before `after`.
    fn await_drops(&mut self, key: Digest, version: &Version, after: i64) {
        if !self.several.contains_key(&key) {
            return;
        }
        let over = self.ttl.map(|ttl| version.time.saturating_add(ttl));
        for at in [Some(version.from), over].into_iter().flatten() {
            let at = self::after(self.grid, at);
            if at > after {
                self.due.insert((at, key));
            }
        }
    }

    fn is_over(&self, time: i64, at: i64) -> bool {
        self.ttl.is_some_and(|ttl| time.saturating_add(ttl) < at)
    }

    /// The row of the version that holds at `time`, if there is one.
    pub(super) fn find(&self, key: Digest, time: i64) -> Option<Spot> {
        let one = match self.sole.get(key) {
            Some(one) => Some(one).filter(|one| one.time <= time),
            None => {
                let newest = self.several.get(&key)?.iter().rev().find(|known| known.from <= time);
                newest.map(|known| One { time: known.time, spot: known.spot, deleted: known.deleted })
            }
        }?;
        (!one.deleted && !self.is_over(one.time, time)).then_some(one.spot)
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
        let due = self.due.first().map(|(at, _)| *at);
        due.into_iter().chain(self.ends.keys().next().copied()).min()
    }

    /// Drops what holds for no row at `low` or later.
    pub(super) fn drop_before(&mut self, low: i64) {
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= low) {
            self.due.pop_first();
            self.drop_of(key, at);
        }
        self.passed = self.passed.max(low);
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() <= low) {
            self.over += first.remove() as usize;
        }
        if self.over > self.sole.len() / OVER_SHARE {
            self.sweep();
        }
    }

    /// Takes out what is over, of keys that have one version: takes a look at each.
    fn sweep(&mut self) {
        let Some(ttl) = self.ttl else { return };
        let (grid, passed) = (self.grid, self.passed);
        for one in self.sole.take_all(|one| after(grid, one.time.saturating_add(ttl)) <= passed) {
            self.forget(one.spot);
        }
        self.over = 0;
    }

    /// When the only version of a key is dropped, of those that are once.
    fn end(&self, one: &One) -> Option<i64> {
        self.ttl.map(|ttl| after(self.grid, one.time.saturating_add(ttl)))
    }

    /// Makes a version the only one of its key.
    fn put_sole(&mut self, key: Digest, one: One) {
        match self.end(&one) {
            Some(end) if end <= self.passed => self.over += 1,
            Some(end) => *self.ends.entry(end).or_default() += 1,
            None => {}
        }
        self.sole.put(key, one);
    }

    /// Takes out the only version of a key, which drops it if it is over.
    fn take_sole(&mut self, key: Digest) -> Option<One> {
        let one = self.sole.take(key)?;
        match self.end(&one) {
            Some(end) if end <= self.passed => {
                self.over -= 1;
                self.forget(one.spot);
                return None;
            }
            Some(end) => {
                let ends = self.ends.get_mut(&end).expect("it was counted when it came");
                *ends -= 1;
                if *ends == 0 {
                    self.ends.remove(&end);
                }
            }
            None => {}
        }
        Some(one)
    }

    fn forget(&mut self, (run, _): Spot) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.live -= 1;
        }
    }

    fn drop_of(&mut self, key: Digest, low: i64) {
        let Some(mut versions) = self.several.remove(&key) else { return };
        self.listed -= versions.len();
        if let Some(current) = versions.iter().rposition(|known| known.from <= low) {
            // A version that says "deleted" stays as long as any: without it one that is older and comes late would hold.
            let over = self.is_over(versions[current].time, low);
            for known in versions.drain(..current + usize::from(over)) {
                self.forget(known.spot);
            }
        }
        match versions[..] {
            [] => {}
            // Nobody asks for a time before it holds.
            [Known { time, from, deleted, spot, .. }] if from == time || from <= low => {
                self.put_sole(key, One { time, spot, deleted });
            }
            _ => {
                self.listed += versions.len();
                self.several.insert(key, versions);
            }
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
                // No row moves behind one that is still to come: a place is never that of two.
                if self.moved(key, spot, (first, moved)) {
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

    fn moved(&mut self, key: Digest, from: Spot, to: Spot) -> bool {
        let listed = self.several.get_mut(&key).into_iter().flatten().find(|known| known.spot == from);
        match listed {
            Some(known) => known.spot = to,
            None => return self.sole.moved(key, from, to),
        }
        true
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
        self.passed = low;
        for id in meta.runs {
            let run = found(id)?;
            let versions = versions_of(&loaded(run)?)?;
            let (number, len) = (self.next_run, versions.len());
            self.next_run += 1;
            self.runs.insert(number, VersionRun { id: Some(id), rows: run.rows.clone(), len, live: len });
            self.compare_with(versions.iter().map(|(key, version)| (*key, version.time)));
            if let Some(lost) = self.lost.take() {
                return Err(lost.full());
            }
            self.add_all(number, &versions, low);
        }
        let keys: Vec<Digest> = self.several.keys().copied().collect();
        keys.into_iter().for_each(|key| self.drop_of(key, low));
        self.sweep();
        self.learn(known.schema())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let runs: usize = self.runs.values().map(|run| run.rows.size()).sum();
        let keys = self.several.capacity() * (size_of::<(Digest, Vec<Known>)>() + 1);
        // Lists begin with one or four, and trees are about two thirds full.
        let lists = self.listed * size_of::<Known>() * 2 + self.due.len() * 2 * size_of::<(i64, Digest)>();
        let lists = lists + self.ends.len() * 2 * size_of::<(i64, u32)>();
        runs + self.runs.len() * size_of::<VersionRun>() + self.sole.size() + keys + lists
    }
}

impl Known {
    /// Whether it is the newer one of the two, by time and place. Of what it is compared with its own place is known.
    fn is_newer_than(&self, version: &Version) -> bool {
        match self.time.cmp(&version.time) {
            Ordering::Equal => self.place.is_some_and(|place| place > version.place),
            order => order == Ordering::Greater,
        }
    }
}

/// The first multiple of the grid that is later.
fn after(grid: i64, time: i64) -> i64 {
    time.div_euclid(grid).saturating_add(1).saturating_mul(grid)
}

fn damaged(problem: String) -> SeamError {
    SeamError::new(ErrorKind::Corrupt, problem)
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
