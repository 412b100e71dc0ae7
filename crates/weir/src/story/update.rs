//! Writes what was found into a story's text. Everything else in the text stays as it is, to the byte.

use std::ops::Range;

use weir_pipeline::Document;

use super::cell::{self, Cell};
use super::compare::{Comparison, Pair, columns_of};
use super::play::{Finding, Found};
use super::rows::Row;
use super::scene::Form;
use super::table::Table;

/// The text of the story with what was found in the place of what was expected.
pub(super) fn updated(document: &Document, findings: &[&Finding]) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for finding in findings {
        let keys: Vec<&str> = finding.keys.iter().map(String::as_str).collect();
        edits.extend(edit(document, &keys, &finding.found));
    }
    edits.sort_by_key(|(range, _)| range.start);
    // An alias stands in several places and is written in one.
    edits.dedup_by(|later, earlier| later.0.start < earlier.0.end);
    let mut text = document.text().to_owned();
    for (range, new) in edits.into_iter().rev() {
        text.replace_range(range, &new);
    }
    text
}

fn edit(document: &Document, keys: &[&str], found: &Found) -> Option<(Range<usize>, String)> {
    let slot = Slot::of(document, keys)?;
    let value = match found {
        Found::Value(value) if value.contains(": ") => cell::shown(&value.as_str().into()),
        Found::Value(value) => value.clone(),
        Found::Rows { comparison, .. } if comparison.found().next().is_none() => "none".to_owned(),
        Found::Rows { comparison, form: Form::List, .. } => slot.list(comparison),
        Found::Rows { comparison, .. } if slot.in_flow => slot.list(comparison),
        Found::Rows { comparison, comments, .. } => slot.table(comparison, comments),
    };
    let Some((first, rest)) = value.split_once('\n') else { return Some((slot.range, format!(" {value}"))) };
    // What stands behind the value on its line, a comment, stays there.
    let text = document.text();
    let line_end = text[slot.range.end..].find('\n').map_or(text.len(), |newline| slot.range.end + newline);
    let behind = match slot.comment {
        Some(comment) => comment,
        None => text[slot.range.end..line_end].trim().to_owned(),
    };
    let space = if behind.is_empty() { "" } else { " " };
    let first = if first.is_empty() { String::new() } else { format!(" {first}") };
    let end = if slot.is_block { slot.range.end } else { line_end };
    Some((slot.range.start..end, format!("{first}{space}{behind}\n{rest}")))
}

/// Where a value stands: everything behind the colon of its key.
struct Slot {
    range: Range<usize>,
    /// How far the lines of a block below the key are indented.
    indent: usize,
    /// Whether it stands inside `{}` or `[]`, where there are no blocks.
    in_flow: bool,
    /// Whether it is a block of text.
    is_block: bool,
    /// The comment on the first line of a block.
    comment: Option<String>,
}

impl Slot {
    fn of(document: &Document, keys: &[&str]) -> Option<Self> {
        let (text, place) = (document.text(), document.place(keys)?);
        let line_start = text[..place.key.start].rfind('\n').map_or(0, |newline| newline + 1);
        let colon = place.key.end + text[place.key.end..].find(':')? + 1;
        let before = &text[line_start..place.key.start];
        let in_flow = before.contains(['{', '[']);
        let column = before.chars().count();
        let own = &text[place.value.clone()];
        let is_block = own.starts_with(['|', '>']);
        let end = match (is_block, own.is_empty()) {
            (true, _) => end_of_block(text, place.value.start, column),
            (false, true) => colon,
            (false, false) => place.value.start + own.trim_end().len(),
        };
        let first = is_block.then(|| text[place.value.start..end].lines().skip(1).find(|line| !line.trim().is_empty()));
        let indent = first.flatten().map_or(column + 2, |line| line.len() - line.trim_start().len());
        let header = text[place.value.start..].split('\n').next().filter(|_| is_block);
        let comment =
            header.map(|header| header.find('#').map_or(String::new(), |at| header[at..].trim_end().to_owned()));
        Some(Self { range: colon..end.max(colon), indent, in_flow, is_block, comment })
    }

    fn table(&self, comparison: &Comparison, comments: &[(usize, String)]) -> String {
        let columns = match comparison.pairs.iter().all(|pair| matches!(pair, Pair::Surplus { .. })) {
            true if comments.is_empty() => columns_of(&comparison.found().cloned().collect::<Vec<_>>()),
            _ => comparison.columns.clone(),
        };
        let is_short: Vec<bool> = (0..columns.len()).map(|column| comparison.has_times_of_day(column)).collect();
        let write = |row: &Row, column: usize| {
            let value = row.get(&columns[column]);
            let short = is_short[column].then(|| cell::shown_as_time_of_day(value)).flatten();
            short.unwrap_or_else(|| cell::shown(value))
        };
        let mut lines = vec![columns.clone()];
        let mut origins = Vec::new();
        for (index, pair) in comparison.pairs.iter().enumerate() {
            let new: Option<Vec<String>> = match pair {
                Pair::Same { cells, .. } => Some(cells.iter().map(Cell::shown).collect()),
                Pair::Differs { cells, row, columns: wrong, .. } => {
                    let cell = |(column, cell): (usize, &Cell)| match wrong.contains(&column) {
                        true => write(row, column),
                        false => cell.shown(),
                    };
                    Some(cells.iter().enumerate().map(cell).collect())
                }
                Pair::Surplus { row } => Some((0..columns.len()).map(|column| write(row, column)).collect()),
                Pair::Missing { .. } => None,
            };
            lines.extend(new.inspect(|_| origins.push(index)));
        }
        let aligned = Table::aligned(&lines);
        let margin = " ".repeat(self.indent);
        let mut text = format!("|\n{margin}{}", aligned[0]);
        let mut comments = comments.iter().peekable();
        for (line, origin) in aligned[1..].iter().zip(&origins) {
            while let Some((_, comment)) = comments.next_if(|(before, _)| before <= origin) {
                text.push_str(&format!("\n{margin}{comment}"));
            }
            text.push_str(&format!("\n{margin}{line}"));
        }
        comments.for_each(|(_, comment)| text.push_str(&format!("\n{margin}{comment}")));
        text
    }

    fn list(&self, comparison: &Comparison) -> String {
        let columns = match comparison.columns.is_empty() {
            true => columns_of(&comparison.found().cloned().collect::<Vec<_>>()),
            false => comparison.columns.clone(),
        };
        let map = |row: &Row| {
            let values = columns.iter().filter(|column| !row.get(column).is_null());
            let values = values.map(|column| format!("{}: {}", yaml_key(column), yaml_value(row.get(column))));
            format!("{{ {} }}", values.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = comparison.found().map(map).collect();
        if self.in_flow {
            return format!("[{}]", rows.join(", "));
        }
        let margin = " ".repeat(self.indent);
        rows.iter().map(|row| format!("\n{margin}- {row}")).collect()
    }
}

/// The end of a block whose key stands at `column`: after its last line that is indented further.
fn end_of_block(text: &str, start: usize, column: usize) -> usize {
    let mut end = start + text[start..].find('\n').unwrap_or(text.len() - start);
    let mut at = end;
    while let Some(rest) = text.get(at + 1..).filter(|rest| !rest.is_empty()) {
        let line = rest.split('\n').next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let is_blank = line.trim().is_empty();
        if !is_blank && indent <= column {
            break;
        }
        at += 1 + line.len();
        if !is_blank {
            end = at;
        }
    }
    end
}

fn yaml_key(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) && !name.is_empty();
    if is_bare { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

/// As JSON, which is YAML; words and times without quotes.
fn yaml_value(value: &serde_json::Value) -> String {
    let is_word = |text: &str| {
        text.starts_with(|c: char| c.is_alphabetic())
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
            && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false")
    };
    match value.as_str() {
        Some(text) if is_word(text) || chrono::DateTime::parse_from_rfc3339(text).is_ok() => text.to_owned(),
        Some(_) | None => value.to_string(),
    }
}
