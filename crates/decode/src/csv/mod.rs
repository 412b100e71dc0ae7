//! Comma-separated values (RFC 4180) into columns. Refuses to guess what the columns are called and what they mean.

mod config;
mod decoder;
mod framer;
#[cfg(test)]
mod tests;

pub use config::CsvConfig;
pub(crate) use decoder::CsvDecoder;
pub(crate) use framer::CsvFramer;
