//! What the page of log lines asks: the newest lines that match, page by page, and how many there are over time.
//!
//! Built from DataFusion's expressions, never from pasted SQL: what people type into a search box is data.

mod context;
mod cursor;
mod filter;
mod histogram;
mod patterns;
mod progressive;
mod row_key;
mod search;
mod staged;

pub use context::{LogContext, LogSurroundings};
pub use filter::{LogFilter, RowFilter};
pub(crate) use filter::{escaped, is_text, message_like};
pub use histogram::{Histogram, LogHistogram, Series};
pub use patterns::{LogPattern, LogPatternList, LogPatterns};
pub use progressive::{LogPiece, LogScan};
pub use search::{LogPage, LogSearch};
pub use staged::StagedSearch;

use crate::error::{QueryError, QueryErrorCode};
use crate::snapshot::{Snapshot, Table};
use crate::statement::find_table;

/// The table called `name` and its column of event times.
fn timed_table<'a>(snapshot: &'a Snapshot, name: &str) -> Result<(&'a Table, &'a str), QueryError> {
    let table = find_table(name, snapshot, "")?;
    let column = table.time_column.as_deref().ok_or_else(|| {
        QueryError::new(QueryErrorCode::NoTime, format!("the table {name} has no column of event times"))
            .hint("query it with SQL")
    })?;
    Ok((table, column))
}

#[cfg(test)]
mod tests;
