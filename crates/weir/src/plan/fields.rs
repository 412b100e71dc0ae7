//! Which fields each source must give, and as what: decoding is the dearest part of a pipeline, so a field that no step
//! looks at is never built.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use weir_engine::{Aggregate, OperatorPlan, Plan, RowsPlan, Upstream, WatermarkPlan};
use weir_model::{FieldKind, Fields, WantedField};
use weir_pipeline::FieldType;
use weir_sql::{BROUGHT, ColumnUse, columns};

use super::lowering::Place;
use super::{Problem, memory, rows};

/// What is done with a field, as far as its type can be told from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    numeric: bool,
    boolean: bool,
    key: bool,
}

/// What a node or a source must give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// Everything there is, because it is written as it is.
    all: bool,
    /// At least these.
    fields: BTreeMap<String, Use>,
}

impl Need {
    /// The names, or `None` when it is everything there is.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        (!self.all).then(|| self.fields.keys().cloned().collect())
    }

    pub(super) fn add(&mut self, name: &str, numeric: bool, boolean: bool, key: bool) {
        let known = self.fields.entry(name.to_owned()).or_default();
        known.numeric |= numeric;
        known.boolean |= boolean;
        known.key |= key;
    }

    pub(super) fn add_uses(&mut self, uses: &[ColumnUse]) {
        for used in uses {
            self.add(&used.name, used.numeric, used.boolean, false);
        }
    }

    /// The same, and everything else that there is.
    pub(super) fn everything(mut self) -> Self {
        self.all = true;
        self
    }

    /// Whether everything is needed.
    pub(super) fn is_all(&self) -> bool {
        self.all
    }

    /// The names that are needed at least, and whether as a number or as a truth value.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&str, bool, bool)> {
        self.fields.iter().map(|(name, used)| (name.as_str(), used.numeric, used.boolean))
    }

    /// The same with each name as `name` has it; those that it has not are not needed.
    pub(super) fn renamed(&self, name: impl Fn(&str) -> Option<String>) -> Self {
        let mut need = Self { all: self.all, ..Self::default() };
        for (known, used) in &self.fields {
            // What is inside of a column goes where the column goes.
            let (column, inside) = known.split_once('.').unwrap_or((known, ""));
            let whole = name(known);
            let renamed = whole.filter(|whole| whole != known || inside.is_empty()).or_else(|| {
                let column = name(column)?;
                Some(if inside.is_empty() { column } else { format!("{column}.{inside}") })
            });
            if let Some(name) = renamed {
                need.add(&name, used.numeric, used.boolean, used.key);
            }
        }
        need
    }

    fn merge(&mut self, other: &Self) {
        self.all |= other.all;
        for (name, used) in &other.fields {
            self.add(name, used.numeric, used.boolean, used.key);
        }
    }
}

/// What each source must give, in the order of `plan.sources`.
pub(super) fn needs(plan: &Plan, places: &[Place]) -> Result<Vec<Need>, Vec<Problem>> {
    needs_of_all(plan, places).map(|needs| needs.sources)
}

/// Tells the steps that take JSON and `key=value` apart which fields later steps need.
pub(super) fn fill_parsed(plan: &mut Plan, places: &[Place]) -> Result<(), Vec<Problem>> {
    let needs = needs_of_all(plan, places)?;
    for (node, need) in plan.nodes.iter_mut().zip(needs.given) {
        if let OperatorPlan::Rows(RowsPlan::Parse(parse)) = &mut node.operator {
            rows::fill_parsed(parse, &need);
        }
    }
    Ok(())
}

/// Who needs what.
pub(super) struct Needs {
    /// What each source must give.
    pub(super) sources: Vec<Need>,
    /// What each node takes of what it is given.
    pub(super) taken: Vec<Need>,
    /// What each node must give.
    pub(super) given: Vec<Need>,
}

/// What each source must give, and what each node takes and gives.
pub(super) fn needs_of_all(plan: &Plan, places: &[Place]) -> Result<Needs, Vec<Problem>> {
    let mut taken = vec![Need::default(); plan.nodes.len()];
    let mut sources = vec![Need::default(); plan.sources.len()];
    let mut nodes = vec![Need::default(); plan.nodes.len()];
    let mut problems = Vec::new();
    let mut give = |nodes: &mut Vec<Need>, from: Upstream, need: &Need| match from {
        Upstream::Source(index) => sources[index].merge(need),
        Upstream::AllSources => sources.iter_mut().for_each(|source| source.merge(need)),
        Upstream::Node(index) => nodes[index].merge(need),
    };
    for output in &plan.outputs {
        give(&mut nodes, output.from, &Need { all: true, ..Need::default() });
    }
    for index in (0..plan.nodes.len()).rev() {
        let node = &plan.nodes[index];
        match need_of(&node.operator, &nodes[index], &places[index]) {
            Ok(need) => {
                if let OperatorPlan::Join(join) = &node.operator {
                    match memory::right_need(join, &nodes[index].clone(), places[index].step) {
                        Ok(need) => give(&mut nodes, join.with, &need),
                        Err(found) => problems.push(found),
                    }
                }
                give(&mut nodes, node.from, &need);
                taken[index] = need;
            }
            Err(found) if places[index].repeats => drop(found),
            Err(found) => problems.push(found),
        }
    }
    if let Some(condition) = punctuation(plan) {
        match columns(condition) {
            Ok(uses) => sources.iter_mut().for_each(|source| source.add_uses(&uses)),
            Err(error) => problems.push(Problem::sql(PUNCTUATION, error)),
        }
    }
    if problems.is_empty() { Ok(Needs { sources, taken, given: nodes }) } else { Err(problems) }
}

/// Where the condition of a punctuated watermark stands.
pub(super) const PUNCTUATION: &str = "time.watermark.punctuated.where";

/// The condition under which a record moves the watermark, if not all do.
pub(super) fn punctuation(plan: &Plan) -> Option<&str> {
    match &plan.time.as_ref()?.watermark {
        WatermarkPlan::Bounded { .. } | WatermarkPlan::Periodic { .. } => None,
        WatermarkPlan::Punctuated { condition, .. } => Some(condition),
    }
}

/// What an operator needs of what it takes from, when `need` is needed of what it gives.
fn need_of(operator: &OperatorPlan, need: &Need, place: &Place) -> Result<Need, Problem> {
    let index = place.step;
    let mut upstream = Need::default();
    match operator {
        OperatorPlan::Where(text) => {
            upstream.merge(need);
            let uses = columns(text).map_err(|error| Problem::sql(place.condition(), error))?;
            upstream.add_uses(&uses);
        }
        OperatorPlan::Select(list) => {
            for (name, text) in list {
                let uses =
                    columns(text).map_err(|error| Problem::sql(format!("steps[{index}].select.{name}"), error))?;
                upstream.add_uses(&uses);
            }
        }
        OperatorPlan::Rows(plan) => upstream = rows::need(plan, need, index)?,
        OperatorPlan::Join(plan) => upstream = memory::left_need(plan, need, index)?,
        OperatorPlan::Enrich(plan) => upstream = memory::enrich_need(plan, need, index)?,
        OperatorPlan::Deduplicate(plan) => upstream = memory::deduplicate_need(plan, need, index)?,
        OperatorPlan::Window(window) => {
            for (position, key) in window.by.iter().enumerate() {
                let uses = columns(key)
                    .map_err(|error| Problem::sql(format!("steps[{index}].window.by[{position}]"), error))?;
                for used in uses {
                    upstream.add(&used.name, used.numeric, used.boolean, used.name == *key);
                }
            }
            for aggregate in &window.compute {
                let failed = |error| Problem::sql(format!("steps[{index}].window.compute.{}", aggregate.name), error);
                for text in aggregate.arguments().iter().chain(&aggregate.filter) {
                    upstream.add_uses(&columns(text).map_err(failed)?);
                }
                for (column, used) in aggregated_columns(aggregate) {
                    upstream.add(column, used.numeric, used.boolean, false);
                }
            }
        }
    }
    Ok(upstream)
}

/// The columns that an aggregate takes as numbers or truth values: the smallest and the largest are numbers too, unless
/// their type is declared. The first, the last, and what is counted or brought by others may be anything.
fn aggregated_columns(aggregate: &weir_engine::AggregatePlan) -> impl Iterator<Item = (&str, Use)> {
    let used = match &aggregate.function {
        Aggregate::Sum
        | Aggregate::Avg
        | Aggregate::Min
        | Aggregate::Max
        | Aggregate::Quantile(_)
        | Aggregate::Variance
        | Aggregate::Stddev => Use { numeric: true, ..Use::default() },
        Aggregate::Count
        | Aggregate::First
        | Aggregate::Last
        | Aggregate::CountDistinct
        | Aggregate::ApproxDistinct
        | Aggregate::TopK(_) => Use::default(),
        Aggregate::Other { name, .. } => {
            let numeric = BROUGHT.iter().any(|shape| shape.name == name && shape.numeric);
            Use { numeric, boolean: name.starts_with("bool_"), key: false }
        }
    };
    let is_column = |text: &&String| columns(text).is_ok_and(|uses| uses.len() == 1 && uses[0].name == **text);
    aggregate.arguments().iter().filter(is_column).map(move |text| (text.as_str(), used))
}

/// The fields to build for `need`: typed by what is declared, else by the format, else by what is done with them.
pub(super) fn wanted(
    need: Need,
    declared: &BTreeMap<String, FieldType>,
    fixed: Option<&SchemaRef>,
    time_field: Option<&str>,
) -> Fields {
    if need.all {
        return Fields::All;
    }
    let kind = |name: &str, used: Use| {
        if Some(name) == time_field {
            return FieldKind::Value(timestamp());
        }
        let known = declared.get(name).map(|declared| data_type(*declared));
        let known = known.or_else(|| fixed_type(fixed?, name));
        match known {
            Some(DataType::Utf8 | DataType::Utf8View | DataType::Dictionary(..)) if used.key => FieldKind::Key,
            Some(known) => FieldKind::Value(known),
            None if used.numeric => FieldKind::Value(DataType::Float64),
            None if used.boolean => FieldKind::Value(DataType::Boolean),
            None if used.key => FieldKind::Key,
            None => FieldKind::Value(DataType::Utf8View),
        }
    };
    let fields =
        need.fields.iter().map(|(name, used)| WantedField { name: name.as_str().into(), kind: kind(name, *used) });
    Fields::These(fields.collect())
}

/// The type of the field `name` of a fixed schema; dots lead into structs and maps.
fn fixed_type(fixed: &SchemaRef, name: &str) -> Option<DataType> {
    let mut parts = name.split('.');
    let mut found = fixed.field_with_name(parts.next()?).ok()?.data_type();
    for part in parts {
        found = match found {
            DataType::Struct(members) => members.find(part)?.1.data_type(),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(entry) if !entry.get(1)?.data_type().is_nested() => {
                    return Some(entry[1].data_type().clone());
                }
                DataType::Struct(entry) => entry.get(1)?.data_type(),
                _ => return None,
            },
            _ => return None,
        };
    }
    Some(found.clone())
}

/// The declared types, for a source whose fields are all built.
pub(super) fn declared(schema: &BTreeMap<String, FieldType>) -> Vec<WantedField> {
    let fields = schema.iter();
    fields
        .map(|(name, declared)| WantedField {
            name: name.as_str().into(),
            kind: FieldKind::Value(data_type(*declared)),
        })
        .collect()
}

pub(super) fn data_type(declared: FieldType) -> DataType {
    match declared {
        FieldType::String => DataType::Utf8View,
        FieldType::Int64 => DataType::Int64,
        FieldType::Float64 => DataType::Float64,
        FieldType::Bool => DataType::Boolean,
        FieldType::Timestamp => timestamp(),
    }
}

/// How times are held in columns everywhere.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
