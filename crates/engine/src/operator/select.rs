//! `select`: replaces the columns.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use weir_model::Compiler;

use super::{Operator, Outcome};
use crate::Effect;
use crate::compiled::{Compiled, Trouble};
use crate::rows::Rows;

#[derive(Debug)]
pub(crate) struct Select {
    names: Vec<String>,
    expressions: Compiled,
    /// The schema of the last result: equal ones share it, so that steps that follow find theirs by pointer.
    schema: SchemaRef,
}

impl Select {
    pub(crate) fn new(columns: &[(String, String)], compiler: Arc<dyn Compiler>) -> Self {
        let (names, texts) = columns.iter().cloned().unzip();
        Self { names, expressions: Compiled::new(texts, compiler), schema: Arc::new(Schema::empty()) }
    }
}

impl Operator for Select {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let columns = self.expressions.evaluate(&rows.columns)?;
        let same = |(field, column): (&Arc<Field>, &Arc<dyn Array>)| field.data_type() == column.data_type();
        if self.schema.fields().len() != columns.len() || !self.schema.fields().iter().zip(&columns).all(same) {
            let fields = self
                .names
                .iter()
                .zip(&columns)
                .map(|(name, column)| Field::new(name, column.data_type().clone(), true));
            self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let columns = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let columns = columns.map_err(|error| Trouble::Types(error.to_string()))?;
        Ok(Outcome::passes(rows.with_columns(columns)))
    }
}
