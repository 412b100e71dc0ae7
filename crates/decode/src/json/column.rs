//! A column of a plan, built from the values of one field. Takes what fits and names what does not.

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use weir_model::{ErrorKind, FieldKind, SeamError, SeamResult};

use super::clock::micros;
use super::escape::unescape;
use super::fault::{Misfit, span_of};
use super::number::{float, whole};
use super::scan::Token;
use crate::Zone;
use crate::columns::{KeyColumn, Numbers, Texts, time_type};
use crate::keys::Keys;

/// A column being built. A missing field and `null` are null in each.
#[derive(Debug)]
pub(crate) enum Column {
    /// Strings, numbers and truth values as their text.
    Key(Box<KeyColumn>, Vec<u8>),
    /// Strings, numbers and truth values as their text.
    Text(Texts),
    /// Whole numbers that fit, also when written as `5.0`.
    Int(Numbers<i64>),
    /// Numbers that are not too large for a float.
    Float(Numbers<f64>),
    Bool(Numbers<bool>),
    /// Times as text or numbers.
    Time(Numbers<i64>),
}

impl Column {
    pub(crate) fn new(field: &str, kind: &FieldKind) -> SeamResult<Self> {
        Ok(match kind {
            FieldKind::Key => Self::Key(Box::default(), Vec::new()),
            FieldKind::Value(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => Self::Text(Texts::default()),
            FieldKind::Value(DataType::Int64) => Self::Int(Numbers::default()),
            FieldKind::Value(DataType::Float64) => Self::Float(Numbers::default()),
            FieldKind::Value(DataType::Boolean) => Self::Bool(Numbers::default()),
            FieldKind::Value(DataType::Timestamp(..)) => Self::Time(Numbers::default()),
            FieldKind::Value(_) => return Err(unknown_kind(field, kind)),
        })
    }

    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Key(..) => Keys::data_type(),
            Self::Text(_) => DataType::Utf8View,
            Self::Int(_) => DataType::Int64,
            Self::Float(_) => DataType::Float64,
            Self::Bool(_) => DataType::Boolean,
            Self::Time(_) => time_type(),
        }
    }

    /// Appends the value `found` of a record that stands in the buffer at `base`.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u8], base: u32, found: Option<Token>, zone: Zone) -> Result<(), Misfit> {
        let Some(token) = found.filter(|token| *token != Token::Null) else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Key(column, scratch) => push_key(column, scratch, record, token),
            Self::Text(texts) => push_text(texts, record, base, token),
            Self::Int(column) => push_number(column, record, token, whole, "a whole number of 64 bits"),
            Self::Float(column) => push_number(column, record, token, float, "a number that fits a 64-bit float"),
            Self::Bool(column) => match token {
                Token::Bool(span) => {
                    column.push(Some(span.of(record) == b"true"));
                    Ok(())
                }
                other => misfit(other, "true or false"),
            },
            Self::Time(column) => match micros(record, token, zone) {
                Some(time) => {
                    column.push(Some(time));
                    Ok(())
                }
                None => misfit(token, "a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970"),
            },
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Key(column, _) => column.push_null(),
            Self::Text(texts) => texts.push_null(),
            Self::Int(column) | Self::Time(column) => column.push(None),
            Self::Float(column) => column.push(None),
            Self::Bool(column) => column.push(None),
        }
    }

    /// Forgets the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Key(column, _) => column.truncate(rows),
            Self::Text(texts) => texts.truncate(rows),
            Self::Int(column) | Self::Time(column) => column.truncate(rows),
            Self::Float(column) => column.truncate(rows),
            Self::Bool(column) => column.truncate(rows),
        }
    }

    /// The column so far; begins anew.
    pub(crate) fn finish(&mut self, buffer: &Buffer) -> ArrayRef {
        match self {
            Self::Key(column, _) => column.finish(),
            Self::Text(texts) => texts.finish(buffer),
            Self::Int(column) => column.finish_ints(),
            Self::Float(column) => column.finish_floats(),
            Self::Bool(column) => column.finish_bools(),
            Self::Time(column) => column.finish_times(),
        }
    }
}

/// The error of a plan that wants what JSON has no values of.
pub(crate) fn unknown_kind(field: &str, kind: &FieldKind) -> SeamError {
    let wanted = match kind {
        FieldKind::Key => "a key".to_owned(),
        FieldKind::Value(data_type) => data_type.to_string(),
    };
    let message =
        format!("field \"{field}\" is wanted as {wanted}; JSON gives string, int64, float64, bool and timestamp");
    SeamError::new(ErrorKind::Config, message)
}

#[inline]
fn push_key(column: &mut KeyColumn, scratch: &mut Vec<u8>, record: &[u8], token: Token) -> Result<(), Misfit> {
    match token {
        Token::Plain(span) | Token::Number(span) | Token::Bool(span) => column.push(span.of(record)),
        Token::Escaped(span) => {
            scratch.clear();
            unescape(span.of(record), scratch);
            column.push(scratch);
        }
        Token::Null | Token::Object(_) | Token::Array(_) => {
            return misfit(token, "a string, a number or a truth value");
        }
    }
    Ok(())
}

#[inline]
fn push_text(texts: &mut Texts, record: &[u8], base: u32, token: Token) -> Result<(), Misfit> {
    match token {
        Token::Plain(span) | Token::Number(span) | Token::Bool(span) => {
            texts.push_view(span.of(record), base + span.start)
        }
        Token::Escaped(span) => texts.push_made(|out| unescape(span.of(record), out)),
        Token::Null | Token::Object(_) | Token::Array(_) => {
            return misfit(token, "a string, a number or a truth value");
        }
    }
    Ok(())
}

#[inline]
fn push_number<T: Copy + Default>(
    column: &mut Numbers<T>,
    record: &[u8],
    token: Token,
    read: fn(&[u8]) -> Option<T>,
    expected: &'static str,
) -> Result<(), Misfit> {
    match token {
        Token::Number(span) => match read(span.of(record)) {
            Some(value) => column.push(Some(value)),
            None => return misfit(token, expected),
        },
        other => return misfit(other, expected),
    }
    Ok(())
}

#[cold]
fn misfit<T>(token: Token, expected: &'static str) -> Result<T, Misfit> {
    Err(Misfit { span: span_of(token), expected })
}
