//! The seam to the expression language: the engine evaluates what `sql` compiled without knowing who compiled it.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use crate::SeamResult;

/// An expression over the columns of a batch, compiled for one schema.
pub trait Expression: Debug + Send + Sync {
    /// The type of the result.
    fn data_type(&self) -> &DataType;

    /// The value for every row of `columns`, whose schema is the one the expression was compiled for.
    ///
    /// # Errors
    /// When a value cannot be computed (an overflow, a cast that fails); the caller rejects the rows.
    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef>;
}

/// Compiles the text of an expression for the columns of a schema. The engine asks again when the schema has grown;
/// a column that the schema lacks is null.
pub trait Compiler: Debug + Send + Sync {
    /// Compiles `text` for batches with `schema`.
    ///
    /// # Errors
    /// `Config` when the text is no expression or its types do not fit the schema.
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>>;
}
