//! An HTTP endpoint as an output. Refuses to send rows whose epoch is not committed, and to follow a redirect.
//!
//! The rows of an epoch wait in a file until the epoch is committed; then they are sent. A crash on the way sends them again
//! from the beginning: the same requests, byte for byte, with the same keys.

mod answer;
mod body;
mod config;
mod courier;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use weir_model::{Delivered, Epoch, ErrorKind, Guarantee, Prepared, RejectedRow, SeamError, SeamResult, Sink, Vfs};

use self::body::{Chunk, lines};
use self::courier::Courier;
use crate::off_thread::OffThread;
use crate::staging::{StagedRows, Staging, Waiting};

pub use self::config::{HttpBatch, HttpFormat, HttpMethod, HttpOutput};

/// Sends rows to an HTTP endpoint after the commit of their epoch.
pub struct HttpSink {
    courier: Courier,
    batch: HttpBatch,
    staging: OffThread<Staging>,
    /// What was prepared for this epoch, so that asking again gives the same.
    prepared: Option<(Epoch, Prepared)>,
    /// The file of the last committed epoch.
    committed: Option<String>,
    sending: Option<Sending>,
}

/// How far an epoch was sent.
struct Sending {
    epoch: Epoch,
    rows: StagedRows,
    lines: Bytes,
    /// How many rows from the front are done: taken, or rejected.
    done: u64,
    rejected: Vec<RejectedRow>,
}

impl HttpSink {
    /// Opens the output that `config` describes. `name` is the pipeline's and the output's, `folder` this output's own place
    /// in the data folder, `committed` what the pipeline's last commit holds for it.
    ///
    /// # Errors
    /// `Config` when a setting is not right, `Corrupt` when what the commit holds cannot be read.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        folder: &Path,
        name: impl Into<String>,
        config: &HttpOutput,
        committed: Option<&Prepared>,
    ) -> SeamResult<Self> {
        let committed = committed.map(note).transpose()?.flatten().map(|rows| rows.id);
        Ok(Self {
            courier: Courier::new(name.into(), config)?,
            batch: config.batch,
            staging: OffThread::new(Staging::open(vfs, folder)?),
            prepared: None,
            committed,
            sending: None,
        })
    }

    /// What is to be sent of an epoch; `None` when there is nothing, or it was sent.
    async fn begin(&mut self, epoch: Epoch, rows: StagedRows) -> SeamResult<Option<Sending>> {
        let asked = rows.clone();
        Ok(match self.staging.run(move |staging| staging.waiting(&asked)).await? {
            Waiting::Sent => None,
            Waiting::Bytes(lines) => Some(Sending { epoch, rows, lines: lines.into(), done: 0, rejected: Vec::new() }),
        })
    }
}

#[async_trait]
impl Sink for HttpSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        if rows.num_rows() > 0 {
            let rows = rows.clone();
            let write =
                move |staging: &mut Staging| staging.write(rows.num_rows() as u64, |id, first| lines(&rows, id, first));
            self.staging.run(write).await?;
        }
        Ok(Delivered::all())
    }

    async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        if let Some((of, prepared)) = &self.prepared
            && *of == epoch
        {
            return Ok(prepared.clone());
        }
        let rows = self.staging.run(Staging::prepare).await?;
        let roll_forward = match rows {
            Some(rows) => Some(
                serde_json::to_string(&rows)
                    .map_err(|error| SeamError::caused(ErrorKind::Closed, "a note cannot be written", error))?,
            ),
            None => None,
        };
        let prepared = Prepared { segments: Vec::new(), roll_forward };
        self.prepared = Some((epoch, prepared.clone()));
        Ok(prepared)
    }

    async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<Delivered> {
        let note = note(prepared)?;
        let id = note.as_ref().map(|rows| rows.id.clone());
        if let Some(before) = self.committed.clone()
            && Some(&before) != id.as_ref()
        {
            self.staging.run(move |staging| staging.forget(&before)).await?;
        }
        self.committed = id;
        let Some(rows) = note else { return Ok(Delivered::all()) };
        let mut sending = match self.sending.take().filter(|sending| sending.epoch == epoch) {
            Some(sending) => sending,
            None => match self.begin(epoch, rows).await? {
                Some(sending) => sending,
                None => return Ok(Delivered::all()),
            },
        };
        let whole = sending.lines.clone();
        for chunk in Chunk::all(&whole, self.batch, sending.done) {
            match self.courier.send(&sending.rows.id, epoch, chunk).await {
                Ok(rejected) => sending.rejected.extend(rejected),
                Err(error) => {
                    self.sending = Some(sending);
                    return Err(error);
                }
            }
            sending.done += chunk.rows;
        }
        let Sending { rows, rejected, .. } = sending;
        // Until the next commit holds them as dead letters, recovery has to hear of rejected rows again.
        if rejected.is_empty() {
            self.staging.run(move |staging| staging.sent(&rows)).await?;
        }
        Ok(Delivered { rejected })
    }

    async fn abort(&mut self, _: Epoch) -> SeamResult<()> {
        (self.prepared, self.sending) = (None, None);
        let committed = self.committed.clone();
        self.staging.run(move |staging| staging.abort(committed.as_deref())).await
    }

    async fn take_back(&mut self, _: Option<&Prepared>, undone: Option<&[Prepared]>) -> SeamResult<Option<Prepared>> {
        // What was sent cannot be taken back.
        let nothing_sent = undone.is_some_and(|undone| undone.iter().all(|prepared| prepared.roll_forward.is_none()));
        Ok(nothing_sent.then(Prepared::default))
    }
}

fn note(prepared: &Prepared) -> SeamResult<Option<StagedRows>> {
    let Some(text) = &prepared.roll_forward else { return Ok(None) };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| SeamError::caused(ErrorKind::Corrupt, format!("a note cannot be read: {text}"), error))
}
