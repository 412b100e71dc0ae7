//! Which columns a schema becomes when everything is wanted, or when a plan leaves the type of a field to its schema.

use std::sync::Arc;

use weir_schema::avro::{Kind, Logical, Node, NodeId, Schema, TimeUnit};

use super::limits::{COLUMNS_MAX, STRUCT_DEPTH_MAX};
use crate::typed::Shape;

/// The members of the struct that a duration becomes.
pub(crate) const DURATION: [&str; 3] = ["months", "days", "millis"];

/// Finds shapes; counts the columns.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    columns: usize,
    trail: Vec<NodeId>,
}

impl Shapes {
    /// The shape of values of `node`; `None` for those that are always null.
    pub(crate) fn of(&mut self, schema: &Schema, node: NodeId) -> Option<Shape> {
        let Node { kind, logical } = schema.node(node);
        self.columns += 1;
        Some(match (kind, logical) {
            (Kind::Null, _) => return None,
            (Kind::Boolean, _) => Shape::Bool,
            (Kind::Int, Some(Logical::Date)) => Shape::Date,
            (Kind::Int | Kind::Long, Some(Logical::TimeMillis | Logical::TimeMicros)) => Shape::TimeOfDay,
            (Kind::Long, Some(Logical::Timestamp { unit, local })) => {
                Shape::Instant { nanos: *unit == TimeUnit::Nanos, local: *local }
            }
            (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal { precision, scale })) => {
                Shape::Decimal { precision: *precision, scale: *scale }
            }
            (Kind::Fixed(_), Some(Logical::Uuid)) => Shape::Text,
            (Kind::Fixed(_), Some(Logical::Duration)) => {
                Shape::Struct(DURATION.iter().map(|name| ((*name).into(), Shape::Int)).collect())
            }
            (Kind::Int | Kind::Long, _) => Shape::Int,
            (Kind::Float | Kind::Double, _) => Shape::Float,
            (Kind::String | Kind::Enum(_), _) => Shape::Text,
            (Kind::Bytes | Kind::Fixed(_), _) => Shape::Bytes,
            (Kind::Array(items), _) => {
                Shape::List(Box::new(self.within(node, |shapes| shapes.of(schema, *items)).unwrap_or(Shape::Text)))
            }
            (Kind::Map(values), _) => {
                Shape::Map(Box::new(self.within(node, |shapes| shapes.of(schema, *values)).unwrap_or(Shape::Text)))
            }
            (Kind::Record(_), _) if self.is_too_deep(node) => Shape::Text,
            (Kind::Record(record), _) => {
                let members: Vec<(Arc<str>, Shape)> = self.within(node, |shapes| {
                    let fields = record.fields.iter();
                    fields.filter_map(|field| Some((Arc::clone(&field.name), shapes.of(schema, field.node)?))).collect()
                });
                if members.is_empty() { Shape::Text } else { Shape::Struct(members) }
            }
            (Kind::Union(_), _) => return self.union(schema, node),
        })
    }

    fn is_too_deep(&self, node: NodeId) -> bool {
        self.trail.contains(&node) || self.trail.len() >= STRUCT_DEPTH_MAX || self.columns > COLUMNS_MAX
    }

    fn within<T>(&mut self, node: NodeId, find: impl FnOnce(&mut Self) -> T) -> T {
        self.trail.push(node);
        let found = find(self);
        self.trail.pop();
        found
    }

    fn union(&mut self, schema: &Schema, node: NodeId) -> Option<Shape> {
        let branches = branches_of(schema, node);
        if !is_choice(schema, node) {
            return branches
                .iter()
                .filter_map(|(_, branch)| self.of(schema, *branch))
                .reduce(|shape, other| if shape == other { shape } else { Shape::Float });
        }
        if self.is_too_deep(node) {
            return Some(Shape::Text);
        }
        let members = self.within(node, |shapes| {
            let branches = branches.into_iter();
            branches.filter_map(|(name, branch)| Some((name, shapes.of(schema, branch)?))).collect()
        });
        Some(Shape::Struct(members))
    }
}

/// The branches of a union beside null, each with the name of the member that it becomes: its type, or the name of its type,
/// with the namespace where that is needed to tell two apart.
pub(crate) fn branches_of(schema: &Schema, union: NodeId) -> Vec<(Arc<str>, NodeId)> {
    let Kind::Union(branches) = schema.kind(union) else { return Vec::new() };
    let branches = branches.iter().filter(|branch| !matches!(schema.kind(**branch), Kind::Null));
    let mut named: Vec<(Arc<str>, NodeId)> = Vec::new();
    for branch in branches {
        let mut name: Arc<str> = schema.word(*branch).into();
        if named.iter().any(|(known, _)| *known == name) {
            name = match schema.kind(*branch) {
                Kind::Record(of) => Arc::clone(&of.name),
                Kind::Enum(of) => Arc::clone(&of.name),
                Kind::Fixed(of) => Arc::clone(&of.name),
                _ => name,
            };
        }
        named.push((name, *branch));
    }
    named
}

/// Whether a union is a choice that one column cannot hold: it becomes a struct of its branches. One branch beside null is
/// none, nor are numbers that a float holds without loss, or whole numbers of any size.
pub(crate) fn is_choice(schema: &Schema, union: NodeId) -> bool {
    let plain = |branch: &NodeId| schema.node(*branch).logical.is_none().then(|| schema.kind(*branch));
    let branches: Vec<NodeId> = branches_of(schema, union).into_iter().map(|(_, branch)| branch).collect();
    let all = |test: fn(&Kind) -> bool| branches.iter().all(|branch| plain(branch).is_some_and(test));
    branches.len() > 1
        && !all(|kind| matches!(kind, Kind::Int | Kind::Long))
        && !all(|kind| matches!(kind, Kind::Int | Kind::Float | Kind::Double))
}
