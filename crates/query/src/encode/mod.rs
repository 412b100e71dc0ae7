//! Results as bytes, in every format that people and programs ask for; computes nothing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::{QueryError, QueryResult, size};

mod arrow_stream;
mod csv;
mod json;
mod parquet_file;
mod plain;
mod table;
mod value;

pub use json::{Objects, write_object};
pub use plain::Plain;
pub(crate) use plain::plain_type;
pub use value::{Values, type_name};

/// Rows of about so many bytes are encoded at a time.
const PIECE_BYTES: usize = 1 << 20;

/// In which form a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object: `columns`, `rows` as arrays, `row_count`, `truncated`, `elapsed_ms`, `warnings`.
    Json,
    /// One JSON object per row and line; nulls are written.
    Ndjson,
    /// RFC 4180 with a header; null is empty, the empty text is `""`.
    Csv {
        /// Put `'` before texts that a spreadsheet would take for a formula.
        formula_safe: bool,
    },
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
    /// A table for terminals.
    Table,
}

impl Format {
    /// The format called `name`: json, ndjson, csv, arrow, parquet, table.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv { formula_safe: false }),
            "arrow" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            "table" => Some(Self::Table),
            _ => None,
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv { .. } => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Table => "text/plain; charset=utf-8",
        }
    }
}

/// What is said after the last row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many rows were written.
    pub rows: u64,
    /// Whether there are more.
    pub truncated: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// What the answer lacks.
    pub warnings: Vec<String>,
}

impl Summary {
    /// What there is to say about `result` by now.
    pub fn of(result: &QueryResult) -> Self {
        Self {
            rows: result.row_count(),
            truncated: result.truncated(),
            elapsed: result.elapsed(),
            warnings: result.warnings().to_vec(),
        }
    }
}

/// Writes one result.
pub struct Encoder<W: Write + Send> {
    kind: Kind<W>,
}

enum Kind<W: Write + Send> {
    Json(json::Json<W>),
    Ndjson(json::Ndjson<W>),
    Csv(csv::Csv<W>),
    Arrow(arrow_stream::ArrowStream<W>),
    Parquet(Box<parquet_file::ParquetFile<W>>),
    Table(table::TextTable<W>),
}

impl<W: Write + Send> Encoder<W> {
    /// Begins a result with these columns.
    ///
    /// # Errors
    /// As `out` says.
    pub fn new(format: Format, schema: &SchemaRef, out: W) -> io::Result<Self> {
        let kind = match format {
            Format::Json => Kind::Json(json::Json::new(schema, out)?),
            Format::Ndjson => Kind::Ndjson(json::Ndjson::new(out)),
            Format::Csv { formula_safe } => Kind::Csv(csv::Csv::new(schema, formula_safe, out)?),
            Format::Arrow => Kind::Arrow(arrow_stream::ArrowStream::new(schema, out)?),
            Format::Parquet => Kind::Parquet(Box::new(parquet_file::ParquetFile::new(schema, out)?)),
            Format::Table => Kind::Table(table::TextTable::new(schema, out)),
        };
        Ok(Self { kind })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// As the writer says.
    pub fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        match &mut self.kind {
            Kind::Json(encoder) => encoder.batch(batch),
            Kind::Ndjson(encoder) => encoder.batch(batch),
            Kind::Csv(encoder) => encoder.batch(batch),
            Kind::Arrow(encoder) => encoder.batch(batch),
            Kind::Parquet(encoder) => encoder.batch(batch),
            Kind::Table(encoder) => {
                encoder.batch(batch);
                Ok(())
            }
        }
    }

    /// What was written to so far; with `Vec<u8>`, to take what there is.
    pub fn out(&mut self) -> &mut W {
        match &mut self.kind {
            Kind::Json(encoder) => &mut encoder.out,
            Kind::Ndjson(encoder) => &mut encoder.out,
            Kind::Csv(encoder) => &mut encoder.out,
            Kind::Arrow(encoder) => encoder.out(),
            Kind::Parquet(encoder) => encoder.out(),
            Kind::Table(encoder) => &mut encoder.out,
        }
    }

    /// Ends the result.
    ///
    /// # Errors
    /// As the writer says.
    pub fn finish(mut self, summary: &Summary) -> io::Result<W> {
        self.end(summary)?;
        Ok(match self.kind {
            Kind::Json(encoder) => encoder.out,
            Kind::Ndjson(encoder) => encoder.out,
            Kind::Csv(encoder) => encoder.out,
            Kind::Arrow(encoder) => return encoder.into_out(),
            Kind::Parquet(encoder) => return encoder.into_out(),
            Kind::Table(encoder) => encoder.out,
        })
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        match &mut self.kind {
            Kind::Json(encoder) => encoder.end(summary),
            Kind::Ndjson(_) | Kind::Csv(_) | Kind::Parquet(_) => Ok(()),
            Kind::Arrow(encoder) => encoder.end(),
            Kind::Table(encoder) => encoder.end(summary),
        }
    }
}

/// Why a result was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The writer failed.
    #[error("the result cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Writes a whole result. Not to be called inside of an async runtime.
///
/// # Errors
/// What stopped the query or the writer; what was written until then stays written.
pub fn write_blocking(result: &mut QueryResult, format: Format, out: impl Write + Send) -> Result<Summary, WriteError> {
    let mut encoder = Encoder::new(format, result.schema(), out)?;
    while let Some(batch) = result.next_blocking() {
        encoder.batch(&batch?)?;
    }
    let summary = Summary::of(result);
    encoder.finish(&summary)?.flush()?;
    Ok(summary)
}

/// A result as chunks of bytes, for an HTTP body. Nothing is encoded before it is asked for; an error that comes
/// before the first batch comes as the first item, so that it can still become a status.
pub struct Chunks {
    result: QueryResult,
    encoder: Option<Encoder<Vec<u8>>>,
    /// Pieces of a batch that are not encoded yet.
    pieces: VecDeque<RecordBatch>,
}

impl Chunks {
    /// Encodes `result`.
    ///
    /// # Errors
    /// When the schema cannot be encoded.
    pub fn new(result: QueryResult, format: Format) -> Result<Self, WriteError> {
        let encoder = Encoder::new(format, result.schema(), Vec::new())?;
        Ok(Self { result, encoder: Some(encoder), pieces: VecDeque::new() })
    }

    /// The next chunk; `None` at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Bytes, WriteError>> {
        loop {
            let encoder = self.encoder.as_mut()?;
            let next = match self.pieces.pop_front() {
                Some(piece) => Some(Ok(piece)),
                None => match self.result.next().await {
                    Some(Ok(batch)) => {
                        self.pieces.extend(size::pieces(&batch, PIECE_BYTES));
                        continue;
                    }
                    other => other,
                },
            };
            let chunk = match next {
                Some(Ok(piece)) => encoder.batch(&piece).map(|()| std::mem::take(encoder.out())).map_err(Into::into),
                Some(Err(error)) => Err(error.into()),
                None => {
                    let encoder = self.encoder.take()?;
                    encoder.finish(&Summary::of(&self.result)).map_err(Into::into)
                }
            };
            match chunk {
                // tables and dictionaries may have nothing to say yet
                Ok(bytes) if bytes.is_empty() && self.encoder.is_some() => {}
                Ok(bytes) => return Some(Ok(bytes.into())),
                Err(error) => {
                    self.encoder = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
