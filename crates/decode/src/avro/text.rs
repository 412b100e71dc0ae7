//! Values of Avro as JSON, for what no column has a type of its own: records within themselves, and what a plan wants as
//! text. By the writer's schema, value by value; refuses to build a tree.

use weir_schema::avro::{Kind, Logical, NodeId, Schema};

use super::limits::JSON_BYTES_MAX;
use super::reader::Reader;
use super::wire::Wire;
use crate::typed::Fallible;
use crate::typed::json::{scalar, string};

/// Appends the value at `reader` as JSON. Bytes are text with one character for each, as Avro itself has them in JSON;
/// times, decimals and enums are text; a float that is no number is null.
pub(crate) fn json(schema: &Schema, node: NodeId, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Fallible {
    if out.len() > JSON_BYTES_MAX {
        return reader.fault(format!("as JSON it is longer than {JSON_BYTES_MAX} bytes"));
    }
    let of = schema.node(node);
    match &of.kind {
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Union(branches) => {
            let branch = reader.choice(branches.len(), "branch")?;
            json(schema, branches[branch], reader, out)?;
        }
        Kind::Enum(symbols) => {
            let symbol = reader.choice(symbols.symbols.len(), "symbol")?;
            string(symbols.symbols[symbol].as_bytes(), out);
        }
        Kind::Record(record) => {
            reader.enter()?;
            out.push(b'{');
            for (index, field) in record.fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(field.name.as_bytes(), out);
                out.push(b':');
                json(schema, field.node, reader, out).map_err(|fault| fault.inside(&field.name))?;
            }
            out.push(b'}');
            reader.leave();
        }
        Kind::Array(items) => blocks(reader, out, [b'[', b']'], |reader, out| json(schema, *items, reader, out))?,
        Kind::Map(values) => blocks(reader, out, [b'{', b'}'], |reader, out| {
            string(reader.text()?.0, out);
            out.push(b':');
            json(schema, *values, reader, out)
        })?,
        Kind::Fixed(_) if of.logical == Some(Logical::Uuid) => {
            let mut text = [0; 36];
            uuid(reader.take(16)?, &mut text);
            string(&text, out);
        }
        Kind::Fixed(_) if of.logical == Some(Logical::Duration) => {
            let [months, days, millis] = duration(reader.take(12)?);
            let text = format!("{{\"months\":{months},\"days\":{days},\"millis\":{millis}}}");
            out.extend_from_slice(text.as_bytes());
        }
        kind => {
            let wire = Wire::of(kind, of.logical).expect("what is no scalar is dealt with above");
            scalar(wire.read(reader)?, out);
        }
    }
    Ok(())
}

fn blocks<'a>(
    reader: &mut Reader<'a>,
    out: &mut Vec<u8>,
    brackets: [u8; 2],
    mut item: impl FnMut(&mut Reader<'a>, &mut Vec<u8>) -> Fallible,
) -> Fallible {
    reader.enter()?;
    out.push(brackets[0]);
    let mut index = 0;
    while let Some((count, _)) = reader.block()? {
        for _ in 0..count {
            if index > 0 {
                out.push(b',');
            }
            let start = reader.at();
            item(reader, out).map_err(|fault| fault.at_item(index))?;
            reader.item_since(start)?;
            index += 1;
        }
    }
    out.push(brackets[1]);
    reader.leave();
    Ok(())
}

/// A UUID as text.
pub(crate) fn uuid(bytes: &[u8], text: &mut [u8; 36]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate().take(16) {
        if matches!(index, 4 | 6 | 8 | 10) {
            text[at] = b'-';
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
}

/// Months, days and milliseconds.
pub(crate) fn duration(bytes: &[u8]) -> [i64; 3] {
    let part = |at: usize| {
        let four: [u8; 4] = bytes[at..at + 4].try_into().expect("twelve bytes were taken");
        i64::from(u32::from_le_bytes(four))
    };
    [part(0), part(4), part(8)]
}
