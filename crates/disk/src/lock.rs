//! Files that one process at a time holds. Knows nothing of what is in them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::disk_error;

/// How often a lock is tried before it counts as taken, and how long it is waited in between.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// An open file that this process alone holds, until the value is dropped.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock of the file at `path`, which is made if it is not there and keeps what is in it; `None` when somebody
    /// else has it.
    ///
    /// # Errors
    /// As the disk says.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        Self::of(open(path)?)
    }

    /// The same, or an error that says in the words of `taken` who has it.
    ///
    /// # Errors
    /// `Config` when somebody has it; else as the disk says.
    pub fn take_or(path: &Path, taken: &str) -> SeamResult<Self> {
        let file = open(path).map_err(|error| disk_error("create", path, error))?;
        let lock = Self::of(file).map_err(|error| disk_error("lock", path, error))?;
        let is_taken = || SeamError::new(ErrorKind::Config, format!("{taken}: {} is locked", path.display()));
        lock.ok_or_else(is_taken)
    }

    /// The lock of an open file; `None` when somebody else has it. Who only asks whether it is taken holds it for some
    /// microseconds, and there is no event for its end: hence the short pauses.
    #[expect(
        clippy::disallowed_methods,
        reason = "a lock's end cannot be awaited without waiting for as long as its owner lives"
    )]
    pub(crate) fn of(file: File) -> io::Result<Option<Self>> {
        for attempt in 0..=ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        Ok(None)
    }
}

impl Deref for FileLock {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

/// A process that is just being started has a copy of the open file for a moment: the lock must not live as long as that.
impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}
