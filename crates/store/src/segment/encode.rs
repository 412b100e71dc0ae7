//! Writes batches as one segment, durably.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding as PageEncoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use weir_disk::{ChecksummedWriter, Published, disk_error, publish};
use weir_model::{ErrorKind, NewSegment, SeamError, SeamResult, Vfs};

use super::TABLES_FOLDER;
use super::order::{Order, by_columns, by_time, time_range};
use super::profile::profile;
use crate::schema::schema_to_text;
use crate::tokens::{self, Builder, INDEXED_ROWS_MIN, Subject, index_path};
use crate::{SortKey, TableSettings};

const ROW_GROUP_ROWS: usize = 131_072;
const PAGE_ROWS: usize = 8_192;
/// Rows that are put in order at a time.
const CHUNK_ROWS: usize = 2 * PAGE_ROWS;
/// A segment of fewer rows will soon be compacted: it is compressed as fast as can be.
const SMALL_ROWS: usize = 65_536;
/// Statistics of longer texts that are nearly all different cost more than they prune.
const STATISTICS_TEXT_BYTES: usize = 48;
/// Bytes of a page of such texts, before they are packed: a row that is picked costs its page. With less than 256 KiB zstd
/// chooses other parameters, and lines of logs take 6% more room; with this it is less than 1%.
const TEXT_PAGE_BYTES: usize = 384 << 10;

/// How a table's segments are written.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    pub(crate) table: String,
    pub(crate) schema: SchemaRef,
    pub(crate) time_column: Option<String>,
    pub(crate) settings: Arc<TableSettings>,
}

/// Writes `batches` (in `encoding.schema`, at least one row) as a new segment under the data folder `folder`, and
/// returns when it is durable.
///
/// # Errors
/// `Retry` when the disk is full: nothing is left behind but a temporary file.
pub(crate) fn encode(
    vfs: &dyn Vfs,
    folder: &Path,
    encoding: &Encoding,
    batches: &[RecordBatch],
) -> SeamResult<NewSegment> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert!(rows > 0, "a segment has rows");
    let relative = format!("{TABLES_FOLDER}/{}/{}.parquet", encoding.table, vfs.unused_name());
    let path = folder.join(&relative);
    let time = encoding.time_column.as_deref().and_then(|name| encoding.schema.index_of(name).ok());
    let (order, sorted_by) = match (&encoding.settings.sort, time) {
        (SortKey::Time, Some(time)) => (by_time(batches, time), vec![time]),
        (SortKey::Columns(names), _) => {
            let columns: Vec<usize> = names.iter().filter_map(|name| encoding.schema.index_of(name).ok()).collect();
            (by_columns(batches, &columns, time)?, columns)
        }
        (SortKey::Time | SortKey::Arrival, _) => {
            (Order { rows: None, time_range: time_range(batches, time) }, Vec::new())
        }
    };
    let properties = properties(&encoding.schema, batches, rows, &sorted_by);
    let parent = path.parent().unwrap_or(folder);
    vfs.create_folder(parent).map_err(|error| disk_error("create", parent, error))?;
    let file = ChecksummedWriter::create(vfs, &path)?;
    let failed = |error| parquet_error(&path, error);
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&encoding.schema), Some(properties)).map_err(failed)?;
    let mut index = (rows as u64 >= INDEXED_ROWS_MIN)
        .then(|| Builder::new(&encoding.schema, encoding.time_column.as_deref(), &encoding.settings));
    let mut write = |batch: &RecordBatch| {
        if let Some(index) = &mut index {
            index.add(batch);
        }
        writer.write(batch)
    };
    match &order.rows {
        None => batches.iter().try_for_each(&mut write).map_err(failed)?,
        Some(rows) => {
            for chunk in rows.chunks(CHUNK_ROWS) {
                let chunk = in_order(&encoding.schema, batches, chunk).map_err(|error| failed(error.into()))?;
                write(&chunk).map_err(failed)?;
            }
        }
    }
    let published = writer.into_inner().map_err(failed)?.publish(vfs)?;
    if let Some(index) = index {
        write_index(vfs, &path, index, published)?;
    }
    Ok(NewSegment {
        table: encoding.table.clone(),
        path: relative,
        bytes: published.bytes,
        checksum: published.checksum,
        rows: rows as u64,
        time_range: order.time_range,
        schema: schema_to_text(&encoding.schema)?,
    })
}

/// Writes the search index of the segment at `path`. A segment is whole without it: when the disk is full it is left to
/// [`crate::Store::index_once`].
fn write_index(vfs: &dyn Vfs, path: &Path, index: Builder, segment: Published) -> SeamResult<()> {
    let bytes = tokens::encode(index, Subject { bytes: segment.bytes, checksum: segment.checksum })?;
    match publish(vfs, &index_path(path), &bytes) {
        Err(error) if error.kind == ErrorKind::Retry => {
            tracing::warn!(path = %path.display(), error = error.full(), "a segment has no search index for now");
            Ok(())
        }
        written => written.map(|_| ()),
    }
}

/// The rows of `batches` (in `schema`) in the order of their times, those of one time as they came.
pub(crate) fn in_order_of_time(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
    time: Option<&str>,
) -> SeamResult<Vec<RecordBatch>> {
    let time = time.and_then(|name| schema.index_of(name).ok());
    let Some(rows) = time.and_then(|time| by_time(&batches, time).rows) else { return Ok(batches) };
    let chunks = rows.chunks(CHUNK_ROWS).map(|chunk| in_order(schema, &batches, chunk));
    let failed = |error| SeamError::caused(ErrorKind::Closed, "cannot put rows in order", error);
    chunks.collect::<Result<_, _>>().map_err(failed)
}

fn in_order(schema: &SchemaRef, batches: &[RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    // Rows of a chunk come from few batches: leaving the others out keeps the chunk from referring to all buffers.
    let mut used: Vec<usize> = rows.iter().map(|(batch, _)| *batch).collect();
    used.sort_unstable();
    used.dedup();
    let mut renumbered = vec![0; batches.len()];
    used.iter().enumerate().for_each(|(new, &old)| renumbered[old] = new);
    let rows: Vec<(usize, usize)> = rows.iter().map(|&(batch, row)| (renumbered[batch], row)).collect();
    let columns = (0..schema.fields().len()).map(|column| {
        let arrays: Vec<&dyn Array> = used.iter().map(|&batch| batches[batch].column(column).as_ref()).collect();
        interleave(&arrays, &rows)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

fn properties(schema: &SchemaRef, batches: &[RecordBatch], rows: usize, sorted_by: &[usize]) -> WriterProperties {
    let level = ZstdLevel::try_new(if rows < SMALL_ROWS { 1 } else { 3 }).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page);
    for (index, field) in schema.fields().iter().enumerate() {
        let pick = |batch: &RecordBatch| Arc::clone(batch.column(index));
        builder = column_properties(builder, field, vec![field.name().clone()], batches, &pick);
    }
    let is_leaf = |index: &&usize| leaves(schema.field(**index).data_type()) == 1;
    let sorting: Vec<SortingColumn> = sorted_by
        .iter()
        .take_while(is_leaf)
        .map(|&index| {
            let leaf = schema.fields()[..index].iter().map(|field| leaves(field.data_type())).sum::<usize>();
            let column_idx = i32::try_from(leaf).unwrap_or(i32::MAX);
            SortingColumn { column_idx, descending: false, nulls_first: false }
        })
        .collect();
    if !sorting.is_empty() {
        builder = builder.set_sorting_columns(Some(sorting));
    }
    builder.build()
}

/// How many Parquet columns a column of this type becomes.
fn leaves(of: &DataType) -> usize {
    match of {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(item) => leaves(item.data_type()),
        _ => 1,
    }
}

fn column_properties(
    builder: WriterPropertiesBuilder,
    field: &Field,
    path: Vec<String>,
    batches: &[RecordBatch],
    pick: &dyn Fn(&RecordBatch) -> ArrayRef,
) -> WriterPropertiesBuilder {
    let column = ColumnPath::new(path.clone());
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().enumerate().fold(builder, |builder, (index, child)| {
            let pick = |batch: &RecordBatch| Arc::clone(pick(batch).as_struct().column(index));
            column_properties(builder, child, [path.as_slice(), &[child.name().clone()]].concat(), batches, &pick)
        }),
        DataType::Timestamp(_, _) => packed(builder, column),
        DataType::Int64 | DataType::UInt64 if !profile(batches, pick).few_values => packed(builder, column),
        DataType::Float64 if !profile(batches, pick).few_values => builder.set_column_dictionary_enabled(column, false),
        DataType::Utf8View => {
            let profile = profile(batches, pick);
            if profile.few_values {
                return builder;
            }
            let builder = builder.set_column_dictionary_enabled(column.clone(), false);
            if profile.text_bytes > STATISTICS_TEXT_BYTES {
                builder
                    .set_column_data_page_size_limit(column.clone(), TEXT_PAGE_BYTES)
                    .set_column_statistics_enabled(column, EnabledStatistics::None)
            } else {
                builder.set_column_statistics_enabled(column, EnabledStatistics::Page)
            }
        }
        _ => builder,
    }
}

fn packed(builder: WriterPropertiesBuilder, column: ColumnPath) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, PageEncoding::DELTA_BINARY_PACKED)
}

fn parquet_error(path: &Path, error: ParquetError) -> SeamError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => disk_error("write", path, *error),
            Err(cause) => SeamError::caused(ErrorKind::Closed, format!("cannot write {}", path.display()), cause),
        },
        other => SeamError::caused(ErrorKind::Closed, format!("cannot write {}", path.display()), other),
    }
}
