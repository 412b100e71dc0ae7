//! Expressions of a node, compiled once per schema.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use weir_model::{Compiler, Expression};

use crate::rows::true_only;

/// Schemas that a node remembers the compiled expressions of; the oldest makes room.
const SCHEMAS_MAX: usize = 16;

/// Why rows cannot be processed.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Whatever the values are: the types are wrong.
    Types(String),
    /// One of the values is wrong: the rows are tried in halves until it is found.
    Value(String),
}

/// The expressions for one schema, or why they do not fit it.
type ForSchema = Result<Vec<Arc<dyn Expression>>, Trouble>;

/// Some expressions, for every schema that comes.
#[derive(Debug)]
pub(crate) struct Compiled {
    texts: Vec<String>,
    compiler: Arc<dyn Compiler>,
    schemas: Vec<(SchemaRef, ForSchema)>,
}

impl Compiled {
    pub(crate) fn new(texts: Vec<String>, compiler: Arc<dyn Compiler>) -> Self {
        Self { texts, compiler, schemas: Vec::new() }
    }

    /// The value of each expression for each row.
    pub(crate) fn evaluate(&mut self, columns: &RecordBatch) -> Result<Vec<ArrayRef>, Trouble> {
        let index = self.find(columns.schema_ref());
        let expressions = self.schemas[index].1.as_ref().map_err(Trouble::clone)?;
        let evaluated = expressions.iter().zip(&self.texts).map(|(expression, text)| {
            expression.evaluate(columns).map_err(|error| Trouble::Value(format!("{text}: {}", error.full())))
        });
        evaluated.collect()
    }

    fn find(&mut self, schema: &SchemaRef) -> usize {
        let known = self.schemas.iter().position(|(known, _)| Arc::ptr_eq(known, schema));
        let known = known.or_else(|| self.schemas.iter().position(|(known, _)| known == schema));
        known.unwrap_or_else(|| {
            if self.schemas.len() == SCHEMAS_MAX {
                drop(self.schemas.remove(0));
            }
            let compile = |text: &String| {
                let compiled = self.compiler.compile(text, schema);
                compiled.map_err(|error| Trouble::Types(format!("{text}: {}", error.full())))
            };
            self.schemas.push((schema.clone(), self.texts.iter().map(compile).collect()));
            self.schemas.len() - 1
        })
    }
}

/// A condition's value for each row, null as false.
pub(crate) fn condition(values: &ArrayRef, text: &str) -> Result<BooleanArray, Trouble> {
    match values.data_type() {
        DataType::Boolean => Ok(true_only(values.as_boolean())),
        DataType::Null => Ok(BooleanArray::from(vec![false; values.len()])),
        other => Err(Trouble::Types(format!("{text}: is {other} where a condition (true or false) is needed"))),
    }
}
