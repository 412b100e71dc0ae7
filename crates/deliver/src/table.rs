//! A table of the embedded store as an output. Refuses to commit anything itself: the pipeline's one commit does.

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_model::{Delivered, Epoch, Guarantee, Prepared, SeamResult, Sink};
use weir_store::TableWriter;

use crate::off_thread::OffThread;

/// Writes rows to a table of the embedded store.
#[derive(Debug)]
pub struct TableSink {
    writer: OffThread<TableWriter>,
}

impl TableSink {
    /// Writes to the table of `writer`.
    pub fn new(writer: TableWriter) -> Self {
        Self { writer: OffThread::new(writer) }
    }
}

#[async_trait]
impl Sink for TableSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        let rows = rows.clone();
        self.writer.run(move |writer| writer.append(&rows)).await?;
        Ok(Delivered::all())
    }

    async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        self.writer.run(move |writer| writer.prepare(epoch)).await
    }

    async fn commit(&mut self, epoch: Epoch, _: &Prepared) -> SeamResult<Delivered> {
        self.writer.run(move |writer| writer.committed(epoch)).await?;
        Ok(Delivered::all())
    }

    async fn abort(&mut self, _: Epoch) -> SeamResult<()> {
        self.writer.run(TableWriter::abort).await
    }

    async fn take_back(&mut self, _: Option<&Prepared>, _: Option<&[Prepared]>) -> SeamResult<Option<Prepared>> {
        // The commit that goes back takes the rows out of the table.
        Ok(Some(Prepared::default()))
    }
}
