//! One topic: what its writer and its readers share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use weir_disk::Reserve;
use weir_model::{Clock, ErrorKind, SeamError, Vfs};

use crate::LogConfig;
use crate::segment::Segment;

/// How far a topic is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The offset after the last durable record.
    pub(crate) end: u64,
    /// Why nothing will be appended any more.
    pub(crate) closed: Option<Arc<str>>,
}

/// What the writer and the readers of a topic share.
pub(crate) struct Topic {
    pub(crate) name: String,
    /// The folder of its one partition.
    pub(crate) folder: PathBuf,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: LogConfig,
    pub(crate) reserve: Reserve,
    /// Oldest first.
    segments: Mutex<Vec<Segment>>,
    pub(crate) progress: watch::Sender<Progress>,
}

impl Topic {
    pub(crate) fn new(
        name: &str,
        folder: PathBuf,
        (vfs, clock): (Arc<dyn Vfs>, Arc<dyn Clock>),
        (config, reserve): (LogConfig, Reserve),
        (segments, end): (Vec<Segment>, u64),
    ) -> Self {
        let progress = watch::Sender::new(Progress { end, closed: None });
        let segments = Mutex::new(segments);
        Self { name: name.to_owned(), folder, vfs, clock, config, reserve, segments, progress }
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of all topics, which is there before this one's is.
    pub(crate) fn root(&self) -> &Path {
        self.folder.parent().and_then(Path::parent).unwrap_or(&self.folder)
    }

    pub(crate) fn end(&self) -> u64 {
        self.progress.borrow().end
    }

    /// The error of everything that is asked of a closed topic.
    pub(crate) fn closed(&self, why: &str) -> SeamError {
        let message = format!("topic {} takes nothing more until a restart: {why}", self.name);
        SeamError::new(ErrorKind::Closed, message)
    }
}
