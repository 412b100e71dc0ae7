//! How much a record of Avro may ask for. Each is met by a test.

/// Values are nested no deeper than this.
pub(crate) const DEPTH_MAX: usize = 64;

/// A record has no more list items than this that take no bytes (nulls, records without fields).
pub(crate) const EMPTY_ITEMS_MAX: usize = 1_024;

/// A record has no more records, lists and maps within it than it has bytes, and this many: a schema can say that a record
/// holds two others, which hold two others, and so on, none of which has a byte.
pub(crate) const EMPTY_VALUES_MAX: usize = 10_000;

/// A value that becomes JSON becomes no longer than this.
pub(crate) const JSON_BYTES_MAX: usize = 1 << 20;

/// Records are built as structs down to this depth of columns; what is nested deeper, or in itself, is kept as JSON.
pub(crate) const STRUCT_DEPTH_MAX: usize = 16;

/// A schema becomes no more columns than this, those within structs counted; what is beyond is kept as JSON.
pub(crate) const COLUMNS_MAX: usize = 1_000;

/// How many schemas are known at once; beyond it the decoder forgets them all and asks again.
pub(crate) const SCHEMAS_MAX: usize = 1_000;
