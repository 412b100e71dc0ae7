//! The event time of a record. A record without a readable one is rejected, and so is one from before `not_before`.

use std::borrow::Cow;
use std::sync::Arc;

use weir_model::{EventTime, Value};

use super::escape::unescape;
use super::fault::span_of;
use super::scan::Token;
use crate::time::TimeReader;
use crate::{Zone, time};

/// Reads the field that holds the event time.
#[derive(Clone, Debug)]
pub(crate) struct RecordClock {
    field: Arc<str>,
    not_before: EventTime,
    reader: TimeReader,
}

impl RecordClock {
    pub(crate) fn new(field: Arc<str>, not_before: EventTime, zone: Zone) -> Self {
        Self { field, not_before, reader: TimeReader::new(zone) }
    }

    /// The name of the field.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The time that `found` is, in microseconds.
    #[inline]
    pub(crate) fn read(&mut self, record: &[u8], found: Option<Token>) -> Result<i64, String> {
        let time = match found {
            Some(Token::Plain(span)) => self.reader.text(span.of(record)),
            other => other.and_then(|token| micros(record, token, self.reader.zone())),
        };
        match time {
            Some(micros) if micros >= self.not_before.micros() => Ok(micros),
            Some(micros) => Err(self.too_early(micros)),
            None => Err(self.unreadable(record, found)),
        }
    }

    #[cold]
    fn too_early(&self, micros: i64) -> String {
        let time = EventTime::from_micros(micros);
        format!("time field \"{}\" is {time}, which is before not_before {}", self.field, self.not_before)
    }

    #[cold]
    fn unreadable(&self, record: &[u8], found: Option<Token>) -> String {
        let field = &self.field;
        let expected = "expected a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970";
        match found {
            None => format!("time field \"{field}\" is missing; {expected}"),
            Some(Token::Null) => format!("time field \"{field}\" is null; {expected}"),
            Some(token) => {
                let span = span_of(token);
                format!("time field \"{field}\" at column {} is {}; {expected}", span.start + 1, Value(span.of(record)))
            }
        }
    }
}

/// The time that `token` is, if it can be read as one.
#[inline]
pub(crate) fn micros(record: &[u8], token: Token, zone: Zone) -> Option<i64> {
    match token {
        Token::Plain(span) => time::from_text(span.of(record), zone),
        Token::Number(span) => time::from_number(span.of(record)),
        Token::Escaped(span) => time::from_text(&unescaped(span.of(record)), zone),
        Token::Null | Token::Bool(_) | Token::Object(_) | Token::Array(_) => None,
    }
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    unescape(text, &mut out);
    Cow::Owned(out)
}
