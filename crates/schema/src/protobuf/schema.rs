//! What a schema says, as tables of messages and enums that name each other by number, so that a message can hold itself.
//! Refuses to know how schemas are written.

use std::sync::Arc;

/// Which message of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(super) u32);

/// Which enum of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub(super) u32);

/// A schema that was read: one file, with all that it imports. Every name in it is resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    /// The messages at the top of the file, in their order.
    pub(super) roots: Vec<MessageId>,
    pub(super) package: Arc<str>,
}

impl Schema {
    /// What a message is.
    ///
    /// # Panics
    /// When it belongs to another schema that has more of them.
    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    /// What an enum is.
    ///
    /// # Panics
    /// When it belongs to another schema that has more of them.
    pub fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }

    /// The messages at the top of the file.
    pub fn roots(&self) -> &[MessageId] {
        &self.roots
    }

    /// The message of a name: with its package, or without it where only one message is called so.
    pub fn find(&self, name: &str) -> Option<MessageId> {
        let named = |test: &dyn Fn(&str) -> bool| {
            let mut found = self.messages.iter().enumerate().filter(|(_, message)| test(&message.name));
            let first = found.next()?;
            found.next().is_none().then_some(MessageId(first.0 as u32))
        };
        named(&|known| known == name)
            .or_else(|| named(&|known| known.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))))
    }

    /// The message that the indexes of the Confluent wire format lead to: of the messages of the file, then of those within
    /// that one, and so on.
    pub fn at(&self, indexes: &[u32]) -> Option<MessageId> {
        let (first, rest) = indexes.split_first()?;
        let first = self.roots.get(*first as usize)?;
        rest.iter().try_fold(*first, |outer, index| self.message(outer).nested.get(*index as usize).copied())
    }

    /// The indexes that lead to a message of the file; `None` when it is imported.
    pub fn indexes(&self, id: MessageId) -> Option<Vec<u32>> {
        fn below(schema: &Schema, among: &[MessageId], id: MessageId) -> Option<Vec<u32>> {
            among.iter().enumerate().find_map(|(index, candidate)| {
                let mut path = vec![index as u32];
                if *candidate != id {
                    path.extend(below(schema, &schema.message(*candidate).nested, id)?);
                }
                Some(path)
            })
        }
        below(self, &self.roots, id)
    }

    /// The names of all messages of the file, for those who named another.
    pub fn names(&self) -> Vec<&str> {
        self.roots.iter().map(|id| &*self.message(*id).name).collect()
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its name with its package and the messages that it lies in.
    pub name: Arc<str>,
    /// Its fields, by their number.
    pub fields: Vec<Field>,
    /// The messages that are declared within it, those that are entries of maps among them, in their order.
    pub nested: Vec<MessageId>,
    /// What its values mean, where that is more.
    pub means: Option<Meaning>,
    /// Whether it is no message that anyone wrote down, but the entry of a map.
    pub is_entry: bool,
}

impl Message {
    /// Its name without what it lies in.
    pub fn short(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The field of a number.
    pub fn field(&self, number: u32) -> Option<&Field> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok().map(|index| &self.fields[index])
    }
}

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// What it is known by in a record.
    pub number: u32,
    /// How its values are written.
    pub kind: Kind,
    /// How many of them there are.
    pub label: Label,
    /// The choice that it is one of.
    pub oneof: Option<Arc<str>>,
    /// What it is where a record does not say: `None` where that is to be told apart from every value.
    pub default: Option<Default>,
    /// Whether its messages lie between two tags instead of behind their length.
    pub is_group: bool,
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// One or none.
    Single,
    /// One.
    Required,
    /// Any number.
    Repeated,
    /// Any number, each with a key: the kind is that of the values.
    Map {
        /// How keys are written; never a message.
        key: Kind,
    },
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the specification")]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

/// What a field is that a record does not have.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Default {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// An enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Enum {
    /// Its name with its package.
    pub name: Arc<str>,
    /// Its values with their numbers, in the order of the numbers; of several names for one number the first.
    pub values: Vec<(i32, Arc<str>)>,
}

impl Enum {
    /// The name of a number; `None` for those that the schema does not have, which any record may hold.
    pub fn name_of(&self, number: i32) -> Option<&Arc<str>> {
        self.values.binary_search_by_key(&number, |(known, _)| *known).ok().map(|index| &self.values[index].1)
    }
}

/// What messages mean that come with Protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A moment: seconds and nanoseconds since 1970.
    Timestamp,
    /// A span of time: seconds and nanoseconds.
    Duration,
    /// A value that may be null.
    Wrapper,
    /// A JSON object.
    Struct,
    /// A JSON value.
    Value,
    /// A JSON array.
    List,
}

impl Meaning {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("google.protobuf.")? {
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::List,
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => Self::Wrapper,
            _ => return None,
        })
    }
}

impl Kind {
    /// The word for it in a `.proto` file, or the name of the message or enum.
    pub fn word(self, schema: &Schema) -> &str {
        match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Enum(id) => &schema.enumeration(id).name,
            Self::Message(id) => &schema.message(id).name,
        }
    }
}
