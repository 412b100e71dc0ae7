//! How much a record of Protobuf may ask for. Each is met by a test.

/// Messages are nested no deeper than this.
pub(crate) const DEPTH_MAX: usize = 64;

/// A record makes no more cells of columns than this, those that are null counted: a list of empty messages takes two bytes
/// for each, and each of them is a row of all their columns.
pub(crate) const CELLS_MAX: usize = 1 << 22;

/// A message that becomes JSON becomes no longer than this.
pub(crate) const JSON_BYTES_MAX: usize = 1 << 20;

/// Messages are built as structs down to this depth of columns; what is nested deeper, or in itself, is kept as JSON.
pub(crate) const STRUCT_DEPTH_MAX: usize = 16;

/// A message becomes no more columns than this, those within structs counted; what is beyond is kept as JSON.
pub(crate) const COLUMNS_MAX: usize = 1_000;

/// How many schemas are known at once; beyond it the decoder forgets them all and asks again.
pub(crate) const SCHEMAS_MAX: usize = 1_000;

/// The indexes of the Confluent wire format lead no deeper than this.
pub(crate) const INDEXES_MAX: usize = 64;
