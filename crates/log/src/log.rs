//! The log as others see it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use weir_disk::{Reserve, disk_error};
use weir_model::{Clock, ErrorKind, FileKind, Offset, SeamError, SeamResult, SystemClock, Value, Vfs};

use crate::LogConfig;
use crate::keys::Mark;
use crate::recover::{Recovered, recover};
use crate::topic::Topic;
use crate::writer::{Append, Writer};

/// The one partition that a topic has as yet.
const PARTITION: &str = "0";

/// What an append has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAck {
    /// The offset of the first record; the others follow it.
    pub first_offset: Offset,
    /// How many records.
    pub count: u64,
    /// Whether they had been appended before, with the same key.
    pub repeated: bool,
}

/// A topic with its way in.
struct Running {
    topic: Arc<Topic>,
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

/// The topics in a folder.
pub struct Log {
    folder: PathBuf,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    config: LogConfig,
    reserve: Reserve,
    topics: Mutex<BTreeMap<String, Arc<Running>>>,
    troubles: Mutex<Vec<String>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `folder` (`DIR/log`), creating it if needed: cuts off torn ends, names damage. Appends are
    /// refused when they would eat into `reserve`.
    ///
    /// # Errors
    /// `Config` when the folder cannot be used.
    pub fn open(folder: &Path, vfs: Arc<dyn Vfs>, config: LogConfig, reserve: Reserve) -> SeamResult<Arc<Self>> {
        Self::open_with_clock(folder, vfs, config, reserve, Arc::new(SystemClock))
    }

    /// As [`Log::open`], told the time of arrival by `clock`.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_with_clock(
        folder: &Path,
        vfs: Arc<dyn Vfs>,
        config: LogConfig,
        reserve: Reserve,
        clock: Arc<dyn Clock>,
    ) -> SeamResult<Arc<Self>> {
        vfs.create_folder(folder).map_err(|error| disk_error("create", folder, error))?;
        let (topics, troubles) = Default::default();
        let log = Self { folder: folder.to_owned(), vfs, clock, config, reserve, topics, troubles };
        for (path, kind) in log.vfs.list(folder).map_err(|error| disk_error("list", folder, error))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if kind == FileKind::Folder && check_topic_name(name).is_ok() {
                log.topic(name)?;
            }
        }
        Ok(Arc::new(log))
    }

    /// Appends records to `topic`, which is created by its first append. Returns when they are durable: all or none
    /// of them are ever seen. Waits while too much is waiting for the disk. Cancelling the future may or may not
    /// cancel the append.
    ///
    /// # Errors
    /// `Retry` when the disk is full (nothing was taken), `Config` when the name or a size is not allowed, `Closed`
    /// when the topic's disk failed: nothing more is ever acknowledged by this topic until a restart.
    pub async fn append(&self, topic: &str, records: Vec<Bytes>) -> SeamResult<AppendAck> {
        self.take(topic, records, None).await
    }

    /// As [`Log::append`], but once: when `key` came before, in this life or an earlier one, the same records are not
    /// appended again and their first offset is told. For the last [`LogConfig::keys_max`] keys of the topic and for
    /// [`LogConfig::keys_age`].
    ///
    /// # Errors
    /// As [`Log::append`]; `Config` also when the key came before with other records.
    pub async fn append_once(&self, topic: &str, key: &str, records: Vec<Bytes>) -> SeamResult<AppendAck> {
        let mark = Mark::of(key, &records);
        self.take(topic, records, Some(mark)).await
    }

    async fn take(&self, topic: &str, records: Vec<Bytes>, mark: Option<Mark>) -> SeamResult<AppendAck> {
        let running = self.topic(topic)?;
        let bytes = self.check_sizes(&records)?;
        if records.is_empty() {
            return Ok(AppendAck { first_offset: Offset(running.topic.end()), count: 0, repeated: false });
        }
        let gone = || running.topic.closed("its writer has stopped");
        let share = u32::try_from(bytes.min(self.config.queue_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&running.room).acquire_many_owned(share).await.map_err(|_| gone())?;
        let (reply, acknowledged) = oneshot::channel();
        let queue = running.queue.as_ref().ok_or_else(gone)?;
        queue.send(Append { records, mark, reply, _room: room }).await.map_err(|_| gone())?;
        acknowledged.await.map_err(|_| gone())?
    }

    /// Durable records of `topic` from offset `from`, in order: as many as fit `max_bytes`, but at least one if there
    /// is one. Empty at the end of the topic. Blocks on the disk.
    ///
    /// # Errors
    /// `Corrupt` when `from` was deleted by retention or lies in damage: the message says where reading may go on, and
    /// so does [`Log::readable_from`].
    pub fn read(&self, topic: &str, from: Offset, max_bytes: usize) -> SeamResult<Vec<(Offset, Bytes)>> {
        self.topic(topic)?.topic.read(from.0, max_bytes)
    }

    /// The first offset from `from` on that can be read; the end of the topic if there is none. Blocks on the disk.
    ///
    /// # Errors
    /// As the disk says.
    pub fn readable_from(&self, topic: &str, from: Offset) -> SeamResult<Offset> {
        self.topic(topic)?.topic.readable_from(from.0).map(Offset)
    }

    /// Waits until `topic` has a durable record at `from` or later. Cancel-safe.
    ///
    /// # Errors
    /// `Closed` when none will come before a restart.
    pub async fn wait_for(&self, topic: &str, from: Offset) -> SeamResult<()> {
        let topic = Arc::clone(&self.topic(topic)?.topic);
        let mut progress = topic.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.end > from.0 || progress.closed.is_some()).await;
        let reached = reached.map_err(|_| topic.closed("its writer has stopped"))?.clone();
        match reached.closed {
            Some(why) if reached.end <= from.0 => Err(topic.closed(&why)),
            _ => Ok(()),
        }
    }

    /// The offset that the next record of `topic` gets; all before it are durable. Zero for an unknown topic.
    pub fn end(&self, topic: &str) -> Offset {
        Offset(self.known(topic).map_or(0, |running| running.topic.end()))
    }

    /// The oldest offset that `topic` still has; its end when it is empty.
    pub fn start(&self, topic: &str) -> Offset {
        Offset(self.known(topic).map_or(0, |running| running.topic.start()))
    }

    /// The topics there are, sorted.
    pub fn topics(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Damage that was found when topics were opened, with file and offsets.
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Deletes the oldest segments of `topic` that the configured size and age do not keep, and whose records all lie
    /// before `needed_from` (where its slowest reader is); returns how many.
    ///
    /// # Errors
    /// As the disk says.
    pub fn retain(&self, topic: &str, needed_from: Offset) -> SeamResult<usize> {
        self.topic(topic)?.topic.retain(needed_from.0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Running>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, topic: &str) -> Option<Arc<Running>> {
        self.lock().get(topic).cloned()
    }

    /// The topic called `name`, opened if it was not yet.
    fn topic(&self, name: &str) -> SeamResult<Arc<Running>> {
        let mut topics = self.lock();
        if let Some(running) = topics.get(name) {
            return Ok(Arc::clone(running));
        }
        check_topic_name(name)?;
        let folder = self.folder.join(name).join(PARTITION);
        let Recovered { segments, end, appendable, marked, troubles } =
            recover(&*self.vfs, &folder, self.config.record_bytes_max)?;
        for trouble in &troubles {
            tracing::error!(topic = name, trouble, "the log is damaged");
        }
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).extend(troubles);
        let topic = Arc::new(Topic::new(
            name,
            folder,
            (Arc::clone(&self.vfs), Arc::clone(&self.clock)),
            (self.config.clone(), self.reserve),
            (segments, end),
        ));
        let (queue, waiting) = mpsc::channel(self.config.queue_appends);
        let keys = topic.remembered_keys(marked)?;
        let writer = Writer::new(Arc::clone(&topic), appendable, keys);
        let writer =
            std::thread::Builder::new().name(format!("log {name}")).spawn(move || writer.run(waiting)).map_err(
                |error| SeamError::caused(ErrorKind::Retry, format!("cannot start the writer of topic {name}"), error),
            )?;
        let room = Arc::new(Semaphore::new(self.config.queue_bytes));
        let running = Arc::new(Running { topic, queue: Some(queue), room, writer: Some(writer) });
        topics.insert(name.to_owned(), Arc::clone(&running));
        Ok(running)
    }

    /// The bytes of an append, if it may be taken.
    fn check_sizes(&self, records: &[Bytes]) -> SeamResult<usize> {
        let (record_max, append_max) = (self.config.record_bytes_max, self.config.append_bytes_max);
        if let Some(at) = records.iter().position(|record| record.len() > record_max) {
            let message = format!("record {at} has {} bytes and may have {record_max}", records[at].len());
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let bytes = records.iter().map(Bytes::len).sum::<usize>();
        if bytes > append_max {
            let message = format!("an append has {bytes} bytes and may have {append_max}: send it in parts");
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        Ok(bytes)
    }
}

/// Topics become folders: a name has nothing that means something to a path.
fn check_topic_name(name: &str) -> SeamResult<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if name.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && name.len() <= 63 && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown = Value(name.as_bytes());
    let message = format!(
        "{shown} cannot be a topic: a name has a-z, 0-9, _ and -, begins with a letter, and has at most 63 characters"
    );
    Err(SeamError::new(ErrorKind::Config, message))
}
