//! Why a query has no answer, in words for the person who wrote it; retries nothing.

use std::any::Any;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use weir_model::SeamError;
use weir_sql::{SqlError, SqlErrorKind, nearest};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorCode {
    /// The text is not SQL.
    SqlSyntax,
    /// The text is no search.
    SearchSyntax,
    /// There is no such table.
    UnknownTable,
    /// There is no such column.
    UnknownColumn,
    /// There is no such function.
    UnknownFunction,
    /// The text is SQL, but means nothing: types that do not fit, a column that is not grouped by.
    InvalidQuery,
    /// The text has too many bytes.
    TooLong,
    /// The text has too many operators or levels, or stands for too much work.
    TooComplex,
    /// The statement would change something.
    ReadOnly,
    /// The time is over.
    Timeout,
    /// The memory is used up.
    Memory,
    /// More rows are asked for than may be.
    TooManyRows,
    /// Too many queries are running.
    Busy,
    /// A file of a table is damaged or missing.
    CorruptSegment,
    /// A value cannot be computed: a division by zero, a cast that fails.
    Failed,
    /// The table has no column of event times.
    NoTime,
    /// An option of the request is wrong: a cursor, a range.
    InvalidRequest,
    /// Our mistake.
    Internal,
}

impl QueryErrorCode {
    /// The code as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SqlSyntax => "sql_syntax",
            Self::SearchSyntax => "search_syntax",
            Self::UnknownTable => "unknown_table",
            Self::UnknownColumn => "unknown_column",
            Self::UnknownFunction => "unknown_function",
            Self::InvalidQuery => "invalid_query",
            Self::TooLong => "too_long",
            Self::TooComplex => "too_complex",
            Self::ReadOnly => "read_only",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::TooManyRows => "too_many_rows",
            Self::Busy => "busy",
            Self::CorruptSegment => "corrupt_segment",
            Self::Failed => "failed",
            Self::NoTime => "no_time",
            Self::InvalidRequest => "invalid_request",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that says the same.
    pub fn http_status(self) -> u16 {
        match self {
            Self::UnknownTable => 404,
            Self::TooLong => 413,
            Self::Busy => 503,
            Self::Timeout => 504,
            Self::Memory => 507,
            Self::CorruptSegment | Self::Internal => 500,
            Self::SqlSyntax
            | Self::SearchSyntax
            | Self::UnknownColumn
            | Self::UnknownFunction
            | Self::InvalidQuery
            | Self::TooComplex
            | Self::ReadOnly
            | Self::TooManyRows
            | Self::Failed
            | Self::NoTime
            | Self::InvalidRequest => 400,
        }
    }
}

/// A place in an SQL text, both from 1; `column` counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of the `nth` character of `text`, counted from 1.
    pub(crate) fn of(text: &str, nth: usize) -> Self {
        let before: Vec<char> = text.chars().take(nth.saturating_sub(1)).collect();
        let line_start = before.iter().rposition(|&c| c == '\n').map_or(0, |at| at + 1);
        Self { line: before.iter().filter(|&&c| c == '\n').count() + 1, column: before.len() - line_start + 1 }
    }
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}{}", place_text(*.place), hint_text(.hint))]
pub struct QueryError {
    /// What kind of thing went wrong.
    pub code: QueryErrorCode,
    /// What went wrong, with what offended; lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Where in the text, if it is known.
    pub place: Option<Place>,
}

fn place_text(place: Option<Place>) -> String {
    place.map(|Place { line, column }| format!(" at line {line}, column {column}")).unwrap_or_default()
}

fn hint_text(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
}

impl QueryError {
    pub(crate) fn new(code: QueryErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, place: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at the first occurrence of `word` in `sql`.
    pub(crate) fn at_word(mut self, sql: &str, word: &str) -> Self {
        self.place = position_of_word(sql, word).map(|nth| Place::of(sql, nth));
        self
    }

    pub(crate) fn from_gate(error: SqlError, sql: &str) -> Self {
        let code = match error.kind {
            SqlErrorKind::Syntax => QueryErrorCode::SqlSyntax,
            SqlErrorKind::TooLong => QueryErrorCode::TooLong,
            SqlErrorKind::TooComplex => QueryErrorCode::TooComplex,
            SqlErrorKind::UnknownColumn => QueryErrorCode::UnknownColumn,
            SqlErrorKind::UnknownFunction => QueryErrorCode::UnknownFunction,
            SqlErrorKind::Type => QueryErrorCode::InvalidQuery,
            SqlErrorKind::NotAllowed => QueryErrorCode::ReadOnly,
        };
        let place = error.column.map(|column| Place::of(sql, column));
        Self { code, message: error.message, hint: error.hint, place }
    }

    /// What DataFusion says about `sql`.
    pub(crate) fn from_datafusion(error: &DataFusionError, sql: &str) -> Self {
        // It comes as an error of memory, of a file or of Arrow, by who found out.
        if error.to_string().contains(SPILLED_TOO_MUCH) {
            let message = "the disk that queries may take for what does not fit into memory is used up";
            return Self::new(QueryErrorCode::Memory, message)
                .hint("narrow the time range, group by less, or add a LIMIT");
        }
        match error.find_root() {
            DataFusionError::SchemaError(schema, _) => Self::from_schema(schema, sql),
            DataFusionError::ResourcesExhausted(message) => {
                let message = message.lines().next().unwrap_or(message);
                Self::new(QueryErrorCode::Memory, format!("the memory for queries is used up: {message}"))
                    .hint("narrow the time range, group by less, or add a LIMIT")
            }
            DataFusionError::SQL(error, _) => Self::from_gate(weir_sql::syntax_error(error, sql), sql),
            DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
                Self::new(QueryErrorCode::CorruptSegment, one_line(&error.strip_backtrace()))
            }
            DataFusionError::Internal(message) => Self::new(QueryErrorCode::Internal, one_line(message)),
            DataFusionError::Execution(_) | DataFusionError::ArrowError(..) | DataFusionError::External(_) => {
                let error = weir_sql::planning_error(error, sql);
                Self::new(QueryErrorCode::Failed, format!("the query cannot be computed: {}", error.message))
            }
            _ => {
                let mut error = Self::from_gate(weir_sql::planning_error(error, sql), sql);
                if error.message.contains("not found in catalog") || error.message.starts_with("table '") {
                    error.code = QueryErrorCode::UnknownTable;
                }
                error
            }
        }
    }

    fn from_schema(error: &SchemaError, sql: &str) -> Self {
        let SchemaError::FieldNotFound { field, valid_fields } = error else {
            return Self::new(QueryErrorCode::InvalidQuery, one_line(&error.to_string()));
        };
        let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
        let message = match names.is_empty() {
            true => format!("there is no column \"{}\" here", field.name),
            false => format!("there is no column \"{}\"; there are {}", field.name, listed(&names)),
        };
        let error = Self::new(QueryErrorCode::UnknownColumn, message).at_word(sql, &field.name);
        match nearest(&field.name, names) {
            Some(name) => error.hint(format!("did you mean \"{name}\"?")),
            None => error,
        }
    }

    pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Self::new(QueryErrorCode::Internal, format!("the query failed inside: {}", one_line(&text)))
    }

    pub(crate) fn timeout(after: std::time::Duration) -> Self {
        Self::new(QueryErrorCode::Timeout, format!("the query took longer than {} s", after.as_secs_f64()))
            .hint("narrow the time range, add conditions or a LIMIT")
    }
}

impl From<SeamError> for QueryError {
    fn from(error: SeamError) -> Self {
        let code = match error.kind {
            weir_model::ErrorKind::Corrupt => QueryErrorCode::CorruptSegment,
            weir_model::ErrorKind::Retry => QueryErrorCode::Busy,
            weir_model::ErrorKind::Unknown | weir_model::ErrorKind::Config | weir_model::ErrorKind::Closed => {
                QueryErrorCode::Internal
            }
        };
        Self::new(code, error.full())
    }
}

/// What DataFusion says when a query has spilled more than all may.
const SPILLED_TOO_MUCH: &str = "used disk space during the spilling process has exceeded";

/// How many names an error lists.
const NAMES_LISTED_MAX: usize = 20;

pub(crate) fn listed(names: &[&str]) -> String {
    let mut listed = names.iter().take(NAMES_LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_LISTED_MAX {
        listed.push_str(&format!(" and {} more", names.len() - NAMES_LISTED_MAX));
    }
    listed
}

fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

fn position_of_word(text: &str, word: &str) -> Option<usize> {
    weir_sql::position_of_word(text, word)
}

#[cfg(test)]
mod tests;
