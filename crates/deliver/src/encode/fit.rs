//! Whether values fit a schema: what is written, or where and why it cannot be. Knows no format.

use arrow::array::ArrayRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::values;

/// Why a value does not fit: where, from the inside out, and what.
#[derive(Debug)]
pub(super) struct Misfit {
    path: Vec<String>,
    what: String,
}

/// Whether a value was written.
pub(super) type Fit = Result<(), Box<Misfit>>;

/// How the values of one column are written; found once per batch.
pub(super) type Write<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Fit + 'a>;

/// Each of so many rows as it is written, or why it does not fit.
pub(super) fn each_row(rows: usize, write: &Write<'_>) -> Vec<Result<Vec<u8>, String>> {
    let one = |row| {
        let mut out = Vec::new();
        write(row, &mut out).map(|()| out).map_err(|misfit| misfit.explain())
    };
    (0..rows).map(one).collect()
}

#[cold]
pub(super) fn misfit(what: impl Into<String>) -> Box<Misfit> {
    Box::new(Misfit { path: Vec::new(), what: what.into() })
}

impl Misfit {
    /// The same, inside of `part`.
    pub(super) fn inside(mut self: Box<Self>, part: impl Into<String>) -> Box<Self> {
        self.path.push(part.into());
        self
    }

    /// In words.
    pub(super) fn explain(&self) -> String {
        let mut path = String::new();
        for part in self.path.iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        if path.is_empty() { self.what.clone() } else { format!("column \"{path}\": {}", self.what) }
    }
}

/// Why no value of a column can fit, inside of `name`.
pub(super) fn inside(name: &str, reason: &str) -> String {
    match reason.strip_prefix("column \"") {
        Some(rest) => format!("column \"{name}.{rest}"),
        None => format!("column \"{name}\": {reason}"),
    }
}

/// What gives the text of a value: text as it is, bytes and nested values not at all, everything else as it is shown.
pub(super) fn shown(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> String + '_>> {
    if let Some(text) = values::text(array) {
        return Some(Box::new(move |row| text(row).to_owned()));
    }
    if array.data_type().is_nested() || values::bytes(array).is_some() {
        return None;
    }
    let formatter = ArrayFormatter::try_new(array, &FormatOptions::new()).ok()?;
    Some(Box::new(move |row| formatter.value(row).to_string()))
}
