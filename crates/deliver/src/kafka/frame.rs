//! Rows as records of Kafka, and how records lie in a file until their epoch is committed. Pure. Refuses rows without the
//! columns that their keys and headers come from.
//!
//! A record in the file: parts, each a length (u32, little endian) and so many bytes: key, value, row id, headers. A length of
//! `u32::MAX` says that there is no such part. The headers are parts themselves: a name and a value for each.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_model::{ErrorKind, RejectedRow, SeamError, SeamResult};

use crate::encode;

use super::config::KafkaOutput;
use super::values::Encoded;

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
    /// Names and values, as they lie in the file.
    pub(super) headers: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for part in [self.key, self.value, self.row_id, self.headers] {
            put(part, out);
        }
    }

    /// The record at the front of `bytes`, and what follows it; `None` when they end inside of one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (key, bytes) = part(bytes)?;
        let (value, bytes) = part(bytes)?;
        let (row_id, bytes) = part(bytes)?;
        let (headers, bytes) = part(bytes)?;
        Some((Self { key, value, row_id, headers }, bytes))
    }

    /// The headers beside the row id.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = self.headers.unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, after) = part(rest)?;
            let (value, after) = part(after)?;
            rest = after;
            Some((std::str::from_utf8(name?).ok()?, value?))
        })
    }
}

fn put(part: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = part.map_or(MISSING, |part| u32::try_from(part.len()).unwrap_or(MISSING - 1));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(part.unwrap_or_default());
}

fn part(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        MISSING => Some((None, rest)),
        length => rest.split_at_checked(length as usize).map(|(part, rest)| (Some(part), rest)),
    }
}

/// Appends the records of `rows`, whose values are `values`, to `out`; which of them have none, and why.
///
/// # Errors
/// `Config` when a column that a key or a header comes from is not there, or cannot be a text.
pub(super) fn frames(
    rows: &RecordBatch,
    config: &KafkaOutput,
    values: Encoded,
    out: &mut Vec<u8>,
) -> SeamResult<Vec<RejectedRow>> {
    let column = |name: &str, what: &str| match rows.column_by_name(name) {
        Some(column) => Ok(column.as_ref()),
        None => Err(no_column(rows, name, what)),
    };
    let keys = config.key.as_ref().map(|name| column(name, "the key")).transpose()?;
    let keys = texts(keys, rows.num_rows())?;
    let ids = texts(rows.column_by_name(ROW_ID).map(AsRef::as_ref), rows.num_rows())?;
    let mut headers = Vec::with_capacity(config.headers.len());
    for (header, name) in &config.headers {
        headers.push((header, texts(Some(column(name, &format!("the header {header}"))?), rows.num_rows())?));
    }
    let tombstones = match &config.tombstone {
        None => None,
        Some(name) => {
            let column = column(name, "tombstone")?;
            Some(column.as_boolean_opt().ok_or_else(|| no_bool(name, column))?)
        }
    };
    let is_gone = |row: usize| tombstones.is_some_and(|column| column.is_valid(row) && column.value(row));
    let mut rejected = Vec::new();
    for (row, value) in values.into_iter().enumerate() {
        let value = match value {
            _ if is_gone(row) => None,
            Ok(value) => Some(value),
            Err(reason) => {
                let mut payload = Vec::new();
                encode::ndjson(&rows.slice(row, 1), &mut payload);
                payload.pop();
                rejected.push(RejectedRow { row: row as u64, payload: payload.into(), reason });
                continue;
            }
        };
        let mut named = Vec::new();
        for (name, values) in &headers {
            if let Some(value) = &values[row] {
                put(Some(name.as_bytes()), &mut named);
                put(Some(value), &mut named);
            }
        }
        let headers = (!named.is_empty()).then_some(named.as_slice());
        Frame { key: keys[row].as_deref(), value: value.as_deref(), row_id: ids[row].as_deref(), headers }.write(out);
    }
    Ok(rejected)
}

fn texts(array: Option<&dyn Array>, rows: usize) -> SeamResult<Vec<Option<Vec<u8>>>> {
    let Some(array) = array else { return Ok(vec![None; rows]) };
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| not_text(&error))?;
    let text = |row| (!array.is_null(row)).then(|| formatter.value(row).to_string().into_bytes());
    Ok((0..rows).map(text).collect())
}

fn no_bool(name: &str, column: &dyn Array) -> SeamError {
    let message = format!("the column `{name}` is {}; tombstone wants true or false", column.data_type());
    SeamError::new(ErrorKind::Config, message)
}

fn no_column(rows: &RecordBatch, name: &str, what: &str) -> SeamError {
    let schema = rows.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let message = format!("there is no column `{name}` to be {what}; there are: {}", columns.join(", "));
    SeamError::new(ErrorKind::Config, message)
}

fn not_text(error: &ArrowError) -> SeamError {
    SeamError::new(ErrorKind::Config, format!("a key or header cannot be a text: {error}"))
}
