//! How records of one writer's schema become the columns of a decoder: schema resolution, done once per schema and not once
//! per record. What no one needs is passed over; what cannot be resolved rejects the records that hold it.

use std::sync::Arc;

use weir_schema::avro::{Field, Kind, Logical, NodeId, Record, Schema, promotes, same_name};

use super::default::encode;
use super::shapes::{DURATION, branches_of, is_choice};
use super::skip::{Skip, Skips};
use super::wire::Wire;
use crate::typed::{Shape, member};

/// What is done with the value at hand, when whole columns are within reach.
#[derive(Debug)]
pub(crate) enum Walk {
    Skip(Skip),
    /// It goes into the column of this number.
    Put(u32, Value),
    /// It is a record of which only some fields are needed.
    Fields(Box<[Step]>),
    Branches(Box<[Walk]>),
    /// It is a map of which only some entries are needed.
    Entries {
        wanted: Box<[Entry]>,
        other: Skip,
    },
    /// It is needed more than once.
    Several(Box<[Walk]>),
    Fault(Arc<str>),
}

/// An entry of a map that is needed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    /// The columns that it goes to.
    pub(crate) columns: Vec<u32>,
    pub(crate) walk: Walk,
}

/// One field of a record of which only some are needed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: Arc<str>,
    pub(crate) walk: Walk,
    /// The value when the writer has none.
    pub(crate) default: Option<Box<[u8]>>,
}

/// How one value goes into one cell.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Scalar(Wire),
    Enum(Box<[Symbol]>),
    Uuid,
    Duration,
    Record(Box<[Part]>),
    List(Box<Value>),
    Map(Box<Value>),
    Branches(Box<[Value]>),
    /// It goes into one member of the struct that a union has become.
    Member(u32, Box<Value>),
    Json(NodeId),
    Fault(Arc<str>),
}

/// One field of a record that goes into a struct.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: Arc<str>,
    pub(crate) goes: Goes,
}

/// Where a field goes.
#[derive(Debug)]
pub(crate) enum Goes {
    Nowhere(Skip),
    To(u32, Value),
    /// There, and its bytes are these.
    Default(u32, Box<[u8]>, Value),
}

/// A symbol of the writer as the reader knows it.
#[derive(Debug)]
pub(crate) enum Symbol {
    Known(Arc<str>),
    Unknown(Arc<str>),
}

/// What a plan wants of a record: a column, and where its values are found.
#[derive(Clone, Debug)]
pub(crate) struct Want<'a> {
    pub(crate) column: u32,
    pub(crate) path: Vec<&'a str>,
    pub(crate) shape: &'a Shape,
}

/// Makes plans of one pair of schemas.
pub(crate) struct Planner<'a> {
    pub(crate) writer: &'a Schema,
    pub(crate) reader: &'a Schema,
    /// The same schema twice: branches and fields go to themselves.
    pub(crate) is_same: bool,
    pub(crate) skips: &'a mut Skips,
    /// Defaults are written by the reader's schema.
    pub(crate) default_skips: Skips,
}

impl<'a> Planner<'a> {
    fn skip(&mut self, node: NodeId) -> Skip {
        self.skips.of(self.writer, node)
    }

    /// The walk over a value of the writer's node `w`, which the reader knows as `r`.
    pub(crate) fn walk(&mut self, w: NodeId, r: NodeId, wants: &[Want<'_>]) -> Walk {
        let (whole, within): (Vec<_>, Vec<_>) = wants.iter().partition(|want| want.path.is_empty());
        let within: Vec<Want<'_>> = within.into_iter().cloned().collect();
        let mut walks: Vec<Walk> =
            whole.iter().map(|want| Walk::Put(want.column, self.value(w, r, want.shape))).collect();
        if !within.is_empty() {
            walks.push(self.within(w, r, &within));
        }
        match walks.len() {
            0 => Walk::Skip(self.skip(w)),
            1 => walks.swap_remove(0),
            _ => Walk::Several(walks.into()),
        }
    }

    /// The same, when only what is within the value is needed.
    fn within(&mut self, w: NodeId, r: NodeId, wants: &[Want<'_>]) -> Walk {
        match (self.writer.kind(w), self.reader.kind(r)) {
            (Kind::Union(branches), _) => {
                let walks = branches.iter().map(|branch| match self.partner(*branch, r) {
                    Some(partner) => {
                        let mine = self.wants_of_branch(r, partner, wants);
                        self.walk(*branch, partner, &mine)
                    }
                    None => Walk::Fault(self.no_branch(*branch)),
                });
                Walk::Branches(walks.collect())
            }
            (_, Kind::Union(_)) => match self.partner(w, r) {
                Some(partner) => {
                    let mine = self.wants_of_branch(r, partner, wants);
                    self.walk(w, partner, &mine)
                }
                None => Walk::Fault(self.no_branch(w)),
            },
            (Kind::Record(written), Kind::Record(known)) => self.fields(written, known, wants),
            (Kind::Map(values), Kind::Map(known)) => self.entries(*values, *known, wants),
            _ => Walk::Skip(self.skip(w)),
        }
    }

    /// Of what is wanted within a union, that which lies in this branch: where the union has become a struct, its members
    /// are named first.
    fn wants_of_branch<'w>(&self, union: NodeId, branch: NodeId, wants: &[Want<'w>]) -> Vec<Want<'w>> {
        if !is_choice(self.reader, union) {
            return wants.to_vec();
        }
        let name = branches_of(self.reader, union).into_iter().find(|(_, node)| *node == branch).map(|(name, _)| name);
        let mine = wants.iter().filter(|want| Some(want.path[0]) == name.as_deref());
        mine.map(|want| Want { path: want.path[1..].to_vec(), ..want.clone() }).collect()
    }

    fn fields(&mut self, written: &'a Record, known: &'a Record, wants: &[Want<'_>]) -> Walk {
        let mut steps = Vec::with_capacity(written.fields.len());
        for field in &written.fields {
            let partner = self.field(field, known);
            let mine: Vec<Want<'_>> = partner.map(|partner| below(wants, &partner.name)).unwrap_or_default();
            let walk = self.walk(field.node, partner.map_or(field.node, |partner| partner.node), &mine);
            push_step(&mut steps, Step { name: Arc::clone(&field.name), walk, default: None });
        }
        if !self.is_same {
            for field in &known.fields {
                let mine = below(wants, &field.name);
                if mine.is_empty() || written.fields.iter().any(|of| is_it(field, &of.name)) {
                    continue;
                }
                steps.push(self.missing(field, &mine));
            }
        }
        Walk::Fields(steps.into())
    }

    /// A field that the writer does not have.
    fn missing(&mut self, field: &Field, wants: &[Want<'_>]) -> Step {
        let name = Arc::clone(&field.name);
        match self.default(field) {
            Ok(bytes) => {
                let walk = self.of_reader().walk(field.node, field.node, wants);
                Step { name, walk, default: Some(bytes) }
            }
            Err(reason) => Step { name, walk: Walk::Fault(reason), default: None },
        }
    }

    fn default(&self, field: &Field) -> Result<Box<[u8]>, Arc<str>> {
        let Some(value) = &field.default else {
            return Err("the writer's schema has no such field, and the reader's has no default for it".into());
        };
        let mut bytes = Vec::new();
        encode(self.reader, field.node, value, &mut bytes).map_err(Arc::<str>::from)?;
        Ok(bytes.into())
    }

    /// A planner of what the reader itself would write.
    fn of_reader(&mut self) -> Planner<'_> {
        Planner {
            writer: self.reader,
            reader: self.reader,
            is_same: true,
            skips: &mut self.default_skips,
            default_skips: Skips::default(),
        }
    }

    fn entries(&mut self, values: NodeId, known: NodeId, wants: &[Want<'_>]) -> Walk {
        let mut by_key: Vec<(String, Vec<Want<'_>>)> = Vec::new();
        let has_fields = matches!(self.writer.kind(values), Kind::Record(_) | Kind::Map(_) | Kind::Union(_));
        for want in wants {
            // A key may have dots in it; what is within a value comes behind the first.
            let (key, rest) = match has_fields && want.path.len() > 1 {
                true => (want.path[0].to_owned(), want.path[1..].to_vec()),
                false => (want.path.join("."), Vec::new()),
            };
            let want = Want { path: rest, ..want.clone() };
            match by_key.iter_mut().find(|(known, _)| *known == key) {
                Some((_, wants)) => wants.push(want),
                None => by_key.push((key, vec![want])),
            }
        }
        let wanted = by_key.into_iter().map(|(key, wants)| {
            let columns = wants.iter().map(|want| want.column).collect();
            Entry { key: key.into(), columns, walk: self.walk(values, known, &wants) }
        });
        let wanted = wanted.collect();
        Walk::Entries { wanted, other: self.skip(values) }
    }

    /// The reader's field for one of the writer.
    fn field<'f>(&self, written: &Field, known: &'f Record) -> Option<&'f Field> {
        let exact = known.fields.iter().find(|field| field.name == written.name);
        exact.or_else(|| known.fields.iter().find(|field| is_it(field, &written.name)))
    }

    /// What the reader takes a value of the writer's node `w` for, which is no union: a branch, or the node itself.
    fn partner(&self, w: NodeId, r: NodeId) -> Option<NodeId> {
        let Kind::Union(branches) = self.reader.kind(r) else { return Some(r) };
        if self.is_same {
            return Some(w);
        }
        let written = self.writer.kind(w);
        let fits = |exact: bool| {
            move |branch: &&NodeId| match (written, self.reader.kind(**branch)) {
                (Kind::Record(w), Kind::Record(r)) => same_name(&w.name, &r.name, &r.aliases),
                (Kind::Enum(w), Kind::Enum(r)) => same_name(&w.name, &r.name, &r.aliases),
                (Kind::Fixed(w), Kind::Fixed(r)) => w.bytes == r.bytes && same_name(&w.name, &r.name, &r.aliases),
                (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => true,
                (w, r) if exact => std::mem::discriminant(w) == std::mem::discriminant(r) && promotes(w, r),
                (w, r) => promotes(w, r),
            }
        };
        branches.iter().find(fits(true)).or_else(|| branches.iter().find(fits(false))).copied()
    }

    fn no_branch(&self, w: NodeId) -> Arc<str> {
        format!("the reader's union takes no {}", self.writer.word(w)).into()
    }

    /// How a value of the writer's node `w`, which the reader knows as `r`, goes into a cell of `shape`.
    pub(crate) fn value(&mut self, w: NodeId, r: NodeId, shape: &Shape) -> Value {
        if let Kind::Union(branches) = self.writer.kind(w) {
            let values = branches.iter().map(|branch| match (self.writer.kind(*branch), self.partner(*branch, r)) {
                (Kind::Null, Some(partner)) if matches!(self.reader.kind(partner), Kind::Null) => Value::Null,
                (_, Some(partner)) => self.branch(*branch, r, partner, shape),
                (_, None) => Value::Fault(self.no_branch(*branch)),
            });
            return Value::Branches(values.collect());
        }
        if let Kind::Union(_) = self.reader.kind(r) {
            return match self.partner(w, r) {
                Some(partner) => self.branch(w, r, partner, shape),
                None => Value::Fault(self.no_branch(w)),
            };
        }
        self.plain(w, r, shape)
    }

    /// A value of the writer's node `w` that is the branch `partner` of the reader's union, if that is one.
    fn branch(&mut self, w: NodeId, union: NodeId, partner: NodeId, shape: &Shape) -> Value {
        let Shape::Struct(members) = shape else { return self.value(w, partner, shape) };
        if !is_choice(self.reader, union) {
            return self.value(w, partner, shape);
        }
        let name = branches_of(self.reader, union).into_iter().find(|(_, node)| *node == partner).map(|(name, _)| name);
        match name.and_then(|name| member(members, &name)) {
            Some(index) => Value::Member(index as u32, Box::new(self.value(w, partner, &members[index].1))),
            None => Value::Fault(self.unfit(w, shape)),
        }
    }

    fn unfit(&self, w: NodeId, shape: &Shape) -> Arc<str> {
        format!("is {} in the writer's schema; the column is {}", self.writer.word(w), shape.data_type()).into()
    }

    /// The same, where neither is a union.
    fn plain(&mut self, w: NodeId, r: NodeId, shape: &Shape) -> Value {
        let (written, known) = (self.writer.node(w), self.reader.node(r));
        match (&written.kind, &known.kind) {
            (Kind::Null, Kind::Null) => Value::Null,
            (Kind::Record(from), Kind::Record(to)) => match shape {
                Shape::Struct(members) => self.record(from, to, members),
                Shape::Text => Value::Json(w),
                _ => Value::Fault(self.unfit(w, shape)),
            },
            (Kind::Array(from), Kind::Array(to)) => match shape {
                Shape::List(item) => Value::List(Box::new(self.value(*from, *to, item))),
                Shape::Text => Value::Json(w),
                _ => Value::Fault(self.unfit(w, shape)),
            },
            (Kind::Map(from), Kind::Map(to)) => match shape {
                Shape::Map(value) => Value::Map(Box::new(self.value(*from, *to, value))),
                Shape::Text => Value::Json(w),
                _ => Value::Fault(self.unfit(w, shape)),
            },
            (Kind::Enum(from), Kind::Enum(to)) if shape.is_scalar() => {
                let symbol = |symbol: &Arc<str>| match to.symbols.iter().find(|known| *known == symbol) {
                    Some(known) => Symbol::Known(Arc::clone(known)),
                    None => to.default.map_or_else(
                        || Symbol::Unknown(Arc::clone(symbol)),
                        |index| Symbol::Known(Arc::clone(&to.symbols[index])),
                    ),
                };
                Value::Enum(from.symbols.iter().map(symbol).collect())
            }
            (Kind::Fixed(from), Kind::Fixed(to)) if from.bytes != to.bytes => {
                Value::Fault(format!("is {} bytes; the reader expects {}", from.bytes, to.bytes).into())
            }
            (Kind::Fixed(_), Kind::Fixed(_)) => match (known.logical, shape) {
                (Some(Logical::Duration), Shape::Struct(members)) if members.len() == DURATION.len() => Value::Duration,
                (Some(Logical::Duration), Shape::Text) => Value::Json(w),
                (Some(Logical::Uuid), Shape::Text | Shape::Key) => Value::Uuid,
                _ => self.scalar(w, r, shape),
            },
            (from, to) if self.is_same || promotes(from, to) => self.scalar(w, r, shape),
            _ => {
                let (from, to) = (self.writer.word(w), self.reader.word(r));
                Value::Fault(format!("is {from} in the writer's schema, which cannot be read as {to}").into())
            }
        }
    }

    fn scalar(&self, w: NodeId, r: NodeId, shape: &Shape) -> Value {
        // What the values mean is the reader's to say.
        match Wire::of(self.writer.kind(w), self.reader.node(r).logical) {
            Some(wire) if shape.is_scalar() => Value::Scalar(wire),
            Some(_) | None => Value::Fault(self.unfit(w, shape)),
        }
    }

    fn record(&mut self, from: &'a Record, to: &'a Record, members: &[(Arc<str>, Shape)]) -> Value {
        let mut parts: Vec<Part> = Vec::with_capacity(from.fields.len());
        for field in &from.fields {
            let partner = self.field(field, to).and_then(|known| Some((known, member(members, &known.name)?)));
            let goes = match partner {
                Some((known, index)) => Goes::To(index as u32, self.value(field.node, known.node, &members[index].1)),
                None => Goes::Nowhere(self.skip(field.node)),
            };
            match (parts.last_mut(), goes) {
                (Some(Part { goes: Goes::Nowhere(Skip::Bytes(before)), .. }), Goes::Nowhere(Skip::Bytes(more))) => {
                    *before = before.saturating_add(more);
                }
                (_, goes) => parts.push(Part { name: Arc::clone(&field.name), goes }),
            }
        }
        for field in &to.fields {
            if self.is_same || from.fields.iter().any(|of| is_it(field, &of.name)) {
                continue;
            }
            let Some(index) = member(members, &field.name) else { continue };
            let goes = match self.default(field) {
                Ok(bytes) => {
                    let value = self.of_reader().value(field.node, field.node, &members[index].1);
                    Goes::Default(index as u32, bytes, value)
                }
                Err(reason) => Goes::To(index as u32, Value::Fault(reason)),
            };
            parts.push(Part { name: Arc::clone(&field.name), goes });
        }
        Value::Record(parts.into())
    }
}

/// Whether the reader's field is meant by the writer's `name`.
fn is_it(field: &Field, name: &str) -> bool {
    *field.name == *name || field.aliases.iter().any(|alias| **alias == *name)
}

/// What is wanted within the field `name`.
fn below<'a>(wants: &[Want<'a>], name: &str) -> Vec<Want<'a>> {
    let mine = wants.iter().filter(|want| want.path.first() == Some(&name));
    mine.map(|want| Want { path: want.path[1..].to_vec(), ..want.clone() }).collect()
}

/// Adds a step; runs of bytes that are passed over are one.
fn push_step(steps: &mut Vec<Step>, step: Step) {
    match (steps.last_mut(), &step.walk) {
        (Some(Step { walk: Walk::Skip(Skip::Bytes(before)), .. }), Walk::Skip(Skip::Bytes(more))) => {
            *before = before.saturating_add(*more);
        }
        _ => steps.push(step),
    }
}
