//! How values are passed over that nobody needs, by the writer's schema. Made once per schema; looks at no more than the
//! lengths.

use std::collections::HashMap;

use weir_schema::avro::{Kind, NodeId, Schema};

use super::reader::Reader;
use crate::typed::Fallible;

/// How to pass over one value.
#[derive(Clone, Debug)]
pub(crate) enum Skip {
    /// So many bytes, which may be none.
    Bytes(usize),
    Number,
    Sized,
    Each(Box<[Skip]>),
    /// Blocks of items.
    Blocks(Box<Skip>),
    Branches(Box<[Skip]>),
    /// A record, as it stands in the table.
    Record(usize),
}

/// The ways of all records of a schema, which may hold themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skips {
    known: HashMap<NodeId, usize>,
    table: Vec<Skip>,
}

impl Skips {
    /// How to pass over values of `node`.
    pub(crate) fn of(&mut self, schema: &Schema, node: NodeId) -> Skip {
        match schema.kind(node) {
            Kind::Null => Skip::Bytes(0),
            Kind::Boolean => Skip::Bytes(1),
            Kind::Float => Skip::Bytes(4),
            Kind::Double => Skip::Bytes(8),
            Kind::Fixed(fixed) => Skip::Bytes(fixed.bytes),
            Kind::Int | Kind::Long | Kind::Enum(_) => Skip::Number,
            Kind::Bytes | Kind::String => Skip::Sized,
            Kind::Array(items) => Skip::Blocks(Box::new(self.of(schema, *items))),
            Kind::Map(values) => {
                let value = self.of(schema, *values);
                Skip::Blocks(Box::new(Skip::Each(Box::new([Skip::Sized, value]))))
            }
            Kind::Union(branches) => Skip::Branches(branches.iter().map(|branch| self.of(schema, *branch)).collect()),
            Kind::Record(record) => {
                if let Some(index) = self.known.get(&node) {
                    return Skip::Record(*index);
                }
                let index = self.table.len();
                self.known.insert(node, index);
                self.table.push(Skip::Bytes(0));
                let mut steps: Vec<Skip> = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    match (steps.last_mut(), self.of(schema, field.node)) {
                        (Some(Skip::Bytes(before)), Skip::Bytes(more)) => *before = before.saturating_add(more),
                        (_, step) => steps.push(step),
                    }
                }
                self.table[index] = Skip::Each(steps.into());
                Skip::Record(index)
            }
        }
    }

    /// Passes over a value.
    pub(crate) fn run(&self, skip: &Skip, reader: &mut Reader<'_>) -> Fallible {
        match skip {
            Skip::Bytes(bytes) => reader.take(*bytes).map(drop),
            Skip::Number => reader.long().map(drop),
            Skip::Sized => reader.sized().map(drop),
            Skip::Each(each) => each.iter().try_for_each(|skip| self.run(skip, reader)),
            Skip::Branches(branches) => {
                let branch = reader.choice(branches.len(), "branch")?;
                self.run(&branches[branch], reader)
            }
            Skip::Record(index) => {
                reader.enter()?;
                self.run(&self.table[*index], reader)?;
                reader.leave();
                Ok(())
            }
            Skip::Blocks(item) => {
                reader.enter()?;
                while let Some((count, bytes)) = reader.block()? {
                    match bytes {
                        Some(bytes) => drop(reader.take(bytes)?),
                        None => {
                            for _ in 0..count {
                                let start = reader.at();
                                self.run(item, reader)?;
                                reader.item_since(start)?;
                            }
                        }
                    }
                }
                reader.leave();
                Ok(())
            }
        }
    }
}
