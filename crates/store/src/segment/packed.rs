//! A segment as it lies in its file: its rows are read as often as one likes, a batch at a time, so that no more than that of
//! them is unpacked. Decides nothing about rows.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::SegmentRef;
use crate::schema::adapt;

/// Rows of a batch that is read: those of a page.
pub(super) const BATCH_ROWS: usize = 8_192;
/// Wide rows come in smaller batches, which take about so much memory.
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes of a view of a text.
const VIEW_BYTES: u64 = 16;

/// Rows that are read a batch at a time.
pub(crate) type Batches = Box<dyn Iterator<Item = SeamResult<RecordBatch>>>;

/// The bytes of a segment, which were compared with their checksum.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    path: Arc<Path>,
    bytes: Bytes,
    rows: u64,
    unpacked_bytes: u64,
    /// Which rows are read; all without it.
    stays: Option<BooleanBuffer>,
}

impl Packed {
    /// The segment that has these bytes.
    ///
    /// # Errors
    /// `Corrupt` when it is not readable as Parquet.
    pub(crate) fn new(segment: &SegmentRef, bytes: Bytes) -> SeamResult<Self> {
        let path: Arc<Path> = segment.path.as_path().into();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).map_err(unreadable(&path))?;
        let unpacked_bytes = unpacked_bytes(&metadata);
        Ok(Self { path, bytes, rows: segment.rows, unpacked_bytes, stays: None })
    }

    /// The same with those rows only of which `stays` says so, in their order.
    pub(crate) fn keeping(self, stays: BooleanBuffer) -> Self {
        Self { stays: Some(stays), ..self }
    }

    /// Bytes as they are in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// About how much memory all rows would take: what their pages are unpacked, and a view of each value.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// Memory that the rows take that are read at a time.
    pub(super) fn batch_bytes(&self) -> u64 {
        self.row_bytes().saturating_mul(self.rows_at_once() as u64)
    }

    /// Whether all rows are read.
    pub(super) fn keeps_all(&self) -> bool {
        self.stays.is_none()
    }

    fn row_bytes(&self) -> u64 {
        self.unpacked_bytes.div_ceil(self.rows.max(1))
    }

    /// How many rows are read at a time: those of a page, if they are not wide.
    pub(crate) fn rows_at_once(&self) -> usize {
        let fitting = BATCH_BYTES.checked_div(self.row_bytes()).unwrap_or(u64::MAX).clamp(1, BATCH_ROWS as u64);
        1 << fitting.ilog2()
    }

    /// All rows with the columns of `schema`. Only those columns are unpacked; batches are not empty.
    ///
    /// # Errors
    /// `Corrupt` when they cannot be read.
    pub(crate) fn read(&self, schema: &SchemaRef) -> SeamResult<Batches> {
        self.pieces(schema, self.rows_at_once())
            .map(|pieces| -> Batches { Box::new(pieces.map(|piece| Ok(piece?.1)).filter(|batch| !is_empty(batch))) })
    }

    /// The same, in batches that each come of `rows` rows of the file, and where the first of those is; they may be empty.
    pub(super) fn pieces(
        &self,
        schema: &SchemaRef,
        rows: usize,
    ) -> SeamResult<impl Iterator<Item = SeamResult<(usize, RecordBatch)>> + use<>> {
        let (reader, schema, path) = (self.reader(schema, rows, None)?, Arc::clone(schema), Arc::clone(&self.path));
        let (stays, mut next) = (self.stays.clone(), 0);
        Ok(reader.map(move |batch| {
            let batch = batch.map_err(|error| unreadable(&path)(error.into()))?;
            let first = next;
            next += batch.num_rows();
            Ok((first, kept(&adapt(&batch, &schema)?, stays.as_ref(), first)?))
        }))
    }

    /// The rows of `range` in the file.
    pub(super) fn some(&self, schema: &SchemaRef, range: Range<usize>) -> SeamResult<RecordBatch> {
        let first = range.start;
        let reader = self.reader(schema, range.len().max(1), Some(range))?;
        let batches = reader.collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(|error| unreadable(&self.path)(error.into()))?;
        let batches = batches.iter().map(|batch| adapt(batch, schema)).collect::<SeamResult<Vec<_>>>()?;
        let batch = concat_batches(schema, &batches).map_err(|error| unreadable(&self.path)(error.into()))?;
        kept(&batch, self.stays.as_ref(), first)
    }

    fn reader(
        &self,
        schema: &SchemaRef,
        at_once: usize,
        range: Option<Range<usize>>,
    ) -> SeamResult<ParquetRecordBatchReader> {
        let failed = unreadable(&self.path);
        let builder = ParquetRecordBatchReaderBuilder::try_new(self.bytes.clone()).map_err(&failed)?;
        let there = builder.schema().fields().iter().enumerate();
        let wanted = there.filter(|(_, field)| schema.fields().find(field.name()).is_some()).map(|(at, _)| at);
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let mut builder = builder.with_projection(mask).with_batch_size(at_once);
        if let Some(range) = range {
            builder = builder.with_offset(range.start).with_limit(range.len());
        }
        builder.build().map_err(failed)
    }
}

fn is_empty(batch: &SeamResult<RecordBatch>) -> bool {
    batch.as_ref().is_ok_and(|batch| batch.num_rows() == 0)
}

/// The rows of `batch`, whose first is number `first`, that stay.
fn kept(batch: &RecordBatch, stays: Option<&BooleanBuffer>, first: usize) -> SeamResult<RecordBatch> {
    let Some(stays) = stays else { return Ok(batch.clone()) };
    let stays = BooleanArray::new(stays.slice(first, batch.num_rows()), None);
    filter_record_batch(batch, &stays)
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot filter rows", error))
}

fn unpacked_bytes(metadata: &ParquetMetaData) -> u64 {
    let of = |group: &RowGroupMetaData| {
        let values = group.num_rows().unsigned_abs().saturating_mul(group.num_columns() as u64);
        group.total_byte_size().unsigned_abs().saturating_add(values.saturating_mul(VIEW_BYTES))
    };
    metadata.row_groups().iter().map(of).fold(0, u64::saturating_add)
}

fn unreadable(path: &Path) -> impl Fn(ParquetError) -> SeamError {
    move |error| SeamError::caused(ErrorKind::Corrupt, format!("cannot read {}", path.display()), error)
}
