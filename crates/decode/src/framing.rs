//! How records say which schema they were written with. Refuses to know schemas.

use weir_model::SchemaId;

/// What stands before the Confluent wire format.
const CONFLUENT_MAGIC: u8 = 0;

/// What stands before single-object encoding.
const SINGLE_OBJECT_MAGIC: [u8; 2] = [0xc3, 0x01];

/// A record of the Confluent wire format: the schema's number, and what comes behind it.
pub(crate) fn confluent(record: &[u8]) -> Result<(SchemaId, &[u8]), String> {
    match record {
        [CONFLUENT_MAGIC, a, b, c, d, rest @ ..] => Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), rest)),
        [CONFLUENT_MAGIC, ..] => Err(format!(
            "record of {} bytes is too short for the Confluent wire format: 0x00, the schema's id in 4 bytes, the value",
            record.len()
        )),
        [] => Err("record is empty; expected the Confluent wire format: 0x00, the schema's id, the value".to_owned()),
        [first, ..] => Err(format!(
            "record begins with {first:#04x}; expected the Confluent wire format, which begins with 0x00 and the schema's id"
        )),
    }
}

/// A record of single-object encoding: the schema's fingerprint, and what comes behind it.
pub(crate) fn single_object(record: &[u8]) -> Result<(u64, &[u8]), String> {
    let expected = "expected single-object encoding: 0xc3 0x01, the schema's fingerprint in 8 bytes, the value";
    match record.strip_prefix(&SINGLE_OBJECT_MAGIC).and_then(|rest| rest.split_first_chunk::<8>()) {
        Some((fingerprint, rest)) => Ok((u64::from_le_bytes(*fingerprint), rest)),
        None => {
            let shown = &record[..record.len().min(2)];
            Err(format!("record of {} bytes begins with {shown:02x?}; {expected}", record.len()))
        }
    }
}

/// A zig-zag number of up to 64 bits, and what comes behind it; `None` when the bytes end within it, or it is longer.
pub(crate) fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte < 0x80 {
            return Some(((value >> 1) as i64 ^ -((value & 1) as i64), &bytes[index + 1..]));
        }
    }
    None
}
