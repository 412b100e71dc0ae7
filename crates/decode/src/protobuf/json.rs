//! Messages as JSON, for what no column has a type of its own: messages within themselves, and JSON that is written as messages.
//! Fields have the names of the schema and stand by their numbers; those that are not there are left out. Bytes are base64, enums
//! their names, times and durations text, numbers numbers; a float that is no number is null. Refuses to grow without end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_schema::protobuf::{Field, Kind, Label, Meaning, MessageId, Schema};

use super::reader::{Reader, WireType};
use super::run::{duration, last_of_each, timestamp};
use super::wire::{Wire, scalar};
use crate::typed::json as text;
use crate::typed::{Fallible, Scalar};

/// Appends the message at `reader`; no more than `bytes_max` in all.
pub(crate) fn json(
    schema: &Schema,
    message: MessageId,
    reader: Reader<'_>,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Fallible {
    Writer { schema, bytes_max, out }.message(message, &[reader])
}

struct Writer<'a> {
    schema: &'a Schema,
    bytes_max: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn check(&self, reader: Reader<'_>) -> Fallible {
        reader.enter()?;
        if self.out.len() > self.bytes_max {
            return reader.fault("as JSON it is longer than a record may become");
        }
        Ok(())
    }

    /// A message, which may have come in several parts.
    fn message(&mut self, id: MessageId, parts: &[Reader<'_>]) -> Fallible {
        let Some(first) = parts.first() else { return Ok(()) };
        self.check(*first)?;
        let joined: Vec<u8>;
        let reader = match parts {
            [only] => *only,
            _ => {
                joined = parts.iter().flat_map(|part| part.rest()).copied().collect();
                first.elsewhere(&joined)
            }
        };
        match self.schema.message(id).means {
            Some(Meaning::Timestamp) => {
                let time = timestamp(reader)?;
                text::scalar(time, self.out);
            }
            Some(Meaning::Duration) => {
                let span = duration(reader)?;
                text::scalar(span, self.out);
            }
            Some(Meaning::Wrapper) => return self.wrapper(id, reader),
            Some(Meaning::Struct) => return self.members(id, reader, 1),
            Some(Meaning::Value) => return self.value(id, reader),
            Some(Meaning::List) => return self.members(id, reader, 1),
            None => return self.fields(id, reader),
        }
        Ok(())
    }

    /// The fields that are there, each with all that came of it.
    fn found<'b>(&self, id: MessageId, mut reader: Reader<'b>) -> Fallible<Vec<(usize, WireType, Reader<'b>)>> {
        let fields = &self.schema.message(id).fields;
        let mut found: Vec<(usize, WireType, Reader<'b>)> = Vec::new();
        while let Some((number, wire)) = reader.tag()? {
            let Ok(index) = fields.binary_search_by_key(&number, |field| field.number) else {
                reader.skip(number, wire)?;
                continue;
            };
            if let Some(oneof) = &fields[index].oneof {
                found.retain(|(other, ..)| *other == index || fields[*other].oneof.as_ref() != Some(oneof));
            }
            match wire {
                WireType::Len => found.push((index, wire, reader.sized()?)),
                WireType::Group => found.push((index, wire, reader.group(number)?)),
                WireType::Varint | WireType::I64 | WireType::I32 | WireType::EndGroup => {
                    found.push((index, wire, reader));
                    reader.skip(number, wire)?;
                }
            }
        }
        found.sort_by_key(|(index, ..)| *index);
        Ok(found)
    }

    fn fields(&mut self, id: MessageId, reader: Reader<'_>) -> Fallible {
        let found = self.found(id, reader)?;
        self.out.push(b'{');
        for (at, same) in found.chunk_by(|(one, ..), (other, ..)| one == other).enumerate() {
            let field = &self.schema.message(id).fields[same[0].0];
            if at > 0 {
                self.out.push(b',');
            }
            text::string(field.name.as_bytes(), self.out);
            self.out.push(b':');
            self.field(field, same).map_err(|fault| fault.inside(&field.name))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// One field, with all that came of it.
    fn field(&mut self, field: &Field, same: &[(usize, WireType, Reader<'_>)]) -> Fallible {
        match field.label {
            Label::Single | Label::Required => self.single(field.kind, same),
            Label::Repeated => {
                self.out.push(b'[');
                let mut items = 0;
                for one in same {
                    items = self.items(field.kind, one, items)?;
                }
                self.out.push(b']');
                Ok(())
            }
            Label::Map { key } => {
                self.out.push(b'{');
                let entries: Vec<Reader<'_>> = same.iter().map(|(_, _, entry)| *entry).collect();
                let key = Wire::of(self.schema, key).unwrap_or(Wire::Text);
                for (at, found) in last_of_each(&key, &entries)?.into_iter().enumerate() {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    text::string(&found.key, self.out);
                    self.out.push(b':');
                    self.entry(field.kind, found.bytes)?;
                }
                self.out.push(b'}');
                Ok(())
            }
        }
    }

    /// What one value is, of which several may have come.
    fn single(&mut self, kind: Kind, same: &[(usize, WireType, Reader<'_>)]) -> Fallible {
        let Some((_, wire, last)) = same.last() else { return Ok(()) };
        match kind {
            Kind::Message(id) => {
                if let Some((_, wrong, at)) =
                    same.iter().find(|(_, wire, _)| !matches!(wire, WireType::Len | WireType::Group))
                {
                    return at.fault(format!("is {}; expected a message", wrong.word()));
                }
                let parts: Vec<Reader<'_>> = same.iter().map(|(_, _, part)| *part).collect();
                self.message(id, &parts)
            }
            kind => self.scalar(kind, *wire, *last),
        }
    }

    /// The items of one field as it came: one, or several behind one length.
    fn items(&mut self, kind: Kind, one: &(usize, WireType, Reader<'_>), mut items: usize) -> Fallible<usize> {
        let (_, wire, mut bytes) = *one;
        let comma = |writer: &mut Self, items: &mut usize| {
            if *items > 0 {
                writer.out.push(b',');
            }
            *items += 1;
        };
        let scalar = Wire::of(self.schema, kind);
        match scalar {
            Some(packed) if wire == WireType::Len && packed.wire_type() != WireType::Len => {
                while !bytes.is_empty() {
                    comma(self, &mut items);
                    let value = packed.read(&mut bytes)?;
                    text_of(value, self.out);
                    self.check(bytes)?;
                }
            }
            _ => {
                comma(self, &mut items);
                self.single(kind, std::slice::from_ref(one))?;
            }
        }
        Ok(items)
    }

    fn scalar(&mut self, kind: Kind, wire: WireType, mut bytes: Reader<'_>) -> Fallible {
        self.check(bytes)?;
        let Some(of) = Wire::of(self.schema, kind) else { return Ok(()) };
        if of.wire_type() != wire {
            return bytes.fault(format!("is {}; expected {}", wire.word(), of.wire_type().word()));
        }
        let value = if wire == WireType::Len { of.of_payload(bytes)? } else { of.read(&mut bytes)? };
        text_of(value, self.out);
        Ok(())
    }

    /// The value of an entry.
    fn entry(&mut self, value: Kind, mut entry: Reader<'_>) -> Fallible {
        self.check(entry)?;
        let (whole, mut values) = (entry, Vec::new());
        while let Some((number, wire)) = entry.tag()? {
            match (number, wire) {
                (2, WireType::Len) => values.push((0, wire, entry.sized()?)),
                (2, _) => {
                    values.push((0, wire, entry));
                    entry.skip(number, wire)?;
                }
                (other, wire) => entry.skip(other, wire)?,
            }
        }
        match (values.is_empty(), Wire::of(self.schema, value)) {
            (true, Some(wire)) => text_of(scalar(&wire.zero()), self.out),
            (true, None) => return self.single(value, &[(0, WireType::Len, whole.elsewhere(&[]))]),
            (false, _) => return self.single(value, &values),
        }
        Ok(())
    }

    /// A wrapper is its only field.
    fn wrapper(&mut self, id: MessageId, reader: Reader<'_>) -> Fallible {
        let found = self.found(id, reader)?;
        let Some(field) = self.schema.message(id).field(1) else { return Ok(()) };
        match (found.is_empty(), Wire::of(self.schema, field.kind)) {
            (true, Some(wire)) => text_of(scalar(&wire.zero()), self.out),
            (true, None) => {}
            (false, _) => return self.single(field.kind, &found),
        }
        Ok(())
    }

    /// A `Struct` or a `ListValue` is its only field.
    fn members(&mut self, id: MessageId, reader: Reader<'_>, number: u32) -> Fallible {
        let found = self.found(id, reader)?;
        let Some(field) = self.schema.message(id).field(number) else { return Ok(()) };
        self.field(field, &found)
    }

    /// A `Value` is whichever of its fields is there.
    fn value(&mut self, id: MessageId, reader: Reader<'_>) -> Fallible {
        let found = self.found(id, reader)?;
        let Some((index, ..)) = found.first() else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        let field = &self.schema.message(id).fields[*index];
        match field.number {
            1 => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            _ => self.single(field.kind, &found),
        }
    }
}

/// A scalar; bytes as base64.
fn text_of(value: Scalar<'_>, out: &mut Vec<u8>) {
    match value {
        Scalar::Bytes(bytes, _) => text::string(STANDARD.encode(bytes).as_bytes(), out),
        other => text::scalar(other, out),
    }
}
