//! The seam to the expression language: the engine evaluates what `sql` compiled without knowing who compiled it, and
//! aggregates with what anybody brings.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use crate::{ErrorKind, SeamError, SeamResult};

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

    /// Makes an accumulator for an aggregate that the engine does not have itself. `arguments` are their texts as
    /// written, from which literals can be told; `types` are those in which the values will come.
    ///
    /// # Errors
    /// `Config` when there is no such aggregate, or it does not take such arguments. By default there is none.
    fn accumulator(&self, name: &str, _arguments: &[String], _types: &[DataType]) -> SeamResult<Box<dyn Accumulator>> {
        Err(SeamError::new(ErrorKind::Config, format!("there is no aggregate {name}")))
    }
}

/// Computes one aggregate for many groups at once, in the shape of DataFusion's `GroupsAccumulator`. Groups are numbered
/// from 0 without gaps.
///
/// What it computes must not depend on the order of rows, on how they are cut into batches, or on how states are put
/// together: merging is associative and commutative, and a whole equals its merged parts.
pub trait Accumulator: Debug + Send {
    /// Adds rows: `groups[row]` is each row's group, all below `total_groups`. `arguments` are of the types that the
    /// accumulator was made for; only rows that `filter` (without nulls) holds true are taken.
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    );

    /// Adds states as [`Accumulator::state`] gave them.
    ///
    /// # Errors
    /// When they are not states of this aggregate.
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String>;

    /// Takes the states of all groups out, a row per group, and starts anew.
    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef>;

    /// Takes the results of all groups out, a row per group, and starts anew. They are of the same type always.
    fn evaluate(&mut self, total_groups: usize) -> ArrayRef;

    /// About how many bytes it holds.
    fn size(&self) -> usize;
}
