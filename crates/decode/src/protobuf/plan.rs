//! How the messages of one schema become the columns of a decoder: found once per schema and not once per record. What no
//! one needs has no place in a plan and is passed over.

use std::sync::Arc;

use weir_schema::protobuf::{Default, Field, Kind, Label, Meaning, MessageId, Schema};

use super::reader::WireType;
use super::wire::Wire;
use crate::typed::{Shape, member};

/// What is done with a message: each field that is needed, by its number.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) fields: Box<[Step]>,
    /// How many cells a row of it has at least.
    pub(crate) cells: usize,
}

impl Plan {
    /// Which step a field is, if it is needed.
    #[inline]
    pub(crate) fn find(&self, number: u32) -> Option<usize> {
        // Numbers mostly begin at one and leave none out.
        let guess = (number as usize).wrapping_sub(1);
        if self.fields.get(guess).is_some_and(|step| step.number == number) {
            return Some(guess);
        }
        self.fields.binary_search_by_key(&number, |step| step.number).ok()
    }
}

/// One field that is needed.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: u32,
    pub(crate) name: Arc<str>,
    pub(crate) wire: WireType,
    pub(crate) goes: Goes,
    /// The steps that it takes the place of: the others of its choice.
    pub(crate) others: Box<[usize]>,
}

/// Where a field goes.
#[derive(Debug)]
pub(crate) enum Goes {
    /// One scalar, and what it is when it is not there.
    One(u32, Wire, Option<Default>),
    /// One message.
    Message(u32, Value),
    /// Any number of values.
    List(u32, Value),
    /// Any number of entries.
    Map(u32, Entry),
    /// It is a message of which only some fields are needed.
    Into(Plan),
    /// It is a map of which only some entries are needed; each is a message of which only the value is.
    Entries(Wire, Box<[(Arc<str>, Plan)]>),
    /// It is needed more than once.
    Several(Box<[Goes]>),
    /// It is needed as nothing but what it does to the others of its choice.
    Nowhere,
    Fault(Arc<str>),
}

/// How a value goes into a cell.
#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Wire),
    Message(Plan),
    Timestamp,
    Duration,
    /// A message of one field that may be null.
    Wrapper(Wire),
    Json(MessageId),
    Fault(Arc<str>),
}

/// The entries of a map.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Wire,
    pub(crate) value: Value,
}

/// What a plan wants of a message: a column, and where its values are found.
#[derive(Clone, Debug)]
pub(crate) struct Want<'a> {
    pub(crate) column: u32,
    pub(crate) path: Vec<&'a str>,
    pub(crate) shape: &'a Shape,
}

/// Makes plans of one schema.
pub(crate) struct Planner<'a> {
    pub(crate) schema: &'a Schema,
}

impl Planner<'_> {
    /// The plan of a message of which `wants` are needed.
    pub(crate) fn plan(&self, message: MessageId, wants: &[Want<'_>]) -> Plan {
        let steps = self.schema.message(message).fields.iter().filter_map(|field| {
            let mine: Vec<Want<'_>> = wants
                .iter()
                .filter(|want| want.path.first() == Some(&&*field.name))
                .map(|want| Want { path: want.path[1..].to_vec(), ..want.clone() })
                .collect();
            (!mine.is_empty()).then(|| self.step(field, self.goes(field, &mine)))
        });
        self.finished(message, steps.collect())
    }

    /// The plan of a message that becomes a struct.
    fn whole(&self, message: MessageId, members: &[(Arc<str>, Shape)]) -> Plan {
        let steps = self.schema.message(message).fields.iter().filter_map(|field| {
            let index = member(members, &field.name)?;
            Some(self.step(field, self.cell(field, index as u32, &members[index].1)))
        });
        let mut plan = self.finished(message, steps.collect());
        plan.cells = members.len();
        plan
    }

    fn step(&self, field: &Field, goes: Goes) -> Step {
        Step {
            number: field.number,
            name: Arc::clone(&field.name),
            wire: self.wire_type(field),
            goes,
            others: Box::default(),
        }
    }

    /// Of a choice every field is watched as soon as one of them is needed: the last one that a record has counts.
    fn finished(&self, message: MessageId, mut steps: Vec<Step>) -> Plan {
        let fields = &self.schema.message(message).fields;
        let choice_of = |number: u32| fields.iter().find(|field| field.number == number)?.oneof.clone();
        let choices: Vec<Arc<str>> = steps.iter().filter_map(|step| choice_of(step.number)).collect();
        for field in fields {
            let is_watched = field.oneof.as_ref().is_some_and(|oneof| choices.contains(oneof));
            if is_watched && !steps.iter().any(|step| step.number == field.number) {
                steps.push(self.step(field, Goes::Nowhere));
            }
        }
        steps.sort_by_key(|step| step.number);
        let of: Vec<Option<Arc<str>>> = steps.iter().map(|step| choice_of(step.number)).collect();
        for (index, step) in steps.iter_mut().enumerate() {
            let others =
                (0..of.len()).filter(|other| *other != index && of[index].is_some() && of[*other] == of[index]);
            step.others = others.collect();
        }
        let cells = steps.len();
        Plan { fields: steps.into(), cells }
    }

    fn wire_type(&self, field: &Field) -> WireType {
        match (field.label, Wire::of(self.schema, field.kind)) {
            _ if field.is_group => WireType::Group,
            (Label::Map { .. }, _) | (_, None) => WireType::Len,
            (_, Some(wire)) => wire.wire_type(),
        }
    }

    fn goes(&self, field: &Field, wants: &[Want<'_>]) -> Goes {
        let (whole, within): (Vec<&Want<'_>>, Vec<&Want<'_>>) = wants.iter().partition(|want| want.path.is_empty());
        let mut all: Vec<Goes> = whole.iter().map(|want| self.cell(field, want.column, want.shape)).collect();
        let within: Vec<Want<'_>> = within.into_iter().cloned().collect();
        if !within.is_empty() {
            match (field.label, field.kind) {
                (Label::Map { key }, _) => all.extend(self.entries(field, key, &within)),
                (Label::Single | Label::Required, Kind::Message(id)) if self.schema.message(id).means.is_none() => {
                    all.push(Goes::Into(self.plan(id, &within)));
                }
                // There is nothing within it: what is wanted of it is null.
                _ => {}
            }
        }
        match all.len() {
            0 => Goes::Nowhere,
            1 => all.swap_remove(0),
            _ => Goes::Several(all.into()),
        }
    }

    fn entries(&self, field: &Field, key: Kind, wants: &[Want<'_>]) -> Option<Goes> {
        let key = Wire::of(self.schema, key)?;
        let value = Field { label: Label::Single, number: 2, name: "value".into(), oneof: None, ..field.clone() };
        let value = Field { default: Wire::of(self.schema, field.kind).map(|wire| wire.zero()), ..value };
        let mut by_key: Vec<(Arc<str>, Vec<Want<'_>>)> = Vec::new();
        for want in wants {
            // A key may have dots in it; what is within a message comes behind the first.
            let (key, rest) = match (field.kind, want.path.as_slice()) {
                (Kind::Message(_), [key, rest @ ..]) => ((*key).into(), rest.to_vec()),
                (_, path) => (path.join(".").into(), Vec::new()),
            };
            let want = Want { path: rest, ..want.clone() };
            match by_key.iter_mut().find(|(known, _)| *known == key) {
                Some((_, wants)) => wants.push(want),
                None => by_key.push((key, vec![want])),
            }
        }
        let entry = |(key, wants): (Arc<str>, Vec<Want<'_>>)| {
            let step = self.step(&value, self.goes(&value, &wants));
            (key, Plan { fields: Box::new([step]), cells: wants.len() })
        };
        Some(Goes::Entries(key, by_key.into_iter().map(entry).collect()))
    }

    /// A whole field in one cell of `shape`.
    fn cell(&self, field: &Field, cell: u32, shape: &Shape) -> Goes {
        match (field.label, shape) {
            (Label::Single | Label::Required, _) => match (Wire::of(self.schema, field.kind), shape.is_scalar()) {
                (Some(wire), true) => Goes::One(cell, wire, field.default.clone()),
                (Some(_), false) => self.unfit(field, shape),
                (None, _) => Goes::Message(cell, self.value(field.kind, shape)),
            },
            (Label::Repeated, Shape::List(item)) => Goes::List(cell, self.value(field.kind, item)),
            (Label::Map { key }, Shape::Map(value)) => match Wire::of(self.schema, key) {
                Some(key) => Goes::Map(cell, Entry { key, value: self.value(field.kind, value) }),
                None => self.unfit(field, shape),
            },
            (Label::Repeated | Label::Map { .. }, _) => self.unfit(field, shape),
        }
    }

    fn unfit(&self, field: &Field, shape: &Shape) -> Goes {
        let what = match field.label {
            Label::Repeated => "repeated ",
            Label::Map { .. } => "a map of ",
            Label::Single | Label::Required => "",
        };
        let word = field.kind.word(self.schema);
        Goes::Fault(format!("is {what}{word} in its schema; the column is {}", shape.data_type()).into())
    }

    fn value(&self, kind: Kind, shape: &Shape) -> Value {
        let unfit = || {
            let word = kind.word(self.schema);
            Value::Fault(format!("is {word} in its schema; the column is {}", shape.data_type()).into())
        };
        let Kind::Message(id) = kind else {
            return match Wire::of(self.schema, kind) {
                Some(wire) if shape.is_scalar() => Value::Scalar(wire),
                Some(_) | None => unfit(),
            };
        };
        let message = self.schema.message(id);
        match (message.means, shape) {
            (Some(Meaning::Timestamp), shape) if shape.is_scalar() => Value::Timestamp,
            (Some(Meaning::Duration), shape) if shape.is_scalar() => Value::Duration,
            (Some(Meaning::Wrapper), shape) if shape.is_scalar() => {
                let inner = message.field(1).and_then(|field| Wire::of(self.schema, field.kind));
                inner.map_or_else(unfit, Value::Wrapper)
            }
            (Some(Meaning::Struct | Meaning::Value | Meaning::List) | None, Shape::Text) => Value::Json(id),
            (None, Shape::Struct(members)) => Value::Message(self.whole(id, members)),
            _ => unfit(),
        }
    }
}
