//! `enrich`: looks each row up in a table and takes columns from it.
//!
//! The engine reads no file: the table comes in as an input ([`crate::Input::Table`]), before the first row and whenever
//! there is a newer one. Which version a row saw is therefore decided by the order of the inputs and by nothing else.
//! A snapshot holds the name of the version, not the table: after a restore whoever gives the inputs gives it again.
//!
//! A column that is taken replaces one of the row that has its name, so that the columns that go on do not depend on what
//! was found.

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{is_not_null, take};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use serde_json::value::{RawValue, to_raw_value};
use weir_model::Compiler;

use super::{Operator, Outcome};
use crate::compiled::{Compiled, Trouble};
use crate::plan::Plan;
use crate::rows::Rows;
use crate::{Effect, Run};
pub use table::{Table, TableError};

/// A step that looks rows up in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichPlan {
    /// What is looked up: of each key the expression over the row, and the column of the table that it must equal. Both
    /// are compared as the column's type; null equals nothing.
    pub on: Vec<(String, String)>,
    /// The columns of the table that the row gets.
    pub take: Vec<String>,
    /// What becomes of rows that the table has nothing for.
    pub missing: Missing,
}

/// What becomes of rows that the table has nothing for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They go on, with nulls.
    #[default]
    Keep,
    /// They are rejected.
    DeadLetter,
    /// They are filtered.
    Filter,
}

impl EnrichPlan {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.on.is_empty() {
            return Err("there is no key to look up by".to_owned());
        }
        if self.take.is_empty() {
            return Err("there is no column to take from the table".to_owned());
        }
        let mut names = BTreeSet::new();
        match self.take.iter().find(|name| !names.insert(*name)) {
            Some(twice) => Err(format!("the column {twice} is taken twice")),
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Enrich {
    node: usize,
    name: String,
    missing: Missing,
    expressions: Compiled,
    /// The names of the keys in the table, for messages.
    keys: Vec<String>,
    table: Option<Arc<Table>>,
    /// The version that rows saw last; after a restore it is known before the table is.
    version: Option<String>,
    /// The last schema that came in and what became of it: equal ones share it, so that steps that follow find theirs by
    /// pointer.
    schemas: Option<(SchemaRef, SchemaRef)>,
}

impl Enrich {
    pub(crate) fn new(plan: &EnrichPlan, pipeline: &Plan, node: usize, compiler: Arc<dyn Compiler>) -> Self {
        let (texts, keys) = plan.on.iter().cloned().unzip();
        Self {
            node,
            name: pipeline.nodes[node].name.clone(),
            missing: plan.missing,
            expressions: Compiled::new(texts, compiler),
            keys,
            table: None,
            version: None,
            schemas: None,
        }
    }

    /// The rows with the taken columns, of which `found` says where they are in the table.
    fn with_columns(&mut self, rows: &Rows, table: &Table, found: &UInt32Array) -> Result<Rows, Trouble> {
        let schema = self.schema(&rows.columns.schema(), table);
        let mut columns = rows.columns.columns().to_vec();
        for (field, values) in table.taken() {
            let values = take(values, found, None).map_err(|error| Trouble::Types(error.to_string()))?;
            match rows.columns.schema().index_of(field.name()) {
                Ok(index) => columns[index] = values,
                Err(_) => columns.push(values),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = RecordBatch::try_new_with_options(schema, columns, &options);
        let columns = columns.map_err(|error| Trouble::Types(error.to_string()))?;
        Ok(rows.with_columns(columns))
    }

    fn schema(&mut self, input: &SchemaRef, table: &Table) -> SchemaRef {
        if let Some((known, output)) = &self.schemas
            && (Arc::ptr_eq(known, input) || known == input)
        {
            return output.clone();
        }
        let mut fields: Vec<Arc<Field>> = input.fields().iter().cloned().collect();
        for (field, _) in table.taken() {
            match input.index_of(field.name()) {
                Ok(index) => fields[index] = field.clone(),
                Err(_) => fields.push(field.clone()),
            }
        }
        let output = Arc::new(Schema::new(fields));
        self.schemas = Some((input.clone(), output.clone()));
        output
    }

    /// Rejects the rows that were not found.
    fn reject(&self, rows: &Rows, keys: &[ArrayRef], found: &UInt32Array, effects: &mut Vec<Effect>) -> u64 {
        let missing = (0..rows.len()).filter(|row| found.is_null(*row));
        for row in missing.clone() {
            let wanted = self.keys.iter().zip(keys).map(|(name, values)| {
                let value = array_value_to_string(values, row).unwrap_or_else(|error| error.to_string());
                if values.is_null(row) { format!("{name} is null") } else { format!("{name} = {value:?}") }
            });
            let wanted = wanted.collect::<Vec<_>>().join(" and ");
            let reason = || format!("{}: the table has no row with {wanted}", self.name);
            rows.reject(self.node, &[row as u32], reason, effects);
        }
        missing.count() as u64
    }
}

impl Operator for Enrich {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let keys = self.expressions.evaluate(&rows.columns)?;
        let none = || Trouble::Types(format!("{}: the table to look up in was not given", self.name));
        let table = self.table.clone().ok_or_else(none)?;
        let found = table.find(&keys, rows.len()).map_err(Trouble::Types)?;
        let enriched = self.with_columns(rows, &table, &found)?;
        let missing = found.null_count();
        if missing == 0 || self.missing == Missing::Keep {
            return Ok(Outcome::passes(enriched));
        }
        let keep: BooleanArray = is_not_null(&found).expect("indices are an array");
        let outcome = Outcome::passes(enriched.filter(&keep));
        match self.missing {
            Missing::Keep => unreachable!("it was looked at above"),
            Missing::Filter => Ok(Outcome { filtered: missing as u64, ..outcome }),
            Missing::DeadLetter => Ok(Outcome { rejected: self.reject(rows, &keys, &found, effects), ..outcome }),
        }
    }

    fn learn(&mut self, table: Arc<Table>) {
        self.version = Some(table.version().to_owned());
        self.table = Some(table);
        self.schemas = None;
    }

    fn table_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        self.version.as_ref().map(|version| to_raw_value(version).expect("text is JSON"))
    }

    fn restore(&mut self, meta: &RawValue, _runs: &[Run]) -> Result<(), String> {
        self.version = Some(serde_json::from_str(meta.get()).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.table.as_ref().map_or(0, |table| table.size())
    }
}
