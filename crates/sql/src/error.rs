//! What is wrong with a text, where, and what would be right; decides nothing about what the caller does then.

use datafusion::error::DataFusionError;
use weir_model::{ErrorKind, SeamError};

/// What kind of thing is wrong with an SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlErrorKind {
    /// It is not SQL.
    Syntax,
    /// It has more bytes than the [`crate::Gate`] lets through.
    TooLong,
    /// It has more operators, list items or nesting than the [`crate::Gate`] lets through.
    TooComplex,
    /// It names a column that is ambiguous.
    UnknownColumn,
    /// It calls a function that does not exist.
    UnknownFunction,
    /// The types of its parts do not fit together.
    Type,
    /// It is SQL, but not what may be written here.
    NotAllowed,
}

impl SqlErrorKind {
    /// The kind as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "sql_syntax",
            Self::TooLong => "too_long",
            Self::TooComplex => "too_complex",
            Self::UnknownColumn => "unknown_column",
            Self::UnknownFunction => "unknown_function",
            Self::Type => "type_mismatch",
            Self::NotAllowed => "not_allowed",
        }
    }
}

/// Why a text is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct SqlError {
    /// What kind of thing is wrong.
    pub kind: SqlErrorKind,
    /// Where in the text: characters from 1, newlines counted as one; `None` when it concerns the whole.
    pub column: Option<usize>,
    /// What is wrong, with what offended.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl SqlError {
    pub(crate) fn new(kind: SqlErrorKind, message: impl Into<String>) -> Self {
        Self { kind, column: None, message: message.into(), hint: None }
    }

    pub(crate) fn at(mut self, column: impl Into<Option<usize>>) -> Self {
        self.column = column.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What DataFusion says about `text`, in the form of our own errors.
pub fn planning_error(error: &DataFusionError, text: &str) -> SqlError {
    let message = error.strip_backtrace();
    let message = strip_labels(&message);
    let (message, hint) = match message.split_once("Did you mean '") {
        Some((message, rest)) => (message.trim_end(), rest.split_once('\'').map(|(name, _)| name)),
        None => (message, None),
    };
    let function = message.strip_prefix("Invalid function '").and_then(|rest| rest.split_once('\''));
    let mut error = match function {
        Some((name, _)) => SqlError::new(SqlErrorKind::UnknownFunction, format!("there is no function \"{name}\""))
            .at(position_of_word(text, name)),
        None => SqlError::new(SqlErrorKind::Type, lower_first(message.lines().next().unwrap_or(message))),
    };
    error.hint = hint.map(|name| format!("did you mean \"{name}\"?"));
    error
}

impl From<SqlError> for SeamError {
    /// Always `Config`; the [`SqlError`] is its cause, so that the column survives.
    fn from(error: SqlError) -> Self {
        let place = error.column.map(|column| format!(" at column {column}")).unwrap_or_default();
        Self::caused(ErrorKind::Config, format!("{error}{place}"), error)
    }
}

/// How many edits a name may be away to be offered as what was meant, as a share of its length.
const NEAREST_SIMILARITY_MIN: f64 = 0.6;

/// The candidate nearest to `name`, ignoring case, if any is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        let lower = candidate.to_lowercase();
        let similarity = strsim::normalized_damerau_levenshtein(&name, &lower);
        (if lower.starts_with(&name) && name.len() >= 3 { similarity.max(0.7) } else { similarity }, candidate)
    });
    scored
        .filter(|(similarity, _)| *similarity >= NEAREST_SIMILARITY_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

fn strip_labels(mut message: &str) -> &str {
    const LABELS: [&str; 7] = [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "type_coercion\ncaused by\n",
    ];
    while let Some(rest) = LABELS.iter().find_map(|label| message.strip_prefix(label)) {
        message = rest;
    }
    message
}

fn lower_first(message: &str) -> String {
    let mut characters = message.trim_end_matches('.').chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// Where `word` stands in `text` as a whole word, ignoring case: characters from 1.
pub fn position_of_word(text: &str, word: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (text, word): (Vec<char>, Vec<char>) =
        (text.to_lowercase().chars().collect(), word.to_lowercase().chars().collect());
    (0..text.len().checked_sub(word.len())? + 1)
        .find(|&at| {
            text[at..at + word.len()] == word[..]
                && (at == 0 || !is_word(text[at - 1]))
                && text.get(at + word.len()).is_none_or(|&next| !is_word(next))
        })
        .map(|at| at + 1)
}
