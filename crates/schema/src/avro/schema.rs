//! What a schema says, as a table of nodes that name each other by number, so that a record can hold itself.
//! Refuses to know how schemas are written.

use std::sync::Arc;

/// Which node of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// A schema that was read. Every name in it is resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeId,
}

impl Schema {
    /// What a whole record is.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// What a node is.
    ///
    /// # Panics
    /// When the node belongs to another schema that has more of them.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Short for the kind of a node.
    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    /// The word that people know a node by: its name without the namespace, or its type.
    pub fn word(&self, id: NodeId) -> &str {
        match self.kind(id) {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Record(Record { name, .. }) | Kind::Enum(Enum { name, .. }) | Kind::Fixed(Fixed { name, .. }) => {
                short(name)
            }
        }
    }
}

/// A name without its namespace.
pub(super) fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// One type.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// How its values are written.
    pub kind: Kind,
    /// What its values mean, where that is more. A logical type that is not known, or does not go with its type, is
    /// none, as the specification has it.
    pub logical: Option<Logical>,
}

/// How values are written.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the words of the specification")]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Record(Record),
    Enum(Enum),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Fixed(Fixed),
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name with its namespace.
    pub name: Arc<str>,
    /// Other names that it goes by, with their namespaces.
    pub aliases: Vec<Arc<str>>,
    /// Its fields, in the order in which they are written.
    pub fields: Vec<Field>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Other names that it goes by.
    pub aliases: Vec<Arc<str>>,
    /// Its type.
    pub node: NodeId,
    /// What it is where the writer has no such field.
    pub default: Option<serde_json::Value>,
}

/// An enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Enum {
    /// Its name with its namespace.
    pub name: Arc<str>,
    /// Other names that it goes by, with their namespaces.
    pub aliases: Vec<Arc<str>>,
    /// Its values, in the order in which they are numbered.
    pub symbols: Vec<Arc<str>>,
    /// The symbol for those that the reader does not know.
    pub default: Option<usize>,
}

/// So many bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixed {
    /// Its name with its namespace.
    pub name: Arc<str>,
    /// Other names that it goes by, with their namespaces.
    pub aliases: Vec<Arc<str>>,
    /// How many.
    pub bytes: usize,
}

/// What values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// A number of `precision` digits, `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to 76: what Arrow can hold. Larger decimals stay bytes.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since midnight.
    TimeMillis,
    /// Microseconds since midnight.
    TimeMicros,
    /// Units since 1970-01-01T00:00, of UTC or, when `local`, of whatever clock the writer means.
    Timestamp {
        /// The unit.
        unit: TimeUnit,
        /// Whether it is no moment but the reading of a clock.
        local: bool,
    },
    /// A UUID, as text or as its 16 bytes.
    Uuid,
    /// Months, days and milliseconds, as three little-endian numbers of 32 bits.
    Duration,
}

/// Parts of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}
