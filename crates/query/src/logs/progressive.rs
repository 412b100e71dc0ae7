//! The newest lines that match, piece by piece. A search that no index helps (a part of a word, anywhere) reads
//! everything there is; so what that costs is said before, what is found is given while the rest is looked through, and
//! whoever asks may stop at any piece and go on there later.
//!
//! A piece is a span of event time in which about [`PIECE_BYTES`] are to be read. All of them see the tables at one
//! moment, and each waits for its turn like any other query.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use super::search::{LIMIT_MAX, LogSearch, Range, Scan, last_of, mismatch, scan_range};
use super::timed_table;
use crate::engine::QueryEngine;
use crate::error::QueryError;
use crate::indexes::Cost;
use crate::plan::Session;
use crate::snapshot::{Segment, Snapshot, Table};

/// Bytes of segments that one piece reads, roughly.
const PIECE_BYTES: u64 = 16 << 20;
/// Pieces of one search.
const PIECES_MAX: usize = 10_000;

/// A search on its way.
#[derive(Debug)]
pub struct LogScan {
    snapshot: Arc<Snapshot>,
    table: Table,
    time: String,
    conditions: Vec<Expr>,
    cost: Cost,
    /// Where is still to be looked, the newest first.
    pieces: VecDeque<Range>,
    looked_through: usize,
    /// Lines that are still wanted.
    left: usize,
}

/// What was found in one piece.
#[derive(Clone, Debug)]
pub struct LogPiece {
    /// The lines, the newest first, with all columns of the table.
    pub rows: RecordBatch,
    /// Everything from this event time on, in microseconds, has been looked through.
    pub reached: i64,
    /// Which share of the pieces has been looked through, 0 to 1.
    pub done: f64,
    /// The cursor of the next page, when there are more lines than were wanted.
    pub next: Option<String>,
}

impl QueryEngine {
    /// Plans to look for the newest lines that match; [`LogSearch::before`] is not used.
    ///
    /// # Errors
    /// `UnknownTable`, `NoTime`; and as planning fails.
    pub async fn scan_logs(&self, search: &LogSearch) -> Result<LogScan, QueryError> {
        self.scan_logs_by(search, PIECE_BYTES).await
    }

    /// [`QueryEngine::scan_logs`] with pieces of about `piece_bytes`.
    pub(super) async fn scan_logs_by(&self, search: &LogSearch, piece_bytes: u64) -> Result<LogScan, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let (table, time) = timed_table(&snapshot, &search.table)?;
        let (table, time) = (table.clone(), time.to_owned());
        let conditions = search.filter.conditions(&table.schema)?;
        let range =
            Range { min: search.from.unwrap_or(i64::MIN), max: search.to.map_or(i64::MAX, |to| to.saturating_sub(1)) };
        let (of, column, wanted) = (table.clone(), time.clone(), conditions.clone());
        let make = move |session: &Session| {
            let plan = scan_range(session, &of, &column, wanted, range.min, range.max);
            let plan = plan.and_then(LogicalPlanBuilder::build);
            plan.map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        let cost = self.estimate(&snapshot, make).await?;
        let pieces = pieces(&table, range, &cost, piece_bytes);
        let left = search.limit.clamp(1, LIMIT_MAX);
        Ok(LogScan { snapshot, table, time, conditions, cost, pieces, looked_through: 0, left })
    }
}

impl LogScan {
    /// What will be read at most.
    pub fn cost(&self) -> &Cost {
        &self.cost
    }

    /// What the answer lacks.
    pub fn warnings(&self) -> &[String] {
        &self.snapshot.warnings
    }

    /// Looks through the next piece; `None` when all was looked through or all that was wanted is found.
    ///
    /// # Errors
    /// As queries fail; then there is nothing more.
    pub async fn next(&mut self, engine: &QueryEngine) -> Result<Option<LogPiece>, QueryError> {
        let Some(range) = self.pieces.pop_front().filter(|_| self.left > 0) else { return Ok(None) };
        let scan = Scan {
            engine,
            snapshot: Arc::clone(&self.snapshot),
            table: self.table.clone(),
            time: self.time.clone(),
            conditions: self.conditions.clone(),
        };
        let (rows, more) = match scan.page(range, None, self.left).await {
            Ok(page) => page,
            Err(error) => {
                self.pieces.clear();
                return Err(error);
            }
        };
        self.left -= rows.num_rows();
        // Exactly what was wanted: whether older pieces have more is known only to who looks.
        let ends = more || (self.left == 0 && !self.pieces.is_empty());
        let next = if ends { last_of(&rows, &self.time, None)? } else { None };
        self.looked_through += 1;
        let all = self.looked_through + self.pieces.len();
        let rows = rows.project(&(0..self.table.schema.fields().len()).collect::<Vec<_>>()).map_err(mismatch)?;
        let done = self.looked_through as f64 / all as f64;
        Ok(Some(LogPiece { rows, reached: range.min, done, next: next.map(|cursor| cursor.to_string()) }))
    }
}

/// Spans of time, the newest first, which cover `range` where there are lines.
fn pieces(table: &Table, range: Range, cost: &Cost, piece_bytes: u64) -> VecDeque<Range> {
    let Some((oldest, newest)) = table.time_range() else { return VecDeque::new() };
    let whole = Range { min: range.min.max(oldest), max: range.max.min(newest) };
    if whole.min > whole.max {
        return VecDeque::new();
    }
    // What the index leaves, as a share of what is there.
    let touched =
        |segment: &&Segment| segment.time_range.is_some_and(|(min, max)| min <= whole.max && max >= whole.min);
    let mut segments: Vec<&Segment> = table.segments.iter().filter(touched).collect();
    let there: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let share = if there == 0 { 0.0 } else { (cost.bytes as f64 / there as f64).min(1.0) };
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.time_range));
    let (mut pieces, mut newest, mut bytes) = (VecDeque::new(), whole.max, 0.0);
    for segment in segments {
        bytes += segment.bytes as f64 * share;
        let begins = segment.time_range.map_or(whole.min, |(min, _)| min).max(whole.min);
        if bytes >= piece_bytes as f64 && begins <= newest {
            cut(&mut pieces, Range { min: begins, max: newest }, bytes / piece_bytes as f64);
            (newest, bytes) = (begins.saturating_sub(1), 0.0);
        }
    }
    if newest >= whole.min {
        cut(&mut pieces, Range { min: whole.min, max: newest }, bytes / piece_bytes as f64);
    }
    pieces
}

/// Adds a span in about so many parts.
fn cut(pieces: &mut VecDeque<Range>, range: Range, parts: f64) {
    let room = PIECES_MAX.saturating_sub(pieces.len()).max(1);
    let parts = (parts as usize).clamp(1, room) as i64;
    let length = (range.max.saturating_sub(range.min) / parts).max(1);
    let mut newest = range.max;
    for part in 1..=parts {
        let min = if part == parts { range.min } else { newest.saturating_sub(length).max(range.min) };
        pieces.push_back(Range { min, max: newest });
        if min == range.min {
            return;
        }
        newest = min - 1;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow::datatypes::Schema;

    use super::*;

    fn table(segments: &[(i64, i64, u64)]) -> Table {
        let segment = |&(min, max, mib): &(i64, i64, u64)| Segment {
            path: PathBuf::new(),
            rows: 1,
            bytes: mib << 20,
            time_range: Some((min, max)),
            index: None,
            remote: None,
        };
        Table { segments: segments.iter().map(segment).collect(), ..Table::empty(Arc::new(Schema::empty())) }
    }

    fn cut_up(segments: &[(i64, i64, u64)], range: (i64, i64)) -> Vec<(i64, i64)> {
        let cost = Cost { bytes: segments.iter().map(|(_, _, mib)| mib << 20).sum(), ..Cost::default() };
        let range = Range { min: range.0, max: range.1 };
        pieces(&table(segments), range, &cost, PIECE_BYTES).into_iter().map(|piece| (piece.min, piece.max)).collect()
    }

    #[test]
    fn pieces_cover_every_moment_once_the_newest_first() {
        let all = (i64::MIN, i64::MAX);
        assert_eq!(cut_up(&[], all), []);
        assert_eq!(cut_up(&[(0, 99, 1), (100, 199, 1)], all), [(0, 199)]);
        assert_eq!(cut_up(&[(0, 99, 16), (100, 199, 16)], all), [(100, 199), (0, 99)]);
        assert_eq!(cut_up(&[(0, 99, 16), (50, 199, 16)], all), [(50, 199), (0, 49)]);
        assert_eq!(cut_up(&[(0, 99, 16), (100, 199, 16)], (50, 120)), [(100, 120), (50, 99)]);
        let many = cut_up(&[(0, 999, 160)], all);
        assert_eq!(many.len(), 10);
        assert_eq!((many[0].1, many[9].0), (999, 0));
        assert!(many.windows(2).all(|pair| pair[0].0 == pair[1].1 + 1), "{many:?}");
        assert_eq!(cut_up(&[(7, 7, 160)], all), [(7, 7)], "a moment cannot be cut");
    }
}
