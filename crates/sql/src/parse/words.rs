//! Which words of an expression name columns, although SQL means something else by them: `user`, `date`, `order`, `end`.
//! Looks at tokens and at no schema; what stays a word of SQL is the parser's.
//!
//! A word is where a value is expected, or where an operator is. In the first place, followed by what follows a value (an
//! operator, a comma, the end), it can only be a value: `date > x`, where `date '2026-01-01'` and `date(x)` go on
//! otherwise. What is never taken for a name is [`RESERVED`]: a typing error is not to become a column that is not there.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::gate::is_text;

/// Words that are never names unless they are quoted.
const RESERVED: [Keyword; 24] = [
    Keyword::AND,
    Keyword::BETWEEN,
    Keyword::CURRENT_DATE,
    Keyword::CURRENT_TIME,
    Keyword::CURRENT_TIMESTAMP,
    Keyword::ELSE,
    Keyword::FALSE,
    Keyword::FROM,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::LOCALTIME,
    Keyword::LOCALTIMESTAMP,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OR,
    Keyword::RLIKE,
    Keyword::SELECT,
    Keyword::SIMILAR,
    Keyword::THEN,
    Keyword::TRUE,
    Keyword::WHEN,
    Keyword::XOR,
];

/// Words that an expression follows, which may begin with a sign.
const BEFORE_EXPRESSIONS: [Keyword; 8] = [
    Keyword::ALL,
    Keyword::BY,
    Keyword::CASE,
    Keyword::DISTINCT,
    Keyword::FOR,
    Keyword::INTERVAL,
    Keyword::USING,
    Keyword::WHERE,
];

/// Words where an operator is expected that a value follows.
const INFIX: [Keyword; 21] = [
    Keyword::AND,
    Keyword::BETWEEN,
    Keyword::COLLATE,
    Keyword::DIV,
    Keyword::ELSE,
    Keyword::ESCAPE,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::LIKE,
    Keyword::OR,
    Keyword::OVERLAPS,
    Keyword::PLACING,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::THEN,
    Keyword::TO,
    Keyword::WHEN,
    Keyword::XOR,
    Keyword::ZONE,
];

/// Words that follow a value, besides `NOT`.
const AFTER_VALUES: [Keyword; 20] = [
    Keyword::AND,
    Keyword::AS,
    Keyword::AT,
    Keyword::BETWEEN,
    Keyword::COLLATE,
    Keyword::DIV,
    Keyword::ELSE,
    Keyword::END,
    Keyword::ESCAPE,
    Keyword::ILIKE,
    Keyword::IN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::OR,
    Keyword::REGEXP,
    Keyword::RLIKE,
    Keyword::SIMILAR,
    Keyword::THEN,
    Keyword::WHEN,
    Keyword::XOR,
];

/// Functions that SQL writes without parentheses, and that say nothing about a row: only ever names here.
const NO_FUNCTIONS: [Keyword; 5] =
    [Keyword::CURRENT_CATALOG, Keyword::CURRENT_ROLE, Keyword::CURRENT_USER, Keyword::SESSION_USER, Keyword::USER];

/// What is expected next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    Operator,
    /// The name of a type, after `AS` and `::`.
    Type,
}

/// Makes names of the words among `tokens` that can only be names, and returns the index of the first word that stands
/// where a name could but is [`RESERVED`].
pub(super) fn make_names(tokens: &mut [TokenWithSpan]) -> Option<usize> {
    let is_space = |token: &Token| matches!(token, Token::Whitespace(_) | Token::EOF);
    let places: Vec<usize> = (0..tokens.len()).filter(|place| !is_space(&tokens[*place].token)).collect();
    let mut expected = Expected::Value;
    let mut suspect = None;
    for (at, place) in places.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &tokens[places[before]].token);
        let rest = Rest { tokens, places: &places[at + 1..] };
        let is_child = before == Some(&Token::Period);
        let word = keyword(&tokens[*place].token);
        let (then, is_name) = match (word, expected) {
            (Some(word), _) if is_child => {
                (Expected::Operator, rest.token() != Some(&Token::LParen) && !is_literal(word))
            }
            (Some(word), Expected::Value) => of_value(word, rest),
            (Some(word), Expected::Operator) => (of_operator(word), false),
            (Some(_), Expected::Type) => (Expected::Operator, false),
            (None, _) => (after(&tokens[*place].token), false),
        };
        if !is_name && expected == Expected::Value && word.is_some_and(|word| is_suspect(word, rest)) {
            suspect = suspect.or(Some(*place));
        }
        expected = then;
        if is_name && let Token::Word(word) = &mut tokens[*place].token {
            word.keyword = Keyword::NoKeyword;
        }
    }
    suspect
}

/// The tokens that follow one, without space.
#[derive(Clone, Copy)]
struct Rest<'a> {
    tokens: &'a [TokenWithSpan],
    places: &'a [usize],
}

impl<'a> Rest<'a> {
    fn token(self) -> Option<&'a Token> {
        self.places.first().map(|place| &self.tokens[*place].token)
    }

    fn second(self) -> Option<&'a Token> {
        self.places.get(1).map(|place| &self.tokens[*place].token)
    }

    /// Whether what follows follows a value.
    fn follows_a_value(self) -> bool {
        match self.token() {
            None => true,
            Some(token) if is_text(token) => false,
            Some(token) => match keyword(token) {
                Some(Keyword::NOT) => self.second().and_then(keyword).is_some_and(|word| AFTER_VALUES.contains(&word)),
                Some(word) => AFTER_VALUES.contains(&word),
                None => {
                    !matches!(token, Token::Word(_) | Token::LParen | Token::LBrace | Token::Tilde | Token::SemiColon)
                }
            },
        }
    }
}

/// What a word is where a value is expected: what is expected after it, and whether it is a name.
fn of_value(word: Keyword, rest: Rest<'_>) -> (Expected, bool) {
    if is_literal(word) || is_clock(word) {
        return (Expected::Operator, false);
    }
    if NO_FUNCTIONS.contains(&word) && rest.token() != Some(&Token::LParen) {
        return (Expected::Operator, true);
    }
    let is_name = !RESERVED.contains(&word)
        && rest.follows_a_value()
        && match (word, rest.token()) {
            (Keyword::ARRAY, Some(Token::LBracket)) => false,
            (Keyword::CASE, Some(token)) if keyword(token) == Some(Keyword::WHEN) => false,
            (word, Some(Token::Plus | Token::Minus)) => !BEFORE_EXPRESSIONS.contains(&word),
            _ => true,
        };
    (if is_name { Expected::Operator } else { Expected::Value }, is_name)
}

/// What is expected after a word where an operator was.
fn of_operator(word: Keyword) -> Expected {
    match word {
        Keyword::AS => Expected::Type,
        word if INFIX.contains(&word) => Expected::Value,
        // `IS` among them: what follows it is no value, but for `y` in `x IS DISTINCT FROM y`.
        _ => Expected::Operator,
    }
}

/// What is expected after a token that is no word of SQL.
fn after(token: &Token) -> Expected {
    match token {
        Token::DoubleColon => Expected::Type,
        Token::Word(_) | Token::Number(..) | Token::Placeholder(_) => Expected::Operator,
        Token::RParen | Token::RBracket | Token::RBrace => Expected::Operator,
        token if is_text(token) => Expected::Operator,
        _ => Expected::Value,
    }
}

/// Whether somebody may have meant a column by a word that is none.
fn is_suspect(word: Keyword, rest: Rest<'_>) -> bool {
    !is_literal(word) && rest.follows_a_value() && (RESERVED.contains(&word) || BEFORE_EXPRESSIONS.contains(&word))
}

fn is_literal(word: Keyword) -> bool {
    matches!(word, Keyword::NULL | Keyword::TRUE | Keyword::FALSE)
}

/// Whether a word alone is a function that asks a clock; it is refused later, with what to do instead.
fn is_clock(word: Keyword) -> bool {
    use Keyword::{CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP, LOCALTIME, LOCALTIMESTAMP};
    matches!(word, CURRENT_DATE | CURRENT_TIME | CURRENT_TIMESTAMP | LOCALTIME | LOCALTIMESTAMP)
}

/// The word of SQL that a token is, unless it is quoted or none.
fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() && word.keyword != Keyword::NoKeyword => Some(word.keyword),
        _ => None,
    }
}
