//! The way into a table: rows are visible at once, become files when there are enough of them or the epoch ends, and
//! belong to the table when the epoch commits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::datatypes::DataType;
use weir_model::{Epoch, NewSegment, Prepared, SeamResult, planted};

use crate::schema::{adapt, place, plain};
use crate::segment::{Encoding, encode};
use crate::{SegmentRef, Store, TableConfig};

/// Texts are copied out of a buffer when they use less than a third of it: the buffer is the source's, and would stay
/// in memory as a whole.
const BUFFER_SHARE: usize = 3;

/// Writes to one table. Encoding a segment takes its time: call it where blocking is allowed.
#[derive(Debug)]
pub struct TableWriter {
    store: Arc<Store>,
    table: String,
    /// Its place among the table's writers.
    id: u64,
    rows: usize,
    bytes: usize,
}

impl TableWriter {
    pub(crate) fn new(store: Arc<Store>, table: &str, config: &TableConfig) -> Self {
        let id = store.tables().add_writer(table, config);
        Self { store, table: table.to_owned(), id, rows: 0, bytes: 0 }
    }

    /// Takes rows, which queries of this process see at once. The schema may grow from one call to the next; strings
    /// of any kind become `Utf8View`, integers `Int64`, times microseconds UTC, and a value that does not fit its
    /// column goes to the column `_rest` as JSON.
    ///
    /// # Errors
    /// `Retry` when the disk is full: the rows were not taken. `Closed` when the disk failed.
    pub fn append(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let config = self.store.config();
        if self.rows >= config.segment_rows_max || self.bytes >= config.segment_bytes_max {
            self.flush()?;
        }
        let batch = released(plain(rows)?);
        self.rows += batch.num_rows();
        self.bytes += batch.columns().iter().map(used_bytes).sum::<usize>();
        loop {
            let before = Arc::clone(&self.store.tables().table(&self.table).schema);
            let (placed, grown) = place(batch.clone(), before.fields())?;
            let mut tables = self.store.tables();
            // Another writer may have widened the table meanwhile, with another idea of a column's type.
            if Arc::ptr_eq(&before, &tables.table(&self.table).schema) {
                tables.widen(&self.table, grown);
                tables.uncommitted(&self.table, self.id).rows.push(placed);
                return Ok(());
            }
        }
    }

    /// Makes the rows since the last commit durable; the returned segments become part of the table by the commit.
    ///
    /// # Errors
    /// `Retry` when the disk is full: call it again. `Closed` when the disk failed.
    pub fn prepare(&mut self, _epoch: Epoch) -> SeamResult<Prepared> {
        self.flush()?;
        let mut segments: Vec<NewSegment> =
            self.store.tables().uncommitted(&self.table, self.id).staged.iter().map(|(new, _)| new.clone()).collect();
        if planted!(TableCommittedEmpty) {
            segments.pop();
        }
        Ok(Prepared { segments, roll_forward: None })
    }

    /// Tells the writer that the epoch it prepared is committed. There is nothing left to do: the commit itself made
    /// the segments part of the table. Idempotent.
    ///
    /// # Errors
    /// None as yet.
    pub fn committed(&mut self, _epoch: Epoch) -> SeamResult<()> {
        Ok(())
    }

    /// Forgets all rows that are not committed. Idempotent.
    ///
    /// # Errors
    /// As the disk says.
    pub fn abort(&mut self) -> SeamResult<()> {
        self.store.tables().forget(&self.table, self.id);
        (self.rows, self.bytes) = (0, 0);
        self.store.sweep().map(|_| ())
    }

    /// Makes a durable segment of the rows in memory. They are seen in memory until they are seen in the file.
    fn flush(&mut self) -> SeamResult<()> {
        let (encoding, rows) = {
            let mut tables = self.store.tables();
            let rows = tables.uncommitted(&self.table, self.id).rows.clone();
            let encoding = tables.table(&self.table).encoding(&self.table);
            (encoding, rows)
        };
        if rows.is_empty() {
            return Ok(());
        }
        let new = self.encode(encoding, &rows)?;
        let segment = SegmentRef {
            path: self.store.path().join(&new.path),
            rows: new.rows,
            bytes: new.bytes,
            time_range: new.time_range,
            checksum: new.checksum,
            remote: None,
            pin: Arc::default(),
        };
        let mut tables = self.store.tables();
        let uncommitted = tables.uncommitted(&self.table, self.id);
        uncommitted.rows.drain(..rows.len());
        uncommitted.staged.push((new, segment));
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Only the columns that these rows have are written: the others are null for whoever reads the table.
    fn encode(&self, mut encoding: Encoding, rows: &[RecordBatch]) -> SeamResult<NewSegment> {
        let seen = |name: &str| rows.iter().any(|batch| batch.schema_ref().index_of(name).is_ok());
        let columns: Vec<usize> =
            (0..encoding.schema.fields().len()).filter(|&index| seen(encoding.schema.field(index).name())).collect();
        let projected = encoding.schema.project(&columns);
        if let Ok(projected) = projected {
            encoding.schema = Arc::new(projected);
        }
        let rows = rows.iter().map(|batch| adapt(batch, &encoding.schema)).collect::<SeamResult<Vec<_>>>()?;
        encode(&**self.store.vfs(), self.store.path(), &encoding, &rows)
    }
}

impl Drop for TableWriter {
    /// What is not committed is not part of the table: it disappears with its writer. Files are removed by the next sweep.
    fn drop(&mut self) {
        let mut tables = self.store.tables();
        tables.forget(&self.table, self.id);
        tables.table(&self.table).writers.remove(&self.id);
    }
}

/// `batch` with its texts copied out of buffers that they hardly use.
fn released(batch: RecordBatch) -> RecordBatch {
    let mut held = Held::default();
    batch.columns().iter().for_each(|column| held.add(column));
    held.buffers.sort_unstable();
    held.buffers.dedup();
    let bytes: usize = held.buffers.iter().map(|(_, bytes)| bytes).sum();
    if held.used.saturating_mul(BUFFER_SHARE) >= bytes {
        return batch;
    }
    let columns = batch.columns().iter().map(copied).collect();
    RecordBatch::try_new(batch.schema(), columns).unwrap_or(batch)
}

/// The buffers behind the texts of a batch, and how many of their bytes are used.
#[derive(Debug, Default)]
struct Held {
    buffers: Vec<(*const u8, usize)>,
    used: usize,
}

impl Held {
    fn add(&mut self, column: &ArrayRef) {
        if let Some(views) = column.as_string_view_opt() {
            self.used += views.total_buffer_bytes_used();
            let buffers = views.data_buffers().iter();
            self.buffers.extend(buffers.map(|buffer| (buffer.data_ptr().as_ptr().cast_const(), buffer.capacity())));
        } else if let Some(object) = column.as_struct_opt() {
            object.columns().iter().for_each(|child| self.add(child));
        }
    }
}

/// The column with buffers of its own.
fn copied(column: &ArrayRef) -> ArrayRef {
    if let Some(views) = column.as_string_view_opt() {
        return Arc::new(views.gc());
    }
    let Some(object) = column.as_struct_opt() else { return Arc::clone(column) };
    let children = object.columns().iter().map(copied).collect();
    let made =
        StructArray::try_new_with_length(object.fields().clone(), children, object.nulls().cloned(), object.len());
    made.map_or_else(|_| Arc::clone(column), |made| Arc::new(made))
}

/// About how many bytes the values of a column take.
pub(crate) fn used_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => {
            let views = column.as_string_view();
            views.len() * 16 + views.total_buffer_bytes_used()
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(used_bytes).sum(),
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringViewBuilder;
    use arrow::buffer::Buffer;

    #[test]
    fn a_few_texts_do_not_keep_a_large_buffer_in_memory() {
        let buffer = Buffer::from(vec![b'x'; 1 << 20]);
        let text = |bytes: u32| {
            let mut views = StringViewBuilder::new();
            let block = views.append_block(buffer.clone());
            views.try_append_view(block, 100, bytes).expect("a view");
            Arc::new(views.finish()) as ArrayRef
        };
        let object = |bytes| {
            Arc::new(StructArray::from(vec![(
                Arc::new(arrow::datatypes::Field::new("x", DataType::Utf8View, true)),
                text(bytes),
            )])) as ArrayRef
        };
        let memory = |column: ArrayRef| {
            let batch = released(RecordBatch::try_from_iter([("c", column)]).expect("a batch"));
            let mut held = Held::default();
            held.add(batch.column(0));
            held.buffers.iter().map(|(_, bytes)| bytes).sum::<usize>()
        };
        assert!(memory(text(50)) < 10_000, "copied");
        assert!(memory(object(50)) < 10_000, "copied, inside objects too");
        assert_eq!(memory(text(1 << 19)), 1 << 20, "a buffer that is used is shared, not copied");
    }
}
