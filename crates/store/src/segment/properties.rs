//! How the columns of a segment are encoded and compressed, and in which pieces.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field};
use parquet::basic::{Compression, Encoding as PageEncoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use weir_disk::disk_error;
use weir_model::{ErrorKind, SeamError};

use super::encode::{Encoding, PAGE_ROWS};
use super::profile::profile;
use super::write::Plan;
use crate::SortKey;

const ROW_GROUP_ROWS: usize = 131_072;
/// A segment of fewer rows will soon be compacted: it is compressed as fast as can be.
const SMALL_ROWS: usize = 65_536;
/// Statistics of longer texts that are nearly all different cost more than they prune.
const STATISTICS_TEXT_BYTES: usize = 48;
/// Bytes of a page of such texts, before they are packed: a row that is picked costs its page. With less than 256 KiB zstd
/// chooses other parameters, and lines of logs take 6% more room; with this it is less than 1%.
const TEXT_PAGE_BYTES: usize = 384 << 10;

/// The columns that rows of this encoding are said to be sorted by.
fn sorted_by(encoding: &Encoding) -> Vec<usize> {
    let index = |name: &String| encoding.schema.index_of(name).ok();
    match &encoding.settings.sort {
        SortKey::Time => encoding.time_column.iter().filter_map(index).collect(),
        SortKey::Columns(names) => names.iter().filter_map(index).collect(),
        SortKey::Arrival => Vec::new(),
    }
}

pub(super) fn properties(encoding: &Encoding, plan: &Plan<'_>) -> WriterProperties {
    let (schema, sorted_by) = (&encoding.schema, sorted_by(encoding));
    let level = ZstdLevel::try_new(if plan.rows < SMALL_ROWS { 1 } else { 3 }).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("weir ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(plan.row_group_bytes))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page);
    for (index, field) in schema.fields().iter().enumerate() {
        let pick = |batch: &RecordBatch| Arc::clone(batch.column(index));
        builder = column_properties(builder, field, vec![field.name().clone()], plan.sample, &pick);
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
    sample: &[RecordBatch],
    pick: &dyn Fn(&RecordBatch) -> ArrayRef,
) -> WriterPropertiesBuilder {
    let column = ColumnPath::new(path.clone());
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().enumerate().fold(builder, |builder, (index, child)| {
            let pick = |batch: &RecordBatch| Arc::clone(pick(batch).as_struct().column(index));
            column_properties(builder, child, [path.as_slice(), &[child.name().clone()]].concat(), sample, &pick)
        }),
        DataType::Timestamp(_, _) => packed(builder, column),
        DataType::Int64 | DataType::UInt64 if !profile(sample, pick).few_values => packed(builder, column),
        DataType::Float64 if !profile(sample, pick).few_values => builder.set_column_dictionary_enabled(column, false),
        DataType::Utf8View => {
            let profile = profile(sample, pick);
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

pub(super) fn parquet_error(path: &Path, error: ParquetError) -> SeamError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => disk_error("write", path, *error),
            Err(cause) => SeamError::caused(ErrorKind::Closed, format!("cannot write {}", path.display()), cause),
        },
        other => SeamError::caused(ErrorKind::Closed, format!("cannot write {}", path.display()), other),
    }
}
