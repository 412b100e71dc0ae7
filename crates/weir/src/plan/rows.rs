//! The steps that look at rows one after the other: as written to as run, which fields they need, which columns they give.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use weir_engine::{OperatorPlan, PlanFault, RowsPlan};
use weir_model::Expression;
use weir_pipeline::Named;
use weir_sql::columns;

use super::Problem;
use super::fields::Need;
use super::types::{Checker, Known};

/// The operator of step `index`, if it makes sense in itself.
pub(super) fn plan(index: usize, plan: RowsPlan) -> Result<OperatorPlan, Vec<Problem>> {
    match plan.check() {
        Ok(()) => Ok(OperatorPlan::Rows(plan)),
        Err(fault) => Err(vec![problem(index, plan.kind(), fault)]),
    }
}

fn problem(index: usize, kind: &str, PlanFault { key, message, hint }: PlanFault) -> Problem {
    let path = if key.is_empty() { format!("steps[{index}].{kind}") } else { format!("steps[{index}].{kind}.{key}") };
    Problem { path, column: None, message, hint }
}

/// Names and texts.
pub(super) fn pairs(named: &Named) -> Vec<(String, String)> {
    named.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// What a step needs of what it takes from, when `need` is needed of what it gives.
pub(super) fn need(plan: &RowsPlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let same = |name: &str| Some(name.to_owned());
    Ok(match plan {
        RowsPlan::Add(list) => {
            let made = |name: &str| list.iter().any(|(made, _)| made == name);
            let mut upstream = need.renamed(|name| same(name).filter(|name| !made(name)));
            for (name, text) in list {
                let uses = columns(text).map_err(|error| Problem::sql(format!("steps[{index}].add.{name}"), error))?;
                upstream.add_uses(&uses);
            }
            upstream
        }
        RowsPlan::Drop(list) => need.renamed(|name| same(name).filter(|name| !list.contains(name))),
        RowsPlan::Rename(list) => {
            let old = |name: &str| list.iter().find(|(new, _)| new == name).map(|(_, old)| old.clone());
            let mut upstream = need.renamed(|name| old(name).or_else(|| same(name)));
            list.iter().for_each(|(_, old)| upstream.add(old, false, false, false));
            upstream
        }
    })
}

/// Checks a step and tells which columns it gives.
pub(super) fn check(checker: &mut Checker, index: usize, plan: &RowsPlan, input: &Known) -> Known {
    let fields = input.columns().map(|schema| schema.fields().to_vec());
    match plan {
        RowsPlan::Add(list) => {
            let path = |name: &str| format!("steps[{index}].add.{name}");
            let made: Vec<Option<Field>> = list
                .iter()
                .map(|(name, text)| {
                    let expression = checker.expression(&path(name), text, input)?;
                    Some(Field::new(name, expression.data_type().clone(), true))
                })
                .collect();
            let (Some(mut fields), Some(made)) = (fields, made.into_iter().collect::<Option<Vec<_>>>()) else {
                return Known::Open;
            };
            for field in made.into_iter().map(Arc::new) {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => *known = field,
                    None => fields.push(field),
                }
            }
            Known::Columns(Arc::new(Schema::new(fields)))
        }
        // What a step leaves out need not be there: fields of free-form data that nobody needs are not decoded.
        RowsPlan::Drop(list) => known(fields, |field| (!list.contains(field.name())).then_some(field)),
        RowsPlan::Rename(list) => {
            for (new, old) in list {
                checker.column(&format!("steps[{index}].rename.{new}"), old, input);
            }
            known(fields, |field| match list.iter().find(|(_, old)| old == field.name()) {
                Some((new, _)) => Some(Arc::new(field.as_ref().clone().with_name(new))),
                None => (!list.iter().any(|(new, _)| new == field.name())).then_some(field),
            })
        }
    }
}

fn known(fields: Option<Vec<Arc<Field>>>, change: impl Fn(Arc<Field>) -> Option<Arc<Field>>) -> Known {
    let Some(fields) = fields else { return Known::Open };
    Known::Columns(Arc::new(Schema::new(fields.into_iter().filter_map(change).collect::<Vec<_>>())))
}

/// What the column `time`, by which rows are kept, is called after a step; `None` when it is gone.
pub(super) fn time_column(plan: &RowsPlan, time: String) -> Option<String> {
    match plan {
        RowsPlan::Add(_) => Some(time),
        RowsPlan::Drop(list) => Some(time).filter(|time| !list.contains(time)),
        RowsPlan::Rename(list) => match list.iter().find(|(_, old)| *old == time) {
            Some((new, _)) => Some(new.clone()),
            None => Some(time).filter(|time| !list.iter().any(|(new, _)| new == time)),
        },
    }
}

/// What a step does, for a person.
pub(crate) fn describe(plan: &RowsPlan) -> String {
    let pairs = |list: &[(String, String)]| {
        list.iter().map(|(name, text)| format!("{name} = {text}")).collect::<Vec<_>>().join(", ")
    };
    match plan {
        RowsPlan::Add(list) => format!("also {}", pairs(list)),
        RowsPlan::Drop(list) => format!("without {}", list.join(", ")),
        RowsPlan::Rename(list) => format!("with {} renamed", pairs(list)),
    }
}
