//! A Parquet file that is written while rows come: what is kept in memory is one group of rows, however many there are.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::plain::Plain;

/// Rows of a group: it is sent when it has so many,
const GROUP_ROWS_MAX: usize = 256 << 10;
/// or so many bytes.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// A bit smaller than the default of the format, and not slower.
const ZSTD_LEVEL: i32 = 1;

pub(super) struct ParquetFile<W: Write + Send> {
    writer: ArrowWriter<W>,
    plain: Plain,
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> io::Result<Self> {
        // Parquet has spans of time in days and milliseconds only.
        let plain = Plain::with_text(schema, |kind| matches!(kind, DataType::Interval(_) | DataType::Duration(_)));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .build();
        let schema = std::sync::Arc::clone(plain.schema());
        let writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(failed)?;
        Ok(Self { writer, plain })
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.writer.write(&self.plain.batch(batch)?).map_err(failed)?;
        if self.writer.in_progress_size() >= GROUP_BYTES_MAX {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn out(&mut self) -> &mut W {
        self.writer.inner_mut()
    }

    pub(super) fn into_out(self) -> io::Result<W> {
        self.writer.into_inner().map_err(failed)
    }
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
