//! The short language of searches: what is looked for, and what is made of it. Knows no tables; runs nothing.
//!
//! ```text
//! level:error app:etl "OutOfMemory" -debug took:>=500 | count by host | sort count desc | limit 10
//! ```
//!
//! ```text
//! search    = [ condition ] { "|" stage }
//! condition = all { "OR" all }                     all = one { [ "AND" ] one }
//! one       = ( "NOT" | "-" ) one | "(" condition ")" | column ":" test | word | "quoted text"
//! test      = value | "(" value { [ "OR" ] value } ")" | ( "=" | "!=" | ">" | ">=" | "<" | "<=" ) value
//!           | value ".." value | "~" regex | "*"
//! stage     = "where" condition | "count" [ "as" name ] [ by ] | "stats" call { "," call } [ by ]
//!           | "timeline" duration [ by ] | "top" number column | "sort" column [ "desc" ] { "," ... }
//!           | "limit" number | "fields" column { "," column }
//! by        = "by" column { "," column }
//! call      = function "(" [ column ] ")" [ "as" name ]
//! ```
//!
//! A word is a part of the message, ignoring case; `*` in it is anything. A value is the whole of a column, ignoring
//! case, unless `=` asks for exactly it.

mod complete;
mod condition;
mod cursor;
mod parse;
mod stages;
#[cfg(test)]
mod tests;

pub(crate) use complete::{Before, CANDIDATES_MAX, before, candidates, written};
pub use complete::{Candidate, CandidateKind, Completion};
pub(crate) use condition::{column_named, matches};
pub(crate) use stages::apply;

use crate::error::QueryError;

/// The longest search, in bytes.
const SEARCH_BYTES_MAX: usize = 8 << 10;
/// The most conditions of a search.
const CONDITIONS_MAX: usize = 200;
/// How deep conditions may be nested.
const NESTING_MAX: usize = 32;
/// The most stages of a search.
const STAGES_MAX: usize = 20;
/// The most rows that `limit` and `top` may ask for.
const ROWS_MAX: u64 = 1_000_000;
/// The largest regular expression, compiled, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A search, read from its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The text, for errors about columns, which only a table can tell.
    text: String,
    pub(crate) condition: Condition,
    pub(crate) stages: Vec<Stage>,
}

impl Search {
    /// Reads `text`. The empty text finds everything.
    ///
    /// # Errors
    /// `SearchSyntax`, with the place and what could stand there; `TooLong`, `TooComplex`.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::search(text)
    }

    /// Whether it makes something of the rows, rather than only finding them.
    pub fn has_stages(&self) -> bool {
        !self.stages.is_empty()
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Something and where it stands: the character of the text, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) what: T,
    pub(crate) nth: usize,
}

/// Which rows are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    #[default]
    Everything,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// Somewhere in the message.
    Text(Word),
    Column(At<String>, Test),
}

/// A word as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: At<String>,
    /// In quotes nothing is special.
    pub(crate) quoted: bool,
}

/// What a column has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// Not null.
    Exists,
    /// One of these, ignoring case.
    OneOf(Vec<Word>),
    Compared(Comparison, Word),
    /// From the first to the second, both included.
    Between(Word, Word),
    /// A regular expression finds something in it.
    Matches(At<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What is made of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Where(Condition),
    Stats {
        calls: Vec<Call>,
        by: Vec<At<String>>,
    },
    /// Counts per span of time, in microseconds.
    Timeline {
        every: i64,
        by: Vec<At<String>>,
        nth: usize,
    },
    Top(u64, At<String>),
    Sort(Vec<(At<String>, Direction)>),
    Limit(u64),
    Fields(Vec<At<String>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// An aggregate: `p95(took) as slow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) column: Option<At<String>>,
    pub(crate) name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    Distinct,
    Sum,
    Avg,
    Min,
    Max,
    /// A percentile, in tenths of a percent: 999 is `p99.9`.
    Percentile(u16),
}

/// The stages by name, and what they do; for errors and completion.
pub(crate) const STAGES: [(&str, &str); 8] = [
    ("where", "keep rows: where took:>500"),
    ("count", "how many: count by host"),
    ("stats", "aggregates: stats p95(took), max(took) by app"),
    ("timeline", "how many over time: timeline 5m by level"),
    ("top", "the most frequent values: top 10 host"),
    ("sort", "order: sort count desc"),
    ("limit", "the first rows: limit 100"),
    ("fields", "only these columns: fields ts, message"),
];

/// The functions of `stats` by name, and what they give; for errors and completion. `pNN` stands for any percentile.
pub(crate) const FUNCTIONS: [(&str, &str); 8] = [
    ("count", "how many rows, or values of a column"),
    ("distinct", "how many different values"),
    ("sum", "the sum"),
    ("avg", "the mean"),
    ("min", "the smallest"),
    ("max", "the largest"),
    ("p95", "a percentile, about: p50, p95, p99.9"),
    ("p50", "the median, about"),
];
