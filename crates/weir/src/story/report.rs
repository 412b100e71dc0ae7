//! What people and machines read about a story that was played: failures with file and line, rows beside each other.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Told;
use super::cell;
use super::compare::{Comparison, Pair};
use super::play::{Failure, Problem};
use super::table::Table;

/// How many rows of a difference are shown.
const ROWS_SHOWN_MAX: usize = 40;
/// How many rows are shown that two plays do not have in common.
const REPLAY_ROWS_SHOWN_MAX: usize = 5;

/// A story in a line, and its failures with what was expected and found.
pub(super) fn text(file: &str, told: &Told) -> String {
    let mut text = format!("  {}  {}\n", if told.telling.failures.is_empty() { "ok  " } else { "FAIL" }, told.name);
    for failure in &told.telling.failures {
        let _ = writeln!(text, "\n    {file}:{}: {}", failure.line, headline(&failure.problem));
        for line in details(&failure.problem) {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        }
    }
    if !told.telling.failures.is_empty() {
        text.push('\n');
    }
    text
}

/// The same as JSON.
pub(super) fn json(file: &str, told: &Told) -> Value {
    json!({
        "file": file,
        "line": told.line,
        "story": told.name,
        "ok": told.telling.failures.is_empty(),
        "replays": told.telling.replays,
        "failures": told.telling.failures.iter().map(|failure| failure_json(file, failure)).collect::<Vec<_>>(),
    })
}

fn headline(problem: &Problem) -> String {
    match problem {
        Problem::Rows { output, comparison } => match comparison.unknown_column() {
            Some((column, known)) => {
                let nearest = weir_sql::nearest(column, known.iter().copied());
                let hint = nearest.map(|nearest| format!(": did you mean `{nearest}`?")).unwrap_or_default();
                format!("`{output}` has no column `{column}`{hint} There are {}", known.join(", "))
            }
            None => format!("the rows of `{output}` are not as expected"),
        },
        Problem::Count { output, expected, found } => {
            format!("{} in `{output}` where {expected} are expected", rows(found.pairs.len()))
        }
        Problem::Untold { output, found } => format!(
            "{} in `{output}` that no expectation looks at: add `- expect: {{ {output}: ... }}`",
            rows(found.pairs.len())
        ),
        Problem::Value { what, expected, found } => format!("{what} is {found} where {expected} is expected"),
        Problem::Blank { output } => format!("nothing is expected of `{output}` yet: `--update` writes what is found"),
        Problem::Unbalanced { output, balance } => {
            format!("rows on the way to `{output}` are lost or counted twice: {balance}")
        }
        Problem::Trouble { message } | Problem::Unplayable { message } => message.clone(),
        Problem::Replay { how, output, .. } => format!("played {how}, `{output}` is not the same"),
    }
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn details(problem: &Problem) -> Vec<String> {
    match problem {
        Problem::Rows { comparison, .. } => beside(comparison),
        Problem::Count { found, .. } | Problem::Untold { found, .. } => beside(found),
        Problem::Replay { missing, surplus, .. } => {
            let mut lines = vec![String::new()];
            for (sign, rows) in [("-", missing), ("+", surplus)] {
                lines.extend(rows.iter().take(REPLAY_ROWS_SHOWN_MAX).map(|row| format!("  {sign} {row}")));
                if rows.len() > REPLAY_ROWS_SHOWN_MAX {
                    lines.push(format!("  {sign} and {} more", rows.len() - REPLAY_ROWS_SHOWN_MAX));
                }
            }
            lines
        }
        Problem::Value { .. }
        | Problem::Blank { .. }
        | Problem::Unbalanced { .. }
        | Problem::Trouble { .. }
        | Problem::Unplayable { .. } => Vec::new(),
    }
}

/// The rows as a table: what is as expected, what was expected (`-`), what was found (`+`), differing cells marked.
fn beside(comparison: &Comparison) -> Vec<String> {
    let columns = &comparison.columns;
    let mut lines: Vec<(String, Vec<String>)> = vec![(String::new(), columns.clone())];
    let mut marks: Vec<(usize, &[usize])> = Vec::new();
    for pair in comparison.pairs.iter().take(ROWS_SHOWN_MAX) {
        let found = |row: &super::rows::Row| (0..columns.len()).map(|column| comparison.shown(row, column)).collect();
        let expected = |cells: &[cell::Cell]| cells.iter().map(cell::Cell::shown).collect();
        match pair {
            Pair::Same { cells, line, .. } => lines.push((format!("{line}"), expected(cells))),
            Pair::Missing { cells, line } => lines.push((format!("{line} - expected"), expected(cells))),
            Pair::Surplus { row } => lines.push(("+ found".to_owned(), found(row))),
            Pair::Differs { cells, line, row, columns } => {
                lines.push((format!("{line} - expected"), expected(cells)));
                lines.push(("+ found".to_owned(), found(row)));
                marks.push((lines.len() - 1, columns));
            }
        }
    }
    let margin = lines.iter().map(|(margin, _)| margin.len()).max().unwrap_or(0);
    let cells: Vec<Vec<String>> = lines.iter().map(|(_, cells)| cells.clone()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = vec![String::new()];
    for (index, (aligned, (left, cells))) in Table::aligned(&cells).iter().zip(&lines).enumerate() {
        let place = if left.starts_with('+') { format!("{left:>margin$}") } else { format!("{left:margin$}") };
        text.push(format!("  {place}  {aligned}"));
        if let Some((_, wrong)) = marks.iter().find(|(marked, _)| *marked == index) {
            let mark = |column: usize| match wrong.contains(&column) {
                true => "^".repeat(cells[column].chars().count()),
                false => String::new(),
            };
            let marked = widths.iter().enumerate().map(|(column, width)| format!("{:width$}", mark(column)));
            text.push(format!("  {}  {}", " ".repeat(margin), marked.collect::<Vec<_>>().join("  ")));
        }
    }
    if comparison.pairs.len() > ROWS_SHOWN_MAX {
        text.push(format!("  and {} more", comparison.pairs.len() - ROWS_SHOWN_MAX));
    }
    text
}

fn failure_json(file: &str, failure: &Failure) -> Value {
    let mut value = json!({ "file": file, "line": failure.line, "message": headline(&failure.problem) });
    let (kind, more) = match &failure.problem {
        Problem::Rows { output, comparison } => ("rows", json!({ "output": output, "rows": pairs_json(comparison) })),
        Problem::Count { output, expected, found } => {
            ("count", json!({ "output": output, "expected": expected, "rows": pairs_json(found) }))
        }
        Problem::Untold { output, found } => ("untold", json!({ "output": output, "rows": pairs_json(found) })),
        Problem::Value { what, expected, found } => {
            ("value", json!({ "what": what, "expected": expected, "found": found }))
        }
        Problem::Blank { output } => ("blank", json!({ "output": output })),
        Problem::Unbalanced { output, balance } => ("unbalanced", json!({ "output": output, "balance": balance })),
        Problem::Trouble { .. } => ("trouble", json!({})),
        Problem::Unplayable { .. } => ("unplayable", json!({})),
        Problem::Replay { how, output, missing, surplus } => {
            ("replay", json!({ "how": how, "output": output, "missing": missing, "surplus": surplus }))
        }
    };
    value["kind"] = kind.into();
    if let Value::Object(more) = more {
        more.into_iter().for_each(|(key, more)| value[key] = more);
    }
    value
}

fn pairs_json(comparison: &Comparison) -> Vec<Value> {
    let names = &comparison.columns;
    let expected = |cells: &[cell::Cell]| -> Value {
        names.iter().cloned().zip(cells.iter().map(|cell| Value::String(cell.shown()))).collect()
    };
    let pairs = comparison.pairs.iter().map(|pair| match pair {
        Pair::Same { row, line, .. } => json!({ "line": line, "same": row.object() }),
        Pair::Missing { cells, line } => json!({ "line": line, "expected": expected(cells), "found": null }),
        Pair::Surplus { row } => json!({ "expected": null, "found": row.object() }),
        Pair::Differs { cells, line, row, columns } => json!({
            "line": line,
            "expected": expected(cells),
            "found": row.object(),
            "differs": columns.iter().map(|column| &names[*column]).collect::<Vec<_>>(),
        }),
    });
    pairs.collect()
}
