//! Reads schemas: text and descriptors, with what they import. Refuses files that nobody gave, and what is nested so deep
//! that reading it would need more stack than there is.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_reflect::{Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor};
use prost_types::FileDescriptorProto;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::schema::{Default, Enum, EnumId, Field, Kind, Label, Meaning, Message, MessageId, Schema};

/// Brackets of any kind are nested no deeper than this in the text of a schema.
pub const NESTING_MAX: usize = 64;

/// A schema has no more messages and enums than this, with those of what it imports.
pub const MESSAGES_MAX: usize = 10_000;

/// The name of a file that has none of its own.
const MAIN: &str = "schema.proto";

/// A schema that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Protobuf schema: {0}")]
pub struct SchemaError(String);

fn wrong(reason: impl ToString) -> SchemaError {
    SchemaError(reason.to_string())
}

impl Schema {
    /// Reads a file: its text, or its descriptor (`FileDescriptorProto`) in base64, as registries hold both. `imports` are the
    /// files that it imports, by the name by which it does; what comes with Protobuf need not be among them.
    ///
    /// # Errors
    /// When it is no schema, or imports what was not given.
    pub fn parse(text: &str, imports: &[(&str, &str)]) -> Result<Self, SchemaError> {
        let (pool, main) = compiled(text, imports)?;
        read(&pool, &main)
    }

    /// Reads a set of descriptors (`FileDescriptorSet`, as `protoc --include_imports --descriptor_set_out` writes it). The
    /// last file is the one that is meant.
    ///
    /// # Errors
    /// When it is no set of descriptors, or not of all the files that are needed.
    pub fn from_set(bytes: &[u8]) -> Result<Self, SchemaError> {
        let pool = DescriptorPool::decode(bytes).map_err(|error| wrong(format!("no descriptor set: {error}")))?;
        let main = pool.files().last().ok_or_else(|| wrong("the descriptor set is empty"))?;
        let main = main.name().to_owned();
        read(&pool, &main)
    }

    /// A file as its descriptor in base64, whichever way it was given: two files that say the same have the same.
    ///
    /// # Errors
    /// Those of [`Schema::parse`].
    pub fn descriptor(text: &str, imports: &[(&str, &str)]) -> Result<String, SchemaError> {
        let (pool, main) = compiled(text, imports)?;
        let file = pool.get_file_by_name(&main).ok_or_else(|| wrong("the file is not there"))?;
        let mut plain = file.file_descriptor_proto().clone();
        plain.source_code_info = None;
        Ok(STANDARD.encode(plain.encode_to_vec()))
    }
}

/// The files, and the name of the one that is meant.
fn compiled(text: &str, imports: &[(&str, &str)]) -> Result<(DescriptorPool, String), SchemaError> {
    let main = descriptor_of(text);
    let name = main.as_ref().map_or(MAIN, |file| file.name()).to_owned();
    // A file may not import one of its own name.
    let name = if name.is_empty() || imports.iter().any(|(known, _)| *known == name) { MAIN.to_owned() } else { name };
    let mut files = HashMap::new();
    for (name, text) in imports.iter().copied().chain([(name.as_str(), text)]) {
        files.insert(name.to_owned(), source(name, text)?);
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(Given(files));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(false);
    compiler.open_file(&name).map_err(wrong)?;
    Ok((compiler.descriptor_pool(), name))
}

/// The descriptor that `text` is, if it is one.
fn descriptor_of(text: &str) -> Option<FileDescriptorProto> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let file = FileDescriptorProto::decode(&*bytes).ok()?;
    // Bytes that are no descriptor may still be read as one of nothing.
    (!bytes.is_empty() && file.name.is_some()).then_some(file)
}

/// A file that was given.
enum Source {
    Text(String),
    Descriptor(Box<FileDescriptorProto>),
}

fn source(name: &str, text: &str) -> Result<Source, SchemaError> {
    if let Some(mut file) = descriptor_of(text) {
        file.name = Some(name.to_owned());
        return Ok(Source::Descriptor(Box::new(file)));
    }
    let depth = nesting(text);
    if depth > NESTING_MAX {
        return Err(wrong(format!("{name} is nested {depth} deep; {NESTING_MAX} is the most")));
    }
    Ok(Source::Text(text.to_owned()))
}

struct Given(HashMap<String, Source>);

impl FileResolver for Given {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(Source::Text(text)) => File::from_source(name, text),
            Some(Source::Descriptor(file)) => Ok(File::from_file_descriptor_proto((**file).clone())),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// How deep brackets are nested, those in comments and strings left out.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut rest) = (0_usize, 0, text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'/', [b'/', ..]) => memchr::memchr(b'\n', after).map_or(&[], |end| &after[end..]),
            (b'/', [b'*', after @ ..]) => memchr::memmem::find(after, b"*/").map_or(&[], |end| &after[end + 2..]),
            (b'"' | b'\'', _) => string_end(after, *first),
            (b'{' | b'[' | b'(' | b'<', _) => {
                depth += 1;
                deepest = deepest.max(depth);
                after
            }
            (b'}' | b']' | b')' | b'>', _) => {
                depth = depth.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    deepest
}

/// What follows a string that is open.
fn string_end(mut rest: &[u8], quote: u8) -> &[u8] {
    loop {
        match rest {
            [b'\\', _, after @ ..] => rest = after,
            // A string ends with its line at the latest.
            [b'\n', ..] | [] => return rest,
            [byte, after @ ..] if *byte == quote => return after,
            [_, after @ ..] => rest = after,
        }
    }
}

fn read(pool: &DescriptorPool, main: &str) -> Result<Schema, SchemaError> {
    let main: FileDescriptor = pool.get_file_by_name(main).ok_or_else(|| wrong("the file is not there"))?;
    let messages: Vec<MessageDescriptor> = pool.all_messages().collect();
    let enums: Vec<EnumDescriptor> = pool.all_enums().collect();
    if messages.len() + enums.len() > MESSAGES_MAX {
        return Err(wrong(format!("it has more than {MESSAGES_MAX} messages and enums")));
    }
    let name = |message: &MessageDescriptor| message.full_name().to_owned();
    let ids = Ids {
        messages: messages.iter().enumerate().map(|(at, message)| (name(message), MessageId(at as u32))).collect(),
        enums: enums.iter().enumerate().map(|(at, of)| (of.full_name().to_owned(), EnumId(at as u32))).collect(),
    };
    let roots: Vec<MessageId> = main.messages().map(|message| ids.messages[message.full_name()]).collect();
    Ok(Schema {
        messages: messages.iter().map(|message| ids.message(message)).collect(),
        enums: enums.iter().map(enumeration).collect(),
        roots,
        package: main.package_name().into(),
    })
}

struct Ids {
    messages: HashMap<String, MessageId>,
    enums: HashMap<String, EnumId>,
}

impl Ids {
    fn message(&self, message: &MessageDescriptor) -> Message {
        let mut fields: Vec<Field> = message.fields().map(|field| self.field(&field)).collect();
        fields.sort_by_key(|field| field.number);
        Message {
            name: message.full_name().into(),
            fields,
            nested: message.child_messages().map(|nested| self.messages[nested.full_name()]).collect(),
            means: Meaning::of(message.full_name()),
            is_entry: message.is_map_entry(),
        }
    }

    fn field(&self, field: &FieldDescriptor) -> Field {
        let (label, kind) = match field.kind() {
            prost_reflect::Kind::Message(entry) if field.is_map() => {
                let key = self.kind(&entry.map_entry_key_field().kind());
                (Label::Map { key }, self.kind(&entry.map_entry_value_field().kind()))
            }
            kind => {
                let label = match field.cardinality() {
                    Cardinality::Optional => Label::Single,
                    Cardinality::Required => Label::Required,
                    Cardinality::Repeated => Label::Repeated,
                };
                (label, self.kind(&kind))
            }
        };
        let proto = field.field_descriptor_proto();
        let is_optional = proto.proto3_optional();
        let oneof = field.containing_oneof().filter(|_| !is_optional).map(|oneof| oneof.name().into());
        let says_default = oneof.is_none() && (!field.supports_presence() || proto.default_value.is_some());
        Field {
            name: field.name().into(),
            number: field.number(),
            kind,
            label,
            oneof,
            default: if says_default && label == Label::Single { default(field) } else { None },
            is_group: field.is_group(),
        }
    }

    fn kind(&self, kind: &prost_reflect::Kind) -> Kind {
        use prost_reflect::Kind as Theirs;
        match kind {
            Theirs::Double => Kind::Double,
            Theirs::Float => Kind::Float,
            Theirs::Int32 => Kind::Int32,
            Theirs::Int64 => Kind::Int64,
            Theirs::Uint32 => Kind::Uint32,
            Theirs::Uint64 => Kind::Uint64,
            Theirs::Sint32 => Kind::Sint32,
            Theirs::Sint64 => Kind::Sint64,
            Theirs::Fixed32 => Kind::Fixed32,
            Theirs::Fixed64 => Kind::Fixed64,
            Theirs::Sfixed32 => Kind::Sfixed32,
            Theirs::Sfixed64 => Kind::Sfixed64,
            Theirs::Bool => Kind::Bool,
            Theirs::String => Kind::String,
            Theirs::Bytes => Kind::Bytes,
            Theirs::Message(message) => Kind::Message(self.messages[message.full_name()]),
            Theirs::Enum(of) => Kind::Enum(self.enums[of.full_name()]),
        }
    }
}

fn default(field: &FieldDescriptor) -> Option<Default> {
    use prost_reflect::Value;
    Some(match field.default_value() {
        Value::Bool(value) => Default::Bool(value),
        Value::I32(value) => Default::Int(i64::from(value)),
        Value::I64(value) => Default::Int(value),
        Value::U32(value) => Default::Int(i64::from(value)),
        Value::U64(value) => Default::UInt(value),
        Value::F32(value) => Default::Float(f64::from(value)),
        Value::F64(value) => Default::Float(value),
        Value::String(text) => Default::Text(text.into()),
        Value::Bytes(bytes) => Default::Bytes(Arc::from(&*bytes)),
        Value::EnumNumber(number) => {
            let prost_reflect::Kind::Enum(of) = field.kind() else { return None };
            match enumeration(&of).name_of(number) {
                Some(name) => Default::Text(Arc::clone(name)),
                None => Default::Int(i64::from(number)),
            }
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => return None,
    })
}

fn enumeration(of: &EnumDescriptor) -> Enum {
    let mut values: Vec<(i32, Arc<str>)> = of.values().map(|value| (value.number(), value.name().into())).collect();
    values.sort_by_key(|(number, _)| *number);
    values.dedup_by_key(|(number, _)| *number);
    Enum { name: of.full_name().into(), values }
}
