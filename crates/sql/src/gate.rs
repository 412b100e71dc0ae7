//! What an SQL text may be before anything recursive looks at it; understands tokens, not SQL.
//!
//! DataFusion's parser, planner and optimizer recurse over the text: a chain of 5,000 operators keeps the planner busy
//! for minutes, one of 50,000 overflows the stack and ends the process, and nothing can stop a planner on its way. So
//! the size of a text is bounded by counting its tokens, which takes time in proportion to its length.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::parse::position;
use crate::{SqlError, SqlErrorKind};

/// The limits that a text must keep.
///
/// Every token that is not a name, a literal, a comma, a dot, a bracket or the end of a statement counts as an operator,
/// and so do the words that chain (`AND`, `LIKE`, `UNION`, `WHEN`, ...). Commas are counted apart and more generously:
/// a list of values is flat, and the planner's time grows only in proportion to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Bytes of the text.
    pub bytes_max: usize,
    /// Operators, however they are arranged.
    pub operators_max: usize,
    /// Commas: values of an `IN` list, columns of a `SELECT`, arguments.
    pub list_items_max: usize,
    /// Brackets, `CASE`s and prefix operators that are open at once.
    pub nesting_max: usize,
    /// Parts of one dotted name.
    pub name_parts_max: usize,
    /// `JOIN`s and set operations, each of which multiplies the work of the optimizer.
    pub joins_max: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 10,
            operators_max: 400,
            list_items_max: 2_000,
            nesting_max: 50,
            name_parts_max: 16,
            joins_max: 32,
        }
    }
}

const OPERATOR_WORDS: [&str; 19] = [
    "AND", "OR", "XOR", "NOT", "IS", "LIKE", "ILIKE", "SIMILAR", "RLIKE", "REGEXP", "BETWEEN", "IN", "DIV", "COLLATE",
    "AT", "OVER", "WHEN", "OVERLAPS", "EXISTS",
];
const JOIN_WORDS: [&str; 4] = ["JOIN", "UNION", "EXCEPT", "INTERSECT"];

impl Gate {
    /// The tokens of `text` if it keeps all limits.
    ///
    /// # Errors
    /// `TooLong`, `TooComplex`, or `Syntax` when it does not even consist of tokens.
    pub fn check(&self, text: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
        if text.len() > self.bytes_max {
            let message = format!("the SQL text has {} bytes; at most {} are allowed", text.len(), self.bytes_max);
            return Err(SqlError::new(SqlErrorKind::TooLong, message));
        }
        let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().map_err(|error| {
            SqlError::new(SqlErrorKind::Syntax, error.message.to_lowercase()).at(position(text, error.location))
        })?;
        let mut count = Count::default();
        for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
            count.take(&token.token);
            if let Some(message) = count.beyond(self) {
                let column = position(text, token.span.start);
                return Err(SqlError::new(SqlErrorKind::TooComplex, message).at(column));
            }
        }
        Ok(tokens)
    }
}

#[derive(Default)]
struct Count {
    operators: usize,
    list_items: usize,
    nesting: usize,
    joins: usize,
    name_parts: usize,
    /// The last token was a dot: a name goes on.
    after_dot: bool,
}

impl Count {
    fn take(&mut self, token: &Token) {
        let after_dot = std::mem::replace(&mut self.after_dot, *token == Token::Period);
        match token {
            Token::Word(word) if word.quote_style.is_none() => {
                let upper = word.value.to_ascii_uppercase();
                self.operators += usize::from(OPERATOR_WORDS.contains(&upper.as_str()));
                self.joins += usize::from(JOIN_WORDS.contains(&upper.as_str()));
                match upper.as_str() {
                    "CASE" => self.nesting += 1,
                    "END" => self.nesting = self.nesting.saturating_sub(1),
                    _ => {}
                }
                self.name_parts = if after_dot { self.name_parts + 1 } else { 1 };
            }
            Token::Word(_) => self.name_parts = if after_dot { self.name_parts + 1 } else { 1 },
            Token::Period => {}
            Token::Comma => self.list_items += 1,
            Token::LParen | Token::LBrace => self.nesting += 1,
            // a subscript also goes on without nesting: a[1][1][1]
            Token::LBracket => (self.nesting, self.operators) = (self.nesting + 1, self.operators + 1),
            Token::RParen | Token::RBracket | Token::RBrace => self.nesting = self.nesting.saturating_sub(1),
            Token::EOF | Token::SemiColon | Token::Number(..) | Token::Placeholder(_) => {}
            token if is_text(token) => {}
            _ => self.operators += 1,
        }
    }

    fn beyond(&self, gate: &Gate) -> Option<String> {
        let counts = [
            (self.operators, gate.operators_max, "operators"),
            (self.list_items, gate.list_items_max, "list items"),
            (self.nesting, gate.nesting_max, "levels of nesting"),
            (self.name_parts, gate.name_parts_max, "parts in one name"),
            (self.joins, gate.joins_max, "joins and set operations"),
        ];
        let &(_, max, what) = counts.iter().find(|(count, max, _)| count > max)?;
        Some(format!("the SQL text has more than {max} {what}"))
    }
}

pub(crate) fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::TripleDoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::DoubleQuotedByteStringLiteral(_)
            | Token::SingleQuotedRawStringLiteral(_)
            | Token::DoubleQuotedRawStringLiteral(_)
    )
}

#[cfg(test)]
mod tests;
