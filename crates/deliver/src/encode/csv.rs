//! Rows as comma-separated values (RFC 4180, with `\n` as the line end). A null is nothing, an empty string is `""`.

use arrow::array::{Array, ArrayRef, RecordBatch};

use super::json::json_value;

/// The header line of `columns`.
pub(crate) fn csv_header(columns: &[String], out: &mut Vec<u8>) {
    for (index, column) in columns.iter().enumerate() {
        separate(index, out);
        field(column.as_bytes(), out);
    }
    out.push(b'\n');
}

/// Appends `rows`, with the values of `columns`; a column that they lack is null.
pub(crate) fn csv_rows(rows: &RecordBatch, columns: &[String], out: &mut Vec<u8>) {
    let arrays: Vec<Option<&ArrayRef>> = columns.iter().map(|column| rows.column_by_name(column)).collect();
    let mut value = Vec::new();
    for row in 0..rows.num_rows() {
        for (index, array) in arrays.iter().enumerate() {
            separate(index, out);
            let Some(array) = array.filter(|array| array.is_valid(row)) else { continue };
            value.clear();
            json_value(array, row, &mut value);
            write_value(&value, out);
        }
        out.push(b'\n');
    }
}

/// Each of `rows` as a line of its own, without its end; it may have newlines within quotes.
pub(crate) fn csv_lines(rows: &RecordBatch) -> Vec<Vec<u8>> {
    let columns: Vec<String> = rows.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    let line = |row| {
        let mut line = Vec::new();
        csv_rows(&rows.slice(row, 1), &columns, &mut line);
        line.pop();
        line
    };
    (0..rows.num_rows()).map(line).collect()
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// A JSON value as a field: a string without its quotes, everything else as it is.
fn write_value(json: &[u8], out: &mut Vec<u8>) {
    match json {
        b"null" => {}
        [b'"', ..] => match serde_json::from_slice::<String>(json) {
            Ok(text) => field(text.as_bytes(), out),
            Err(_) => field(json, out),
        },
        json => field(json, out),
    }
}

fn field(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty() && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if plain {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
