//! A table for terminals: times without what everybody knows, wide cells cut, control characters shown; keeps all rows
//! in memory until the end, as the widths of columns depend on them.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::Summary;
use super::value::Values;

/// How many characters of a value are shown.
const CELL_CHARS_MAX: usize = 100;

pub(super) struct TextTable<W> {
    pub(super) out: W,
    table: Table,
    numeric: Vec<bool>,
    temporal: Vec<bool>,
}

impl<W: Write> TextTable<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> Self {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(schema.fields().iter().map(|field| Cell::new(shown(field.name()))));
        let is = |test: fn(&DataType) -> bool| schema.fields().iter().map(|field| test(field.data_type())).collect();
        Self {
            out,
            table,
            numeric: is(DataType::is_numeric),
            temporal: is(|kind| matches!(kind, DataType::Timestamp(..))),
        }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) {
        let columns: Vec<Values<'_>> = batch.columns().iter().map(Values::new).collect();
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().enumerate().map(|(index, column)| {
                text.clear();
                if !column.is_null(row) {
                    column.plain(row, &mut text);
                }
                let text = String::from_utf8_lossy(&text);
                let text = if self.temporal[index] { compact_time(&text) } else { shown(&text) };
                let cell = Cell::new(text);
                if self.numeric[index] { cell.set_alignment(CellAlignment::Right) } else { cell }
            });
            let cells: Vec<Cell> = cells.collect();
            self.table.add_row(cells);
        }
    }

    pub(super) fn end(&mut self, summary: &Summary) -> io::Result<()> {
        writeln!(self.out, "{}", self.table)?;
        let rows = if summary.rows == 1 { "row" } else { "rows" };
        let more = if summary.truncated { ", and there are more" } else { "" };
        writeln!(self.out, "{} {rows}{more} ({:.1} ms)", summary.rows, summary.elapsed.as_secs_f64() * 1e3)?;
        for warning in &summary.warnings {
            writeln!(self.out, "warning: {}", shown(warning))?;
        }
        Ok(())
    }
}

/// `2026-01-01T00:00:00.509Z` as `2026-01-01 00:00:00.509`.
fn compact_time(time: &str) -> String {
    time.trim_end_matches('Z').replacen('T', " ", 1)
}

/// A text on one line: newlines as `⏎`, other control and direction characters escaped, cut at [`CELL_CHARS_MAX`].
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == CELL_CHARS_MAX {
            shown.push('…');
            break;
        }
        match c {
            '\n' => shown.push('⏎'),
            '\t' => shown.push(' '),
            '\r' => {}
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode())
            }
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}
