//! Spark logs.
use crate::SparkLogConfig;
use crate::line_framer::LineFramer;
use crate::reject::rejected;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;
use weir_model::{Decoded, Decoder, Framed, Framer, Raw, SeamResult, Wanted};
/// The fields of every Spark log event.
pub fn spark_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        Field::new(
            "ts",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        text("level"),
        text("logger"),
        text("thread"),
        text("message"),
        text("exception_class"),
        text("stack"),
        text("app_id"),
        text("executor_id"),
        number("stage_id"),
        number("task_id"),
        text("host"),
        text("source_file"),
        number("source_offset"),
    ]))
}
pub(crate) struct SparkFramer;
impl Framer for SparkFramer {
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed {
        LineFramer.frame(buffer, scanned, end)
    }
    fn needs_lookahead(&self) -> bool {
        true
    }
}
pub(crate) struct SparkDecoder;
impl SparkDecoder {
    pub(crate) fn new(_config: &SparkLogConfig, _wanted: Wanted) -> SeamResult<Self> {
        Ok(Self)
    }
}
impl Decoder for SparkDecoder {
    fn decode(&mut self, raw: &Raw) -> Decoded {
        Decoded {
            batches: Vec::new(),
            rejected: raw
                .records
                .iter()
                .map(|span| rejected(raw, span, "spark_log is not decoded yet".to_owned()))
                .collect(),
        }
    }
}
