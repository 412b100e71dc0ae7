//! An Arrow IPC stream. Views are written as plain strings: a view of a few bytes would carry the whole buffer along,
//! and fewer readers know them.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

pub(super) struct ArrowStream<W: Write> {
    writer: StreamWriter<W>,
    schema: SchemaRef,
}

impl<W: Write> ArrowStream<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> io::Result<Self> {
        let schema = Arc::new(Schema::new(schema.fields().iter().map(without_views).collect::<Fields>()));
        let writer = StreamWriter::try_new(out, &schema).map_err(failed)?;
        Ok(Self { writer, schema })
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<Vec<_>, _>>();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.map_err(failed)?).map_err(failed)?;
        self.writer.write(&batch).map_err(failed)
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.writer.finish().map_err(failed)
    }

    pub(super) fn out(&mut self) -> &mut W {
        self.writer.get_mut()
    }

    pub(super) fn into_out(self) -> io::Result<W> {
        self.writer.into_inner().map_err(failed)
    }
}

fn failed(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

/// The field with plain strings and without dictionaries: those of the batches differ, and few readers take new ones.
fn without_views(field: &Arc<Field>) -> Arc<Field> {
    let kind = plain(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(kind).with_nullable(true))
}

fn plain(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::List(item) => DataType::List(without_views(item)),
        DataType::LargeList(item) => DataType::LargeList(without_views(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(without_views).collect()),
        other => other.clone(),
    }
}
