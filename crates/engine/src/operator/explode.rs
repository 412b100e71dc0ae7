//! `explode`: a row per element of a list. Each keeps the position and the event time of the row that it comes from.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};

use super::{Operator, Outcome, PlanFault, distinct};
use crate::Effect;
use crate::compiled::Trouble;
use crate::rows::Rows;

/// Rows that go on together: lists may be long.
const ROWS_PER_BATCH: usize = 8192;

/// Makes a row of each element of a list. The balance counts all but the first of a row as added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplodePlan {
    /// The column that holds lists.
    pub column: String,
    /// What the column of the elements is called; `None`: as the list. A column of that name is replaced.
    pub into: Option<String>,
    /// The column that tells which element it was, from 0, if one is wanted.
    pub index: Option<String>,
    /// What becomes of a row whose list is empty or null.
    pub empty: Empty,
}

/// What becomes of a row whose list is empty or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// It is filtered.
    Drop,
    /// It goes on with null in the place of the element.
    Keep,
}

impl ExplodePlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        let element = self.into.as_ref().unwrap_or(&self.column);
        distinct("", [Some(element), self.index.as_ref()].into_iter().flatten().map(String::as_str))
    }

    /// The columns that come out, and the index of the list among those that go in; `None` when it is not there.
    fn schema(&self, from: &Schema, element: &DataType) -> Schema {
        let mut fields: Vec<Arc<Field>> = from.fields().iter().cloned().collect();
        let into = self.into.as_ref().unwrap_or(&self.column);
        if let Some(place) = fields.iter().position(|field| *field.name() == self.column) {
            fields[place] = Arc::new(Field::new(into, element.clone(), true));
            let twice = fields.iter().enumerate().position(|(index, field)| index != place && field.name() == into);
            twice.map(|index| fields.remove(index));
        }
        if let Some(index) = &self.index {
            fields.retain(|field| field.name() != index);
            fields.push(Arc::new(Field::new(index, DataType::Int64, true)));
        }
        Schema::new(fields)
    }
}

/// The type of the elements of a list.
pub(super) fn element_type(list: &DataType) -> Option<&DataType> {
    match list {
        DataType::List(item) | DataType::LargeList(item) => Some(item.data_type()),
        _ => None,
    }
}

/// The columns that come out of `from`.
///
/// # Errors
/// When the column is no list.
pub fn exploded_schema(plan: &ExplodePlan, from: &Schema) -> Result<Schema, String> {
    let list = from.column_with_name(&plan.column).map(|(_, field)| field.data_type());
    let element = match list {
        None => &DataType::Null,
        Some(list) => element_type(list).ok_or_else(|| format!("`{}` is {list}, not a list", plan.column))?,
    };
    Ok(plan.schema(from, element))
}

#[derive(Debug)]
pub(crate) struct Explode {
    plan: ExplodePlan,
}

impl Explode {
    pub(crate) fn new(plan: &ExplodePlan) -> Self {
        Self { plan: plan.clone() }
    }

    fn part(
        &self,
        rows: &Rows,
        elements: Option<&ArrayRef>,
        picks: &Picks,
        schema: &Arc<Schema>,
    ) -> Result<Rows, Trouble> {
        let failed = |error: arrow::error::ArrowError| Trouble::Types(error.to_string());
        let mut taken = rows.take(&UInt32Array::from(picks.rows.clone()));
        let into = self.plan.into.as_ref().unwrap_or(&self.plan.column);
        let columns = schema.fields().iter().map(|field| {
            if Some(field.name()) == self.plan.index.as_ref() {
                return Ok(Arc::new(picks.places.iter().copied().collect::<Int64Array>()) as ArrayRef);
            }
            if let Some(elements) = elements.filter(|_| field.name() == into) {
                let elements = take(elements, &picks.elements.iter().copied().collect::<UInt64Array>(), None);
                return elements.map_err(failed);
            }
            Ok(taken.columns.column_by_name(field.name()).expect("the schema is made of these columns").clone())
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        taken.columns = RecordBatch::try_new(schema.clone(), columns).map_err(failed)?;
        Ok(taken)
    }
}

/// For each row that comes out: the row that it comes from, its element, and which element of the list that is.
#[derive(Default)]
struct Picks {
    rows: Vec<u32>,
    elements: Vec<Option<u64>>,
    places: Vec<Option<i64>>,
}

impl Picks {
    fn push(&mut self, row: usize, element: Option<(usize, usize)>) {
        self.rows.push(u32::try_from(row).expect("a batch has fewer rows"));
        self.elements.push(element.map(|(element, _)| element as u64));
        self.places.push(element.and_then(|(_, place)| i64::try_from(place).ok()));
    }
}

/// The elements, and where each row's begin and end.
type Lists = (Option<ArrayRef>, Vec<(usize, usize)>);

/// The elements of all lists one after the other, and where the list of each row begins and ends; empty where null.
fn lists(column: Option<&ArrayRef>, rows: usize, name: &str) -> Result<Lists, Trouble> {
    let Some(column) = column else { return Ok((None, vec![(0, 0); rows])) };
    let span = |row: usize, from: i64, to: i64| {
        if column.is_null(row) { (0, 0) } else { (from.max(0) as usize, to.max(0) as usize) }
    };
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets();
            let spans = (0..rows).map(|row| span(row, offsets[row].into(), offsets[row + 1].into()));
            Ok((Some(list.values().clone()), spans.collect()))
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            let offsets = list.value_offsets();
            Ok((Some(list.values().clone()), (0..rows).map(|row| span(row, offsets[row], offsets[row + 1])).collect()))
        }
        other => Err(Trouble::Types(format!("the column `{name}` is {other} where a list is needed"))),
    }
}

impl Operator for Explode {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let column = rows.columns.column_by_name(&self.plan.column);
        let (elements, spans) = lists(column, rows.len(), &self.plan.column)?;
        let schema = exploded_schema(&self.plan, rows.columns.schema_ref()).map_err(Trouble::Types)?;
        let schema = Arc::new(schema);
        let (mut outcome, mut picks) = (Outcome::default(), Picks::default());
        for (row, (from, to)) in spans.into_iter().enumerate() {
            match to - from {
                0 if self.plan.empty == Empty::Drop => outcome.filtered += 1,
                0 => picks.push(row, None),
                many => outcome.added += many as u64 - 1,
            }
            for element in from..to {
                picks.push(row, Some((element, element - from)));
                if picks.rows.len() == ROWS_PER_BATCH {
                    outcome.rows.push(self.part(rows, elements.as_ref(), &std::mem::take(&mut picks), &schema)?);
                }
            }
        }
        outcome.rows.push(self.part(rows, elements.as_ref(), &picks, &schema)?);
        Ok(outcome)
    }
}
