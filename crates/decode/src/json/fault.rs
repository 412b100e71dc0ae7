//! What is wrong with a record, in words: the field, the column in the line, the value that offends, and what would be
//! right. Columns are bytes and begin with 1.

use weir_model::Value;

use super::scan::{Fault, Span, Token};

/// A value that is not what its field should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Misfit {
    pub(crate) span: Span,
    /// What the field should be.
    pub(crate) expected: &'static str,
}

/// How much of the text after a fault is shown.
const SHOWN_BYTES: usize = 40;

/// Why a record that is not JSON is rejected.
#[cold]
pub(crate) fn explain(record: &[u8], fault: Fault) -> String {
    if record.iter().all(u8::is_ascii_whitespace) {
        return "empty line; expected a JSON object".to_owned();
    }
    let (column, rest) = (fault.at + 1, &record[fault.at.min(record.len())..]);
    if rest.is_empty() {
        return format!("not JSON: the line ends at column {column}; expected {}", fault.expected);
    }
    let shown = Value(&rest[..rest.len().min(SHOWN_BYTES)]);
    format!("not JSON at column {column}: expected {}, found {shown}", fault.expected)
}

impl Misfit {
    /// Why a record whose `field` does not fit is rejected.
    #[cold]
    pub(crate) fn explain(self, field: &str, record: &[u8]) -> String {
        let (column, value) = (self.span.start + 1, Value(self.span.of(record)));
        format!("field \"{field}\" at column {column} is {value}; expected {}", self.expected)
    }
}

/// Where `token` stands in its record; nowhere for `null`, which fits everything.
pub(crate) fn span_of(token: Token) -> Span {
    match token {
        Token::Bool(span)
        | Token::Number(span)
        | Token::Plain(span)
        | Token::Escaped(span)
        | Token::Object(span)
        | Token::Array(span) => span,
        Token::Null => Span { start: 0, end: 0 },
    }
}
