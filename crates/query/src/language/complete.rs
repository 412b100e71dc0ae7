//! What could be written next in a search; asks a table for nothing but its columns.

use arrow::datatypes::Schema;
use serde::Serialize;

use super::cursor::ends_word;
use super::{FUNCTIONS, STAGES};
use crate::encode::type_name;

/// The most candidates that are offered.
pub(crate) const CANDIDATES_MAX: usize = 50;

/// What could be written in the place of the characters from `from` to `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The first character that is replaced, counted from 0.
    pub from: usize,
    /// The character behind the last one that is replaced: where the cursor is.
    pub to: usize,
    /// What could stand there, the likeliest first.
    pub candidates: Vec<Candidate>,
}

/// Something that could be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The text to put in.
    pub text: String,
    /// What it is.
    pub kind: CandidateKind,
    /// What it does or of which type it is, in a few words.
    pub detail: String,
}

/// What a candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// A column of the table.
    Column,
    /// A value of a column.
    Value,
    /// A word of the language.
    Keyword,
    /// A stage.
    Stage,
    /// An aggregate.
    Function,
}

/// What stands before the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// A piece of a condition.
    Condition(String),
    /// A piece of a value of a column.
    Value { column: String, piece: String },
    /// A piece of the name of a stage.
    Stage(String),
    /// A piece of what a stage is given.
    Inside { stage: String, piece: String },
    /// A text in quotes, of which nothing is known.
    Quoted,
}

/// What stands before the cursor at the end of `text`, and how many characters of it are to be replaced.
pub(crate) fn before(text: &str) -> (Before, usize) {
    let mut quoted = false;
    let mut stage_at = None;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '|' if !quoted => stage_at = Some(at + 1),
            _ => {}
        }
    }
    if quoted {
        return (Before::Quoted, 0);
    }
    let piece = text.rsplit(ends_word).next().unwrap_or_default();
    let length = piece.chars().count();
    let inside = stage_at.map(|at| text[at..].trim_start());
    match inside {
        Some(inside) if !inside.contains(ends_word) => return (Before::Stage(inside.to_owned()), length),
        Some(inside) => {
            let stage = inside.split(ends_word).next().unwrap_or_default();
            if stage != "where" {
                return (Before::Inside { stage: stage.to_owned(), piece: piece.to_owned() }, length);
            }
        }
        None => {}
    }
    // level:(error OR wa
    let open = text.rfind('(').filter(|open| !text[*open..].contains(')'));
    let grouped = open.and_then(|open| text[..open].strip_suffix(':')?.rsplit(ends_word).next());
    let unsigned = piece.trim_start_matches('-');
    match (grouped, unsigned.split_once(':')) {
        (Some(column), None) => {
            let column = column.trim_start_matches('-').to_owned();
            (Before::Value { column, piece: piece.to_owned() }, length)
        }
        (_, Some((column, value))) => {
            let value = value.trim_start_matches(['=', '!', '<', '>', '~']);
            let (column, piece) = (column.to_owned(), value.to_owned());
            (Before::Value { column, piece }, value.chars().count())
        }
        (None, None) => (Before::Condition(unsigned.to_owned()), unsigned.chars().count()),
    }
}

/// The candidates that need no look at rows.
pub(crate) fn candidates(before: &Before, schema: &Schema) -> Vec<Candidate> {
    let columns = |piece: &str, behind: &str| {
        let fitting = schema.fields().iter().filter(|field| begins(field.name(), piece));
        let candidate = |text: String, detail: String| Candidate { text, kind: CandidateKind::Column, detail };
        fitting
            .map(|field| candidate(format!("{}{behind}", field.name()), type_name(field.data_type())))
            .collect::<Vec<_>>()
    };
    let mut all = match before {
        Before::Quoted | Before::Value { .. } => Vec::new(),
        Before::Condition(piece) => {
            let words = [("OR", "either"), ("NOT", "the opposite")];
            [columns(piece, ":"), fixed(piece, &words, CandidateKind::Keyword)].concat()
        }
        Before::Stage(piece) => fixed(piece, &STAGES, CandidateKind::Stage),
        Before::Inside { stage, piece } => {
            let keywords: &[(&str, &str)] = match stage.as_str() {
                "count" => &[("by", "groups"), ("as", "a name")],
                "stats" => &[("by", "groups"), ("as", "a name")],
                "timeline" => &[("1m", "a minute"), ("5m", "five minutes"), ("1h", "an hour"), ("by", "groups")],
                "sort" => &[("desc", "the largest first")],
                "top" => &[("10", "ten values")],
                "limit" => &[("100", "a hundred rows")],
                _ => &[],
            };
            let functions = if stage == "stats" { &FUNCTIONS[..] } else { &[] };
            let named = if stage == "limit" { Vec::new() } else { columns(piece, "") };
            let functions = fixed(piece, functions, CandidateKind::Function);
            [functions, fixed(piece, keywords, CandidateKind::Keyword), named].concat()
        }
    };
    all.truncate(CANDIDATES_MAX);
    all
}

fn fixed(piece: &str, words: &[(&str, &str)], kind: CandidateKind) -> Vec<Candidate> {
    let fitting = words.iter().filter(|(word, _)| begins(word, piece));
    fitting.map(|(word, detail)| Candidate { text: (*word).to_owned(), kind, detail: (*detail).to_owned() }).collect()
}

/// Whether `name` begins with `piece`, ignoring case.
fn begins(name: &str, piece: &str) -> bool {
    let mut name = name.chars().flat_map(char::to_lowercase);
    piece.chars().flat_map(char::to_lowercase).all(|c| name.next() == Some(c))
}

/// `value` as it is written behind a colon.
pub(crate) fn written(value: &str) -> String {
    let plain =
        !value.is_empty() && !value.contains(ends_word) && !value.contains(['*', '\\']) && !value.contains("..");
    let plain = plain && !value.starts_with(['=', '!', '<', '>', '~']);
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}
