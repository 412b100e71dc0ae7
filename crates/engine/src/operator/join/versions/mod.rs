//! The versions of a table's rows: found by key and event time, dropped once a newer one holds for every row to come.
//!
//! Most keys have one version, of which no more is in memory than its time and its place ([`Sole`](super::sole::Sole)). Those of
//! keys that have several are lists, until all but one of them are dropped ([`KnownVersions`]).
//!
//! Rows are in runs in the order in which they came ([`VersionRows`]): `key` (16 bytes), `time` and `from` (microseconds: its
//! event time, and from when on it holds), `partition` and `record` (what orders rows of one time), `deleted`, then the columns.
//! What was dropped stays in its run until that is merged; after a restore it is found out again from the watermark alone.

mod known;
mod rows;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use weir_model::{SeamError, SeamResult};

use super::columns::Columns;
use crate::keys::Digest;
use crate::run::{Run, RunStore};
use known::KnownVersions;
use rows::VersionRows;
pub(super) use rows::VersionsMeta;

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
    known: KnownVersions,
    rows: VersionRows,
    lost: Option<SeamError>,
}

impl Versions {
    /// What is dropped is dropped at multiples of `grid`; a version holds for `ttl` after its event time, or until the next one.
    pub(super) fn new(grid: i64, ttl: Option<i64>, known: &[(String, DataType)]) -> Self {
        Self { known: KnownVersions::new(grid, ttl), rows: VersionRows::new(known), lost: None }
    }

    /// How many versions are held.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn columns(&self) -> &Columns {
        self.rows.columns()
    }

    /// Takes up columns that are new; versions that are held have nulls there.
    ///
    /// # Errors
    /// When a column has another type than before. Nothing has happened then.
    pub(super) fn learn(&mut self, schema: &SchemaRef) -> Result<(), String> {
        self.rows.learn(schema)
    }

    /// Makes sure that [`Versions::matters`] and [`Versions::insert`] can tell these from what is known: reads what tells
    /// versions of one time apart, of those that need it.
    pub(super) fn compare_with(&mut self, versions: impl Iterator<Item = (Digest, i64)>) {
        if let Err(lost) = place(&mut self.known, &mut self.rows, versions) {
            self.lost.get_or_insert(lost);
        }
    }

    /// Whether a version would hold at any time: it is not over before it begins, and no newer one holds from then on.
    pub(super) fn matters(&self, key: Digest, version: &Version) -> bool {
        self.known.matters(key, version)
    }

    /// Holds versions that matter, with the columns of the table.
    pub(super) fn insert(&mut self, rows: &RecordBatch, versions: &[(Digest, Version)]) {
        if versions.is_empty() {
            return;
        }
        let run = self.rows.push(rows, versions);
        self.known.add_all(run, versions, i64::MIN, &mut self.rows);
        self.merge_runs();
    }

    /// The row of the version that holds at `time`, if there is one.
    pub(super) fn find(&self, key: Digest, time: i64) -> Option<Spot> {
        self.known.find(key, time)
    }

    /// The columns of the rows at these places, nulls where there is none, and everywhere if they cannot be loaded, which
    /// [`Versions::lost`] tells.
    pub(super) fn gather(&mut self, spots: &[Option<Spot>]) -> Vec<ArrayRef> {
        self.rows.gather(spots).unwrap_or_else(|lost| {
            self.lost.get_or_insert(lost);
            self.columns().fields().iter().map(|field| new_null_array(field.data_type(), spots.len())).collect()
        })
    }

    /// Why rows could not be loaded, if some could not.
    pub(super) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of the columns of versions that `store` has, oldest first, until about `wanted` bytes are free; where they are
    /// found stays. Returns how many bytes are.
    pub(super) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        self.rows.release(wanted, store)
    }

    /// The next time at which something may be dropped, once no row before it can come.
    pub(super) fn next_drop(&self) -> Option<i64> {
        self.known.next_drop()
    }

    /// Drops what holds for no row at `low` or later.
    pub(super) fn drop_before(&mut self, low: i64) {
        self.known.drop_before(low, &mut self.rows);
    }

    /// Makes those runs anew of which most rows are dropped, and one of the last ones.
    fn merge_runs(&mut self) {
        for number in self.rows.stale() {
            self.merge(&[number]);
        }
        if let Some(last) = self.rows.last_ones() {
            self.merge(&last);
        }
    }

    fn merge(&mut self, runs: &[u32]) {
        let known = &mut self.known;
        if let Err(lost) = self.rows.merge(runs, |key, from, to| known.moved(key, from, to)) {
            self.lost.get_or_insert(lost);
        }
    }

    pub(super) fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        self.rows.seal(node, next_run)
    }

    pub(super) fn meta(&self) -> VersionsMeta {
        self.rows.meta()
    }

    /// Takes over what a snapshot holds, that had dropped what holds for no row at `low` or later.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) fn restore(&mut self, meta: VersionsMeta, runs: &[Run], low: i64) -> Result<(), String> {
        let (known, schema) = (&mut self.known, self.rows.columns().schema().clone());
        let low = known.begin_at(low);
        self.rows.restore(meta, runs, |rows, run, versions| {
            let times = versions.iter().map(|(key, version)| (*key, version.time));
            place(known, rows, times).map_err(|lost| lost.full())?;
            known.add_all(run, versions, low, rows);
            Ok(())
        })?;
        known.drop_again(low, &mut self.rows);
        self.learn(&schema)
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        self.rows.size() + self.known.size()
    }
}

/// Reads the places of those versions that need them to be told from these.
fn place(
    known: &mut KnownVersions,
    rows: &mut VersionRows,
    versions: impl Iterator<Item = (Digest, i64)>,
) -> SeamResult<()> {
    let mut outcome = Ok(());
    for (run, unplaced) in known.unplaced(versions) {
        match rows.places(run) {
            Ok(places) => {
                unplaced.into_iter().for_each(|(row, key)| known.put_place(key, (run, row), places[row as usize], rows))
            }
            // Those of other runs are known all the same.
            Err(lost) => outcome = outcome.and(Err(lost)),
        }
    }
    outcome
}
