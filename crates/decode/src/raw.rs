//! Records as they are: bytes that nothing looks into.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use weir_model::{Decoded, Decoder, Fields, Raw, Remembers, SeamResult, Wanted};
use weir_schema::avro::TimeUnit;

use crate::reject::{rejected, too_long};
use crate::typed::{Rows, Scalar, Shape};

/// The fields of every record:
///
/// | field | type | meaning |
/// |---|---|---|
/// | `ts` | time | the record's own time where its source has one, else when the source last changed, as far as it knows |
/// | `value` | bytes | the record |
pub(crate) fn raw_schema() -> SchemaRef {
    let column = |(name, shape): &(Arc<str>, Shape)| Field::new(&**name, shape.data_type(), true);
    Arc::new(Schema::new(columns().iter().map(column).collect::<Vec<_>>()))
}

fn columns() -> Vec<(Arc<str>, Shape)> {
    vec![("ts".into(), Shape::TIME), ("value".into(), Shape::Bytes)]
}

/// Takes records as they are. Only one of which a part is missing is rejected.
#[derive(Debug)]
pub(crate) struct RawDecoder {
    rows: Rows,
}

impl RawDecoder {
    pub(crate) fn new(wanted: &Wanted) -> SeamResult<Self> {
        let schema = raw_schema();
        let known = |name: &str| schema.column_with_name(name).is_some();
        let named = match &wanted.fields {
            Fields::All => Vec::new(),
            Fields::These(these) => these.iter().map(|field| &field.name).collect(),
        };
        if let Some(name) = named.into_iter().chain(&wanted.time_field).find(|name| !known(name)) {
            let message = format!("raw has no field \"{name}\"; its fields are ts and value");
            return Err(weir_model::SeamError::new(weir_model::ErrorKind::Config, message));
        }
        Ok(Self { rows: Rows::new("raw", wanted)? })
    }
}

impl Decoder for RawDecoder {
    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        if self.rows.is_all() {
            decoded.batches.extend(self.rows.grow(columns(), raw));
        }
        let time = raw.fallback_time.map(|time| Scalar::Instant(time.micros(), TimeUnit::Micros, false));
        let columns: Vec<Arc<str>> = self.rows.columns().iter().map(|column| Arc::clone(&column.name)).collect();
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                self.row(&columns, time, raw.record(span), span.start, span.offset.0)
            };
            if let Err(reason) = row {
                self.rows.take_back();
                decoded.rejected.push(rejected(raw, span, reason));
            }
        }
        decoded.batches.extend(self.rows.finish(raw));
        decoded
    }
}

impl RawDecoder {
    fn row(
        &mut self,
        columns: &[Arc<str>],
        time: Option<Scalar<'_>>,
        record: &[u8],
        start: u32,
        offset: u64,
    ) -> Result<(), String> {
        for (name, cell) in columns.iter().zip(&mut self.rows.group.members) {
            let scalar = match &**name {
                "ts" => time,
                _ => Some(Scalar::Bytes(record, Some(start))),
            };
            if let Some(scalar) = scalar {
                cell.put(scalar)
                    .map_err(|expected| format!("field \"{name}\" is {}; expected {expected}", scalar.show()))?;
            }
        }
        self.rows.end_row(offset)
    }
}

#[cfg(test)]
mod tests;
