//! The keys by which rows are put in order, of a batch at a time.

use std::cmp::Ordering;

use arrow::row::{OwnedRow, Rows};

/// The place of a row among others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Arrival,
    Time(i64),
    Values(OwnedRow),
}

/// The keys of the rows of a batch.
#[derive(Debug)]
pub(super) enum Keys {
    Arrival,
    Times(Vec<i64>),
    Values(Rows),
}

impl Keys {
    /// That of a row.
    pub(super) fn at(&self, row: usize) -> Key {
        match self {
            Self::Arrival => Key::Arrival,
            Self::Times(times) => Key::Time(times[row]),
            Self::Values(rows) => Key::Values(rows.row(row).owned()),
        }
    }

    /// How a row's key compares with `other`, which is of the same kind.
    pub(super) fn compare(&self, row: usize, other: &Key) -> Ordering {
        match (self, other) {
            (Self::Times(times), Key::Time(other)) => times[row].cmp(other),
            (Self::Values(rows), Key::Values(other)) => rows.row(row).cmp(&other.row()),
            (Self::Arrival | Self::Times(_) | Self::Values(_), _) => Ordering::Equal,
        }
    }

    /// How a row's key compares with that of a row of other keys of the same kind.
    pub(super) fn compare_rows(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        match (self, other) {
            (Self::Times(times), Self::Times(other)) => times[row].cmp(&other[other_row]),
            (Self::Values(rows), Self::Values(other)) => rows.row(row).cmp(&other.row(other_row)),
            (Self::Arrival | Self::Times(_) | Self::Values(_), _) => Ordering::Equal,
        }
    }

    /// The least and the greatest; `None` when there are no rows.
    pub(super) fn ends(&self, rows: usize) -> Option<(Key, Key)> {
        let last = rows.checked_sub(1)?;
        if self.are_sorted() {
            return Some((self.at(0), self.at(last)));
        }
        let keys = || (0..rows).map(|row| self.at(row));
        keys().min().zip(keys().max())
    }

    /// Whether all rows lie in order.
    pub(super) fn are_sorted(&self) -> bool {
        match self {
            Self::Arrival => true,
            Self::Times(times) => times.is_sorted(),
            Self::Values(rows) => rows.iter().is_sorted(),
        }
    }
}
