//! An Arrow IPC stream of plain columns.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;

use super::plain::{Plain, failed};

pub(super) struct ArrowStream<W: Write> {
    writer: StreamWriter<W>,
    plain: Plain,
}

impl<W: Write> ArrowStream<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> io::Result<Self> {
        let plain = Plain::of(schema);
        let writer = StreamWriter::try_new(out, plain.schema()).map_err(failed)?;
        Ok(Self { writer, plain })
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.writer.write(&self.plain.batch(batch)?).map_err(failed)
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
