//! One partition of a topic: what its writer and its readers share.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use weir_disk::Reserve;
use weir_model::{Clock, ErrorKind, SeamError, Vfs};

use crate::keys::Keys;
use crate::segment::Segment;
use crate::{LogConfig, Retain};

/// How far a partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The offset after the last durable record.
    pub(crate) end: u64,
    /// Why nothing will be appended any more.
    pub(crate) closed: Option<Arc<str>>,
}

/// What retention has done since the start, and what it would like to do.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    pub(crate) segments: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Records that were deleted although somebody had not read them.
    pub(crate) unread_records: AtomicU64,
    /// Bytes over the limits that stay because they were not read, as of the last look.
    pub(crate) held_bytes: AtomicU64,
}

/// What the writer and the readers of a partition share.
pub(crate) struct Partition {
    /// What people call it: the topic, and which partition if it is not the first.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) folder: PathBuf,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: LogConfig,
    pub(crate) retain: Retain,
    pub(crate) reserve: Reserve,
    /// Oldest first.
    segments: Mutex<Vec<Segment>>,
    keys: Mutex<Keys>,
    pub(crate) deleted: Deleted,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Partition {
    pub(crate) fn new(
        (topic, number): (&str, u32),
        folder: PathBuf,
        (vfs, clock): (Arc<dyn Vfs>, Arc<dyn Clock>),
        (config, retain, reserve): (LogConfig, Retain, Reserve),
        (segments, end): (Vec<Segment>, u64),
    ) -> Self {
        Self {
            name: if number == 0 { topic.to_owned() } else { format!("{topic}/{number}") },
            number,
            folder,
            vfs,
            clock,
            keys: Mutex::new(Keys::new(config.keys_max, micros(config.keys_age))),
            config,
            retain,
            reserve,
            segments: Mutex::new(segments),
            deleted: Deleted::default(),
            progress: watch::Sender::new(Progress { end, closed: None }),
        }
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of all topics, which is there before this one's is.
    pub(crate) fn root(&self) -> &Path {
        self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder)
    }

    pub(crate) fn end(&self) -> u64 {
        self.progress.borrow().end
    }

    /// The error of everything that is asked of a closed partition.
    pub(crate) fn closed(&self, why: &str) -> SeamError {
        let message = format!("topic {} takes nothing more until a restart: {why}", self.name);
        SeamError::new(ErrorKind::Closed, message)
    }
}

/// A length of time as the marks count it.
pub(crate) fn micros(age: std::time::Duration) -> i64 {
    i64::try_from(age.as_micros()).unwrap_or(i64::MAX)
}
