//! Questions that rollups answer are answered from them: counts, sums, extremes, averages and percentiles of whole spans of
//! time by the columns that a rollup tells apart. The rows are read where it does not reach: the cut ends of the range of
//! time, rows in memory, segments without that rollup. Changes no other question.

mod asked;
mod rewrite;
mod sketches;
#[cfg(test)]
mod tests;

pub(crate) use rewrite::from_rollups;
