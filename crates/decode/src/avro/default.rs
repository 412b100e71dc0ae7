//! Defaults of the reader's schema as the bytes of a value, so that they are read like any other.

use serde_json::Value;
use weir_schema::avro::{Kind, NodeId, Schema};

/// The bytes of the default `value` of `node`; what is wrong with it when it is none.
pub(crate) fn encode(schema: &Schema, node: NodeId, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || Err(format!("default {value} is not of type {}", schema.word(node)));
    match (schema.kind(node), value) {
        (Kind::Null, Value::Null) => {}
        (Kind::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
        (Kind::Int, Value::Number(number)) => match number.as_i64().filter(|value| i32::try_from(*value).is_ok()) {
            Some(value) => long(value, out),
            None => return wrong(),
        },
        (Kind::Long, Value::Number(number)) => match number.as_i64() {
            Some(value) => long(value, out),
            None => return wrong(),
        },
        (Kind::Float, Value::Number(number)) => match number.as_f64() {
            Some(value) => out.extend_from_slice(&(value as f32).to_le_bytes()),
            None => return wrong(),
        },
        (Kind::Double, Value::Number(number)) => match number.as_f64() {
            Some(value) => out.extend_from_slice(&value.to_le_bytes()),
            None => return wrong(),
        },
        // No JSON number, but what some programs write for them.
        (Kind::Float | Kind::Double, Value::String(text)) if text == "NaN" => {
            return encode_special(schema, node, f64::NAN, out);
        }
        (Kind::String, Value::String(text)) => {
            long(text.len() as i64, out);
            out.extend_from_slice(text.as_bytes());
        }
        (Kind::Bytes, Value::String(text)) => {
            let Some(bytes) = latin(text) else { return wrong() };
            long(bytes.len() as i64, out);
            out.extend_from_slice(&bytes);
        }
        (Kind::Fixed(fixed), Value::String(text)) => match latin(text).filter(|bytes| bytes.len() == fixed.bytes) {
            Some(bytes) => out.extend_from_slice(&bytes),
            None => return wrong(),
        },
        (Kind::Enum(symbols), Value::String(text)) => {
            match symbols.symbols.iter().position(|symbol| **symbol == **text) {
                Some(index) => long(index as i64, out),
                None => return wrong(),
            }
        }
        (Kind::Array(items), Value::Array(values)) => {
            if !values.is_empty() {
                long(values.len() as i64, out);
                values.iter().try_for_each(|value| encode(schema, *items, value, out))?;
            }
            long(0, out);
        }
        (Kind::Map(values), Value::Object(object)) => {
            if !object.is_empty() {
                long(object.len() as i64, out);
                for (key, value) in object {
                    long(key.len() as i64, out);
                    out.extend_from_slice(key.as_bytes());
                    encode(schema, *values, value, out)?;
                }
            }
            long(0, out);
        }
        (Kind::Record(record), Value::Object(object)) => {
            for field in &record.fields {
                match object.get(&*field.name).or(field.default.as_ref()) {
                    Some(value) => encode(schema, field.node, value, out)?,
                    None => return Err(format!("default {value} lacks the field \"{}\"", field.name)),
                }
            }
        }
        (Kind::Union(branches), value) => {
            // The specification once wanted the first branch; now any.
            for (index, branch) in branches.iter().enumerate() {
                let before = out.len();
                long(index as i64, out);
                match encode(schema, *branch, value, out) {
                    Ok(()) => return Ok(()),
                    Err(_) => out.truncate(before),
                }
            }
            return wrong();
        }
        _ => return wrong(),
    }
    Ok(())
}

fn encode_special(schema: &Schema, node: NodeId, value: f64, out: &mut Vec<u8>) -> Result<(), String> {
    match schema.kind(node) {
        Kind::Float => out.extend_from_slice(&(value as f32).to_le_bytes()),
        _ => out.extend_from_slice(&value.to_le_bytes()),
    }
    Ok(())
}

/// A zig-zag number.
pub(crate) fn long(value: i64, out: &mut Vec<u8>) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// One byte for each character up to U+00FF.
fn latin(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
