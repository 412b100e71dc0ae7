//! Sums over the rows of a segment, made with it: how many rows there are per span of event time and value, and what their
//! numbers are like. A question that they answer reads no rows. Knows no questions.
//!
//! A segment never changes, so its rollups are exact for as long as it is part of its table: late rows come in segments
//! of their own, deleted rows take their segment with them. They are part of the index file, and lost and made again with it.
//!
//! Without being asked for, a segment with event times has
//! - per minute, `service` and `level`: rows; of the first two columns of floats: count, sum, least, greatest, and a sketch of
//!   quantiles ([`Sketch`], within 1%);
//! - the same per minute alone: a question that tells nothing apart reads one group per minute and not some hundred;
//! - per 15 minutes and value of every other column of texts with few values: rows.
//!
//! A table may have more of its own choice ([`RollupSettings`](crate::RollupSettings)), by texts, whole numbers and truths, of
//! floats and whole numbers (which have no sketches). They come first when room is short.
//!
//! # Layout, inside of the index file
//! ```text
//! bytes of the list u32 | list (JSON: [`Listed`] *) | Arrow IPC streams, each compressed with zstd
//! ```
//! Offsets count from the end of the list; each stream has its XXH3-64 in the list, the list has its own in the header of
//! the file. Sketches are streams of their own, with the rows in the same order.

mod build;
mod file;
mod measure;
#[cfg(test)]
mod tests;
mod values;

use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

use crate::RollupSettings;
pub use weir_engine::Sketch;

pub(crate) use build::Builder;
pub(crate) use file::{Blob, Listed, decode, encode, parse_list};

/// The column of a rollup's spans: when they begin; null for rows without a time.
pub const BUCKET: &str = "#bucket";
/// The column of a rollup's numbers of rows.
pub const ROWS: &str = "#rows";

const MINUTE_US: i64 = 60_000_000;
const QUARTER_US: i64 = 15 * MINUTE_US;
/// By what the rows of each minute are counted, where a table has such columns.
const MINUTE_BY: [&str; 2] = ["service", "level"];
/// Columns of numbers that are summed up.
const MEASURES: usize = 2;
/// Columns whose values are counted.
const VALUE_COLUMNS_MAX: usize = 16;
/// A column with more different values in a segment is left alone.
const VALUES_MAX: usize = 4_096;
/// A rollup of more groups in a segment is given up: they, and above all their sketches, are in memory while it is written.
const GROUPS_MAX: usize = 1 << 16;
/// The most bytes of all rollups of a segment, in percent of its size; the largest are left out.
const SHARE_MAX_PERCENT: u64 = 5;
/// The same of those that the table's owners chose.
const OWN_SHARE_MAX_PERCENT: u64 = 50;
/// A stream that becomes larger is damage.
const STREAM_BYTES_MAX: u64 = 256 << 20;

/// What is summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// The spans of event time, in microseconds; they begin at multiples of it.
    pub every_us: i64,
    /// The column of event times.
    pub time: String,
    /// The columns whose values are told apart.
    pub by: Vec<String>,
    /// The columns whose numbers are summed up.
    pub measures: Vec<String>,
}

impl Rollup {
    /// What the rows of a table with these columns are summed up by, and whether its owners chose it.
    pub(crate) fn of(schema: &Schema, time: &str, own: &[RollupSettings]) -> Vec<(Self, bool)> {
        let is =
            |name: &str, kind: &DataType| schema.field_with_name(name).is_ok_and(|field| field.data_type() == kind);
        let with = |every_us, by, measures| Self { every_us, time: time.to_owned(), by, measures };
        let named = |kind: DataType| {
            schema.fields().iter().filter(move |field| *field.data_type() == kind).map(|field| field.name().clone())
        };
        let by: Vec<String> =
            MINUTE_BY.into_iter().filter(|name| is(name, &DataType::Utf8View)).map(ToOwned::to_owned).collect();
        let values = named(DataType::Utf8View).filter(|name| !by.contains(name)).take(VALUE_COLUMNS_MAX);
        let mut always: Vec<Self> = values.map(|name| with(QUARTER_US, vec![name], Vec::new())).collect();
        let measures: Vec<String> = named(DataType::Float64).take(MEASURES).collect();
        if !by.is_empty() {
            always.insert(0, with(MINUTE_US, Vec::new(), measures.clone()));
        }
        always.insert(0, with(MINUTE_US, by, measures));
        let own: Vec<Self> = own.iter().map(|own| with(own.every_us, own.by.clone(), own.measures.clone())).collect();
        // One of the same groups that knows less would be of no use.
        let knows = |own: &Self, other: &Self| {
            own.every_us == other.every_us
                && own.by == other.by
                && other.measures.iter().all(|measure| own.measures.contains(measure))
        };
        always.retain(|other| !own.iter().any(|own| knows(own, other)));
        own.into_iter().map(|own| (own, true)).chain(always.into_iter().map(|other| (other, false))).collect()
    }
}

/// The column of how many numbers of `measure` there are.
pub fn count_column(measure: &str) -> String {
    format!("#count {measure}")
}

/// The column of their sums.
pub fn sum_column(measure: &str) -> String {
    format!("#sum {measure}")
}

/// The column of the least of them.
pub fn min_column(measure: &str) -> String {
    format!("#min {measure}")
}

/// The column of the greatest of them.
pub fn max_column(measure: &str) -> String {
    format!("#max {measure}")
}

/// The column of their sketches.
pub fn sketch_column(measure: &str) -> String {
    format!("#sketch {measure}")
}
