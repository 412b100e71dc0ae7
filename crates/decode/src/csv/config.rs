//! `format: { csv: ... }` as people write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Zone;
use crate::config::WrongSchema;

/// Comma-separated values (RFC 4180): a record is a line, or several where a value in quotes has line ends in it.
///
/// Every value is text, unless the source's `schema` declares another type for its column, or the pipeline needs a number, a
/// truth value or a time: then a value that is none sends its record to the dead letters. So does a record with another number of
/// values than there are columns. Spaces belong to the values. Times are as in `json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsvConfig {
    /// What the columns are called, in their order.
    #[schemars(extend("examples" = [["ts", "host", "status"]]))]
    pub columns: Vec<String>,
    /// Whether there are lines that name the columns. One that is exactly `columns` is passed over, wherever it stands: in the
    /// first line of a file, in files that were put together, in a record of a topic of its own or before the values in it.
    pub header: bool,
    /// What stands between values; one byte.
    pub delimiter: char,
    /// What stands around values that hold the delimiter, line ends, or (doubled) itself; one byte.
    pub quote: char,
    /// What a missing value looks like when it has no quotes around it. Default: nothing at all.
    pub null: String,
    /// The offset from UTC of times that carry none, such as `+02:00`. Default: `UTC`.
    pub zone: Zone,
}

impl Default for CsvConfig {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            header: false,
            delimiter: ',',
            quote: '"',
            null: String::new(),
            zone: Zone::default(),
        }
    }
}

/// No more columns than this.
const COLUMNS_MAX: usize = 1_000;

impl CsvConfig {
    /// What makes no sense.
    pub(crate) fn check(&self) -> Result<(), WrongSchema> {
        let wrong = |key: &str, reason: String| Err(WrongSchema { key: format!("csv.{key}"), reason });
        if self.columns.is_empty() {
            return wrong("columns", "csv does not know what its columns are; add columns: [...]".to_owned());
        }
        if self.columns.len() > COLUMNS_MAX {
            return wrong("columns", format!("{} columns are more than {COLUMNS_MAX}", self.columns.len()));
        }
        for (index, name) in self.columns.iter().enumerate() {
            if name.is_empty() || self.columns[..index].contains(name) {
                return wrong("columns", format!("\"{name}\" is no name, or there twice"));
            }
        }
        for (key, byte) in [("delimiter", self.delimiter), ("quote", self.quote)] {
            if !byte.is_ascii() || matches!(byte, '\r' | '\n') {
                return wrong(key, format!("{byte:?} is not one byte that may stand in a line"));
            }
        }
        if self.delimiter == self.quote {
            return wrong("delimiter", "the delimiter and the quote are the same".to_owned());
        }
        Ok(())
    }
}
