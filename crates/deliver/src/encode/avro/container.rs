//! Object container files: <https://avro.apache.org/docs/1.12.0/specification/#object-container-files>. A header that holds the
//! schema, then blocks of rows. Blocks are not compressed.

use arrow::array::RecordBatch;
use weir_schema::avro::Schema;
use xxhash_rust::xxh3::xxh3_128;

use super::writer::{put_number, put_sized, records};

const MAGIC: &[u8] = b"Obj\x01";

/// What ends the header and every block. The same for the same schema, so that a file goes on after a restart.
fn mark(schema: &str) -> [u8; 16] {
    xxh3_128(schema.as_bytes()).to_be_bytes()
}

/// Appends the header of a file of `schema`.
pub(crate) fn container_header(schema: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    put_number(2, out);
    for (key, value) in [("avro.codec", "null"), ("avro.schema", schema)] {
        put_sized(key.as_bytes(), out);
        put_sized(value.as_bytes(), out);
    }
    put_number(0, out);
    out.extend_from_slice(&mark(schema));
}

/// Appends a block of `rows`.
///
/// # Errors
/// When a row does not fit `schema`; then nothing is appended.
pub(crate) fn container_block(schema: &str, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
    let parsed = Schema::parse(schema).map_err(|error| error.to_string())?;
    let rows = records(&parsed, rows)?.into_iter().collect::<Result<Vec<_>, String>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    put_number(rows.len() as i64, out);
    put_sized(&rows.concat(), out);
    out.extend_from_slice(&mark(schema));
    Ok(())
}
