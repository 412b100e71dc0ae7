//! From bytes to the columns of a table. Refuses files and tables that are too large to look up in.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::xxh3_64;

use super::{JobTable, TableFormat};

/// The largest file that a table is read from.
pub(super) const BYTES_MAX: u64 = 256 << 20;
/// The most rows of a table.
pub(super) const ROWS_MAX: usize = 5_000_000;

/// What is in a file.
pub(super) struct Content {
    /// A hash of the bytes.
    pub(super) version: String,
    pub(super) columns: RecordBatch,
}

/// Reads the columns that the table of `job` needs.
pub(super) fn content(job: &JobTable, bytes: &Bytes) -> Result<Content, String> {
    let named = |message: String| format!("{}: {message}", job.place);
    let columns = match job.format {
        TableFormat::Csv => csv(job, bytes),
        TableFormat::Ndjson => ndjson(job, bytes),
        TableFormat::Json => lines(bytes).and_then(|lines| ndjson(job, &lines)),
        TableFormat::Parquet => parquet(job, bytes),
    };
    let columns = columns.map_err(|error| named(error.to_string()))?;
    if columns.num_rows() > ROWS_MAX {
        return Err(named(format!("{} rows are more than a table may have: {ROWS_MAX}", columns.num_rows())));
    }
    Ok(Content { version: format!("{:016x}", xxh3_64(bytes)), columns })
}

/// An array of objects as an object per line; what is no array is taken as lines already.
fn lines(bytes: &Bytes) -> Result<Bytes, ArrowError> {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(bytes.clone());
    }
    let failed = |error: serde_json::Error| ArrowError::JsonError(error.to_string());
    let objects: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(bytes).map_err(failed)?;
    let mut lines = Vec::with_capacity(bytes.len());
    for object in objects {
        serde_json::to_writer(&mut lines, &object).map_err(failed)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// What is in a file.
pub(super) fn bytes(path: &Path) -> Result<Bytes, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("the file has more than {} MiB, the most that a table may have", BYTES_MAX >> 20));
    }
    Ok(bytes.into())
}

/// Where the columns that the step needs are among `names`.
fn needed<'a>(job: &JobTable, names: impl Iterator<Item = &'a String>) -> Result<Vec<usize>, ArrowError> {
    let names: Vec<&String> = names.collect();
    let wanted: Vec<&String> = job.plan.on.iter().map(|(_, key)| key).chain(&job.plan.take).collect();
    match wanted.iter().find(|name| !names.contains(name)) {
        Some(name) => {
            let known = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            Err(ArrowError::SchemaError(format!("there is no column {name} in the table; there are {known}")))
        }
        None => Ok((0..names.len()).filter(|index| wanted.contains(&names[*index])).collect()),
    }
}

/// Every column is text unless it is declared: what a number looks like today must not decide the type of a result.
fn csv(job: &JobTable, bytes: &Bytes) -> Result<RecordBatch, ArrowError> {
    let format = Format::default().with_header(true);
    let (names, _) = format.infer_schema(Cursor::new(bytes), Some(0))?;
    let text = DataType::Utf8;
    let fields: Vec<Field> = names
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), job.schema.get(field.name()).unwrap_or(&text).clone(), true))
        .collect();
    let needed = needed(job, fields.iter().map(Field::name))?;
    let schema = Schema::new(fields);
    // The reader tells the schema of the file, not of what it reads.
    let projected = Arc::new(schema.project(&needed)?);
    let reader = arrow::csv::ReaderBuilder::new(Arc::new(schema)).with_format(format).with_projection(needed);
    all(&projected, reader.build(Cursor::new(bytes))?)
}

/// Columns are of their declared types, or else of those that are found.
fn ndjson(job: &JobTable, bytes: &Bytes) -> Result<RecordBatch, ArrowError> {
    let (found, _) = infer_json_schema(Cursor::new(bytes), None)?;
    let needed = needed(job, found.fields().iter().map(|field| field.name()))?;
    let fields = needed.iter().map(|index| {
        let field = found.field(*index);
        let declared = job.schema.get(field.name()).unwrap_or_else(|| field.data_type());
        Field::new(field.name(), declared.clone(), true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    all(&schema.clone(), arrow::json::ReaderBuilder::new(schema).build(Cursor::new(bytes))?)
}

/// Columns are of their declared types, or else of those that they have.
fn parquet(job: &JobTable, bytes: &Bytes) -> Result<RecordBatch, ArrowError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
    let schema = builder.schema().clone();
    let needed = needed(job, schema.fields().iter().map(|field| field.name()))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), needed);
    let reader = builder.with_projection(mask).build()?;
    let batch = all(&reader.schema(), reader)?;
    let found = batch.schema();
    let columns = found.fields().iter().zip(batch.columns()).map(|(field, values)| {
        let declared = job.schema.get(field.name()).unwrap_or_else(|| field.data_type());
        Ok((field.name().clone(), arrow::compute::cast(values, declared)?, true))
    });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, ArrowError>>()?)
}

fn all(schema: &SchemaRef, reader: impl RecordBatchReader) -> Result<RecordBatch, ArrowError> {
    let (mut batches, mut rows) = (Vec::new(), 0);
    for batch in reader {
        let batch = batch?;
        rows += batch.num_rows();
        batches.push(batch);
        if rows > ROWS_MAX {
            break;
        }
    }
    concat_batches(schema, &batches)
}
