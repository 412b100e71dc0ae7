//! What has come into a table since one last looked: the difference between two views of it. Rows are handed out in
//! the order in which they were written, each once; what would take too long to find is counted instead.
//!
//! Most new rows are batches in memory that were not there before. Rows that came and went into a file between two
//! looks are found in that file: it holds the batches that have vanished from memory, and the rows nobody saw.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_query::{Segment, Table};
use weir_store::adapt;

/// Rows of new files that are searched for those nobody saw; with more of them, those are only counted.
pub(crate) const CATCH_UP_ROWS_MAX: u64 = 20_000;

/// What came since the last look.
#[derive(Debug, Default)]
pub(crate) struct New {
    pub(crate) batches: Vec<RecordBatch>,
    /// Rows that came too, and are not among the batches.
    pub(crate) skipped: u64,
}

/// Remembers what it has seen of a table.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// Held, so that no new batch can lie where a known one lay.
    fresh: Vec<RecordBatch>,
    files: HashSet<PathBuf>,
    rows: u64,
}

impl Follower {
    /// One that has seen all of `table`.
    pub(crate) fn from_now(table: Option<&Table>) -> Self {
        let Some(table) = table else { return Self::default() };
        Self {
            fresh: table.fresh.clone(),
            files: table.segments.iter().map(|segment| segment.path.clone()).collect(),
            rows: table.rows(),
        }
    }

    /// What `table` has that was not there at the last look. Reads files; call it where blocking is allowed.
    pub(crate) fn look(&mut self, table: Option<&Table>) -> New {
        let before = std::mem::replace(self, Self::from_now(table));
        let Some(table) = table else { return New::default() };
        let mut new = New::default();
        for batch in &table.fresh {
            if !before.fresh.iter().any(|known| is_same(known, batch)) {
                new.batches.push(batch.clone());
            }
        }
        let found: u64 = new.batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let unseen = table.rows().saturating_sub(before.rows).saturating_sub(found);
        if unseen > 0 {
            match before.unseen_in_files(table, unseen) {
                Some(older) => new.batches.insert(0, older),
                None => new.skipped = unseen,
            }
        }
        new
    }

    /// The `unseen` rows of files that were not there before, less the batches that have vanished from memory. `None`
    /// when they are too many, or are not exactly that many: two things have happened at once.
    fn unseen_in_files(&self, now: &Table, unseen: u64) -> Option<RecordBatch> {
        let files: Vec<&Segment> = now.segments.iter().filter(|segment| !self.files.contains(&segment.path)).collect();
        if files.iter().map(|segment| segment.rows).sum::<u64>() > CATCH_UP_ROWS_MAX {
            return None;
        }
        let mut rows = Vec::new();
        for file in files {
            rows.extend(read(file, &now.schema)?);
        }
        let rows = concat_batches(&now.schema, &rows).ok()?;
        let vanished = self.fresh.iter().filter(|known| !now.fresh.iter().any(|batch| is_same(known, batch)));
        let vanished: Vec<RecordBatch> =
            vanished.map(|batch| adapt(batch, &now.schema)).collect::<Result<_, _>>().ok()?;
        let rest = without(&rows, &vanished)?;
        (rest.num_rows() as u64 == unseen).then_some(rest)
    }
}

/// Whether two batches are the same one. A view widens a batch with columns of nulls, anew each time, but shares those that
/// have values.
fn is_same(a: &RecordBatch, b: &RecordBatch) -> bool {
    let is_empty = |column: &ArrayRef| column.null_count() == column.len();
    let mut any = false;
    let mut shared = a.schema_ref().fields().iter().zip(a.columns()).filter_map(|(field, column)| {
        let other = b.column_by_name(field.name())?;
        (other.data_type() == column.data_type()).then_some((column, other))
    });
    a.num_rows() == b.num_rows()
        && shared.all(|(column, other)| {
            let is_one = Arc::ptr_eq(column, other);
            any |= is_one;
            is_one || (is_empty(column) && is_empty(other))
        })
        && any
}

fn read(file: &Segment, schema: &SchemaRef) -> Option<Vec<RecordBatch>> {
    let opened = std::fs::File::open(&file.path).ok()?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).ok()?.build().ok()?;
    reader.map(|batch| adapt(&batch.ok()?, schema).ok()).collect()
}

/// The rows of `all` that are not in `known`; a row that is there twice and known once remains once.
fn without(all: &RecordBatch, known: &[RecordBatch]) -> Option<RecordBatch> {
    let fields = all.schema_ref().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let converter = RowConverter::new(fields).ok()?;
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for batch in known {
        for row in &converter.convert_columns(batch.columns()).ok()? {
            *counts.entry(row.as_ref().to_vec()).or_default() += 1;
        }
    }
    let mut kept = Vec::new();
    for (index, row) in converter.convert_columns(all.columns()).ok()?.iter().enumerate() {
        match counts.get_mut(row.as_ref()).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => kept.push(u32::try_from(index).ok()?),
        }
    }
    take_record_batch(all, &UInt32Array::from(kept)).ok()
}

#[cfg(test)]
mod tests;
