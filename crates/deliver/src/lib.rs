//! Where results go out, once: tables, files and standard output as sinks, and what dead letters and late rows look
//! like. Refuses to decide what is a result: that is the engine.

mod config;
mod encode;
mod file;
mod letters;
mod stdout;
mod table;

pub use config::{
    FileFormat, FileMode, FileOutput, OutputConfig, StdoutFormat, StdoutOutput, TableOutput,
};
pub use encode::ndjson;
pub use file::FileSink;
pub use letters::{LateRows, dead_letter_batch, dead_letter_schema, late_batch};
pub use stdout::StdoutSink;
pub use table::TableSink;
