//! In which order rows are written: by time or by chosen columns, and equal ones as they came. Rows without a value come last.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::encode::Encoding;
use super::keys::Keys;
use crate::SortKey;

/// What the rows of a segment are sorted by.
#[derive(Debug)]
pub(super) enum SortedBy {
    /// They stay as they came.
    Arrival,
    /// The column of event times.
    Time(String),
    /// The values of columns.
    Columns(Vec<String>, RowConverter),
}

/// The batch and the row in it, for each row to write.
pub(super) type Places = Vec<(usize, usize)>;

impl SortedBy {
    /// What rows of this encoding are sorted by.
    pub(super) fn of(encoding: &Encoding) -> SeamResult<Self> {
        let is_there = |name: &&String| encoding.schema.fields().find(name).is_some();
        match (&encoding.settings.sort, encoding.time_column.as_ref().filter(is_there)) {
            (SortKey::Time, Some(time)) => Ok(Self::Time(time.clone())),
            (SortKey::Columns(names), _) => Self::columns(encoding, names),
            (SortKey::Time | SortKey::Arrival, _) => Ok(Self::Arrival),
        }
    }

    /// By the values of columns; those that have no order are left out.
    fn columns(encoding: &Encoding, names: &[String]) -> SeamResult<Self> {
        let fields = names.iter().filter_map(|name| encoding.schema.fields().find(name)).map(|(_, field)| field);
        let fields = fields.filter_map(|field| Some((field.name().clone(), sort_field(field.data_type())?)));
        let (names, fields): (Vec<String>, Vec<SortField>) = fields.unzip();
        if names.is_empty() {
            return Ok(Self::Arrival);
        }
        Ok(Self::Columns(names, RowConverter::new(fields).map_err(unordered)?))
    }

    /// The columns whose values decide.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Arrival => &[],
            Self::Time(name) => std::slice::from_ref(name),
            Self::Columns(names, _) => names,
        }
    }

    /// The keys of the rows of `batch`, which has those columns.
    pub(super) fn keys(&self, batch: &RecordBatch) -> SeamResult<Keys> {
        let column = |name: &String| batch.column_by_name(name).expect("a batch has the columns that decide");
        match self {
            Self::Arrival => Ok(Keys::Arrival),
            Self::Time(name) => {
                let times = column(name).as_primitive::<TimestampMicrosecondType>();
                let key = |row| if times.is_null(row) { i64::MAX } else { times.value(row) };
                Ok(Keys::Times((0..times.len()).map(key).collect()))
            }
            Self::Columns(names, converter) => {
                let columns: Vec<_> = names.iter().map(|name| column(name).clone()).collect();
                converter.convert_columns(&columns).map(Keys::Values).map_err(unordered)
            }
        }
    }

    /// Where the rows of `batches` are in their order; `None` when they already lie in it.
    pub(super) fn order(&self, batches: &[RecordBatch]) -> SeamResult<Option<Places>> {
        match self {
            Self::Arrival => Ok(None),
            Self::Time(name) => Ok(by_time(batches, name)),
            Self::Columns(_, _) => {
                let keys = batches.iter().map(|batch| self.keys(batch)).collect::<SeamResult<Vec<_>>>()?;
                let compare = |one: &(usize, usize), next: &(usize, usize)| {
                    keys[one.0].compare_rows(one.1, &keys[next.0], next.1)
                };
                let rows = batches.iter().map(RecordBatch::num_rows).enumerate();
                let mut places: Places = rows.flat_map(|(at, rows)| (0..rows).map(move |row| (at, row))).collect();
                if places.is_sorted_by(|one, next| compare(one, next).is_le()) {
                    return Ok(None);
                }
                places.sort_by(compare);
                Ok(Some(places))
            }
        }
    }
}

/// The order by the timestamps of a column.
pub(super) fn by_time(batches: &[RecordBatch], time: &str) -> Option<Places> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut keys: Vec<(i64, u32, u32)> = Vec::with_capacity(rows);
    for (index, batch) in batches.iter().enumerate() {
        let times = batch.column_by_name(time)?.as_primitive::<TimestampMicrosecondType>();
        let value = |row| if times.is_null(row) { i64::MAX } else { times.value(row) };
        keys.extend((0..times.len()).map(|row| (value(row), index as u32, row as u32)));
    }
    if keys.is_sorted() {
        return None;
    }
    // The stable sort is the faster one here: logs come nearly sorted, and it makes use of the runs.
    keys.sort();
    Some(keys.into_iter().map(|(_, batch, row)| (batch as usize, row as usize)).collect())
}

/// Smallest and largest timestamp of column `time`; `None` when no row has one.
pub(super) fn time_range(batches: &[RecordBatch], time: Option<usize>) -> Option<(i64, i64)> {
    let range = |batch: &RecordBatch| {
        let times = batch.column(time?).as_primitive::<TimestampMicrosecondType>();
        arrow::compute::min(times).zip(arrow::compute::max(times))
    };
    batches.iter().filter_map(range).reduce(|(low, high), (min, max)| (low.min(min), high.max(max)))
}

/// How values of this type are sorted; `None` when they have no order.
fn sort_field(of: &DataType) -> Option<SortField> {
    let options = SortOptions { descending: false, nulls_first: false };
    let field = SortField::new_with_options(of.clone(), options);
    RowConverter::supports_fields(std::slice::from_ref(&field)).then_some(field)
}

pub(super) fn unordered(error: ArrowError) -> SeamError {
    SeamError::caused(ErrorKind::Closed, "cannot put rows in order", error)
}
