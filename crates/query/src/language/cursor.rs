//! A place in the text of a search, and the small things that can be read there.

use crate::error::{Place, QueryError, QueryErrorCode};

/// What ends a word.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '|' | '"' | ',')
}

/// Whether a column can be written without quotes.
pub(super) fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    characters: Vec<char>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, characters: text.chars().collect(), at: 0 }
    }

    /// The next character, counted from 1.
    pub(super) fn nth(&self) -> usize {
        self.at + 1
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    pub(super) fn peek_after(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes `expected` if it comes next.
    pub(super) fn take(&mut self, expected: &str) -> bool {
        let comes = expected.chars().enumerate().all(|(ahead, c)| self.peek_after(ahead) == Some(c));
        if comes {
            self.at += expected.chars().count();
        }
        comes
    }

    /// Takes `keyword` if it comes next as a whole word.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let length = keyword.chars().count();
        let whole = self.peek_after(length).is_none_or(ends_word);
        whole && self.take(keyword)
    }

    /// The characters that come next as long as `wanted` holds.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let from = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.characters[from..self.at].iter().collect()
    }

    /// A text in double quotes, of which the first comes next. `\"` and `\\` are what they are escaped for.
    pub(super) fn quoted(&mut self) -> Result<String, QueryError> {
        let opened = self.nth();
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error(opened, "the quote is not closed").hint("write \" at its end")),
                Some('"') => break,
                Some('\\') if matches!(self.peek_after(1), Some('"' | '\\')) => {
                    text.extend(self.peek_after(1));
                    self.at += 2;
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(text)
    }

    /// A step back to `nth`, where reading was before.
    pub(super) fn back_to(&mut self, nth: usize) {
        self.at = nth - 1;
    }

    pub(super) fn error(&self, nth: usize, message: impl Into<String>) -> QueryError {
        error_at(self.text, nth, QueryErrorCode::SearchSyntax, message)
    }
}

/// An error about the character `nth` of `text`.
pub(super) fn error_at(text: &str, nth: usize, code: QueryErrorCode, message: impl Into<String>) -> QueryError {
    QueryError { place: Some(Place::of(text, nth)), ..QueryError::new(code, message) }
}
