//! The members of one object after the other, for those who do not know beforehand what they look for. Keeps nothing.

use std::borrow::Cow;

use super::escape::unescape;
use super::scan::{Fault, Scanner, Span, Token};

/// Calls `visit` with every member of the object that `record` is. What is nested is one token.
pub(crate) fn members<'a>(record: &'a [u8], visit: impl FnMut(Cow<'a, [u8]>, Token)) -> Result<(), Fault> {
    let mut scanner = Scanner::new(record, 0);
    scanner.skip_space();
    walk(&mut scanner, visit)?;
    scanner.finish()
}

/// The same for an object inside `record`, which is known to be right.
pub(crate) fn members_of<'a>(record: &'a [u8], object: Span, visit: impl FnMut(Cow<'a, [u8]>, Token)) {
    let result = walk(&mut Scanner::new(record, object.start as usize), visit);
    debug_assert!(result.is_ok(), "an object that was walked over is right");
}

/// Calls `visit` with every element of an array inside `record`, which is known to be right.
pub(crate) fn elements_of(record: &[u8], array: Span, mut visit: impl FnMut(Token)) {
    let mut scanner = Scanner::new(record, array.start as usize + 1);
    scanner.skip_space();
    if scanner.peek() == Some(b']') {
        return;
    }
    while let Ok(token) = scanner.value(1) {
        visit(token);
        if !matches!(scanner.comma_or(b']', "\",\" or \"]\""), Ok(true)) {
            return;
        }
    }
}

fn walk<'a>(scanner: &mut Scanner<'a>, mut visit: impl FnMut(Cow<'a, [u8]>, Token)) -> Result<(), Fault> {
    scanner.take(b'{', "a JSON object")?;
    scanner.skip_space();
    if scanner.peek() == Some(b'}') {
        scanner.advance(1);
        return Ok(());
    }
    loop {
        let key = scanner.key()?;
        let value = scanner.value(1)?;
        if let Some(key) = text(scanner.record(), key) {
            visit(key, value);
        }
        if !scanner.comma_or(b'}', "\",\" or \"}\"")? {
            return Ok(());
        }
    }
}

/// The text of a string.
pub(crate) fn text(record: &[u8], token: Token) -> Option<Cow<'_, [u8]>> {
    match token {
        Token::Plain(span) => Some(Cow::Borrowed(span.of(record))),
        Token::Escaped(span) => {
            let mut out = Vec::with_capacity(span.len() as usize);
            unescape(span.of(record), &mut out);
            Some(Cow::Owned(out))
        }
        Token::Null | Token::Bool(_) | Token::Number(_) | Token::Object(_) | Token::Array(_) => None,
    }
}

/// The text of a string, or of a number or truth value as it is written.
pub(crate) fn scalar(record: &[u8], token: Token) -> Option<Cow<'_, [u8]>> {
    match token {
        Token::Number(span) | Token::Bool(span) => Some(Cow::Borrowed(span.of(record))),
        other => text(record, other),
    }
}
