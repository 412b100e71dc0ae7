//! Where results go out, once: tables, files, topics of Kafka, HTTP endpoints and standard output as sinks, and what dead letters look like. Refuses to
//! decide what is a result: that is the engine.

mod config;
mod dead_letters;
mod encode;
mod file;
mod http;
mod kafka;
mod off_thread;
mod row_format;
mod row_ids;
mod staging;
mod stdout;
mod table;

pub use config::{
    FileFormat, FileMode, FileOutput, IndexConfig, OutputConfig, RollupConfig, SortConfig, StdoutFormat, StdoutOutput,
    TableOutput, TierConfig, TtlByConfig,
};
pub use dead_letters::{
    DeadLetter, LetterKind, LettersOf, dead_letter_batch, dead_letter_schema, rejected_made, rejected_result,
    rejected_row,
};
pub use encode::ndjson;
pub use file::FileSink;
pub use http::{HttpBatch, HttpFormat, HttpMethod, HttpOutput, HttpSink};
pub use kafka::{Compression, Delivery, KafkaBatch, KafkaOutput, KafkaRecord, KafkaRecords, KafkaSink, Partitioner};
pub use row_format::{AvroFrame, AvroOutput, JsonSchemaOutput, ProtobufOutput, RawOutput, RowFormat};
pub use row_ids::with_row_ids;
pub use stdout::StdoutSink;
pub use table::TableSink;
