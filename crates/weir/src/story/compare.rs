//! Whether the rows that were found are those that were expected, and which belongs to which. Order does not matter.

use super::cell::{self, Cell};
use super::rows::Row;
use super::table::Table;

/// Rows that were expected beside those that were found.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) columns: Vec<String>,
    pub(super) pairs: Vec<Pair>,
}

/// One line of a comparison.
#[derive(Clone, Debug)]
pub(super) enum Pair {
    /// Found as expected.
    Same { cells: Vec<Cell>, line: usize, row: Row },
    /// Probably the same row, with these columns (by index) not as expected.
    Differs { cells: Vec<Cell>, line: usize, row: Row, columns: Vec<usize> },
    /// Expected, and nothing like it found.
    Missing { cells: Vec<Cell>, line: usize },
    /// Found, and nothing like it expected.
    Surplus { row: Row },
}

impl Comparison {
    /// Pairs each expected row with one that was found: first those that agree, then those that agree most.
    pub(super) fn new(wanted: &Table, found: Vec<Row>) -> Self {
        if wanted.columns.is_empty() {
            return Self::surplus(found);
        }
        let columns = wanted.columns.clone();
        let differing = |cells: &[Cell], row: &Row| -> Vec<usize> {
            let wrong =
                columns.iter().zip(cells).enumerate().filter(|(_, (column, cell))| !cell.agrees(row.get(column)));
            wrong.map(|(index, _)| index).collect()
        };
        let mut found: Vec<Option<Row>> = found.into_iter().map(Some).collect();
        let mut partners: Vec<Option<(Row, Vec<usize>)>> = vec![None; wanted.rows.len()];
        // At first no cell may differ, then one, and so on; at the end at least one has to agree.
        for wrong_max in 0..columns.len().max(1) {
            for (written, partner) in wanted.rows.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
                let fits = |row: &Row| {
                    let wrong = differing(&written.cells, row);
                    (wrong.len() <= wrong_max).then_some(wrong)
                };
                let fit = found.iter_mut().find_map(|slot| slot.as_ref().and_then(fits).map(|wrong| (slot, wrong)));
                *partner = fit.and_then(|(slot, wrong)| Some((slot.take()?, wrong)));
            }
        }
        // What alone is left on both sides belongs together, however different it is.
        let mut alone = partners.iter_mut().zip(&wanted.rows).filter(|(partner, _)| partner.is_none());
        let mut left = found.iter_mut().filter(|slot| slot.is_some());
        if let (Some((partner, written)), None, Some(slot), None) =
            (alone.next(), alone.next(), left.next(), left.next())
        {
            *partner = slot.take().map(|row| {
                let wrong = differing(&written.cells, &row);
                (row, wrong)
            });
        }
        let expected = wanted.rows.iter().zip(partners).map(|(written, partner)| {
            let (cells, line) = (written.cells.clone(), written.line);
            match partner {
                Some((row, columns)) if columns.is_empty() => Pair::Same { cells, line, row },
                Some((row, columns)) => Pair::Differs { cells, line, row, columns },
                None => Pair::Missing { cells, line },
            }
        });
        let mut pairs: Vec<Pair> = expected.collect();
        pairs.extend(found.into_iter().flatten().map(|row| Pair::Surplus { row }));
        Self { columns, pairs }
    }

    /// Rows that nobody expected.
    pub(super) fn surplus(found: Vec<Row>) -> Self {
        let columns = columns_of(&found);
        Self { columns, pairs: found.into_iter().map(|row| Pair::Surplus { row }).collect() }
    }

    /// Whether everything is as expected.
    pub(super) fn holds(&self) -> bool {
        self.pairs.iter().all(|pair| matches!(pair, Pair::Same { .. }))
    }

    /// The rows that were found.
    pub(super) fn found(&self) -> impl Iterator<Item = &Row> {
        self.pairs.iter().filter_map(|pair| match pair {
            Pair::Same { row, .. } | Pair::Differs { row, .. } | Pair::Surplus { row } => Some(row),
            Pair::Missing { .. } => None,
        })
    }

    /// An expected column that no row has that was found.
    pub(super) fn unknown_column(&self) -> Option<(&str, Vec<&str>)> {
        let mut known: Vec<&str> = self.found().flat_map(Row::columns).map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let unknown = self.columns.iter().find(|column| !known.contains(&column.as_str()))?;
        (!known.is_empty()).then_some((unknown.as_str(), known))
    }

    /// Whether the story writes times of the column of this index without the day.
    pub(super) fn has_times_of_day(&self, column: usize) -> bool {
        self.pairs.iter().any(|pair| match pair {
            Pair::Same { cells, .. } | Pair::Differs { cells, .. } | Pair::Missing { cells, .. } => {
                cells.get(column).is_some_and(Cell::is_time_of_day)
            }
            Pair::Surplus { .. } => false,
        })
    }

    /// A value that was found, as the story would write it in the column of this index.
    pub(super) fn shown(&self, row: &Row, column: usize) -> String {
        let value = row.get(&self.columns[column]);
        let short = self.has_times_of_day(column).then(|| cell::shown_as_time_of_day(value)).flatten();
        short.unwrap_or_else(|| cell::shown(value))
    }

    /// The line of the first row that is not as expected, if it is written.
    pub(super) fn first_line(&self) -> Option<usize> {
        self.pairs.iter().find_map(|pair| match pair {
            Pair::Differs { line, .. } | Pair::Missing { line, .. } => Some(*line),
            Pair::Same { .. } | Pair::Surplus { .. } => None,
        })
    }
}

/// The columns of rows for people: what identifies a row to machines only is left out.
pub(super) fn columns_of(rows: &[Row]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for row in rows {
        let new = row.columns().iter().filter(|name| !columns.contains(name) && *name != "row_id");
        columns.extend(new.cloned().collect::<Vec<_>>());
    }
    columns.retain(|column| rows.iter().any(|row| !row.get(column).is_null()));
    columns
}
