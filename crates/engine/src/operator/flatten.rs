//! `flatten`: what is inside of objects becomes columns of its own. JSON that is text is for `parse`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::{Operator, Outcome, PlanFault, distinct};
use crate::Effect;
use crate::compiled::Trouble;
use crate::rows::Rows;

/// Replaces columns that are structs by their fields, where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlattenPlan {
    /// Which columns; all structs if empty. One that is no struct, or not there, stays as it is.
    pub columns: Vec<String>,
    /// Between the names on the way to a value: `payload_user_id`.
    pub separator: String,
    /// How many levels are opened; what is deeper stays a struct. `None`: all.
    pub depth: Option<usize>,
    /// What new names begin with, in place of the column's name and the separator.
    pub prefix: Option<String>,
    /// What happens when two columns would have one name.
    pub clash: Clash,
}

/// What happens when two columns would have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// Columns that are not flattened keep their names; of the others the first in the order of the columns has it, and
    /// the next get `_2`, `_3` and so on behind it.
    Suffix,
    /// The rows are rejected.
    Refuse,
}

impl FlattenPlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        distinct("columns", self.columns.iter().map(String::as_str))?;
        if self.depth == Some(0) {
            return Err(PlanFault::new("depth", "a depth of 0 opens nothing: at least 1"));
        }
        Ok(())
    }

    fn opens(&self, field: &Field) -> bool {
        let chosen = self.columns.is_empty() || self.columns.contains(field.name());
        chosen && matches!(field.data_type(), DataType::Struct(_))
    }
}

#[derive(Debug)]
pub(crate) struct Flatten {
    plan: FlattenPlan,
    /// The schema that came last, and how it is flattened.
    known: Option<(SchemaRef, Result<Flat, String>)>,
}

/// Where each new column is found, as the indices on the way to it, and what they are all called.
#[derive(Clone, Debug)]
struct Flat {
    paths: Vec<Vec<usize>>,
    schema: SchemaRef,
}

impl Flatten {
    pub(crate) fn new(plan: &FlattenPlan) -> Self {
        Self { plan: plan.clone(), known: None }
    }

    fn known(&mut self, from: &SchemaRef) -> Result<&Flat, Trouble> {
        if !self.known.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, from) || known == from) {
            self.known = Some((from.clone(), flat(&self.plan, from)));
        }
        let (_, flat) = self.known.as_ref().expect("it was made just now");
        flat.as_ref().map_err(|problem| Trouble::Types(problem.clone()))
    }
}

/// The columns that `schema` has when it is flattened.
///
/// # Errors
/// When two would have one name.
pub fn flat_schema(plan: &FlattenPlan, schema: &Schema) -> Result<SchemaRef, String> {
    flat(plan, schema).map(|flat| flat.schema)
}

fn flat(plan: &FlattenPlan, schema: &Schema) -> Result<Flat, String> {
    let whole = schema.fields().iter().filter(|field| !plan.opens(field));
    let mut taken: BTreeSet<String> = whole.map(|field| field.name().clone()).collect();
    let (mut paths, mut fields) = (Vec::new(), Vec::new());
    for (index, field) in schema.fields().iter().enumerate() {
        let DataType::Struct(inner) = field.data_type() else {
            paths.push(vec![index]);
            fields.push(field.clone());
            continue;
        };
        if !plan.opens(field) {
            paths.push(vec![index]);
            fields.push(field.clone());
            continue;
        }
        let start = plan.prefix.clone().unwrap_or_else(|| format!("{}{}", field.name(), plan.separator));
        let mut leaves = Vec::new();
        let depth = plan.depth.unwrap_or(usize::MAX);
        open(inner, &start, &plan.separator, depth, &mut vec![index], &mut leaves);
        for (path, name, data_type) in leaves {
            let name = free_name(name, &mut taken, plan.clash)?;
            paths.push(path);
            fields.push(Arc::new(Field::new(name, data_type, true)));
        }
    }
    Ok(Flat { paths, schema: Arc::new(Schema::new(fields)) })
}

/// A value inside a struct: the way to it, its name and its type.
type Leaf = (Vec<usize>, String, DataType);

fn open(fields: &Fields, start: &str, separator: &str, depth: usize, path: &mut Vec<usize>, leaves: &mut Vec<Leaf>) {
    for (index, field) in fields.iter().enumerate() {
        let name = format!("{start}{}", field.name());
        path.push(index);
        match field.data_type() {
            DataType::Struct(inner) if depth > 1 => {
                open(inner, &format!("{name}{separator}"), separator, depth - 1, path, leaves);
            }
            data_type => leaves.push((path.clone(), name, data_type.clone())),
        }
        path.pop();
    }
}

fn free_name(name: String, taken: &mut BTreeSet<String>, clash: Clash) -> Result<String, String> {
    if taken.insert(name.clone()) {
        return Ok(name);
    }
    match clash {
        Clash::Refuse => Err(format!("flattening would make two columns called `{name}`")),
        Clash::Suffix => {
            let free = (2..).map(|number| format!("{name}_{number}")).find(|name| taken.insert(name.clone()));
            Ok(free.expect("there are more numbers than columns"))
        }
    }
}

/// The values at the end of `path`; null where anything on the way is.
fn values_at(columns: &RecordBatch, path: &[usize]) -> Result<ArrayRef, Trouble> {
    let mut values = columns.column(path[0]).clone();
    for index in &path[1..] {
        let outer: &StructArray = values.as_struct();
        let inner = outer.column(*index).clone();
        values = match outer.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => inner,
            Some(nulls) => nullif(&inner, &BooleanArray::new(!nulls.inner(), None))
                .map_err(|error| Trouble::Types(error.to_string()))?,
        };
    }
    Ok(values)
}

impl Operator for Flatten {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let flat = self.known(rows.columns.schema_ref())?;
        let columns = flat.paths.iter().map(|path| values_at(&rows.columns, path)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = RecordBatch::try_new_with_options(flat.schema.clone(), columns, &options);
        let columns = columns.map_err(|error| Trouble::Types(error.to_string()))?;
        Ok(Outcome::passes(rows.with_columns(columns)))
    }
}
