//! Plain text: one line is one row. Text has no time of its own, and nothing in it is interpreted.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewBuilder, TimestampMicrosecondArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_model::{
    Batch, Decoded, Decoder, ErrorKind, FieldKind, Fields, Raw, RecordSpan, Remembers, SeamError, SeamResult, Wanted,
};

use crate::keys::Keys;
use crate::reject::{rejected, too_long, without_mark};
use crate::utf8::Utf8;

/// The fields of every text record:
///
/// | field | type | meaning |
/// |---|---|---|
/// | `ts` | time | when the source last changed, as far as it knows (for a file: its modification time); null otherwise. Good for finding things again, not for windows: it is a property of the file, not of the line |
/// | `message` | string | the line |
pub(crate) fn text_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("message", DataType::Utf8View, true),
    ]))
}

#[derive(Clone, Copy, Debug)]
enum Column {
    Time,
    Message,
    MessageKey,
}

/// Decodes plain text. A line that is not UTF-8 is rejected; an empty line is a row with an empty message.
#[derive(Debug)]
pub(crate) struct TextDecoder {
    columns: Vec<Column>,
    schema: SchemaRef,
    is_timed: bool,
    not_before: i64,
    keys: Keys,
}

impl TextDecoder {
    pub(crate) fn new(wanted: Wanted) -> SeamResult<Self> {
        if let Some(field) = wanted.time_field.as_deref().filter(|field| *field != "ts") {
            return Err(no_such_field(field));
        }
        let is_timed = wanted.time_field.is_some();
        let not_before = wanted.not_before.micros();
        let (columns, schema) = match &wanted.fields {
            Fields::All => (vec![Column::Time, Column::Message], text_schema()),
            Fields::These(these) => {
                let columns =
                    these.iter().map(|field| column(&field.name, &field.kind)).collect::<SeamResult<Vec<_>>>()?;
                let all = text_schema();
                let fields = columns.iter().map(|column| match column {
                    Column::Time => all.field(0).clone(),
                    Column::Message => all.field(1).clone(),
                    Column::MessageKey => Field::new("message", Keys::data_type(), true),
                });
                let schema = Schema::new(fields.collect::<Vec<_>>());
                (columns, Arc::new(schema))
            }
        };
        Ok(Self { columns, schema, is_timed, not_before, keys: Keys::default() })
    }
}

fn column(name: &str, kind: &FieldKind) -> SeamResult<Column> {
    match (name, kind) {
        ("message", FieldKind::Key) => Ok(Column::MessageKey),
        ("message", FieldKind::Value(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)) => Ok(Column::Message),
        ("ts", FieldKind::Value(DataType::Timestamp(..))) => Ok(Column::Time),
        ("message" | "ts", kind) => Err(SeamError::new(
            ErrorKind::Config,
            format!("field \"{name}\" of text is wanted as {kind:?}; message is a string and ts a time"),
        )),
        (other, _) => Err(no_such_field(other)),
    }
}

fn no_such_field(name: &str) -> SeamError {
    SeamError::new(ErrorKind::Config, format!("text has no field \"{name}\"; its fields are ts and message"))
}

impl Decoder for TextDecoder {
    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        let utf8 = Utf8::of(&raw.bytes);
        let good: Vec<&RecordSpan> = raw
            .records
            .iter()
            .filter(|span| match self.fault(raw, span, utf8) {
                None => true,
                Some(reason) => {
                    decoded.rejected.push(rejected(raw, span, reason));
                    false
                }
            })
            .collect();
        if !good.is_empty() {
            decoded.batches.push(self.batch(raw, &good));
        }
        decoded
    }
}

impl TextDecoder {
    fn fault(&self, raw: &Raw, span: &RecordSpan, utf8: Utf8) -> Option<String> {
        if span.is_truncated() {
            return Some(too_long(span));
        }
        match raw.fallback_time {
            None if self.is_timed => {
                return Some("text carries no time and its source knows none; use a format with times".to_owned());
            }
            Some(time) if self.is_timed && time.micros() < self.not_before => {
                return Some(format!("time {time} of the source is before not_before"));
            }
            Some(_) | None => {}
        }
        utf8.fault(raw, span)
    }

    fn batch(&mut self, raw: &Raw, good: &[&RecordSpan]) -> Batch {
        let rows = good.len();
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| -> ArrayRef {
                match column {
                    Column::Time => {
                        let time = raw.fallback_time.map(|time| time.micros());
                        Arc::new(TimestampMicrosecondArray::from(vec![time; rows]).with_timezone("UTC"))
                    }
                    Column::Message => messages(raw, good),
                    Column::MessageKey => {
                        let ids = good.iter().map(|span| self.keys.intern(without_mark(raw.record(span)).0)).collect();
                        self.keys.array(ids, None)
                    }
                }
            })
            .collect();
        let columns = RecordBatch::try_new(self.schema.clone(), arrays)
            .expect("columns are built for this schema, one entry per row");
        let times = match raw.fallback_time {
            Some(time) if self.is_timed => vec![time.micros(); rows],
            Some(_) | None => Vec::new(),
        };
        Batch {
            partition: raw.partition.clone(),
            origin: raw.origin.clone(),
            columns,
            times: ScalarBuffer::from(times),
            offsets: good.iter().map(|span| span.offset.0).collect(),
        }
    }
}

fn messages(raw: &Raw, good: &[&RecordSpan]) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(good.len());
    let block = builder.append_block(Buffer::from(raw.bytes.clone()));
    for span in good {
        let (message, mark) = without_mark(raw.record(span));
        let start = span.start + u32::try_from(mark).expect("a mark has three bytes");
        let len = u32::try_from(message.len()).expect("a buffer has less than 4 GiB");
        builder.try_append_view(block, start, len).expect("records lie in the buffer and were found to be UTF-8");
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests;
