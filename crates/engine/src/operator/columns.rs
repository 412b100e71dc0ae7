//! `drop` and `rename`: other columns of the same rows. A column that is not there is no fault: data of a free form has
//! it only once it comes.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{Operator, Outcome, PlanFault, distinct};
use crate::Effect;
use crate::compiled::Trouble;
use crate::rows::Rows;

/// Drops or renames columns.
#[derive(Debug)]
pub(crate) struct Columns {
    change: Change,
    /// The schema that came last, which of its columns go on, and as what.
    known: Option<(SchemaRef, Vec<usize>, SchemaRef)>,
}

#[derive(Debug)]
enum Change {
    Drop(Vec<String>),
    /// New and old name.
    Rename(Vec<(String, String)>),
}

pub(super) fn check_drop(columns: &[String]) -> Result<(), PlanFault> {
    distinct("", columns.iter().map(String::as_str))
}

pub(super) fn check_rename(columns: &[(String, String)]) -> Result<(), PlanFault> {
    distinct("", columns.iter().map(|(new, _)| new.as_str()))?;
    distinct("", columns.iter().map(|(_, old)| old.as_str()))
}

impl Columns {
    pub(crate) fn drop(columns: &[String]) -> Self {
        Self { change: Change::Drop(columns.to_vec()), known: None }
    }

    pub(crate) fn rename(columns: &[(String, String)]) -> Self {
        Self { change: Change::Rename(columns.to_vec()), known: None }
    }

    fn known(&mut self, from: &SchemaRef) -> (&[usize], SchemaRef) {
        if !self.known.as_ref().is_some_and(|(known, ..)| Arc::ptr_eq(known, from) || known == from) {
            let kept: Vec<(usize, Arc<Field>)> = from
                .fields()
                .iter()
                .enumerate()
                .filter_map(|(index, field)| Some((index, self.change.apply(field)?)))
                .collect();
            let (kept, fields): (Vec<usize>, Vec<Arc<Field>>) = kept.into_iter().unzip();
            self.known = Some((from.clone(), kept, Arc::new(Schema::new(fields))));
        }
        let (_, kept, to) = self.known.as_ref().expect("it was made just now");
        (kept, to.clone())
    }
}

impl Change {
    /// The field as it goes on. A column that is there makes room for one that takes its name.
    fn apply(&self, field: &Arc<Field>) -> Option<Arc<Field>> {
        let name = field.name();
        match self {
            Self::Drop(columns) => (!columns.contains(name)).then(|| field.clone()),
            Self::Rename(columns) => match columns.iter().find(|(_, old)| old == name) {
                Some((new, _)) => Some(Arc::new(field.as_ref().clone().with_name(new))),
                None => (!columns.iter().any(|(new, _)| new == name)).then(|| field.clone()),
            },
        }
    }
}

impl Operator for Columns {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (kept, schema) = self.known(rows.columns.schema_ref());
        let columns = kept.iter().map(|index| rows.columns.column(*index).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = RecordBatch::try_new_with_options(schema, columns, &options);
        let columns = columns.map_err(|error| Trouble::Types(error.to_string()))?;
        Ok(Outcome::passes(rows.with_columns(columns)))
    }
}
