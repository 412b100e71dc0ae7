//! Reads schemas as they are written: JSON. What is wrong is named with the place where it stands.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::schema::{Enum, Field, Fixed, Kind, Logical, Node, NodeId, Record, Schema, TimeUnit};

/// A schema has no more types than this.
pub const NODES_MAX: usize = 10_000;

/// Types are nested no deeper than this.
pub const NESTING_MAX: usize = 64;

/// Digits that the largest decimal of Arrow holds; what is larger stays bytes.
const PRECISION_MAX: u64 = 76;

/// Why a text is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not even JSON.
    #[error("not an Avro schema: {0}")]
    NotJson(String),
    /// JSON that is no schema.
    #[error("not an Avro schema, at {place}: {reason}")]
    Wrong {
        /// Where: names of types and fields, with dots.
        place: String,
        /// What, and what would be right.
        reason: String,
    },
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::parse_with(text, &[])
    }

    /// Reads a schema that names types of `references`, each of which may name those before it.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn parse_with(text: &str, references: &[&str]) -> Result<Self, SchemaError> {
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new(), place: Vec::new() };
        for reference in references {
            parser.read(reference)?;
        }
        let root = parser.read(text)?;
        Ok(Self { nodes: parser.nodes, root })
    }
}

struct Parser {
    nodes: Vec<Node>,
    names: HashMap<Arc<str>, NodeId>,
    place: Vec<String>,
}

type Parsed<T> = Result<T, SchemaError>;

impl Parser {
    fn read(&mut self, text: &str) -> Parsed<NodeId> {
        // A bare word is a schema too, and some registries keep it without its quotes.
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if is_name(text.trim()) => Value::String(text.trim().to_owned()),
            Err(error) => return Err(SchemaError::NotJson(error.to_string())),
        };
        self.node(&value, None)
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        let place = if self.place.is_empty() { "its root".to_owned() } else { self.place.join(".") };
        Err(SchemaError::Wrong { place, reason: reason.into() })
    }

    fn add(&mut self, kind: Kind, logical: Option<Logical>) -> Parsed<NodeId> {
        if self.nodes.len() >= NODES_MAX {
            return self.wrong(format!("more than {NODES_MAX} types"));
        }
        self.nodes.push(Node { kind, logical });
        Ok(NodeId(self.nodes.len() as u32 - 1))
    }

    fn inside<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.place.len() >= NESTING_MAX {
            return self.wrong(format!("types are nested deeper than {NESTING_MAX}"));
        }
        self.place.push(name.to_owned());
        let read = read(self)?;
        self.place.pop();
        Ok(read)
    }

    fn node(&mut self, value: &Value, namespace: Option<&str>) -> Parsed<NodeId> {
        match value {
            Value::String(word) => self.word(word, namespace, None),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.wrong(format!("{value} is no type; expected the name of one, an object or a list"))
            }
        }
    }

    /// A primitive type, or a type named before.
    fn word(&mut self, word: &str, namespace: Option<&str>, object: Option<&Map<String, Value>>) -> Parsed<NodeId> {
        let kind = match word {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            name => {
                let full = full_name(name, namespace);
                let known = self.names.get(full.as_str()).or_else(|| self.names.get(name));
                return match known {
                    Some(id) => Ok(*id),
                    None => {
                        self.wrong(format!("no type \"{full}\" was defined before; define it or add the reference"))
                    }
                };
            }
        };
        let logical = object.and_then(|object| logical(object, &kind));
        self.add(kind, logical)
    }

    fn union(&mut self, branches: &[Value], namespace: Option<&str>) -> Parsed<NodeId> {
        let mut nodes = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            if branch.is_array() {
                return self.wrong("a union directly in a union");
            }
            nodes.push(self.inside(&format!("branch {index}"), |parser| parser.node(branch, namespace))?);
        }
        let key = |parser: &Self, id: NodeId| match &parser.nodes[id.0 as usize].kind {
            Kind::Record(Record { name, .. }) | Kind::Enum(Enum { name, .. }) | Kind::Fixed(Fixed { name, .. }) => {
                Ok(Arc::clone(name))
            }
            kind => Err(std::mem::discriminant(kind)),
        };
        for (index, node) in nodes.iter().enumerate() {
            if nodes[..index].iter().any(|earlier| key(self, *earlier) == key(self, *node)) {
                return self.wrong(format!("branch {index} of the union is there twice"));
            }
        }
        self.add(Kind::Union(nodes), None)
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: Option<&str>) -> Parsed<NodeId> {
        match object.get("type") {
            Some(Value::String(word)) => match word.as_str() {
                "record" | "error" => self.record(object, namespace),
                "enum" => self.enumeration(object, namespace),
                "fixed" => self.fixed(object, namespace),
                "array" => {
                    let items = self.part(object, "items", namespace)?;
                    self.add(Kind::Array(items), None)
                }
                "map" => {
                    let values = self.part(object, "values", namespace)?;
                    self.add(Kind::Map(values), None)
                }
                word => self.word(word, namespace, Some(object)),
            },
            // A type around a type, as some programs write it.
            Some(inner) => self.node(inner, namespace),
            None => self.wrong("an object without \"type\""),
        }
    }

    fn part(&mut self, object: &Map<String, Value>, key: &str, namespace: Option<&str>) -> Parsed<NodeId> {
        match object.get(key) {
            Some(value) => self.inside(key, |parser| parser.node(value, namespace)),
            None => self.wrong(format!("\"{key}\" is missing")),
        }
    }

    /// The full name and the aliases of a named type.
    fn name(&self, object: &Map<String, Value>, around: Option<&str>) -> Parsed<(Arc<str>, Vec<Arc<str>>)> {
        let Some(Value::String(name)) = object.get("name") else { return self.wrong("a named type without \"name\"") };
        let namespace = match object.get("namespace") {
            Some(Value::String(namespace)) => Some(namespace.as_str()),
            Some(_) | None => around,
        };
        let full = full_name(name, namespace);
        if !full.split('.').all(is_name) {
            return self.wrong(format!("\"{full}\" is no name; expected letters, digits and _, not a digit first"));
        }
        let own = full.rsplit_once('.').map(|(namespace, _)| namespace);
        let aliases = texts(object, "aliases").map(|alias| full_name(alias, own).into()).collect();
        Ok((full.into(), aliases))
    }

    fn define(&mut self, name: &Arc<str>, id: NodeId) -> Parsed<()> {
        match self.names.insert(Arc::clone(name), id) {
            None => Ok(()),
            Some(_) => self.wrong(format!("type \"{name}\" is defined twice")),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, around: Option<&str>) -> Parsed<NodeId> {
        let (name, aliases) = self.name(object, around)?;
        let Some(Value::Array(list)) = object.get("fields") else {
            return self.wrong(format!("record \"{name}\" has no list of \"fields\""));
        };
        // It is known before its fields are, for they may be of its own type.
        let unread = Record { name: Arc::clone(&name), aliases: Vec::new(), fields: Vec::new() };
        let id = self.add(Kind::Record(unread), None)?;
        self.define(&name, id)?;
        let namespace = name.rsplit_once('.').map(|(namespace, _)| namespace.to_owned());
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        for field in list {
            let Some(Value::String(field_name)) = field.get("name") else {
                return self.wrong(format!("a field of record \"{name}\" has no \"name\""));
            };
            let read = self.inside(field_name, |parser| parser.field(field, field_name, namespace.as_deref()))?;
            if fields.iter().any(|earlier| earlier.name == read.name) {
                return self.wrong(format!("field \"{field_name}\" is there twice"));
            }
            fields.push(read);
        }
        self.nodes[id.0 as usize].kind = Kind::Record(Record { name, aliases, fields });
        Ok(id)
    }

    fn field(&mut self, field: &Value, name: &str, namespace: Option<&str>) -> Parsed<Field> {
        if !is_name(name) {
            return self.wrong(format!("\"{name}\" is no name; expected letters, digits and _, not a digit first"));
        }
        let Some(of) = field.get("type") else { return self.wrong("a field without \"type\"") };
        let node = match (of, field) {
            // {"name": "t", "type": "long", "logicalType": "timestamp-millis"}: not the specification, but often seen
            (Value::String(word), Value::Object(object)) if object.contains_key("logicalType") => {
                self.word(word, namespace, Some(object))?
            }
            _ => self.node(of, namespace)?,
        };
        let object = field.as_object().into_iter();
        let aliases = object.flat_map(|object| texts(object, "aliases")).map(Into::into).collect();
        Ok(Field { name: name.into(), aliases, node, default: field.get("default").cloned() })
    }

    fn enumeration(&mut self, object: &Map<String, Value>, around: Option<&str>) -> Parsed<NodeId> {
        let (name, aliases) = self.name(object, around)?;
        let symbols: Vec<Arc<str>> = texts(object, "symbols").map(Into::into).collect();
        if symbols.is_empty() {
            return self.wrong(format!("enum \"{name}\" has no list of \"symbols\""));
        }
        if let Some(wrong) = symbols.iter().find(|symbol| !is_name(symbol)) {
            return self.wrong(format!("\"{wrong}\" is no symbol; expected letters, digits and _, not a digit first"));
        }
        if let Some(twice) = (1..symbols.len()).find(|at| symbols[..*at].contains(&symbols[*at])) {
            return self.wrong(format!("symbol \"{}\" is there twice", symbols[twice]));
        }
        let default = match object.get("default") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let found = symbols.iter().position(|symbol| Some(symbol.as_ref()) == value.as_str());
                match found {
                    Some(index) => Some(index),
                    None => return self.wrong(format!("default {value} is none of the symbols")),
                }
            }
        };
        let id = self.add(Kind::Enum(Enum { name: Arc::clone(&name), aliases, symbols, default }), None)?;
        self.define(&name, id)?;
        Ok(id)
    }

    fn fixed(&mut self, object: &Map<String, Value>, around: Option<&str>) -> Parsed<NodeId> {
        let (name, aliases) = self.name(object, around)?;
        let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        let Some(bytes) = size.filter(|size| *size <= i32::MAX as usize) else {
            return self.wrong(format!("fixed \"{name}\" has no \"size\" of 0 to {}", i32::MAX));
        };
        let kind = Kind::Fixed(Fixed { name: Arc::clone(&name), aliases, bytes });
        let logical = logical(object, &kind);
        let id = self.add(kind, logical)?;
        self.define(&name, id)?;
        Ok(id)
    }
}

fn texts<'a>(object: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn full_name(name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) if !name.contains('.') && !namespace.is_empty() => format!("{namespace}.{name}"),
        Some(_) | None => name.trim_start_matches('.').to_owned(),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// The logical type of `kind`; none where it is not known or does not go with it.
fn logical(object: &Map<String, Value>, kind: &Kind) -> Option<Logical> {
    let timestamp = |unit, local| Some(Logical::Timestamp { unit, local });
    match (object.get("logicalType")?.as_str()?, kind) {
        ("decimal", Kind::Bytes | Kind::Fixed(_)) => decimal(object, kind),
        ("date", Kind::Int) => Some(Logical::Date),
        ("time-millis", Kind::Int) => Some(Logical::TimeMillis),
        ("time-micros", Kind::Long) => Some(Logical::TimeMicros),
        ("timestamp-millis", Kind::Long) => timestamp(TimeUnit::Millis, false),
        ("timestamp-micros", Kind::Long) => timestamp(TimeUnit::Micros, false),
        ("timestamp-nanos", Kind::Long) => timestamp(TimeUnit::Nanos, false),
        ("local-timestamp-millis", Kind::Long) => timestamp(TimeUnit::Millis, true),
        ("local-timestamp-micros", Kind::Long) => timestamp(TimeUnit::Micros, true),
        ("local-timestamp-nanos", Kind::Long) => timestamp(TimeUnit::Nanos, true),
        ("uuid", Kind::String) => Some(Logical::Uuid),
        ("uuid", Kind::Fixed(fixed)) if fixed.bytes == 16 => Some(Logical::Uuid),
        ("duration", Kind::Fixed(fixed)) if fixed.bytes == 12 => Some(Logical::Duration),
        _ => None,
    }
}

fn decimal(object: &Map<String, Value>, kind: &Kind) -> Option<Logical> {
    let precision = object.get("precision")?.as_u64().filter(|precision| (1..=PRECISION_MAX).contains(precision))?;
    let scale = match object.get("scale") {
        None => 0,
        Some(scale) => scale.as_u64().filter(|scale| *scale <= precision)?,
    };
    if let Kind::Fixed(fixed) = kind {
        // So many digits do not fit into so few bytes: then it is no decimal.
        let digits = (8.0 * fixed.bytes as f64 - 1.0) * std::f64::consts::LOG10_2;
        if (precision as f64) > digits.floor() {
            return None;
        }
    }
    Some(Logical::Decimal { precision: precision as u8, scale: scale as i8 })
}
