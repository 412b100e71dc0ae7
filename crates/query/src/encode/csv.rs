//! CSV as RFC 4180 has it; null is an empty field, the empty text a pair of quotes.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::value::Values;

pub(super) struct Csv<W> {
    pub(super) out: W,
    formula_safe: bool,
    line: Vec<u8>,
    cell: Vec<u8>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(schema: &SchemaRef, formula_safe: bool, out: W) -> io::Result<Self> {
        let mut csv = Self { out, formula_safe, line: Vec::new(), cell: Vec::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            csv.cell.clear();
            csv.cell.extend_from_slice(field.name().as_bytes());
            csv.field(index, true);
        }
        csv.end_line()?;
        Ok(csv)
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns: Vec<Values<'_>> = batch.columns().iter().map(Values::new).collect();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                self.cell.clear();
                if column.is_null(row) {
                    self.line.extend_from_slice(if index > 0 { b"," } else { b"" });
                    continue;
                }
                column.plain(row, &mut self.cell);
                self.field(index, column.is_text());
            }
            self.end_line()?;
        }
        Ok(())
    }

    /// Appends the cell. What starts a formula in a spreadsheet is disarmed where it is a text; a number may be negative.
    fn field(&mut self, index: usize, is_text: bool) {
        if index > 0 {
            self.line.push(b',');
        }
        if self.formula_safe && is_text && matches!(self.cell.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
        {
            self.cell.insert(0, b'\'');
        }
        let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
        let edge = |byte: Option<&u8>| byte == Some(&b' ');
        if self.cell.is_empty() || self.cell.iter().any(special) || edge(self.cell.first()) || edge(self.cell.last()) {
            self.line.push(b'"');
            for &byte in &self.cell {
                self.line.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
            }
            self.line.push(b'"');
        } else {
            self.line.extend_from_slice(&self.cell);
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.extend_from_slice(b"\r\n");
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}
