//! The columns of all fields, nested as the objects are. A cell holds the rows that have a value so far; what is
//! missing before the next one is null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use hashbrown::HashMap;
use weir_model::FieldKind;

use super::clock::micros;
use super::escape::unescape;
use super::key_order::KeyOrder;
use super::members::elements_of;
use super::number::{float, int, is_int};
use super::scan::{Span, Token};
use crate::Zone;
use crate::columns::{Numbers, Presence, Texts};

/// The members of an object.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) order: KeyOrder<u32>,
    nodes: Vec<Node>,
    names: HashMap<Arc<str>, u32>,
    /// The members that have columns, in the order in which they got them.
    shown: Vec<u32>,
    presence: Presence,
}

/// A field.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    /// It holds the event time.
    pub(crate) is_time: bool,
    /// What its values must be, where the plan says so: others reject their record.
    pub(crate) declared: Option<&'static str>,
    pub(crate) cell: Cell,
}

/// The values of a field.
#[derive(Debug)]
pub(crate) enum Cell {
    /// There was none yet.
    Unknown,
    Text(Texts),
    Int(Numbers<i64>),
    Float(Numbers<f64>),
    Bool(Numbers<bool>),
    Time(Numbers<i64>),
    Group(Box<Group>),
    List(Box<List>),
}

/// Arrays of one type of value.
#[derive(Debug)]
pub(crate) struct List {
    elements: Cell,
    ends: Vec<i32>,
    presence: Presence,
}

/// What a plan says that a field must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    /// An empty column for it.
    cell: fn() -> Cell,
    /// What is expected, in words.
    expected: &'static str,
}

impl Declared {
    /// What `kind` asks for; `None` when JSON has no values of it.
    pub(crate) fn new(kind: &FieldKind) -> Option<Self> {
        let (cell, expected): (fn() -> Cell, _) = match kind {
            FieldKind::Key | FieldKind::Value(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
                (|| Cell::Text(Texts::default()), "a string, a number or a truth value")
            }
            FieldKind::Value(DataType::Int64) => (|| Cell::Int(Numbers::default()), "a whole number of 64 bits"),
            FieldKind::Value(DataType::Float64) => {
                (|| Cell::Float(Numbers::default()), "a number that fits a 64-bit float")
            }
            FieldKind::Value(DataType::Boolean) => (|| Cell::Bool(Numbers::default()), "true or false"),
            FieldKind::Value(DataType::Timestamp(..)) => {
                (|| Cell::Time(Numbers::default()), "a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970")
            }
            FieldKind::Value(_) => return None,
        };
        Some(Self { cell, expected })
    }
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is in its column.
    Done,
    /// It does not fit its column.
    Misfit,
    /// The field has no type yet.
    Untyped,
    /// It would fit if whole numbers were floats.
    Wider,
}

/// Where values come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) record: &'a [u8],
    /// Where the record stands in the buffer.
    pub(crate) base: u32,
    pub(crate) zone: Zone,
}

impl Group {
    /// The member `name`.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).map(|index| *index as usize)
    }

    /// A new member; one that is declared has its type already.
    pub(crate) fn add(&mut self, name: &str, is_time: bool, declared: Option<&Declared>) -> usize {
        let (name, index): (Arc<str>, usize) = (name.into(), self.nodes.len());
        self.names.insert(name.clone(), index as u32);
        let cell = declared.map_or(Cell::Unknown, |declared| (declared.cell)());
        self.nodes.push(Node { name, is_time, declared: declared.map(|declared| declared.expected), cell });
        index
    }

    #[inline]
    pub(crate) fn node(&mut self, index: usize) -> &mut Node {
        &mut self.nodes[index]
    }

    /// Row `row` has this object.
    pub(crate) fn begin(&mut self, row: usize) {
        self.pad(row);
        self.presence.push(true);
    }

    fn pad(&mut self, rows: usize) {
        if self.presence.len() < rows {
            self.presence.push_nulls(rows - self.presence.len());
        }
    }

    /// Forgets the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.presence.truncate(rows);
        for node in &mut self.nodes {
            node.cell.truncate(rows);
        }
    }

    /// Whether some member, at any depth, has a column.
    pub(crate) fn has_columns(&self) -> bool {
        !self.shown.is_empty() || self.nodes.iter().any(|node| node.cell.has_columns())
    }

    /// The columns of `rows` rows; begins anew.
    pub(crate) fn finish(&mut self, rows: usize, buffer: &Buffer) -> (Vec<Field>, Vec<ArrayRef>) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if !node.cell.has_columns() {
                node.cell.truncate(0);
            } else if !self.shown.contains(&(index as u32)) {
                self.shown.push(index as u32);
            }
        }
        let columns = self.shown.iter().map(|index| {
            let node = &mut self.nodes[*index as usize];
            let array = node.cell.finish(rows, buffer);
            (Field::new(&*node.name, array.data_type().clone(), true), array)
        });
        { columns }.unzip()
    }
}

impl Cell {
    /// Whether it is there for the reader to see.
    fn has_columns(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Group(group) => group.has_columns(),
            Self::Text(_) | Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::Time(_) | Self::List(_) => true,
        }
    }

    /// How many rows it holds.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::Text(texts) => texts.len(),
            Self::Int(numbers) | Self::Time(numbers) => numbers.len(),
            Self::Float(numbers) => numbers.len(),
            Self::Bool(numbers) => numbers.len(),
            Self::Group(group) => group.presence.len(),
            Self::List(list) => list.presence.len(),
        }
    }

    /// The column for the first value of a field, or `None` if no column can hold it.
    pub(crate) fn for_value(record: &[u8], token: Token) -> Option<Self> {
        match token {
            Token::Plain(_) | Token::Escaped(_) => Some(Self::Text(Texts::default())),
            Token::Bool(_) => Some(Self::Bool(Numbers::default())),
            Token::Number(span) if is_int(span.of(record)) => {
                int(span.of(record)).map(|_| Self::Int(Numbers::default()))
            }
            Token::Number(span) => float(span.of(record)).map(|_| Self::Float(Numbers::default())),
            Token::Array(span) => List::for_array(record, span).map(|list| Self::List(Box::new(list))),
            Token::Null | Token::Object(_) => None,
        }
    }

    /// Puts the value of row `row` in its column.
    #[inline]
    pub(crate) fn put(&mut self, place: Place<'_>, row: usize, token: Token) -> Put {
        let record = place.record;
        match (self, token) {
            (_, Token::Null) => {}
            (Self::Text(texts), Token::Plain(span)) => {
                texts.pad(row);
                texts.push_view(span.of(record), place.base + span.start);
            }
            (Self::Text(texts), Token::Escaped(span)) => {
                texts.pad(row);
                texts.push_made(|out| unescape(span.of(record), out));
            }
            (Self::Int(numbers), Token::Number(span)) => match int(span.of(record)) {
                Some(value) => {
                    numbers.pad(row);
                    numbers.push(Some(value));
                }
                None if is_int(span.of(record)) || float(span.of(record)).is_none() => return Put::Misfit,
                None => return Put::Wider,
            },
            (Self::Float(numbers), Token::Number(span)) => match float(span.of(record)) {
                Some(value) => {
                    numbers.pad(row);
                    numbers.push(Some(value));
                }
                None => return Put::Misfit,
            },
            (Self::Bool(numbers), Token::Bool(span)) => {
                numbers.pad(row);
                numbers.push(Some(span.of(record) == b"true"));
            }
            (Self::Time(numbers), token) => match micros(record, token, place.zone) {
                Some(time) => {
                    numbers.pad(row);
                    numbers.push(Some(time));
                }
                None => return Put::Misfit,
            },
            (Self::List(list), Token::Array(span)) => return list.put(place, row, span),
            (Self::Unknown, _) => return Put::Untyped,
            (Self::Text(_) | Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::Group(_) | Self::List(_), _) => {
                return Put::Misfit;
            }
        }
        Put::Done
    }

    /// Makes whole numbers floats.
    pub(crate) fn widen(&mut self) {
        match self {
            Self::Int(numbers) => *self = Self::Float(numbers.take_floats()),
            Self::List(list) => list.elements.widen(),
            Self::Unknown | Self::Text(_) | Self::Float(_) | Self::Bool(_) | Self::Time(_) | Self::Group(_) => {}
        }
    }

    /// Null up to row `rows`.
    fn pad(&mut self, rows: usize) {
        match self {
            Self::Unknown => {}
            Self::Text(texts) => texts.pad(rows),
            Self::Int(numbers) | Self::Time(numbers) => numbers.pad(rows),
            Self::Float(numbers) => numbers.pad(rows),
            Self::Bool(numbers) => numbers.pad(rows),
            Self::Group(group) => group.pad(rows),
            Self::List(list) => list.pad(rows),
        }
    }

    /// Forgets the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Unknown => {}
            Self::Text(texts) => texts.truncate(rows),
            Self::Int(numbers) | Self::Time(numbers) => numbers.truncate(rows),
            Self::Float(numbers) => numbers.truncate(rows),
            Self::Bool(numbers) => numbers.truncate(rows),
            Self::Group(group) => group.truncate(rows),
            Self::List(list) => list.truncate(rows),
        }
    }

    fn finish(&mut self, rows: usize, buffer: &Buffer) -> ArrayRef {
        self.pad(rows);
        match self {
            Self::Unknown => unreachable!("a field without a type has no column"),
            Self::Text(texts) => texts.finish(buffer),
            Self::Int(numbers) => numbers.finish_ints(),
            Self::Float(numbers) => numbers.finish_floats(),
            Self::Bool(numbers) => numbers.finish_bools(),
            Self::Time(numbers) => numbers.finish_times(),
            Self::Group(group) => {
                let nulls = group.presence.finish();
                let (fields, arrays) = group.finish(rows, buffer);
                Arc::new(StructArray::new(Fields::from(fields), arrays, nulls))
            }
            Self::List(list) => list.finish(buffer),
        }
    }
}

impl List {
    /// The column for the first array of a field: its values must be of one kind, and there must be one.
    fn for_array(record: &[u8], array: Span) -> Option<Self> {
        let mut elements: Option<Cell> = None;
        let mut is_mixed = false;
        elements_of(record, array, |token| {
            let fitting = match (&elements, Cell::for_value(record, token)) {
                (_, None) => {
                    is_mixed |= token != Token::Null;
                    return;
                }
                (None, fitting) => fitting,
                (Some(Cell::Int(_)), Some(Cell::Float(numbers))) => Some(Cell::Float(numbers)),
                (Some(Cell::Float(_)), Some(Cell::Int(_))) => return,
                (Some(known), Some(fitting)) => {
                    is_mixed |= std::mem::discriminant(known) != std::mem::discriminant(&fitting);
                    return;
                }
            };
            is_mixed |= matches!(fitting, Some(Cell::List(_)));
            elements = fitting;
        });
        let elements = elements.filter(|_| !is_mixed)?;
        Some(Self { elements, ends: vec![0], presence: Presence::default() })
    }

    fn put(&mut self, place: Place<'_>, row: usize, array: Span) -> Put {
        let begin = self.elements.len();
        let mut result = Put::Done;
        let mut next = begin;
        elements_of(place.record, array, |token| {
            if result == Put::Done {
                result = self.elements.put(place, next, token);
                next += 1;
            }
        });
        if result != Put::Done {
            self.elements.truncate(begin);
            return result;
        }
        self.elements.pad(next);
        self.pad(row);
        self.ends.push(i32::try_from(next).expect("a batch has less than 2 Gi values"));
        self.presence.push(true);
        Put::Done
    }

    fn pad(&mut self, rows: usize) {
        let held = self.presence.len();
        if held < rows {
            self.presence.push_nulls(rows - held);
            let end = self.ends[held];
            self.ends.resize(rows + 1, end);
        }
    }

    fn truncate(&mut self, rows: usize) {
        if rows < self.presence.len() {
            self.presence.truncate(rows);
            self.ends.truncate(rows + 1);
            self.elements.truncate(self.ends[rows] as usize);
        }
    }

    fn finish(&mut self, buffer: &Buffer) -> ArrayRef {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let elements = self.elements.finish(ends.last().copied().unwrap_or(0) as usize, buffer);
        let field = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
        Arc::new(ListArray::new(field, OffsetBuffer::new(ends.into()), elements, self.presence.finish()))
    }
}
