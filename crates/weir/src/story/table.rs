//! The table form of rows: a line of column names, then a line per row; cells are separated by blanks, a cell that has
//! blanks in it is a JSON string, lines that begin with `#` are comments. Knows nothing of YAML.

use super::cell::Cell;

/// Rows as they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Written>,
    /// Comments, each before the row of this index.
    pub(super) comments: Vec<(usize, String)>,
}

/// A row as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    /// One per column of the table.
    pub(super) cells: Vec<Cell>,
    /// Which line of the text it is, from 0.
    pub(super) line: usize,
}

/// What is wrong with a table, and in which of its lines.
#[derive(Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) line: usize,
    pub(super) message: String,
}

impl Table {
    /// Reads a table.
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let mut table = Self::default();
        for (line, content) in text.lines().enumerate() {
            if content.trim_start().starts_with('#') {
                table.comments.push((table.rows.len(), content.trim().to_owned()));
                continue;
            }
            let cells = words(content).map_err(|message| Flaw { line, message })?;
            if cells.is_empty() {
                continue;
            }
            if table.columns.is_empty() {
                table.columns = cells.into_iter().map(Word::text).collect();
                if let Some(twice) = twice(&table.columns) {
                    return Err(Flaw { line, message: format!("the column `{twice}` is given twice") });
                }
                continue;
            }
            if cells.len() != table.columns.len() {
                let message = format!(
                    "{} where there are {} columns ({}): a cell with blanks in it is in quotes, nothing is `null`",
                    if cells.len() == 1 { "1 cell".to_owned() } else { format!("{} cells", cells.len()) },
                    table.columns.len(),
                    table.columns.join(", ")
                );
                return Err(Flaw { line, message });
            }
            table.rows.push(Written { cells: cells.into_iter().map(Word::cell).collect(), line });
        }
        Ok(table)
    }

    /// The lines of a table with these cells, in columns; a line that is no row stands as it is.
    pub(super) fn aligned(lines: &[Vec<String>]) -> Vec<String> {
        let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let padded = lines.iter().map(|line| {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        padded.collect()
    }
}

fn twice(columns: &[String]) -> Option<&String> {
    columns.iter().enumerate().find(|(index, name)| columns[..*index].contains(name)).map(|(_, name)| name)
}

/// A cell before it is known what it means.
enum Word {
    Bare(String),
    Quoted(String),
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text,
        }
    }

    fn cell(self) -> Cell {
        match self {
            Self::Bare(text) => Cell::plain(&text),
            Self::Quoted(text) => Cell::Quoted(text),
        }
    }
}

fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let text = match texts.next() {
                Some(Ok(text)) => text,
                Some(Err(_)) | None => {
                    return Err(format!("a quote that is not closed, or an escape that JSON does not have: {rest}"));
                }
            };
            let end = texts.byte_offset();
            if !rest[end..].is_empty() && !rest[end..].starts_with(char::is_whitespace) {
                return Err(format!("a blank is missing after {}", &rest[..end]));
            }
            words.push(Word::Quoted(text));
            rest = rest[end..].trim_start();
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word::Bare(rest[..end].to_owned()));
            rest = rest[end..].trim_start();
        }
    }
    Ok(words)
}
