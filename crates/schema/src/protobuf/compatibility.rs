//! Whether what one schema writes another can read: fields are known by their number, so that names may change and kinds may
//! not, beyond those that are written alike. The rules are those by which the Confluent Schema Registry compares. Refuses to
//! stop at the first fault.

use std::collections::HashSet;

use super::schema::{Field, Kind, Label, Message, MessageId, Schema};

/// Why `reader` cannot read what `writer` writes; nothing when it can.
pub fn can_read(reader: &Schema, writer: &Schema) -> Vec<String> {
    let mut check = Check { reader, writer, looked_at: HashSet::new(), path: Vec::new(), found: Vec::new() };
    if reader.package != writer.package {
        check.fault(format!("the package is \"{}\", not the writer's \"{}\"", reader.package, writer.package));
        return check.found;
    }
    for root in writer.roots() {
        let name = &writer.message(*root).name;
        check.path.push(name.to_string());
        match reader.find(name) {
            Some(known) => check.messages(known, *root),
            None => check.fault("the reader has no such message".to_owned()),
        }
        check.path.pop();
    }
    check.found
}

/// Kinds that are written alike, so that a value of one can be read as another.
#[derive(PartialEq, Eq)]
enum Way {
    Number,
    ZigZag,
    Fixed32,
    Fixed64,
    Float,
    Double,
    Text,
    Enum,
    Message,
}

fn way(kind: Kind) -> Way {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool => Way::Number,
        Kind::Sint32 | Kind::Sint64 => Way::ZigZag,
        Kind::Fixed32 | Kind::Sfixed32 => Way::Fixed32,
        Kind::Fixed64 | Kind::Sfixed64 => Way::Fixed64,
        Kind::Float => Way::Float,
        Kind::Double => Way::Double,
        Kind::String | Kind::Bytes => Way::Text,
        Kind::Enum(_) => Way::Enum,
        Kind::Message(_) => Way::Message,
    }
}

struct Check<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// What is looked at already: messages that hold themselves would go on for ever.
    looked_at: HashSet<(MessageId, MessageId)>,
    path: Vec<String>,
    found: Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, reason: String) {
        self.found.push(match self.path.as_slice() {
            [] => reason,
            path => format!("\"{}\": {reason}", path.join(".")),
        });
    }

    fn messages(&mut self, reader: MessageId, writer: MessageId) {
        if !self.looked_at.insert((reader, writer)) {
            return;
        }
        let (known, written) = (self.reader.message(reader), self.writer.message(writer));
        for field in &written.fields {
            self.path.push(field.name.to_string());
            match known.field(field.number) {
                Some(mine) => self.fields(mine, field),
                None if field.oneof.is_some() => {
                    self.fault("one of a choice is gone: which of them was written could not be told".to_owned());
                }
                None if field.label == Label::Required => self.fault("a required field is gone".to_owned()),
                None => {}
            }
            self.path.pop();
        }
        for field in known.fields.iter().filter(|field| field.label == Label::Required) {
            if written.field(field.number).is_none_or(|own| own.label != Label::Required) {
                self.path.push(field.name.to_string());
                self.fault("it is required, and the writer does not always write it".to_owned());
                self.path.pop();
            }
        }
        self.choices(known, written);
        for nested in &written.nested {
            let message = self.writer.message(*nested);
            match known.nested.iter().find(|id| self.reader.message(**id).name == message.name) {
                // Records may be of it, also where no field is.
                Some(mine) => {
                    self.path.push(message.short().to_owned());
                    self.messages(*mine, *nested);
                    self.path.pop();
                }
                // What entries of maps are, their fields say.
                None if message.is_entry => {}
                None => self.fault(format!("the reader has no message \"{}\"", message.name)),
            }
        }
    }

    fn fields(&mut self, reader: &Field, writer: &Field) {
        let (known, written) = (reader.kind.word(self.reader), writer.kind.word(self.writer));
        if way(reader.kind) != way(writer.kind) {
            return self.fault(format!("{written} cannot be read as {known}"));
        }
        match (reader.label, writer.label) {
            (Label::Map { key }, Label::Map { key: own }) if way(key) == way(own) => {}
            (Label::Map { .. }, _) | (_, Label::Map { .. }) => {
                return self.fault("a map and no map are not written alike".to_owned());
            }
            (Label::Repeated, Label::Repeated) => {}
            (Label::Repeated, _) | (_, Label::Repeated) => {
                // Of several texts or messages the last one, or their union, is had; packed numbers are not.
                if !matches!(way(reader.kind), Way::Text | Way::Message) {
                    return self.fault("one number and several are not written alike".to_owned());
                }
            }
            (Label::Single | Label::Required, Label::Single | Label::Required) => {}
        }
        if let (Kind::Message(known), Kind::Message(written)) = (reader.kind, writer.kind) {
            let (mine, own) = (&self.reader.message(known).name, &self.writer.message(written).name);
            if mine != own {
                return self.fault(format!("{own} cannot be read as {mine}"));
            }
            self.messages(known, written);
        }
    }

    /// Fields that stood beside each other cannot become a choice: of what was written only the last would be had.
    fn choices(&mut self, known: &Message, written: &Message) {
        let mut seen: Vec<&str> = Vec::new();
        for name in known.fields.iter().filter_map(|field| field.oneof.as_deref()) {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let members = known.fields.iter().filter(|field| field.oneof.as_deref() == Some(name));
            let own: Vec<&Field> = members.filter_map(|field| written.field(field.number)).collect();
            let free = own.iter().filter(|field| field.oneof.is_none()).count();
            if free > 0 && own.len() > 1 {
                self.fault(format!("fields that stood beside each other are the choice \"{name}\" of the reader"));
            }
        }
    }
}
