//! The fields that texts are taken apart into, and the columns that they become.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use hashbrown::HashMap;
use weir_model::Value;

use super::plan::{FIELDS_MAX, ParsePlan, ParseType};
use super::{Slots, times};

/// Fields by name, in the order of their columns.
#[derive(Debug)]
pub(super) struct FieldSet {
    fields: Vec<(String, ParseType)>,
    places: HashMap<String, usize, foldhash::fast::FixedState>,
    /// What names such as `user.id` begin with: `user`.
    outer: BTreeSet<String>,
    /// Whether a name that is not known is added.
    grows: bool,
    /// How many were there before anything was found.
    given: usize,
}

/// Whether a field is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Field(usize),
    No,
    /// There are too many already.
    TooMany,
}

impl FieldSet {
    pub(super) fn of(plan: &ParsePlan) -> Self {
        let mut set = Self {
            fields: Vec::new(),
            places: HashMap::default(),
            outer: BTreeSet::new(),
            grows: plan.finds_fields(),
            given: 0,
        };
        if plan.has_others() {
            plan.fields().iter().for_each(|(name, data_type)| {
                set.add(name, *data_type);
            });
        }
        set
    }

    /// Adds a field, or finds the one of that name.
    pub(super) fn add(&mut self, name: &str, data_type: ParseType) -> usize {
        let place = self.push(name, data_type);
        self.given = self.fields.len();
        place
    }

    fn push(&mut self, name: &str, data_type: ParseType) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let dots = name.match_indices('.').map(|(at, _)| name[..at].to_owned());
        self.outer.extend(dots);
        self.fields.push((name.to_owned(), data_type));
        self.places.insert(name.to_owned(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    pub(super) fn found_again(&mut self, name: &str) {
        self.push(name, ParseType::String);
    }

    /// Where the value of `name` goes.
    pub(super) fn place(&mut self, name: &str) -> Wanted {
        match self.places.get(name) {
            Some(place) => Wanted::Field(*place),
            None if !self.grows || name.is_empty() => Wanted::No,
            None if self.fields.len() >= FIELDS_MAX => Wanted::TooMany,
            None => Wanted::Field(self.push(name, ParseType::String)),
        }
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether something inside of `name` is asked for.
    pub(super) fn is_outer(&self, name: &str) -> bool {
        self.outer.contains(name)
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Those that nobody named before they were found.
    pub(super) fn found(&self) -> impl Iterator<Item = &str> {
        self.names().skip(self.given)
    }
}

/// The columns in the making.
#[derive(Default)]
pub(super) struct Builders {
    columns: Vec<Column>,
    rows: usize,
}

enum Column {
    String(StringBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Column {
    fn new(data_type: ParseType) -> Self {
        match data_type {
            ParseType::String => Self::String(StringBuilder::new()),
            ParseType::Int64 => Self::Int64(Int64Builder::new()),
            ParseType::Float64 => Self::Float64(Float64Builder::new()),
            ParseType::Bool => Self::Bool(BooleanBuilder::new()),
            ParseType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Whether `value` is of the column's type; null is.
    fn push(&mut self, value: Option<&str>) -> bool {
        let text = value.map(str::trim);
        match self {
            Self::String(builder) => {
                builder.append_option(value);
                true
            }
            Self::Int64(builder) => {
                let number = text.and_then(|text| text.strip_prefix('+').unwrap_or(text).parse().ok());
                builder.append_option(number);
                number.is_some() || text.is_none()
            }
            Self::Float64(builder) => {
                let number: Option<f64> = text.and_then(|text| text.parse().ok());
                builder.append_option(number);
                number.is_some() || text.is_none()
            }
            Self::Bool(builder) => {
                let truth = text.and_then(|text| match text {
                    _ if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
                    _ if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
                    _ => None,
                });
                builder.append_option(truth);
                truth.is_some() || text.is_none()
            }
            Self::Timestamp(builder) => {
                let time = text.and_then(times::from_text);
                builder.append_option(time);
                time.is_some() || text.is_none()
            }
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::String(mut builder) => Arc::new(builder.finish()),
            Self::Int64(mut builder) => Arc::new(builder.finish()),
            Self::Float64(mut builder) => Arc::new(builder.finish()),
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish().with_timezone("UTC")),
        }
    }
}

impl Builders {
    /// Adds a row. Returns what is wrong with the first value that is not of its type.
    pub(super) fn push(&mut self, fields: &FieldSet, slots: &Slots<'_>) -> Option<String> {
        self.grow(fields);
        let mut problem = None;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = slots.get(index).and_then(Option::as_ref).map(Cow::as_ref);
            if !column.push(value) {
                let (name, data_type) = &fields.fields[index];
                let value = Value(value.unwrap_or_default().as_bytes());
                problem
                    .get_or_insert_with(|| format!("the field `{name}` is {value}, which is no {}", data_type.name()));
            }
        }
        self.rows += 1;
        problem
    }

    /// Columns for fields that were found since; they are null in the rows before.
    fn grow(&mut self, fields: &FieldSet) {
        for (_, data_type) in &fields.fields[self.columns.len()..] {
            let mut column = Column::new(*data_type);
            (0..self.rows).for_each(|_| {
                column.push(None);
            });
            self.columns.push(column);
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn finish(self) -> Vec<ArrayRef> {
        self.columns.into_iter().map(Column::finish).collect()
    }
}

impl ParseType {
    fn name(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Int64 => "whole number of 64 bits",
            Self::Float64 => "number",
            Self::Bool => "`true` or `false`",
            Self::Timestamp => "time",
        }
    }

    /// The type of its column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::String => DataType::Utf8,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}
