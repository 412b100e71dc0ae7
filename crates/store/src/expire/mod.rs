//! Rows whose time is over go: whole segments without being read where that is possible, and in any case all that go from a
//! table at once go in one transaction of the catalog. Decides nothing about rows that have no time: they stay for as long as
//! a row beside them.

mod choose;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::PoisonError;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::Store;
use crate::rewrite::{Change, Rewritten};
use crate::segment::Encoding;
use crate::settings::Ttl;
use crate::tables::Live;

use choose::{Due, due};

/// So many bytes of segments are written anew at a time, and at least one segment.
const REWRITTEN_BYTES_MAX: u64 = 256 << 20;

/// What went from a table because its time was over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// The table.
    pub table: String,
    /// Rows that went.
    pub rows: u64,
    /// Segments that went without being read.
    pub dropped: usize,
    /// Segments that were written anew without such rows.
    pub rewritten: usize,
}

impl Store {
    /// Takes rows whose time is over out of the next table that has any; `None` when no table has. Call it until then, from a
    /// thread that may block; the files are deleted by [`Store::sweep`].
    ///
    /// # Errors
    /// As [`Store::compact_once`]; `Retry` also when a table was changed meanwhile.
    pub fn expire_once(&self) -> SeamResult<Option<Expired>> {
        self.owned()?;
        // Compaction replaces segments too.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let (names, ids): (Vec<String>, BTreeSet<i64>) = {
            let tables = &self.tables().by_name;
            let live = tables.values().flat_map(|table| &table.live);
            (tables.keys().cloned().collect(), live.map(|live| live.row.id).collect())
        };
        self.checked().retain(|id, _| ids.contains(id));
        for table in names {
            if let Some(expired) = self.expire(&table)? {
                return Ok(Some(expired));
            }
        }
        Ok(None)
    }

    fn expire(&self, table: &str) -> SeamResult<Option<Expired>> {
        let Some((encoding, live)) = self.as_it_is(table) else { return Ok(None) };
        let (ttl, now) = (encoding.settings.ttl.clone(), self.now());
        let mut expired = Expired { table: table.to_owned(), ..Expired::default() };
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for live in live {
            let id = live.row.id;
            let checked = self.checked().get(&id).copied();
            match due(&ttl, live.segment.time_range, checked, now) {
                Due::Not => {}
                Due::All => {
                    expired.rows += live.row.rows;
                    expired.dropped += 1;
                    changes.push(Change { old: live, new: None });
                }
                // The others wait for the next time: what goes in one transaction has its limit too.
                Due::Some if bytes > 0 && bytes + live.row.bytes > REWRITTEN_BYTES_MAX => {}
                Due::Some => {
                    bytes += live.row.bytes;
                    match self.without_expired(&encoding, live, &ttl, now)? {
                        None => drop(self.checked().insert(id, now)),
                        Some(Rewritten { change, removed }) => {
                            expired.rows += removed;
                            expired.rewritten += 1;
                            changes.push(change);
                        }
                    }
                }
            }
        }
        let ids = self.publish_changes(table, changes)?;
        self.checked().extend(ids.into_iter().flatten().map(|id| (id, now)));
        Ok((expired.rows > 0).then_some(expired))
    }

    fn without_expired(&self, encoding: &Encoding, live: Live, ttl: &Ttl, now: i64) -> SeamResult<Option<Rewritten>> {
        let Some(time) = encoding.time_column.clone() else { return Ok(None) };
        self.rewritten(encoding, live, &mut |batch| is_over(batch, &time, ttl, now))
    }
}

/// Which rows have stayed for as long as they may.
fn is_over(batch: &RecordBatch, time: &str, ttl: &Ttl, now: i64) -> SeamResult<BooleanArray> {
    let none = || BooleanArray::from(vec![false; batch.num_rows()]);
    let times = batch.column_by_name(time).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(times) = times else { return Ok(none()) };
    let by = ttl.by.as_deref().and_then(|name| batch.column_by_name(name));
    // Numbers and truths are told apart by how they are written.
    let texts = by.map(|column| cast(column, &DataType::Utf8View)).transpose();
    let texts = texts.map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot tell the values apart", error))?;
    let texts = texts.as_ref().and_then(|texts| texts.as_string_view_opt());
    let length = |row: usize| {
        let text = texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
        let of_value = text.and_then(|text| match ttl.of_values.get(text) {
            Some(length) => Some(length),
            None => ttl.of_values.get(&text.to_ascii_lowercase()),
        });
        of_value.copied().or(ttl.rows_us)
    };
    let is_over = |row: usize| {
        times.is_valid(row) && length(row).is_some_and(|length| times.value(row) < now.saturating_sub(length))
    };
    Ok((0..batch.num_rows()).map(|row| Some(is_over(row))).collect())
}
