//! The metrics of the tables in the store, asked for at every scrape. It knows the figures, not the store.

use std::fmt::{self, Error};
use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::write::{Labels, gauge};

/// The figures of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMeasure {
    /// Its name.
    pub name: String,
    /// Rows in committed segments.
    pub rows: u64,
    /// Bytes of committed segments.
    pub bytes: u64,
    /// How many segments those are.
    pub segments: u64,
    /// Rows that are visible in memory and not yet in a segment.
    pub fresh_rows: u64,
    /// How many segments wait to be merged with others.
    pub compaction_debt_segments: u64,
}

type Measure = Box<dyn Fn() -> Vec<TableMeasure> + Send + Sync>;

#[derive(Default)]
pub(super) struct Tables(OnceLock<Measure>);

impl Tables {
    /// The first to be set is kept.
    pub(super) fn watch(&self, measure: Measure) {
        let _kept = self.0.set(measure);
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

impl Collector for Tables {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let tables = self.0.get().map(|measure| measure()).unwrap_or_default();
        let to = &mut to;
        let each = |value: fn(&TableMeasure) -> u64| -> Vec<(Labels<'_>, f64)> {
            tables.iter().map(|table| (vec![("table", table.name.as_str())], value(table) as f64)).collect()
        };
        gauge(to, "table_rows", "Rows in committed segments", each(|t| t.rows))?;
        gauge(to, "table_size_bytes", "Bytes of committed segments", each(|t| t.bytes))?;
        gauge(to, "table_segments", "Committed segments", each(|t| t.segments))?;
        gauge(to, "table_fresh_rows", "Rows visible in memory and not yet in a segment", each(|t| t.fresh_rows))?;
        let debt = each(|t| t.compaction_debt_segments);
        gauge(to, "table_compaction_debt_segments", "Segments that wait to be merged with others", debt)
    }
}
