//! JSON as one object with all rows, and as one object per line; times are RFC 3339 in UTC, NaN and infinities null.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Summary;
use super::value::{Values, json_key, type_name};

/// Appends row `row` of `batch` as a JSON object; for many rows, [`Objects`] looks at the columns once.
pub fn write_object(batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
    Objects::new(batch).write(row, out);
}

/// The rows of a batch as JSON objects.
pub struct Objects<'a> {
    names: Vec<Vec<u8>>,
    columns: Vec<Values<'a>>,
}

impl<'a> Objects<'a> {
    /// Looks at the columns of `batch`.
    pub fn new(batch: &'a RecordBatch) -> Self {
        let names = batch.schema_ref().fields().iter().map(|field| json_key(field.name())).collect();
        Self { names, columns: batch.columns().iter().map(Values::new).collect() }
    }

    /// Appends row `row`, nulls included.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, column)) in self.names.iter().zip(&self.columns).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            column.json(row, out);
        }
        out.push(b'}');
    }
}

pub(super) struct Ndjson<W> {
    pub(super) out: W,
    line: Vec<u8>,
}

impl<W: Write> Ndjson<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, line: Vec::new() }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let objects = Objects::new(batch);
        for row in 0..batch.num_rows() {
            self.line.clear();
            objects.write(row, &mut self.line);
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }
}

pub(super) struct Json<W> {
    pub(super) out: W,
    rows: u64,
    line: Vec<u8>,
}

impl<W: Write> Json<W> {
    pub(super) fn new(schema: &SchemaRef, mut out: W) -> io::Result<Self> {
        let columns = schema.fields().iter();
        let columns =
            columns.map(|field| serde_json::json!({"name": field.name(), "type": type_name(field.data_type())}));
        write!(out, "{{\"columns\":{},\"rows\":[", serde_json::Value::Array(columns.collect()))?;
        Ok(Self { out, rows: 0, line: Vec::new() })
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns: Vec<Values<'_>> = batch.columns().iter().map(Values::new).collect();
        for row in 0..batch.num_rows() {
            self.line.clear();
            self.line.extend_from_slice(if self.rows == 0 { b"\n[" } else { b",\n[" });
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    self.line.push(b',');
                }
                column.json(row, &mut self.line);
            }
            self.line.push(b']');
            self.out.write_all(&self.line)?;
            self.rows += 1;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let elapsed_ms = summary.elapsed.as_secs_f64() * 1e3;
        write!(self.out, "],\"row_count\":{},\"truncated\":{}", summary.rows, summary.truncated)?;
        write!(self.out, ",\"elapsed_ms\":{:.3}", elapsed_ms)?;
        writeln!(self.out, ",\"warnings\":{}}}", serde_json::json!(summary.warnings))
    }
}
