//! Columns as many readers know them: views as strings, dictionaries as their values, everything nullable. It changes
//! how values lie in memory, never what they are.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

/// The columns of an answer as they leave the process.
#[derive(Clone, Debug)]
pub struct Plain {
    schema: SchemaRef,
}

impl Plain {
    /// The plain form of these columns. A view of a few bytes would carry its whole buffer along; the dictionaries of
    /// two batches differ, and few readers take a new one in the middle.
    pub fn of(schema: &SchemaRef) -> Self {
        Self { schema: Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Fields>())) }
    }

    /// The columns as they are.
    pub fn already(schema: &SchemaRef) -> Self {
        Self { schema: Arc::clone(schema) }
    }

    /// [`Plain::of`], with columns of these types as text.
    pub(super) fn with_text(schema: &SchemaRef, is_text: fn(&DataType) -> bool) -> Self {
        let plain = Self::of(schema);
        let as_text = |field: &Arc<Field>| match is_text(field.data_type()) {
            true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
            false => Arc::clone(field),
        };
        Self { schema: Arc::new(Schema::new(plain.schema.fields().iter().map(as_text).collect::<Fields>())) }
    }

    /// The plain columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch of the columns in their plain form.
    ///
    /// # Errors
    /// When the batch has other columns.
    pub fn batch(&self, batch: &RecordBatch) -> io::Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<Vec<_>, _>>();
        let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns.map_err(failed)?, &rows).map_err(failed)
    }
}

pub(super) fn failed(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

fn field(field: &Arc<Field>) -> Arc<Field> {
    Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())).with_nullable(true))
}

/// What a type is in its plain form.
pub(crate) fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}
