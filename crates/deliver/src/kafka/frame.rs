//! Rows as records of Kafka, and how records lie in a file until their epoch is committed. Pure. Refuses rows without the
//! column that is their key.
//!
//! A record in the file: three parts, each a length (u32, little endian) and so many bytes: key, value, row id. A length of
//! `u32::MAX` says that there is no such part.

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::encode;

/// The length of a part that is not there.
const MISSING: u32 = u32::MAX;
/// The column that names a row for ever.
pub(super) const ROW_ID: &str = "row_id";

/// A record that is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) row_id: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for part in [self.key, self.value, self.row_id] {
            let length = part.map_or(MISSING, |part| u32::try_from(part.len()).unwrap_or(MISSING - 1));
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(part.unwrap_or_default());
        }
    }

    /// The record at the front of `bytes`, and what follows it; `None` when they end inside of one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (key, bytes) = part(bytes)?;
        let (value, bytes) = part(bytes)?;
        let (row_id, bytes) = part(bytes)?;
        Some((Self { key, value, row_id }, bytes))
    }
}

fn part(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        MISSING => Some((None, rest)),
        length => rest.split_at_checked(length as usize).map(|(part, rest)| (Some(part), rest)),
    }
}

/// Appends the records of `rows` to `out`.
///
/// # Errors
/// `Config` when there is no column `key`, or it cannot be a text.
pub(super) fn frames(rows: &RecordBatch, key: Option<&str>, out: &mut Vec<u8>) -> SeamResult<()> {
    let column = |name: &str| rows.column_by_name(name).map(AsRef::as_ref);
    let keys = match key {
        Some(name) => Some(column(name).ok_or_else(|| no_key(rows, name))?),
        None => None,
    };
    let options = FormatOptions::new();
    let text = |array: &dyn Array| ArrayFormatter::try_new(array, &options).map(drop);
    for array in keys.iter().chain(column(ROW_ID).iter()) {
        text(*array).map_err(|error| not_text(&error))?;
    }
    let mut values = Vec::new();
    encode::ndjson(rows, &mut values);
    let keys = texts(keys, rows.num_rows())?;
    let ids = texts(column(ROW_ID), rows.num_rows())?;
    // JSON has no newline of its own inside of a row.
    for ((value, key), id) in values.split(|byte| *byte == b'\n').zip(&keys).zip(&ids) {
        Frame { key: key.as_deref(), value: Some(value), row_id: id.as_deref() }.write(out);
    }
    Ok(())
}

fn texts(array: Option<&dyn Array>, rows: usize) -> SeamResult<Vec<Option<Vec<u8>>>> {
    let Some(array) = array else { return Ok(vec![None; rows]) };
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| not_text(&error))?;
    let text = |row| (!array.is_null(row)).then(|| formatter.value(row).to_string().into_bytes());
    Ok((0..rows).map(text).collect())
}

fn no_key(rows: &RecordBatch, name: &str) -> SeamError {
    let schema = rows.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let message = format!("there is no column `{name}` to be the key; there are: {}", columns.join(", "));
    SeamError::new(ErrorKind::Config, message)
}

fn not_text(error: &ArrowError) -> SeamError {
    SeamError::new(ErrorKind::Config, format!("the key cannot be a text: {error}"))
}
