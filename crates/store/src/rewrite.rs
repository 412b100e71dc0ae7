//! Committed rows are read one segment at a time, and taken out of their table: the segments that held them are replaced by
//! ones that do not, in one transaction of the catalog. Touches nothing that is not committed.

use std::sync::{Arc, PoisonError};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use weir_model::{ErrorKind, NewSegment, SeamError, SeamResult};

use crate::Store;
use crate::catalog::CatalogSegment;
use crate::segment::{Encoding, decode, encode};
use crate::tables::{Grave, Live, segment_ref};

impl Store {
    /// Gives `take` the committed rows of `table`, in the order of their commits, a batch at a time; there are none in a
    /// table that does not exist. Holds no lock meanwhile.
    ///
    /// # Errors
    /// `Corrupt` when a segment is damaged: it was put aside, call it again. What `take` says.
    pub fn each_committed(&self, table: &str, mut take: impl FnMut(&RecordBatch) -> SeamResult<()>) -> SeamResult<()> {
        let Some(table) = self.snapshot()?.tables.remove(table) else { return Ok(()) };
        for segment in &table.segments {
            let read = decode(&**self.vfs(), segment, &table.schema);
            if let Err(error) = &read
                && error.kind == ErrorKind::Corrupt
            {
                self.quarantine(&segment.path, &error.full())?;
            }
            read?.iter().try_for_each(&mut take)?;
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
        mut remove: impl FnMut(&RecordBatch) -> SeamResult<BooleanArray>,
    ) -> SeamResult<u64> {
        self.owned()?;
        // Compaction replaces segments too.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((encoding, live)) = self.as_it_is(table) else { return Ok(0) };
        let (mut changes, mut removed) = (Vec::new(), 0);
        for live in live {
            let mut kept = Vec::new();
            for batch in decode(&**self.vfs(), &live.segment, &encoding.schema)? {
                let goes = not(&remove(&batch)?).and_then(|stays| filter_record_batch(&batch, &stays));
                kept.push(goes.map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot filter rows", error))?);
            }
            kept.retain(|batch| batch.num_rows() > 0);
            let rows: u64 = kept.iter().map(|batch| batch.num_rows() as u64).sum();
            if rows == live.row.rows {
                continue;
            }
            removed += live.row.rows - rows;
            let new = if rows == 0 { None } else { Some(encode(&**self.vfs(), self.path(), &encoding, &kept)?) };
            changes.push((live, new));
        }
        self.publish_changes(table, changes)?;
        Ok(removed)
    }

    pub(crate) fn as_it_is(&self, table: &str) -> Option<(Encoding, Vec<Live>)> {
        let tables = self.tables();
        let found = tables.by_name.get(table)?;
        let encoding = Encoding {
            table: table.to_owned(),
            schema: Arc::clone(&found.schema),
            time_column: found.time_column(),
            sort: found.sort,
        };
        Some((encoding, found.live.clone()))
    }

    fn publish_changes(&self, table: &str, changes: Vec<(Live, Option<NewSegment>)>) -> SeamResult<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut catalog = self.catalog();
        let now = self.now();
        let rows: Vec<_> = changes.iter().map(|(live, new)| (live.row.clone(), new.as_ref())).collect();
        let Some(ids) = catalog.exchange(&rows, now)? else {
            return Err(SeamError::new(ErrorKind::Retry, format!("the table {table} was changed meanwhile")));
        };
        let mut tables = self.tables();
        for ((old, new), id) in changes.into_iter().zip(ids) {
            let live = &mut tables.table(table).live;
            let at = live.iter().position(|live| live.row.id == old.row.id).expect("compaction waits");
            match (new, id) {
                (Some(new), Some(id)) => {
                    let row = CatalogSegment {
                        id,
                        path: new.path,
                        rows: new.rows,
                        bytes: new.bytes,
                        checksum: new.checksum,
                        time_range: new.time_range,
                        ..old.row.clone()
                    };
                    live[at] = Live { segment: segment_ref(self.path(), &row), row };
                }
                (None, _) | (_, None) => drop(live.remove(at)),
            }
            tables.graves.push(Grave {
                path: old.segment.path,
                relative: Some(old.row.path),
                since: now,
                pin: old.segment.pin,
            });
        }
        Ok(())
    }
}
