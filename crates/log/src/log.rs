//! The log as others see it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_disk::{Reserve, disk_error};
use weir_model::{Clock, ErrorKind, FileKind, Offset, SeamError, SeamResult, SystemClock, Value, Vfs};

use crate::keys::Mark;
use crate::partition::Partition;
use crate::retain::Retained;
use crate::topic::{Opening, Topic};
use crate::{LogConfig, PartitionMeasure};

/// What an append has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAck {
    /// The partition that it went to.
    pub partition: u32,
    /// The offset of the first record there; the others follow it.
    pub first_offset: Offset,
    /// How many records.
    pub count: u64,
    /// Whether they had been appended before, with the same key.
    pub repeated: bool,
}

/// What there is to say about an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendOptions<'a> {
    /// Appends with the same text go to the same partition for as long as the topic has as many; others take turns.
    pub partition_key: Option<&'a str>,
    /// What a repetition of this append is known by: it is taken once.
    pub once: Option<&'a str>,
}

/// A partition of a topic. A name alone means its first partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPartition<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition's number, from 0 on.
    pub partition: u32,
}

impl<'a> From<&'a str> for TopicPartition<'a> {
    fn from(topic: &'a str) -> Self {
        Self { topic, partition: 0 }
    }
}

impl<'a> From<(&'a str, u32)> for TopicPartition<'a> {
    fn from((topic, partition): (&'a str, u32)) -> Self {
        Self { topic, partition }
    }
}

/// The topics in a folder.
pub struct Log {
    folder: PathBuf,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    config: LogConfig,
    reserve: Reserve,
    topics: Mutex<BTreeMap<String, Arc<Topic>>>,
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
    /// of them are ever seen, and all go to one partition. Waits while too much is waiting for the disk. Cancelling the
    /// future may or may not cancel the append.
    ///
    /// # Errors
    /// `Retry` when the disk is full (nothing was taken), `Config` when the name or a size is not allowed, `Closed`
    /// when the partition's disk failed: nothing more is ever acknowledged by it until a restart.
    pub async fn append(&self, topic: &str, records: Vec<Bytes>) -> SeamResult<AppendAck> {
        self.append_with(topic, records, AppendOptions::default()).await
    }

    /// As [`Log::append`], but once: when `key` came before, in this life or an earlier one, the same records are not
    /// appended again and their first offset is told. For the last [`LogConfig::keys_max`] keys of a partition and for
    /// [`LogConfig::keys_age`].
    ///
    /// # Errors
    /// As [`Log::append`]; `Config` also when the key came before with other records.
    pub async fn append_once(&self, topic: &str, key: &str, records: Vec<Bytes>) -> SeamResult<AppendAck> {
        self.append_with(topic, records, AppendOptions { once: Some(key), partition_key: None }).await
    }

    /// As [`Log::append`], with a choice of the partition and whether it may be a repetition.
    ///
    /// # Errors
    /// As [`Log::append_once`].
    pub async fn append_with(
        &self,
        topic: &str,
        records: Vec<Bytes>,
        options: AppendOptions<'_>,
    ) -> SeamResult<AppendAck> {
        let topic = self.topic(topic)?;
        let bytes = self.check_sizes(&records)?;
        // A repetition without a partition key must go where the first went.
        let running = topic.route(options.partition_key.or(options.once));
        let mark = options.once.map(|key| Mark::of(key, &records));
        if let Some(known) = mark.and_then(|mark| topic.known_elsewhere(mark, running)) {
            return known;
        }
        running.append(records, bytes, mark).await
    }

    /// Durable records from offset `from`, in order: as many as fit `max_bytes`, but at least one if there is one. Empty
    /// at the end of the partition. Blocks on the disk.
    ///
    /// # Errors
    /// `Corrupt` when `from` was deleted by retention or lies in damage: the message says where reading may go on, and
    /// so does [`Log::readable_from`].
    pub fn read<'a>(
        &self,
        of: impl Into<TopicPartition<'a>>,
        from: Offset,
        max_bytes: usize,
    ) -> SeamResult<Vec<(Offset, Bytes)>> {
        self.partition(of.into())?.read(from.0, max_bytes)
    }

    /// The first offset from `from` on that can be read; the end of the partition if there is none. Blocks on the disk.
    ///
    /// # Errors
    /// As the disk says.
    pub fn readable_from<'a>(&self, of: impl Into<TopicPartition<'a>>, from: Offset) -> SeamResult<Offset> {
        self.partition(of.into())?.readable_from(from.0).map(Offset)
    }

    /// Waits until there is a durable record at `from` or later. Cancel-safe.
    ///
    /// # Errors
    /// `Closed` when none will come before a restart.
    pub async fn wait_for<'a>(&self, of: impl Into<TopicPartition<'a>>, from: Offset) -> SeamResult<()> {
        let partition = self.partition(of.into())?;
        let mut progress = partition.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.end > from.0 || progress.closed.is_some()).await;
        let reached = reached.map_err(|_| partition.closed("its writer has stopped"))?.clone();
        match reached.closed {
            Some(why) if reached.end <= from.0 => Err(partition.closed(&why)),
            _ => Ok(()),
        }
    }

    /// The offset that the next record gets; all before it are durable. Zero for an unknown topic.
    pub fn end<'a>(&self, of: impl Into<TopicPartition<'a>>) -> Offset {
        Offset(self.known(of.into()).map_or(0, |partition| partition.end()))
    }

    /// The oldest offset that is still there; the end when the partition is empty.
    pub fn start<'a>(&self, of: impl Into<TopicPartition<'a>>) -> Offset {
        Offset(self.known(of.into()).map_or(0, |partition| partition.start()))
    }

    /// The topics there are, sorted.
    pub fn topics(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// How many partitions `topic` has; as many as it would get if it is not there yet.
    pub fn partitions(&self, topic: &str) -> u32 {
        let there = self.lock().get(topic).map(|topic| topic.partitions.len() as u32);
        there.unwrap_or_else(|| self.config.of(topic).partitions)
    }

    /// Damage that was found when topics were opened, with file and offsets.
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Deletes the oldest segments of a partition that the topic's [`crate::Retain`] does not keep. `needed_from` is
    /// where its slowest reader is: whether what lies there may go is [`crate::Unread`]'s to say.
    ///
    /// # Errors
    /// As the disk says.
    pub fn retain<'a>(&self, of: impl Into<TopicPartition<'a>>, needed_from: Offset) -> SeamResult<Retained> {
        self.partition(of.into())?.retain(needed_from.0)
    }

    /// The figures of every partition.
    pub fn measure(&self) -> Vec<PartitionMeasure> {
        let topics: Vec<(String, Arc<Topic>)> =
            self.lock().iter().map(|(name, topic)| (name.clone(), Arc::clone(topic))).collect();
        let of = |(name, topic): &(String, Arc<Topic>)| -> Vec<PartitionMeasure> {
            topic.partitions.iter().map(|running| running.partition.measure(name)).collect()
        };
        topics.iter().flat_map(of).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, of: TopicPartition<'_>) -> Option<Arc<Partition>> {
        self.lock().get(of.topic)?.partition(of.partition).ok().cloned()
    }

    fn partition(&self, of: TopicPartition<'_>) -> SeamResult<Arc<Partition>> {
        self.topic(of.topic)?.partition(of.partition).cloned()
    }

    /// The topic called `name`, opened if it was not yet.
    fn topic(&self, name: &str) -> SeamResult<Arc<Topic>> {
        let mut topics = self.lock();
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        check_topic_name(name)?;
        let with = Opening { vfs: &self.vfs, clock: &self.clock, config: &self.config, reserve: self.reserve };
        let (topic, troubles) = Topic::open(name, &self.folder.join(name), &with)?;
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).extend(troubles);
        let topic = Arc::new(topic);
        topics.insert(name.to_owned(), Arc::clone(&topic));
        Ok(topic)
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
