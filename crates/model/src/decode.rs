//! The seam between bytes and columns. Pure: a framer finds where records end, a decoder makes columns of them.

use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::{Batch, EventTime, Framed, KnownSchema, PartitionId, Raw, Rejected, SchemaId};

/// Finds where records end. Belongs to a format: lines for JSON, whole log events for logs with stack traces.
///
/// A framer is a function of the bytes alone, so that cutting the same bytes at other places gives the same records.
pub trait Framer: Send + Sync {
    /// Finds the first record of `buffer`, which begins at a record's first byte.
    ///
    /// `scanned` is how many bytes of this same record were already looked at in vain by an earlier call with a
    /// shorter buffer: a framer may use it to go on from there instead of starting over. `end` says that nothing
    /// follows the buffer, so that the rest is a record; with `end`, the answer to a buffer that is not empty is never
    /// [`Framed::Incomplete`].
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed;

    /// Whether the end of a record can only be known from what follows it (a stack trace may go on). A source that is
    /// followed live then gives up waiting after a while and takes what there is.
    fn needs_lookahead(&self) -> bool;
}

/// What a plan needs a field to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A string of few distinct values that rows are grouped by; built as `Dictionary(Int32, Utf8)`.
    /// Numbers and booleans are taken as their text.
    Key,
    /// A value of this type. Strings are built as `Utf8View`, times as `Timestamp(Microsecond, "UTC")`.
    Value(DataType),
}

/// One field that a plan needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedField {
    /// Its name; nested fields are addressed with dots: `tags.env`.
    pub name: Arc<str>,
    /// What it should be.
    pub kind: FieldKind,
}

/// Which fields a decoder should build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Every field there is, typed by what is found. Columns appear as fields do; the schema only grows.
    /// Fields that do not fit their column's type are kept as JSON in the column `_rest`.
    All,
    /// These and no others, in this order, all nullable; anything else is skipped without being parsed.
    /// A value that does not fit its kind rejects the record.
    These(Vec<WantedField>),
}

/// What a plan asks of a decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The field that holds the event time. A record without it, or where it cannot be read as a time, is rejected.
    pub time_field: Option<Arc<str>>,
    /// Records before this time are rejected: a clock that was not set, not an event.
    pub not_before: EventTime,
    /// The columns to build.
    pub fields: Fields,
    /// What fields must be that [`Fields::All`] finds: their columns have this type from the start, and a value that does
    /// not fit rejects the record. Fields of [`Fields::These`] carry their kind themselves.
    pub declared: Vec<WantedField>,
}

/// What became of a batch of records. Every record is in exactly one of the two.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Rows as columns. More than one batch when the schema changes on the way.
    pub batches: Vec<Batch>,
    /// Records that could not be decoded.
    pub rejected: Vec<Rejected>,
    /// Schemas that are needed first. When there are any, nothing of the batch was decoded: it is decoded again once the
    /// decoder has [learned](Decoder::learn) all of them, or that there is none.
    pub wanted_schemas: Vec<SchemaId>,
}

/// What a decoder's answer to a batch depends on besides the batch itself and what it was made for. It says how the work
/// may be divided among several decoders that were made alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembers {
    /// Nothing: any decoder may take any batch.
    Nothing,
    /// The batches of the same partition before it: one decoder takes all batches of a partition, in their order.
    Partition,
    /// Every batch before it, of whichever partition: one decoder takes all batches.
    Everything,
}

/// Makes columns of records. Never fails: what cannot be decoded comes back as a value.
pub trait Decoder: Send {
    /// Decodes `raw`. `raw.records` are whole records as this format's [`Framer`] cut them.
    fn decode(&mut self, raw: &Raw) -> Decoded;

    /// Takes a schema that was wanted, or why it cannot be had: then the records that need it are rejected with that reason
    /// by the next call of [`Decoder::decode`], and wanted again after it.
    fn learn(&mut self, _id: SchemaId, _schema: Result<&KnownSchema, &str>) {}

    /// What its answers depend on; always the same. A decoder that does not say is never shared.
    fn remembers(&self) -> Remembers {
        Remembers::Everything
    }

    /// What must be remembered of `partition` so that another decoder can go on after the last record that was decoded
    /// as this one would: the application that a log file named at its head. `None` when there is nothing.
    /// It is small text, opaque to everyone else, and is stored with the partition's position.
    fn carry(&self, _partition: &PartitionId) -> Option<String> {
        None
    }

    /// Takes over what [`Decoder::carry`] gave for `partition`, before its first record is decoded. Text that cannot be
    /// read is ignored.
    fn restore(&mut self, _partition: &PartitionId, _carried: &str) {}
}
