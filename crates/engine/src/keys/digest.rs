//! Keys as 128-bit digests, for operators that remember very many of them and never have to show them again.
//!
//! Equal values have equal digests whatever column type carries them: text is text in any encoding, a whole number is the
//! same key as an integer or a float. That two different keys get the same digest (XXH3, 128 bits) is expected once in
//! 10^18 sets of 10 million keys.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The digest of a combination of key values.
pub(crate) type Digest = u128;

/// The digest of each row's keys; `None` where one of them is null.
///
/// # Errors
/// When a column is of a type that cannot be a key.
pub(crate) fn digests(columns: &[ArrayRef], rows: usize) -> Result<Vec<Option<Digest>>, String> {
    let columns = columns.iter().map(Values::of).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let digest = |row| {
        bytes.clear();
        columns.iter().all(|values| values.write(row, &mut bytes)).then(|| xxh3_128(&bytes))
    };
    Ok((0..rows).map(digest).collect())
}

/// A hash of each row's keys, null being a value like any other: of equal keys the same, in every run, on every machine.
///
/// # Errors
/// When a column is of a type that cannot be a key.
pub(crate) fn key_hashes(columns: &[ArrayRef], rows: usize) -> Result<Vec<u64>, String> {
    let columns = columns.iter().map(Values::of).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let hash = |row| {
        bytes.clear();
        for values in &columns {
            if !values.write(row, &mut bytes) {
                bytes.push(0);
            }
        }
        xxh3_64(&bytes)
    };
    Ok((0..rows).map(hash).collect())
}

/// A key column in one of the few forms that keys are compared in.
enum Values {
    Null,
    Text(StringArray),
    View(StringViewArray),
    Integers(Int64Array),
    Floats(Float64Array),
    Booleans(BooleanArray),
    /// Microseconds.
    Instants(Int64Array),
}

impl Values {
    fn of(array: &ArrayRef) -> Result<Self, String> {
        let failed = |error: arrow::error::ArrowError| error.to_string();
        let integers = |array: &ArrayRef| cast(array, &DataType::Int64).map(|array| array.as_primitive().clone());
        let values = match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Utf8 => Self::Text(array.as_string().clone()),
            DataType::Utf8View => Self::View(array.as_string_view().clone()),
            DataType::LargeUtf8 => Self::Text(cast(array, &DataType::Utf8).map_err(failed)?.as_string().clone()),
            DataType::Dictionary(_, values) => return Self::of(&cast(array, values).map_err(failed)?),
            DataType::Boolean => Self::Booleans(array.as_boolean().clone()),
            data_type if data_type.is_integer() => Self::Integers(integers(array).map_err(failed)?),
            data_type if data_type.is_floating() => {
                Self::Floats(cast(array, &DataType::Float64).map_err(failed)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Timestamp(_, zone) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                let micros = cast(array, &micros).map_err(failed)?;
                Self::Instants(integers(&micros).map_err(failed)?)
            }
            DataType::Date32 | DataType::Date64 => {
                let days = cast(array, &DataType::Date32).and_then(|days| cast(&days, &DataType::Int32));
                Self::Instants(integers(&days.map_err(failed)?).map_err(failed)?)
            }
            other => {
                return Err(format!("a value of type {other} cannot be a key; text, numbers, booleans and times can"));
            }
        };
        let (before, after) = (array.logical_null_count(), values.nulls(array.len()));
        if before == after {
            Ok(values)
        } else {
            Err(format!("a key of type {} does not fit 64 bits", array.data_type()))
        }
    }

    fn nulls(&self, rows: usize) -> usize {
        match self {
            Self::Null => rows,
            Self::Text(values) => values.null_count(),
            Self::View(values) => values.null_count(),
            Self::Integers(values) | Self::Instants(values) => values.null_count(),
            Self::Floats(values) => values.null_count(),
            Self::Booleans(values) => values.null_count(),
        }
    }

    /// Appends bytes that stand for the value of a row, and says whether there is one.
    fn write(&self, row: usize, bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::Null => return false,
            Self::Text(values) if values.is_valid(row) => write_text(values.value(row), bytes),
            Self::View(values) if values.is_valid(row) => write_text(values.value(row), bytes),
            Self::Integers(values) if values.is_valid(row) => write_word(2, values.value(row), bytes),
            Self::Instants(values) if values.is_valid(row) => write_word(3, values.value(row), bytes),
            Self::Floats(values) if values.is_valid(row) => write_float(values.value(row), bytes),
            Self::Booleans(values) if values.is_valid(row) => write_word(5, i64::from(values.value(row)), bytes),
            Self::Text(_)
            | Self::View(_)
            | Self::Integers(_)
            | Self::Instants(_)
            | Self::Floats(_)
            | Self::Booleans(_) => return false,
        }
        true
    }
}

fn write_text(text: &str, bytes: &mut Vec<u8>) {
    write_word(1, text.len() as i64, bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn write_float(value: f64, bytes: &mut Vec<u8>) {
    // Of the floats that are whole numbers every one in this range is also an integer of 64 bits; -0 is 0.
    if value.fract() == 0.0 && value.abs() < i64::MAX as f64 {
        write_word(2, value as i64, bytes);
    } else {
        let value = if value.is_nan() { f64::NAN } else { value };
        write_word(4, value.to_bits() as i64, bytes);
    }
}

fn write_word(kind: u8, word: i64, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&word.to_le_bytes());
}

/// Digests as a column: 16 bytes each.
pub(crate) fn digest_column(digests: &[Digest]) -> ArrayRef {
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| digest.to_le_bytes()).collect();
    let values = arrow::array::FixedSizeBinaryArray::new(16, bytes.into(), None);
    std::sync::Arc::new(values)
}

/// The digests that [`digest_column`] made a column of.
///
/// # Errors
/// When the column is something else.
pub(crate) fn digests_of_column(column: &ArrayRef) -> Result<Vec<Digest>, String> {
    let values = column.as_any().downcast_ref::<arrow::array::FixedSizeBinaryArray>();
    let values = values.filter(|values| values.value_length() == 16 && values.null_count() == 0);
    let values = values.ok_or_else(|| format!("keys of type {}", column.data_type()))?;
    let digest = |row| Digest::from_le_bytes(values.value(row).try_into().expect("the width was looked at"));
    Ok((0..values.len()).map(digest).collect())
}

/// The times of a run's column.
///
/// # Errors
/// When the column is something else.
pub(crate) fn times_of_column(column: &ArrayRef) -> Result<Vec<i64>, String> {
    let times = column.as_primitive_opt::<Int64Type>().filter(|times| times.null_count() == 0);
    times.map(|times| times.values().to_vec()).ok_or_else(|| format!("times of type {}", column.data_type()))
}
