//! What the owners of a table choose about it, as the catalog keeps it: how long rows stay, in which order they lie, what is
//! looked up and summed up beforehand. Applies nothing of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tiers::Place;

/// In which order the rows of a segment lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    /// By the time column, then as they came. Without a time column: as they came.
    #[default]
    Time,
    /// As they came.
    Arrival,
    /// By these columns, each from its least value to its greatest and null at last, then as they came. One that a segment
    /// does not have counts as null everywhere.
    Columns(Vec<String>),
}

/// What of the texts of a segment is looked up before its rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// Words, whole values and parts of texts, in at most 16% of the segment's size.
    #[default]
    Tokens,
    /// The same for every column of texts, with more bits for each word and without a limit of size.
    Full,
    /// Nothing.
    None,
}

/// How long rows stay, in microseconds behind their event time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttl {
    /// Of rows of which `of_values` says nothing; `None` for as long as the table is there.
    pub rows_us: Option<i64>,
    /// The column whose values tell rows apart.
    pub by: Option<String>,
    /// Of rows with these values, in lower case.
    pub of_values: BTreeMap<String, i64>,
}

/// Sums that are made with every segment, of a table's own choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupSettings {
    /// The spans of event time, in microseconds.
    pub every_us: i64,
    /// The columns whose values are told apart.
    pub by: Vec<String>,
    /// The columns whose numbers are summed up.
    pub measures: Vec<String>,
}

/// Everything that is chosen about a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableSettings {
    /// How long rows stay.
    pub ttl: Ttl,
    /// The order of rows in a segment.
    pub sort: SortKey,
    /// What is looked up.
    pub index: IndexKind,
    /// What is summed up beside what always is.
    pub rollups: Vec<RollupSettings>,
    /// Where old rows lie.
    pub tiers: Vec<TierSettings>,
}

/// Where rows lie that are old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierSettings {
    /// How old all rows of a segment are, in microseconds behind their event time.
    pub after_us: i64,
    /// Where they go.
    pub place: Place,
}

impl Ttl {
    /// The lengths of time that rows stay, each once.
    pub(crate) fn lengths(&self) -> Vec<i64> {
        let mut lengths: Vec<i64> = self.rows_us.into_iter().chain(self.of_values.values().copied()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// After how long every row has gone; `None` when some stay.
    pub(crate) fn longest(&self) -> Option<i64> {
        let rows = self.rows_us?;
        Some(self.of_values.values().copied().fold(rows, i64::max))
    }
}
