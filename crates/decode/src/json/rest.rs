//! The column `_rest`: for each row a JSON object from dotted names to the values that fit no column, as they were
//! written. Null where there are none.

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

use super::scan::{Span, Token};
use crate::columns::Texts;

/// The column being built.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// What the current row has so far: names, and where the values stand in the record.
    entries: Vec<(String, Span)>,
    texts: Texts,
    /// Some row has had something: from then on there is a column.
    is_used: bool,
}

impl Rest {
    /// Adds a value to the current row.
    pub(crate) fn put(&mut self, name: String, token: Token) {
        let span = match token {
            Token::Null => return,
            // with its quotes
            Token::Plain(span) | Token::Escaped(span) => Span { start: span.start - 1, end: span.end + 1 },
            Token::Bool(span) | Token::Number(span) | Token::Object(span) | Token::Array(span) => span,
        };
        self.entries.push((name, span));
    }

    /// Whether the current row has something.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Whether the current row has something of the object `name`.
    pub(crate) fn has_below(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| is_below(entry, name))
    }

    /// Forgets what the current row has of `name` and below it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.entries.retain(|(entry, _)| entry != name && !is_below(entry, name));
    }

    /// Forgets the current row.
    pub(crate) fn take_back(&mut self) {
        self.entries.clear();
    }

    /// Writes the current row, which is row `row`, down.
    pub(crate) fn finish_row(&mut self, row: usize, record: &[u8]) {
        if self.entries.is_empty() {
            return;
        }
        self.is_used = true;
        self.texts.pad(row);
        let entries = std::mem::take(&mut self.entries);
        self.texts.push_made(|out| {
            for (i, (name, span)) in entries.iter().enumerate() {
                out.push(if i == 0 { b'{' } else { b',' });
                out.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
                out.push(b':');
                out.extend_from_slice(span.of(record));
            }
            out.push(b'}');
        });
    }

    /// The column, if there is one by now.
    pub(crate) fn finish(&mut self, rows: usize, buffer: &Buffer) -> Option<ArrayRef> {
        self.is_used.then(|| {
            self.texts.pad(rows);
            self.texts.finish(buffer)
        })
    }
}

fn is_below(entry: &str, name: &str) -> bool {
    entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}
