//! Files as an output, exactly once on one machine. Refuses to touch a file that is not its own.

mod lines;
mod note;
mod parts;
mod staged;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_model::{Delivered, Epoch, Guarantee, Prepared, SeamResult, Sink, Vfs};

use crate::off_thread::OffThread;
use crate::{FileFormat, FileOutput};
use lines::LinesFile;
use parts::PartsFolder;

/// Writes rows to a file, or for Parquet to a folder of files.
///
/// The rows of an epoch are staged beside the file, encoded as they come, and made durable when the epoch is prepared.
/// What the commit then holds (the roll-forward note) says where in the file they belong: at exactly the byte where the
/// last epoch ended. After the commit they are copied there, whatever an attempt before may have left behind that
/// byte, and the staged file is removed. Doing that again changes nothing, so a crash at any moment neither loses nor
/// doubles a row. Parquet files are whole: they are staged under another name and renamed by the commit.
///
/// ```text
/// out/errors.ndjson                   what is committed
/// out/errors.ndjson.staged            rows of the epoch that is being built
/// out/errors.ndjson.epoch-17.staged   rows of an epoch that is prepared
/// out/errors/part-17-0.parquet        for Parquet: a file of epoch 17
/// out/errors/part-17-0.parquet.staged     the same, prepared
/// out/errors/building-0.staged            the same, of the epoch that is being built
/// ```
#[derive(Debug)]
pub struct FileSink {
    file: OffThread<Output>,
}

#[derive(Debug)]
enum Output {
    Lines(Box<LinesFile>),
    Parts(Box<PartsFolder>),
}

impl FileSink {
    /// Opens the output that `config` describes. `committed` is what the pipeline's last commit holds for this output;
    /// `None` at the very first start.
    ///
    /// # Errors
    /// `Config` when the file exists but is not this pipeline's, or was written in another format.
    pub fn open(vfs: Arc<dyn Vfs>, config: &FileOutput, committed: Option<&Prepared>) -> SeamResult<Self> {
        let note = committed.and_then(|prepared| prepared.roll_forward.as_deref());
        let output = match config.format {
            FileFormat::Ndjson | FileFormat::Csv | FileFormat::Avro => {
                Output::Lines(Box::new(LinesFile::open(vfs, config, note)?))
            }
            FileFormat::Parquet => Output::Parts(Box::new(PartsFolder::open(vfs, config, note)?)),
        };
        Ok(Self { file: OffThread::new(output) })
    }
}

#[async_trait]
impl Sink for FileSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        if rows.num_rows() == 0 {
            return Ok(Delivered::all());
        }
        let rows = rows.clone();
        self.file
            .run(move |output| match output {
                Output::Lines(file) => file.write(&rows),
                Output::Parts(folder) => folder.write(&rows),
            })
            .await?;
        Ok(Delivered::all())
    }

    async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        let prepare = move |output: &mut Output| match output {
            Output::Lines(file) => file.prepare(epoch),
            Output::Parts(folder) => folder.prepare(epoch),
        };
        let note = self.file.run(prepare).await?;
        Ok(Prepared { segments: Vec::new(), roll_forward: Some(note) })
    }

    async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<Delivered> {
        let Some(note) = prepared.roll_forward.clone() else { return Ok(Delivered::all()) };
        self.file
            .run(move |output| match output {
                Output::Lines(file) => file.commit(epoch, &note),
                Output::Parts(folder) => folder.commit(&note),
            })
            .await?;
        Ok(Delivered::all())
    }

    async fn abort(&mut self, last: Epoch) -> SeamResult<()> {
        self.file
            .run(move |output| match output {
                Output::Lines(file) => file.abort(last),
                Output::Parts(folder) => folder.abort(last),
            })
            .await
    }

    async fn take_back(
        &mut self,
        kept: Option<&Prepared>,
        undone: Option<&[Prepared]>,
    ) -> SeamResult<Option<Prepared>> {
        let kept = kept.and_then(|prepared| prepared.roll_forward.clone());
        let notes = |undone: &[Prepared]| undone.iter().map(|prepared| prepared.roll_forward.clone()).collect();
        let Some(undone) = undone.and_then(notes) else { return Ok(None) };
        let undone: Vec<String> = undone;
        let take_back = move |output: &mut Output| match output {
            Output::Lines(file) => file.take_back(kept.as_deref(), &undone),
            Output::Parts(folder) => folder.take_back(&undone),
        };
        let note = self.file.run(take_back).await?;
        Ok(note.map(|note| Prepared { segments: Vec::new(), roll_forward: Some(note) }))
    }

    async fn let_stand(&mut self) -> SeamResult<Prepared> {
        let let_stand = |output: &mut Output| match output {
            Output::Lines(file) => file.let_stand(),
            Output::Parts(folder) => Ok(folder.let_stand()),
        };
        let note = self.file.run(let_stand).await?;
        Ok(Prepared { segments: Vec::new(), roll_forward: Some(note) })
    }
}
