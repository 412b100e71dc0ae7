//! Decodes records of CSV: finds the values that are needed and reads them as what their columns are.

use std::borrow::Cow;
use std::sync::Arc;

use weir_model::{Decoded, Decoder, ErrorKind, Fields, Raw, Remembers, SeamError, SeamResult, Value, Wanted};
use weir_schema::avro::TimeUnit;

use super::config::CsvConfig;
use crate::Zone;
use crate::reject::{not_utf8, rejected, too_long, without_mark};
use crate::time;
use crate::typed::{Rows, Scalar, Shape};

/// Decodes CSV.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    config: CsvConfig,
    /// For each column of the rows: which value of a record it is, and what it holds.
    taken: Vec<(usize, Shape)>,
    rows: Rows,
}

impl CsvDecoder {
    pub(crate) fn new(config: &CsvConfig, wanted: &Wanted) -> SeamResult<Self> {
        let wrong = |message: String| SeamError::new(ErrorKind::Config, message);
        config.check().map_err(|wrong_schema| wrong(wrong_schema.reason))?;
        let named = match &wanted.fields {
            Fields::All => Vec::new(),
            Fields::These(these) => these.iter().map(|field| &field.name).collect(),
        };
        if let Some(name) = named.into_iter().chain(&wanted.time_field).find(|name| position(config, name).is_none()) {
            let columns = config.columns.join(", ");
            return Err(wrong(format!("csv has no column \"{name}\"; its columns are {columns}")));
        }
        let mut decoder = Self { config: config.clone(), taken: Vec::new(), rows: Rows::new("csv", wanted)? };
        decoder.take();
        Ok(decoder)
    }

    fn take(&mut self) {
        let taken = self.rows.columns().iter();
        let taken = taken.filter_map(|column| Some((position(&self.config, &column.name)?, column.shape.clone())));
        self.taken = taken.collect();
    }

    /// Decodes one record, or says why it is rejected. A header is neither.
    fn row(&mut self, record: &[u8], start: u32, offset: u64) -> Result<(), String> {
        if let Err(error) = std::str::from_utf8(record) {
            return Err(not_utf8(record, error));
        }
        let (record, mark) = without_mark(record);
        let whole = without_line_end(record);
        let (mut values, mut length) = self.values(whole)?;
        let mut from = 0;
        if self.config.header && values.iter().map(|value| &*value.text).eq(self.names()) {
            if length == whole.len() {
                return Ok(());
            }
            // A record of a topic that brings its header with it.
            from = length + line_end(&whole[length..]);
            (values, length) = self.values(&whole[from..])?;
        }
        if from + length < whole.len() {
            return Err(format!("the line ends at byte {}, and more follows; a record is one row", from + length));
        }
        if values.len() != self.config.columns.len() {
            let columns = self.config.columns.join(", ");
            let expected = self.config.columns.len();
            return Err(format!("record has {} values; expected {expected}: {columns}", values.len()));
        }
        for ((index, shape), cell) in self.taken.iter().zip(&mut self.rows.group.members) {
            let value = &values[*index];
            if !value.is_quoted && *value.text == *self.config.null.as_bytes() {
                cell.push_null();
                continue;
            }
            let at = value.at.map(|at| start + (mark + from + at) as u32);
            let scalar = scalar(&value.text, at, shape, self.config.zone);
            scalar.map_or(Err(expected(shape)), |scalar| cell.put(scalar)).map_err(|expected| {
                let name = &self.config.columns[*index];
                format!("column \"{name}\" is {}; expected {expected}", Value(&value.text))
            })?;
        }
        self.rows.end_row(offset)
    }

    fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.config.columns.iter().map(|name| name.as_bytes())
    }

    /// The values of a record's first line, and how long that is without its end.
    fn values<'r>(&self, record: &'r [u8]) -> Result<(Vec<Found<'r>>, usize), String> {
        let (delimiter, quote) = (self.config.delimiter as u8, self.config.quote as u8);
        let (mut values, mut at) = (Vec::with_capacity(self.config.columns.len()), 0);
        loop {
            let rest = &record[at..];
            let (value, length) = match rest.first() {
                Some(first) if *first == quote => quoted(rest, at, quote, delimiter)?,
                _ => {
                    let end = memchr::memchr2(delimiter, b'\n', rest).unwrap_or(rest.len());
                    let ends_line = rest.get(end) == Some(&b'\n');
                    let length = end - usize::from(ends_line && rest[..end].ends_with(b"\r"));
                    (Found { text: Cow::Borrowed(&rest[..length]), at: Some(at), is_quoted: false }, length)
                }
            };
            values.push(value);
            at += length;
            match record.get(at) {
                Some(next) if *next == delimiter => at += 1,
                Some(_) | None => return Ok((values, at)),
            }
        }
    }
}

/// How long the end of a line is at the front of `rest`; 0 when there is none.
fn line_end(rest: &[u8]) -> usize {
    match rest {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

/// A record of a topic may be a line with its end.
fn without_line_end(record: &[u8]) -> &[u8] {
    let line = record.strip_suffix(b"\n");
    line.map_or(record, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// A value.
struct Found<'r> {
    text: Cow<'r, [u8]>,
    /// Where it stands in its record, if it stands there as it is.
    at: Option<usize>,
    is_quoted: bool,
}

/// A value in quotes at the front of `rest`, and how long it is with them.
fn quoted(rest: &[u8], at: usize, quote: u8, delimiter: u8) -> Result<(Found<'_>, usize), String> {
    let (mut from, mut made) = (1, None::<Vec<u8>>);
    loop {
        let Some(end) = memchr::memchr(quote, &rest[from..]).map(|found| from + found) else {
            return Err(format!("the quote at byte {at} is not closed"));
        };
        match rest.get(end + 1) {
            Some(next) if *next == quote => {
                made.get_or_insert_with(|| rest[1..from].to_vec()).extend_from_slice(&rest[from..=end]);
                from = end + 2;
            }
            Some(next) if *next != delimiter && line_end(&rest[end + 1..]) == 0 => {
                return Err(format!("the quote at byte {} closes a value, and more of it follows", at + end));
            }
            Some(_) | None => {
                let found = match made {
                    None => Found { text: Cow::Borrowed(&rest[1..end]), at: Some(at + 1), is_quoted: true },
                    Some(mut made) => {
                        made.extend_from_slice(&rest[from..end]);
                        Found { text: Cow::Owned(made), at: None, is_quoted: true }
                    }
                };
                return Ok((found, end + 1));
            }
        }
    }
}

fn position(config: &CsvConfig, name: &str) -> Option<usize> {
    config.columns.iter().position(|column| column == name)
}

/// A value as what its column holds; `None` when it is no such thing.
fn scalar<'v>(text: &'v [u8], at: Option<u32>, shape: &Shape, zone: Zone) -> Option<Scalar<'v>> {
    let word = std::str::from_utf8(text).ok()?;
    Some(match shape {
        Shape::Bool => match word {
            "true" | "TRUE" | "True" => Scalar::Bool(true),
            "false" | "FALSE" | "False" => Scalar::Bool(false),
            _ => return None,
        },
        Shape::Int => Scalar::Int(word.parse().ok()?),
        Shape::UInt => Scalar::UInt(word.parse().ok()?),
        Shape::Float => Scalar::Float(word.parse().ok()?),
        Shape::Instant { .. } => match word.parse::<u64>() {
            Ok(number) => Scalar::Instant(time::from_whole(number)?, TimeUnit::Micros, false),
            Err(_) => Scalar::Instant(time::from_text(text, zone)?, TimeUnit::Micros, false),
        },
        Shape::Text | Shape::Key | Shape::Bytes => Scalar::Text(text, at),
        Shape::Date | Shape::TimeOfDay | Shape::Decimal { .. } | Shape::List(_) | Shape::Map(_) | Shape::Struct(_) => {
            return None;
        }
    })
}

fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "true or false",
        Shape::Int | Shape::UInt => "a whole number of 64 bits",
        Shape::Float => "a number",
        Shape::Instant { .. } => "a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970",
        Shape::Text | Shape::Key | Shape::Bytes => "text",
        Shape::Date | Shape::TimeOfDay | Shape::Decimal { .. } | Shape::List(_) | Shape::Map(_) | Shape::Struct(_) => {
            "a column of a type that csv has: text, numbers, truth values, times"
        }
    }
}

impl Decoder for CsvDecoder {
    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        if self.rows.is_all() {
            let all = self.config.columns.iter().map(|name| (Arc::<str>::from(name.as_str()), Shape::Text));
            decoded.batches.extend(self.rows.grow(all.collect(), raw));
            self.take();
        }
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                self.row(raw.record(span), span.start, span.offset.0)
            };
            if let Err(reason) = row {
                self.rows.take_back();
                decoded.rejected.push(rejected(raw, span, reason));
            }
        }
        decoded.batches.extend(self.rows.finish(raw));
        decoded
    }
}
