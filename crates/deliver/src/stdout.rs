//! Standard output as an output. Refuses to promise more than at least once.

#[cfg(test)]
mod tests;

use std::io::{ErrorKind as IoErrorKind, Write};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use weir_model::{Delivered, Epoch, ErrorKind, Guarantee, Prepared, SeamError, SeamResult, Sink};

use crate::off_thread::OffThread;
use crate::{StdoutFormat, StdoutOutput, encode};

/// Writes rows to standard output as they come.
pub struct StdoutSink {
    format: StdoutFormat,
    out: OffThread<Box<dyn Write + Send>>,
}

impl StdoutSink {
    /// Writes to the process's standard output.
    pub fn open(config: &StdoutOutput) -> Self {
        Self::writing(config, Box::new(std::io::stdout()))
    }

    /// Writes to `out` in the place of standard output.
    pub fn writing(config: &StdoutOutput, out: Box<dyn Write + Send>) -> Self {
        Self { format: config.format, out: OffThread::new(out) }
    }
}

fn encoded(format: StdoutFormat, rows: &RecordBatch) -> SeamResult<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        StdoutFormat::Ndjson => encode::ndjson(rows, &mut bytes),
        StdoutFormat::Text => {
            let table = pretty_format_batches(std::slice::from_ref(rows))
                .map_err(|error| SeamError::caused(ErrorKind::Closed, "rows cannot be shown as a table", error))?;
            bytes.extend_from_slice(table.to_string().as_bytes());
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

fn closed(error: std::io::Error) -> SeamError {
    let message = match error.kind() {
        IoErrorKind::BrokenPipe => "standard output was closed by whoever reads it",
        _ => "standard output cannot be written",
    };
    SeamError::caused(ErrorKind::Closed, message, error)
}

#[async_trait]
impl Sink for StdoutSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        if rows.num_rows() == 0 {
            return Ok(Delivered::all());
        }
        let (format, rows) = (self.format, rows.clone());
        self.out.run(move |out| out.write_all(&encoded(format, &rows)?).map_err(closed)).await?;
        Ok(Delivered::all())
    }

    async fn prepare(&mut self, _: Epoch) -> SeamResult<Prepared> {
        self.out.run(|out| out.flush().map_err(closed)).await?;
        Ok(Prepared::default())
    }

    async fn commit(&mut self, _: Epoch, _: &Prepared) -> SeamResult<Delivered> {
        Ok(Delivered::all())
    }

    async fn abort(&mut self, _: Epoch) -> SeamResult<()> {
        Ok(())
    }
}
