//! Files as a source: found by patterns, recognised after rotation, read a chunk each in turn.
//! Refuses to look inside a record.

mod buffers;
mod config;
mod content;
mod discover;
mod identity;
mod reader;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weir_model::{ErrorKind, Framer, PartitionId, Positions, SeamError, SeamResult, Source, SourceEvent};

pub(crate) use config::max_record_bytes;
pub use config::{FileConfig, StartAt};
pub use identity::names_file;
use reader::{Paused, Reader, Step};

/// A source of files.
///
/// Every file is a partition; offsets count bytes of its decompressed content. How files are recognised after a
/// rotation, a truncation or a restart is told in the module `identity`. What is worth knowing besides:
///
/// * All files that are there are announced before the first record. They are read a chunk of 1 MiB each in turn, in
///   the order of their paths, so that event time advances together. At most 256 are open at once.
/// * A file without a newline at its end has a last record nevertheless, as soon as nothing more can come: at the end
///   when it is not followed, when it is gone or truncated when it is.
/// * An archive that ends in the middle yields all that can be had of it, the beginning of a record included, and then
///   [`SourceEvent::Trouble`] says at which byte it ends. A followed one may still be being written: it gets ten
///   seconds without any change. A followed archive is finished once it has not changed for as long.
/// * [`weir_model::Position::finished`] is set in the last records of a file when they are known to be the last; whoever keeps positions
///   sets it at [`SourceEvent::PartitionFinished`]. A file that had finished and has grown since goes on where it
///   ended, as a new partition.
/// * [`Source::bytes_total`] is known after [`Source::seek`], for files that are not followed and not compressed, and
///   counts what is left to read.
pub struct FileSource {
    paused: Paused,
    state: State,
    /// When there may be something to do again.
    wake_at: Option<Instant>,
    bytes_total: Option<u64>,
}

/// The reader is at home, or away on a thread where it may block.
enum State {
    Idle(Box<Reader>),
    Working(JoinHandle<(Box<Reader>, Step)>),
    Lost,
}

impl FileSource {
    /// Opens the source `name` with what `config` says; records end where `framer` finds it.
    ///
    /// # Errors
    /// `Config` when a pattern cannot be read, or when one finds no file and files are not followed.
    pub fn open(name: &str, config: &FileConfig, framer: Arc<dyn Framer>) -> SeamResult<Self> {
        let paused = Arc::new(Mutex::new(BTreeSet::new()));
        let reader = Reader::new(name, config, framer, paused.clone())?;
        Ok(Self { paused, state: State::Idle(Box::new(reader)), wake_at: None, bytes_total: None })
    }

    fn lost() -> SeamError {
        SeamError::new(ErrorKind::Closed, "reading files has failed before, the source cannot go on")
    }

    /// Lets the reader work where it may block. Nothing is lost when the future is dropped: the work goes on.
    ///
    /// That is here, if this thread may: what was read is then decoded by the thread that has it in its cache, and
    /// allocated from its memory.
    async fn work(&mut self) -> SeamResult<Step> {
        if let State::Idle(_) = self.state {
            let State::Idle(mut reader) = std::mem::replace(&mut self.state, State::Lost) else {
                return Err(Self::lost());
            };
            let now = Instant::now();
            if may_block_here() {
                let step = tokio::task::block_in_place(|| reader.step(now));
                self.state = State::Idle(reader);
                return Ok(step);
            }
            self.state = State::Working(tokio::task::spawn_blocking(move || {
                let step = reader.step(now);
                (reader, step)
            }));
        }
        let State::Working(work) = &mut self.state else { return Err(Self::lost()) };
        let result = work.await;
        self.state = State::Lost;
        let (reader, step) =
            result.map_err(|error| SeamError::caused(ErrorKind::Closed, "reading files failed", error))?;
        self.state = State::Idle(reader);
        Ok(step)
    }

    fn is_paused(&self, event: &SourceEvent) -> bool {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        reader::partition(event).is_some_and(|id| paused.contains(id))
    }
}

/// Whether the runtime has other threads for its other tasks.
fn may_block_here() -> bool {
    tokio::runtime::Handle::current().runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
}

#[async_trait]
impl Source for FileSource {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        let State::Idle(mut reader) = std::mem::replace(&mut self.state, State::Lost) else {
            return Err(Self::lost());
        };
        reader.seek(positions)?;
        let now = Instant::now();
        let begun = tokio::task::spawn_blocking(move || {
            reader.begin(now);
            reader
        });
        let reader =
            begun.await.map_err(|error| SeamError::caused(ErrorKind::Closed, "reading files failed", error))?;
        self.bytes_total = reader.bytes_left();
        self.state = State::Idle(reader);
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            if let State::Idle(reader) = &mut self.state
                && let Some(event) = reader.ready()
            {
                return Ok(event);
            }
            if let Some(at) = self.wake_at {
                tokio::time::sleep_until(at).await;
                self.wake_at = None;
            }
            match self.work().await? {
                Step::End => return Ok(SourceEvent::End),
                Step::Wait(until) => self.wake_at = Some(until),
                Step::Event(event) => {
                    if !self.is_paused(&event) {
                        return Ok(event);
                    }
                    if let State::Idle(reader) = &mut self.state {
                        reader.put_back(event);
                    }
                }
            }
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone());
    }

    fn resume(&mut self, partition: &PartitionId) {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
        self.wake_at = None;
    }

    fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}
