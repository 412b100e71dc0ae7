//! The columns that a side of a join keeps: those of every schema that came, each in one plain type, so that rows of
//! different batches can stand side by side. A column that some rows do not have is null for them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// The columns of a side.
#[derive(Debug)]
pub(super) struct Columns {
    schema: SchemaRef,
    /// The last schema that was looked at, as it holds no news.
    seen: Option<SchemaRef>,
}

impl Columns {
    /// These to begin with.
    pub(super) fn new(known: &[(String, DataType)]) -> Self {
        let known = known.iter().filter(|(_, data_type)| *data_type != DataType::Null);
        let fields = known.map(|(name, data_type)| Field::new(name, plain(data_type).clone(), true));
        Self { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), seen: None }
    }

    /// Those that a snapshot's runs have.
    pub(super) fn of_schema(schema: SchemaRef) -> Self {
        Self { schema, seen: None }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn fields(&self) -> &[Arc<Field>] {
        self.schema.fields()
    }

    /// Takes up the columns of `schema` that are new, and says whether there were any.
    ///
    /// # Errors
    /// When a column has another type than it had before. Nothing has happened then.
    pub(super) fn learn(&mut self, schema: &SchemaRef) -> Result<bool, String> {
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, schema)) {
            return Ok(false);
        }
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        for field in schema.fields().iter().filter(|field| *field.data_type() != DataType::Null) {
            let wanted = plain(field.data_type());
            match fields.iter().find(|known| known.name() == field.name()) {
                Some(known) if known.data_type() == wanted => {}
                Some(known) => {
                    return Err(format!(
                        "the column {} is {wanted} where it was {} before: declare its type in the source's schema",
                        field.name(),
                        known.data_type()
                    ));
                }
                None => fields.push(Arc::new(Field::new(field.name(), wanted.clone(), true))),
            }
        }
        self.seen = Some(schema.clone());
        let grown = fields.len() > self.schema.fields().len();
        if grown {
            self.schema = Arc::new(Schema::new(fields));
        }
        Ok(grown)
    }

    /// The rows of `batch` with these indices, in the columns of the side.
    pub(super) fn of(&self, batch: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch, String> {
        let column = |field: &Arc<Field>| -> Result<ArrayRef, String> {
            let values = batch.column_by_name(field.name()).filter(|values| *values.data_type() != DataType::Null);
            let Some(values) = values else { return Ok(new_null_array(field.data_type(), rows.len())) };
            let taken = take(values, rows, None).map_err(|error| error.to_string())?;
            if taken.data_type() == field.data_type() {
                return Ok(taken);
            }
            cast(&taken, field.data_type()).map_err(|error| error.to_string())
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|error| error.to_string())
    }
}

/// Text is kept as plain text: a slice of a dictionary or of a view would keep all of it alive.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::Utf8View => &DataType::Utf8,
        other => other,
    }
}
