//! Whether what one schema writes another can read, by the rules of schema resolution. Refuses to stop at the first fault:
//! whoever changes a schema wants to know all of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::schema::{Kind, NodeId, Schema, short};

/// Why a reader cannot read what a writer writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible {
    /// Which field, with dots; empty for the record itself.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for Incompatible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "field \"{path}\": {}", self.reason),
        }
    }
}

/// Everything that keeps `reader` from reading what `writer` writes; nothing when it can.
pub fn can_read(reader: &Schema, writer: &Schema) -> Vec<Incompatible> {
    let mut check = Check { reader, writer, looked_at: HashSet::new(), path: Vec::new(), found: Vec::new() };
    check.nodes(reader.root(), writer.root());
    check.found
}

/// Whether values of a primitive type `writer` may be read as `reader`.
pub fn promotes(writer: &Kind, reader: &Kind) -> bool {
    match reader {
        Kind::Null => matches!(writer, Kind::Null),
        Kind::Boolean => matches!(writer, Kind::Boolean),
        Kind::Int => matches!(writer, Kind::Int),
        Kind::Long => matches!(writer, Kind::Int | Kind::Long),
        Kind::Float => matches!(writer, Kind::Int | Kind::Long | Kind::Float),
        Kind::Double => matches!(writer, Kind::Int | Kind::Long | Kind::Float | Kind::Double),
        Kind::Bytes | Kind::String => matches!(writer, Kind::Bytes | Kind::String),
        Kind::Record(_) | Kind::Enum(_) | Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Fixed(_) => false,
    }
}

/// Whether a named type of the writer is meant by one of the reader: the same name without its namespace, or an alias.
pub fn same_name(writer: &str, reader: &str, aliases: &[Arc<str>]) -> bool {
    short(writer) == short(reader) || aliases.iter().any(|alias| **alias == *writer || short(alias) == short(writer))
}

struct Check<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// What is looked at already: types that hold themselves would go on for ever.
    looked_at: HashSet<(NodeId, NodeId)>,
    path: Vec<String>,
    found: Vec<Incompatible>,
}

impl Check<'_> {
    fn fault(&mut self, reason: String) {
        self.found.push(Incompatible { path: self.path.join("."), reason });
    }

    fn inside(&mut self, name: &str, reader: NodeId, writer: NodeId) {
        self.path.push(name.to_owned());
        self.nodes(reader, writer);
        self.path.pop();
    }

    fn nodes(&mut self, reader: NodeId, writer: NodeId) {
        if !self.looked_at.insert((reader, writer)) {
            return;
        }
        let (known, written) = (self.reader, self.writer);
        match (known.kind(reader), written.kind(writer)) {
            (_, Kind::Union(branches)) => branches.iter().for_each(|branch| self.nodes(reader, *branch)),
            (Kind::Union(branches), _) => {
                if !branches.iter().any(|branch| self.reads(*branch, writer)) {
                    let reason = format!("no branch of the reader's union takes {}", written.word(writer));
                    self.fault(reason);
                }
            }
            (Kind::Record(r), Kind::Record(w)) => {
                if !same_name(&w.name, &r.name, &r.aliases) {
                    self.fault(format!("record \"{}\" is not the writer's \"{}\"", r.name, w.name));
                }
                for field in &r.fields {
                    let is_it = |name: &str| *field.name == *name || field.aliases.iter().any(|alias| **alias == *name);
                    match w.fields.iter().find(|written| is_it(&written.name)) {
                        Some(written) => self.inside(&field.name, field.node, written.node),
                        None if field.default.is_some() => {}
                        None => {
                            self.path.push(field.name.to_string());
                            self.fault("the writer has no such field, and there is no default".to_owned());
                            self.path.pop();
                        }
                    }
                }
            }
            (Kind::Enum(r), Kind::Enum(w)) => {
                if !same_name(&w.name, &r.name, &r.aliases) {
                    self.fault(format!("enum \"{}\" is not the writer's \"{}\"", r.name, w.name));
                }
                if r.default.is_none() {
                    for symbol in w.symbols.iter().filter(|symbol| !r.symbols.contains(symbol)) {
                        self.fault(format!("enum \"{}\" has no symbol \"{symbol}\" and no default", r.name));
                    }
                }
            }
            (Kind::Fixed(r), Kind::Fixed(w)) => {
                if r.bytes != w.bytes || !same_name(&w.name, &r.name, &r.aliases) {
                    self.fault(format!(
                        "fixed \"{}\" of {} bytes is not the writer's \"{}\" of {}",
                        r.name, r.bytes, w.name, w.bytes
                    ));
                }
            }
            (Kind::Array(r), Kind::Array(w)) => self.inside("[]", *r, *w),
            (Kind::Map(r), Kind::Map(w)) => self.inside("{}", *r, *w),
            (r, w) if promotes(w, r) => {}
            _ => {
                let reason = format!("{} cannot be read as {}", written.word(writer), known.word(reader));
                self.fault(reason);
            }
        }
    }

    /// Whether one node reads another, without a word about why not.
    fn reads(&mut self, reader: NodeId, writer: NodeId) -> bool {
        let mut inner = Check {
            reader: self.reader,
            writer: self.writer,
            looked_at: self.looked_at.clone(),
            path: Vec::new(),
            found: Vec::new(),
        };
        inner.nodes(reader, writer);
        inner.found.is_empty()
    }
}
