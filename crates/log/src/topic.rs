//! One topic: its partitions, each with its way in, and which of them an append goes to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use weir_disk::{Reserve, disk_error};
use weir_model::{Clock, ErrorKind, FileKind, Offset, SeamError, SeamResult, Vfs};
use xxhash_rust::xxh3::xxh3_64;

use crate::keys::Mark;
use crate::partition::Partition;
use crate::recover::{Recovered, recover};
use crate::writer::{Append, Writer};
use crate::{AppendAck, LogConfig, PARTITIONS_MAX};

/// A partition with its way in.
pub(crate) struct Running {
    pub(crate) partition: Arc<Partition>,
    /// `None` only while it is being dropped.
    queue: Option<mpsc::Sender<Append>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Running {
    /// What is waiting is still written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has acknowledged nothing that it should not have.
            let _ = writer.join();
        }
    }
}

/// What a topic is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) vfs: &'a Arc<dyn Vfs>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) config: &'a LogConfig,
    pub(crate) reserve: Reserve,
}

/// A topic with its partitions, by number.
pub(crate) struct Topic {
    pub(crate) partitions: Vec<Running>,
    /// How many of them, from the first on, take new records.
    appendable: usize,
    /// Whose turn it is among appends without a key.
    turn: AtomicUsize,
}

impl Topic {
    /// Opens the partitions that there are in `folder` and those that there should be; returns also what is damaged.
    pub(crate) fn open(name: &str, folder: &Path, with: &Opening<'_>) -> SeamResult<(Self, Vec<String>)> {
        let config = with.config.of(name);
        if config.partitions == 0 || config.partitions > PARTITIONS_MAX {
            let message =
                format!("topic {name} cannot have {} partitions: it has 1 to {PARTITIONS_MAX}", config.partitions);
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let there = with.vfs.list(folder).map_err(|error| disk_error("list", folder, error))?;
        let numbers = there.iter().filter(|(_, kind)| *kind == FileKind::Folder).filter_map(|(path, _)| {
            let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
            (number < PARTITIONS_MAX).then_some(number)
        });
        let count = numbers.max().map_or(0, |largest| largest + 1).max(config.partitions);
        let (mut partitions, mut troubles) = (Vec::new(), Vec::new());
        for number in 0..count {
            partitions.push(Running::open((name, number), folder, with, &mut troubles)?);
        }
        Ok((Self { partitions, appendable: config.partitions as usize, turn: AtomicUsize::new(0) }, troubles))
    }

    /// The partition of this number.
    pub(crate) fn partition(&self, number: u32) -> SeamResult<&Arc<Partition>> {
        let found = self.partitions.get(number as usize).map(|running| &running.partition);
        found.ok_or_else(|| {
            let count = self.partitions.len();
            SeamError::new(ErrorKind::Config, format!("there is no partition {number}: the topic has {count}"))
        })
    }

    /// The partition that an append goes to: the same one for the same text, else each in its turn.
    pub(crate) fn route(&self, text: Option<&str>) -> &Running {
        let index = match text {
            // Of at most 64 partitions.
            Some(text) => (xxh3_64(text.as_bytes()) % self.appendable as u64) as usize,
            None => self.turn.fetch_add(1, Ordering::Relaxed) % self.appendable,
        };
        &self.partitions[index]
    }

    /// What another partition than `but` knows of an append with this mark: the number of partitions has changed since.
    pub(crate) fn known_elsewhere(&self, mark: Mark, but: &Running) -> Option<SeamResult<AppendAck>> {
        let others = self.partitions.iter().filter(|other| other.partition.number != but.partition.number);
        others.into_iter().find_map(|other| {
            let known = other.partition.keys().find(mark).copied()?;
            Some(known.answer(mark, other.partition.number))
        })
    }
}

impl Running {
    fn open(
        (topic, number): (&str, u32),
        folder: &Path,
        with: &Opening<'_>,
        troubles: &mut Vec<String>,
    ) -> SeamResult<Self> {
        let folder = folder.join(number.to_string());
        let Recovered { segments, end, appendable, marked, troubles: found, cut } =
            recover(&**with.vfs, &folder, with.config.record_bytes_max)?;
        if let Some(cut) = cut {
            tracing::warn!(topic, "{cut}");
        }
        for trouble in &found {
            tracing::error!(topic, trouble, "the log is damaged");
        }
        troubles.extend(found);
        let (config, retain) = with.config.for_partitions(&with.config.of(topic));
        let partition = Arc::new(Partition::new(
            (topic, number),
            folder,
            (Arc::clone(with.vfs), Arc::clone(with.clock)),
            (config, retain, with.reserve),
            (segments, end),
        ));
        partition.remember(marked)?;
        let (queue, waiting) = mpsc::channel(with.config.queue_appends);
        let writer = Writer::new(Arc::clone(&partition), appendable);
        let name = format!("log {}", partition.name);
        let writer = std::thread::Builder::new().name(name).spawn(move || writer.run(waiting)).map_err(|error| {
            SeamError::caused(ErrorKind::Retry, format!("cannot start the writer of topic {topic}"), error)
        })?;
        let room = Arc::new(Semaphore::new(with.config.queue_bytes));
        Ok(Self { partition, queue: Some(queue), room, writer: Some(writer) })
    }

    /// Appends `records` of `bytes` bytes in all, when there is room for them to wait.
    pub(crate) async fn append(&self, records: Vec<Bytes>, bytes: usize, mark: Option<Mark>) -> SeamResult<AppendAck> {
        if records.is_empty() {
            let (partition, first_offset) = (self.partition.number, Offset(self.partition.end()));
            return Ok(AppendAck { partition, first_offset, count: 0, repeated: false });
        }
        let gone = || self.partition.closed("its writer has stopped");
        let share = u32::try_from(bytes.min(self.partition.config.queue_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(share).await.map_err(|_| gone())?;
        let (reply, acknowledged) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(Append { records, mark, reply, _room: room }).await.map_err(|_| gone())?;
        acknowledged.await.map_err(|_| gone())?
    }
}
