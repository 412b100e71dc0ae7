//! Scalars as JSON, for what no column has a type of its own. Refuses to lay out objects and arrays: the formats do.

use super::Scalar;

/// Appends a scalar as JSON.
pub(crate) fn scalar(scalar: Scalar<'_>, out: &mut Vec<u8>) {
    match scalar {
        Scalar::Float(value) if !value.is_finite() => out.extend_from_slice(b"null"),
        Scalar::Bool(_) | Scalar::Int(_) | Scalar::UInt(_) | Scalar::Float(_) => scalar.write(out),
        Scalar::Text(text, _) => string(text, out),
        Scalar::Bytes(bytes, _) => {
            out.push(b'"');
            for &byte in bytes {
                match byte {
                    b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                    0x20..0x7f => out.push(byte),
                    other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
                }
            }
            out.push(b'"');
        }
        Scalar::Date(_) | Scalar::TimeOfDay(_) | Scalar::Instant(..) | Scalar::Decimal(..) | Scalar::BigDecimal(..) => {
            out.push(b'"');
            scalar.write(out);
            out.push(b'"');
        }
    }
}

/// Appends text as JSON.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            other => out.push(other),
        }
    }
    out.push(b'"');
}
