//! Whether a column has few values or many, from a sample: it decides how the column is encoded.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use weir_disk::checksum_of;

/// Rows looked at, spread over the batches.
const SAMPLE_ROWS: usize = 4096;
/// Rows looked at in one place.
const SAMPLE_RUN: usize = 512;
const RUNS: usize = SAMPLE_ROWS / SAMPLE_RUN;
/// A column counts as one of few values when at most this share of its sampled values are different.
const FEW_VALUES_PERCENT: usize = 30;

/// What a sample of a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// A dictionary pays.
    pub(super) few_values: bool,
    /// Bytes of an average text, 0 for other types.
    pub(super) text_bytes: usize,
}

/// Which of so many batches are looked at.
pub(super) fn looked_at(batches: usize) -> impl Iterator<Item = usize> {
    (0..batches).step_by(batches.div_ceil(RUNS).max(1))
}

/// How many rows of each of them, the first ones.
pub(super) fn rows_looked_at(batches: usize) -> usize {
    if batches >= RUNS { SAMPLE_RUN } else { SAMPLE_ROWS }
}

/// What is looked at of `batches`.
pub(super) fn sample(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let most = rows_looked_at(batches.len());
    looked_at(batches.len()).map(|at| batches[at].slice(0, batches[at].num_rows().min(most))).collect()
}

/// Profiles the column that `column` picks out of each batch of a sample.
pub(super) fn profile(sample: &[RecordBatch], column: impl Fn(&RecordBatch) -> ArrayRef) -> Profile {
    let mut hashes = Vec::with_capacity(SAMPLE_ROWS);
    let mut text_bytes = 0;
    for run in sample {
        text_bytes += add(&column(run), &mut hashes);
    }
    let values = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    Profile { few_values: hashes.len() * 100 <= values * FEW_VALUES_PERCENT, text_bytes: text_bytes / values.max(1) }
}

/// Adds a hash of each value to `hashes`; returns the bytes of its texts. Types that are not told apart add nothing,
/// which counts as few values.
fn add(array: &ArrayRef, hashes: &mut Vec<u64>) -> usize {
    let mut text_bytes = 0;
    match array.data_type() {
        DataType::Utf8View => {
            for text in array.as_string_view().iter().flatten() {
                hashes.push(checksum_of(text.as_bytes()));
                text_bytes += text.len();
            }
        }
        DataType::Int64 => hashes.extend(array.as_primitive::<Int64Type>().iter().flatten().map(i64::cast_unsigned)),
        DataType::UInt64 => hashes.extend(array.as_primitive::<UInt64Type>().iter().flatten()),
        DataType::Float64 => hashes.extend(array.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits)),
        _ => {}
    }
    text_bytes
}
