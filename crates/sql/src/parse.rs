//! From a text to the tree of one scalar expression; resolves no names and checks no types.

mod words;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use crate::{Gate, SqlError, SqlErrorKind};

/// The expression that `text` is, all of it.
pub(crate) fn parse_expression(text: &str) -> Result<Expr, SqlError> {
    let mut tokens = Gate::default().check(text)?;
    let suspect = words::make_names(&mut tokens).map(|at| tokens[at].clone());
    parse_tokens(text, tokens).map_err(|error| match suspect {
        Some(word) if error.kind == SqlErrorKind::Syntax => {
            let hint = format!("\"{}\" is a word of SQL: if it is a column, write it in double quotes", word.token);
            SqlError { hint: Some(hint), column: position(text, word.span.start), ..error }
        }
        _ => error,
    })
}

/// The expression that `tokens`, which are those of `text`, are.
fn parse_tokens(text: &str, tokens: Vec<TokenWithSpan>) -> Result<Expr, SqlError> {
    if !tokens.iter().any(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
        return Err(SqlError::new(SqlErrorKind::Syntax, "the expression is empty"));
    }
    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(Gate::default().nesting_max * 2)
        .with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(|error| syntax_error(&error, text))?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(expression),
        unexpected => Err(SqlError::new(SqlErrorKind::Syntax, format!("unexpected \"{unexpected}\""))
            .at(position(text, rest.span.start))
            .hint("one expression ends before it; join conditions with AND or OR, and quote odd names with \"...\"")),
    }
}

/// A parser's complaint about `text`; it has the place only inside of the sentence.
pub fn syntax_error(error: &ParserError, text: &str) -> SqlError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            return SqlError::new(SqlErrorKind::TooComplex, "the SQL text is nested too deeply");
        }
    };
    let (sentence, column) = match message.rsplit_once(" at Line: ") {
        Some((sentence, place)) => (sentence, location(place).and_then(|location| position(text, location))),
        None => (message.as_str(), None),
    };
    let sentence = match sentence.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) {
        Some((expected, "EOF")) => format!("the text ends where {expected} is expected"),
        Some((expected, found)) => format!("expected {expected}, found \"{found}\""),
        None => sentence.to_owned(),
    };
    SqlError::new(SqlErrorKind::Syntax, sentence).at(column)
}

/// Reads `1, Column: 5`.
fn location(place: &str) -> Option<Location> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// A line and column, both from 1, as a count of characters from 1; `None` for the location of nothing.
pub(crate) fn position(text: &str, location: Location) -> Option<usize> {
    let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
    let before: usize = text.split('\n').take(line).map(|line| line.chars().count() + 1).sum();
    Some(before + usize::try_from(location.column).ok()?)
}
