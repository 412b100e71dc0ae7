//! Rows as text: JSON lines and comma-separated values. Pure. Refuses to reorder or drop columns.

mod base64;
mod csv;
mod json;
#[cfg(test)]
mod tests;

pub(crate) use base64::base64;
pub(crate) use csv::{csv_header, csv_rows};
pub use json::ndjson;
