//! Committed rows are read one segment at a time, and taken out of their table: the segments that held them are replaced by
//! ones that do not, in one transaction of the catalog. Touches nothing that is not committed.

use std::sync::PoisonError;

use arrow::array::{BooleanArray, BooleanBufferBuilder, RecordBatch};
use weir_model::{ErrorKind, NewSegment, SeamError, SeamResult};

use crate::catalog::CatalogSegment;
use crate::segment::{Encoding, Surveyed, merge};
use crate::tables::{Buried, Grave, Live, segment_ref};
use crate::{SegmentRef, Store};

/// A segment, and what comes in its place.
pub(crate) struct Change {
    pub(crate) old: Live,
    pub(crate) new: Option<NewSegment>,
}

/// A segment that is to be replaced by one with fewer rows.
pub(crate) struct Rewritten {
    pub(crate) change: Change,
    /// How many rows fewer.
    pub(crate) removed: u64,
}

/// Says which rows of a batch go.
pub(crate) type Remove<'a> = dyn FnMut(&RecordBatch) -> SeamResult<BooleanArray> + 'a;

impl Store {
    /// Gives `take` the committed rows of `table`, in the order of their commits, a batch at a time; there are none in a
    /// table that does not exist. Holds no lock meanwhile.
    ///
    /// # Errors
    /// `Corrupt` when a segment is damaged: it was put aside, call it again. What `take` says.
    pub fn each_committed(&self, table: &str, mut take: impl FnMut(&RecordBatch) -> SeamResult<()>) -> SeamResult<()> {
        let Some(table) = self.snapshot()?.tables.remove(table) else { return Ok(()) };
        for segment in &table.segments {
            self.each_batch(segment, &self.packed(segment)?, &table.schema, &mut take)?;
        }
        Ok(())
    }

    /// Takes those committed rows out of `table` of which `remove` says so, all at once: a crash leaves all or none. Returns
    /// how many. Blocks; the files that are replaced are deleted by [`Store::sweep`].
    ///
    /// # Errors
    /// As [`Store::compact_once`]; what `remove` says.
    pub fn remove_committed(
        &self,
        table: &str,
        remove: impl FnMut(&RecordBatch) -> SeamResult<BooleanArray>,
    ) -> SeamResult<u64> {
        self.remove_where(table, |_| true, remove)
    }

    /// As [`Store::remove_committed`], without a look at segments of which `may_be_in` says that they have no such rows.
    ///
    /// # Errors
    /// As [`Store::remove_committed`].
    pub fn remove_where(
        &self,
        table: &str,
        may_be_in: impl Fn(&SegmentRef) -> bool,
        mut remove: impl FnMut(&RecordBatch) -> SeamResult<BooleanArray>,
    ) -> SeamResult<u64> {
        self.owned()?;
        // Compaction replaces segments too.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((encoding, live)) = self.as_it_is(table) else { return Ok(0) };
        let (mut changes, mut removed) = (Vec::new(), 0);
        for live in live.into_iter().filter(|live| may_be_in(&live.segment)) {
            if let Some(rewritten) = self.rewritten(&encoding, live, &mut remove)? {
                removed += rewritten.removed;
                changes.push(rewritten.change);
            }
        }
        self.publish_changes(table, changes)?;
        Ok(removed)
    }

    /// Writes a segment anew without the rows of which `remove` says so; `None` when there are none in it. Blocks while
    /// compaction waits.
    pub(crate) fn rewritten(
        &self,
        encoding: &Encoding,
        old: Live,
        remove: &mut Remove<'_>,
    ) -> SeamResult<Option<Rewritten>> {
        let packed = self.packed(&old.segment)?;
        let mut stays = BooleanBufferBuilder::new(usize::try_from(old.row.rows).unwrap_or(0));
        self.each_batch(&old.segment, &packed, &encoding.schema, |batch| {
            // Only where it says so: what is neither true nor false stays.
            remove(batch)?.iter().for_each(|goes| stays.append(goes != Some(true)));
            Ok(())
        })?;
        let stays = stays.finish();
        let (all, left) = (stays.len(), stays.count_set_bits());
        if left == all {
            return Ok(None);
        }
        let new = match left {
            0 => None,
            _ => {
                let kept = self.sound(&old.segment, Surveyed::new(encoding, packed.keeping(stays)))?;
                Some(merge(&**self.vfs(), self.path(), encoding, vec![kept])?)
            }
        };
        Ok(Some(Rewritten { change: Change { old, new }, removed: (all - left) as u64 }))
    }

    pub(crate) fn as_it_is(&self, table: &str) -> Option<(Encoding, Vec<Live>)> {
        let tables = self.tables();
        let found = tables.by_name.get(table)?;
        Some((found.encoding(table), found.live.clone()))
    }

    /// Makes the changes true, all or none; returns the ids of what is new, in their order.
    pub(crate) fn publish_changes(&self, table: &str, changes: Vec<Change>) -> SeamResult<Vec<Option<i64>>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut catalog = self.catalog();
        let now = self.now();
        let rows: Vec<_> = changes.iter().map(|change| (change.old.row.clone(), change.new.as_ref())).collect();
        let Some(ids) = catalog.exchange(&rows, now)? else {
            return Err(SeamError::new(ErrorKind::Retry, format!("the table {table} was changed meanwhile")));
        };
        // Under one lock, with the catalog's still held: readers of this process see all of it at once as well.
        let mut tables = self.tables();
        for (Change { old, new }, id) in changes.into_iter().zip(&ids) {
            let live = &mut tables.table(table).live;
            // It may have been put aside meanwhile: damaged as it was, its sound rows come back.
            let at = live.iter().position(|live| live.row.id == old.row.id);
            let row = new.zip(*id).map(|(new, id)| renewed(&old.row, new, id));
            match (at, row) {
                (Some(at), Some(row)) => live[at] = Live { segment: segment_ref(self.path(), &row), row },
                (None, Some(row)) => live.push(Live { segment: segment_ref(self.path(), &row), row }),
                (Some(at), None) => drop(live.remove(at)),
                (None, None) => {}
            }
            tables.graves.push(Grave {
                buried: Buried::all_of(&old.segment),
                path: old.segment.path,
                relative: Some(old.row.path),
                since: now,
                pin: old.segment.pin,
            });
        }
        Ok(ids)
    }
}

/// The catalog's row of a segment that was written anew.
pub(crate) fn renewed(old: &CatalogSegment, new: NewSegment, id: i64) -> CatalogSegment {
    let NewSegment { path, rows, bytes, checksum, time_range, .. } = new;
    // It is written here, wherever the old one lies.
    CatalogSegment { id, path, rows, bytes, checksum, time_range, object: None, ..old.clone() }
}
