//! `parse`: makes columns of what a text says. A text that says nothing of the kind is no reason to lose its row.
//!
//! What a row gives depends on that row alone: values without a type are text, never what the first value looked like.

mod fields;
mod grok;
mod grok_library;
mod json;
mod key_value;
mod plan;
#[cfg(test)]
mod tests;
mod times;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StringViewArray, StructArray};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, is_not_null, nullif};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use regex::Regex;
use serde_json::value::{RawValue, to_raw_value};
use weir_model::Value;

use super::{Operator, Outcome, PlanFault};
use crate::compiled::Trouble;
use crate::rows::Rows;
use crate::{Effect, Run};
use fields::{Builders, FieldSet};

pub use plan::{Into, OnFailure, Others, ParseHow, ParsePlan, ParseType};

/// What a row's text says, by the index of the field.
type Slots<'a> = Vec<Option<Cow<'a, str>>>;

#[derive(Debug)]
pub(crate) struct Parse {
    plan: ParsePlan,
    extractor: Extractor,
    /// What is looked for; what is found besides, if everything is wanted.
    fields: FieldSet,
    /// The schema of the last result: equal ones share it.
    schema: SchemaRef,
}

/// How values are found in a text.
#[derive(Debug)]
enum Extractor {
    Json,
    KeyValue {
        pairs: Option<char>,
        equals: char,
    },
    /// An expression, and for each of its groups the field that it fills.
    Groups {
        regex: Regex,
        fields: Vec<(usize, usize)>,
    },
}

/// The expression of a plan, and its groups: name, the field's name, its type if the pattern says one.
struct Pattern {
    regex: Regex,
    groups: Vec<(usize, String, Option<ParseType>)>,
}

impl Pattern {
    fn of(how: &ParseHow) -> Result<Option<Self>, PlanFault> {
        match how {
            ParseHow::Json | ParseHow::KeyValue { .. } => Ok(None),
            ParseHow::Regex(text) => {
                let regex = super::regexes::compile("regex", text)?;
                let names =
                    regex.capture_names().enumerate().filter_map(|(at, name)| Some((at, name?.to_owned(), None)));
                let groups = names.collect();
                Ok(Some(Self { regex, groups }))
            }
            ParseHow::Grok { pattern, patterns } => grok::compile(pattern, patterns).map(Some),
        }
    }
}

impl Parse {
    pub(crate) fn new(plan: &ParsePlan) -> Self {
        let pattern = Pattern::of(&plan.how).expect("the plan was checked");
        let mut fields = FieldSet::of(plan);
        let extractor = match (&plan.how, pattern) {
            (ParseHow::KeyValue { pairs, equals }, _) => Extractor::KeyValue { pairs: *pairs, equals: *equals },
            (_, None) => Extractor::Json,
            (_, Some(Pattern { regex, groups })) => {
                let places = groups.iter().map(|(group, name, data_type)| {
                    let declared = plan.types.iter().find(|(known, _)| known == name).map(|(_, declared)| *declared);
                    (*group, fields.add(name, declared.or(*data_type).unwrap_or(ParseType::String)))
                });
                Extractor::Groups { fields: places.collect(), regex }
            }
        };
        Self { plan: plan.clone(), extractor, fields, schema: Arc::new(Schema::empty()) }
    }

    /// Fills `slots` with what `text` says.
    fn extract<'a>(&mut self, text: &'a str, slots: &mut Slots<'a>) -> Result<(), String> {
        slots.clear();
        slots.resize(self.fields.len(), None);
        match &self.extractor {
            Extractor::Json => json::members(text, &mut self.fields, slots),
            Extractor::KeyValue { pairs, equals } => key_value::pairs(text, *pairs, *equals, &mut self.fields, slots),
            Extractor::Groups { regex, fields } => {
                let mut groups = regex.capture_locations();
                if regex.captures_read(&mut groups, text).is_none() {
                    return Err(format!("{} does not have the form of the pattern", Value(text.as_bytes())));
                }
                for (group, field) in fields {
                    // Of several groups of one field, alternatives of each other, the first that is there counts.
                    if let (None, Some((from, to))) = (&slots[*field], groups.get(*group)) {
                        slots[*field] = Some(Cow::Borrowed(&text[from..to]));
                    }
                }
                Ok(())
            }
        }
    }

    /// Parses every text. A part ends where a field is found for the first time, so that the columns of a row do not
    /// depend on how rows are cut into batches.
    fn parse(&mut self, texts: &Texts<'_>, rows: usize) -> Parsed {
        let (mut builders, mut parsed) = (Builders::default(), Parsed::default());
        let mut slots = Slots::new();
        for row in 0..rows {
            let known = self.fields.len();
            let mut problem = None;
            slots.clear();
            if let Some(text) = texts.get(row) {
                problem = self.extract(text, &mut slots).err();
                if problem.is_some() {
                    slots.clear();
                }
            }
            if self.fields.len() > known && builders.rows() > 0 {
                parsed.parts.push((builders.rows(), std::mem::take(&mut builders).finish()));
            }
            let wrong = builders.push(&self.fields, &slots);
            parsed.failures.extend(problem.or(wrong).map(|problem| (row, problem)));
        }
        parsed.parts.push((builders.rows(), builders.finish()));
        parsed
    }

    /// The columns of `rows` with those that were parsed. Of `failed` rows the text stays where the plan says so.
    fn with_parsed(
        &mut self,
        rows: &RecordBatch,
        parsed: Vec<ArrayRef>,
        failed: &BooleanArray,
    ) -> Result<RecordBatch, Trouble> {
        let mut names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut columns = rows.columns().to_vec();
        let source = names.iter().position(|name| *name == self.plan.column);
        if let (Some(source), true) = (source, self.plan.drop_source) {
            if self.plan.on_failure == OnFailure::Keep {
                columns[source] = nullif(&columns[source], &not(failed)).map_err(failure)?;
            } else {
                columns.remove(source);
                names.remove(source);
            }
        }
        let parsed_names = self.fields.names().take(parsed.len()).map(str::to_owned);
        let made: Vec<(String, ArrayRef)> = match &self.plan.into {
            Into::Struct(name) => {
                let fields: Fields = parsed_names
                    .zip(&parsed)
                    .map(|(name, values)| Field::new(name, values.data_type().clone(), true))
                    .collect();
                let values =
                    StructArray::try_new_with_length(fields, parsed, None, rows.num_rows()).map_err(failure)?;
                vec![(name.clone(), Arc::new(values))]
            }
            Into::Columns { prefix } => parsed_names.map(|name| format!("{prefix}{name}")).zip(parsed).collect(),
        };
        for (name, values) in made {
            match names.iter().position(|known| *known == name) {
                Some(place) if fills(&self.plan, &name) => columns[place] = filled(&columns[place], values)?,
                Some(place) => columns[place] = values,
                None => {
                    names.push(name);
                    columns.push(values);
                }
            }
        }
        let same = self.schema.fields().len() == columns.len()
            && self
                .schema
                .fields()
                .iter()
                .zip(names.iter().zip(&columns))
                .all(|(field, (name, values))| field.name() == name && field.data_type() == values.data_type());
        if !same {
            let fields =
                names.iter().zip(&columns).map(|(name, values)| Field::new(name, values.data_type().clone(), true));
            self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(failure)
    }
}

/// Whether a column fills the one that has its name, in place of replacing it.
fn fills(plan: &ParsePlan, column: &str) -> bool {
    match &plan.into {
        Into::Columns { prefix } => {
            plan.has_others() && !plan.declares(column.strip_prefix(prefix.as_str()).unwrap_or(column))
        }
        Into::Struct(_) => false,
    }
}

/// `known`, and where it is null `values`, if they can be of its type.
fn filled(known: &ArrayRef, values: ArrayRef) -> Result<ArrayRef, Trouble> {
    if *known.data_type() == DataType::Null {
        return Ok(values);
    }
    let Ok(values) = cast(&values, known.data_type()) else { return Ok(known.clone()) };
    zip(&is_not_null(known).map_err(failure)?, known, &values).map_err(failure)
}

/// What texts have given.
#[derive(Default)]
struct Parsed {
    /// How many rows, and their columns: the first of the fields, as many as are known by then.
    parts: Vec<(usize, Vec<ArrayRef>)>,
    /// Which rows are not as they should be, and why.
    failures: Vec<(usize, String)>,
}

/// A column of texts.
enum Texts<'a> {
    Small(&'a StringArray),
    View(&'a StringViewArray),
    Missing,
}

impl<'a> Texts<'a> {
    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Missing => None,
        }
    }
}

fn not(mask: &BooleanArray) -> BooleanArray {
    BooleanArray::new(!mask.values(), None)
}

fn failure(error: arrow::error::ArrowError) -> Trouble {
    Trouble::Types(error.to_string())
}

impl Operator for Parse {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let column = rows.columns.column_by_name(&self.plan.column).cloned();
        let column = column.filter(|column| *column.data_type() != DataType::Null);
        let column = match column {
            Some(column) => match column.data_type() {
                DataType::Utf8 | DataType::Utf8View => Some(column),
                DataType::LargeUtf8 => Some(cast(&column, &DataType::Utf8).map_err(failure)?),
                DataType::Dictionary(_, values) if values.is_string() => {
                    Some(cast(&column, &DataType::Utf8).map_err(failure)?)
                }
                other => {
                    return Err(Trouble::Types(format!(
                        "the column `{}` is {other} where text is needed",
                        self.plan.column
                    )));
                }
            },
            None => None,
        };
        let texts = match column.as_ref() {
            None => Texts::Missing,
            Some(column) if *column.data_type() == DataType::Utf8 => Texts::Small(column.as_string::<i32>()),
            Some(column) => Texts::View(column.as_string_view()),
        };
        let Parsed { parts, failures } = self.parse(&texts, rows.len());
        let mut failed = vec![false; rows.len()];
        failures.iter().for_each(|(row, _)| failed[*row] = true);
        let failed = BooleanArray::from(failed);
        let (mut outcome, mut from) = (Outcome::default(), 0);
        for (length, parsed) in parts {
            let (part, failed) = (rows.slice(from, length), failed.slice(from, length));
            from += length;
            let columns = self.with_parsed(&part.columns, parsed, &failed)?;
            let passed = part.with_columns(columns);
            let rejects = self.plan.on_failure == OnFailure::DeadLetter && failed.true_count() > 0;
            outcome.rows.push(if rejects { passed.filter(&not(&failed)) } else { passed });
        }
        if self.plan.on_failure != OnFailure::DeadLetter || failures.is_empty() {
            return Ok(outcome);
        }
        let Some(origin) = &rows.origin else { return Err(Trouble::Value(failures[0].1.clone())) };
        outcome.rejected = failures.len() as u64;
        effects.extend(
            failures
                .into_iter()
                .map(|(row, problem)| origin.rejected(row, format!("the column `{}`: {problem}", self.plan.column))),
        );
        Ok(outcome)
    }

    /// The names that were found, in their order: what the columns are depends on them.
    fn meta(&self) -> Option<Box<RawValue>> {
        let found: Vec<&str> = self.fields.found().collect();
        Some(to_raw_value(&found).expect("names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, _runs: &[Run]) -> Result<(), String> {
        let found: Vec<String> = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        found.iter().for_each(|name| self.fields.found_again(name));
        Ok(())
    }
}
