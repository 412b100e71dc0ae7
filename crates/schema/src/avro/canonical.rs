//! The canonical form of a schema, and its fingerprint by which single-object encoding names it.

use std::collections::HashSet;
use std::fmt::Write;

use super::schema::{Enum, Fixed, Kind, NodeId, Record, Schema};

impl Schema {
    /// The parsing canonical form: what matters to a reader of bytes, in one way of writing.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(self.root, &mut HashSet::new(), &mut out);
        out
    }

    /// The CRC-64-AVRO fingerprint of the canonical form.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.canonical().as_bytes())
    }

    fn write<'a>(&'a self, id: NodeId, known: &mut HashSet<&'a str>, out: &mut String) {
        match self.kind(id) {
            Kind::Record(Record { name, .. }) | Kind::Enum(Enum { name, .. }) | Kind::Fixed(Fixed { name, .. })
                if !known.insert(name) =>
            {
                quoted(name, out);
            }
            Kind::Record(record) => {
                head(&record.name, "record", out);
                out.push_str(",\"fields\":[");
                for (index, field) in record.fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str("{\"name\":");
                    quoted(&field.name, out);
                    out.push_str(",\"type\":");
                    self.write(field.node, known, out);
                    out.push('}');
                }
                out.push_str("]}");
            }
            Kind::Enum(symbols) => {
                head(&symbols.name, "enum", out);
                out.push_str(",\"symbols\":[");
                for (index, symbol) in symbols.symbols.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quoted(symbol, out);
                }
                out.push_str("]}");
            }
            Kind::Fixed(fixed) => {
                head(&fixed.name, "fixed", out);
                // Writing to a string cannot fail.
                let _ = write!(out, ",\"size\":{}}}", fixed.bytes);
            }
            Kind::Array(items) => {
                out.push_str("{\"type\":\"array\",\"items\":");
                self.write(*items, known, out);
                out.push('}');
            }
            Kind::Map(values) => {
                out.push_str("{\"type\":\"map\",\"values\":");
                self.write(*values, known, out);
                out.push('}');
            }
            Kind::Union(branches) => {
                out.push('[');
                for (index, branch) in branches.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.write(*branch, known, out);
                }
                out.push(']');
            }
            Kind::Null
            | Kind::Boolean
            | Kind::Int
            | Kind::Long
            | Kind::Float
            | Kind::Double
            | Kind::Bytes
            | Kind::String => quoted(self.word(id), out),
        }
    }
}

fn head(name: &str, kind: &str, out: &mut String) {
    out.push_str("{\"name\":");
    quoted(name, out);
    out.push_str(",\"type\":");
    quoted(kind, out);
}

/// Names hold nothing that would have to be escaped.
fn quoted(name: &str, out: &mut String) {
    out.push('"');
    out.push_str(name);
    out.push('"');
}

/// The fingerprint of nothing, and the polynomial, both from the specification.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (EMPTY & 0_u64.wrapping_sub(value & 1));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |crc, byte| (crc >> 8) ^ TABLE[((crc ^ u64::from(*byte)) & 0xff) as usize])
}
