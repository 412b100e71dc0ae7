//! The data folder and its lock: one Weir at a time writes to it, and others can tell which one.
//! Knows nothing of what is in the folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};

use crate::{FileLock, Reserve, disk_error};

/// The lock's file inside the data folder. Its content is an [`Occupant`] as JSON.
pub const LOCK_FILE: &str = "weir.lock";
/// More than any occupant takes.
const OCCUPANT_BYTES_MAX: u64 = 4096;

/// Who has a data folder, as `weir.lock` says: `{"pid": 4711, "http": "127.0.0.1:7280"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// Its process.
    pub pid: u32,
    /// Where it answers, once it does.
    pub http: Option<SocketAddr>,
}

/// A data folder that this process alone writes to, until the value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    reserve: Reserve,
    /// `None` on a simulated disk, which no other process can see.
    lock: Option<Mutex<FileLock>>,
}

impl DataFolder {
    /// Creates the folder if it is not there and takes its lock.
    ///
    /// # Errors
    /// `Config` when another Weir has the folder, or it cannot be used.
    pub fn open(path: &Path, vfs: Arc<dyn Vfs>) -> SeamResult<Self> {
        let unusable = |error| SeamError::caused(ErrorKind::Config, cannot_use(path), error);
        vfs.create_folder(path).map_err(unusable)?;
        let path = std::path::absolute(path).map_err(unusable)?;
        let lock_path = path.join(LOCK_FILE);
        let file = open_lock(&lock_path, true).map_err(unusable)?;
        let Some(lock) = FileLock::of(file).map_err(unusable)? else {
            let file = open_lock(&lock_path, false);
            return Err(taken(&path, file.and_then(|file| read_occupant(&file)).ok().flatten()));
        };
        let reserve = disk_bytes(&path).map_or_else(|_| Reserve::default(), Reserve::for_disk);
        let folder = Self { path, vfs, reserve, lock: Some(Mutex::new(lock)) };
        folder.write_occupant(None)?;
        Ok(folder)
    }

    /// A folder on a simulated disk: created, not locked. For tests.
    ///
    /// # Errors
    /// As the disk says.
    pub fn simulated(path: &Path, vfs: Arc<dyn Vfs>) -> SeamResult<Self> {
        vfs.create_folder(path).map_err(|error| disk_error("create", path, error))?;
        Ok(Self { path: path.to_owned(), vfs, reserve: Reserve::none(), lock: None })
    }

    /// Another reserve than 5% of the disk or 256 MiB, whichever is smaller.
    #[must_use]
    pub fn with_reserve(mut self, reserve: Reserve) -> Self {
        self.reserve = reserve;
        self
    }

    /// Who has the folder at `path` now, if anyone. Takes no lock, so it may be asked of a folder in use.
    ///
    /// # Errors
    /// `Config` when the folder cannot be read.
    pub fn peek(path: &Path) -> SeamResult<Option<Occupant>> {
        let lock_path = path.join(LOCK_FILE);
        let unusable = |error| SeamError::caused(ErrorKind::Config, cannot_use(path), error);
        let file = match open_lock(&lock_path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error)),
        };
        // A shared lock, given back at once, is the only way to ask: the content stays behind after a crash.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            // Locked but nothing written down yet: it is just starting.
            Err(TryLockError::WouldBlock) => {
                let occupant = read_occupant(&file).map_err(unusable)?;
                Ok(Some(occupant.unwrap_or(Occupant { pid: 0, http: None })))
            }
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Tells those who peek where this process answers.
    ///
    /// # Errors
    /// As the disk says.
    pub fn announce(&self, http: SocketAddr) -> SeamResult<()> {
        self.write_occupant(Some(http))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk it is on.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// What is kept free.
    pub fn reserve(&self) -> Reserve {
        self.reserve
    }

    /// Whether there is room for new data besides the reserve. When there is not: refuse early, go on answering.
    /// A disk that cannot be asked counts as full.
    pub fn reserve_ok(&self) -> bool {
        self.reserve.allows(&*self.vfs, &self.path, 0).unwrap_or(false)
    }

    /// Written in place: a rename would leave the lock on the old file. Not synced: after a crash nobody is here.
    fn write_occupant(&self, http: Option<SocketAddr>) -> SeamResult<()> {
        let Some(lock) = &self.lock else {
            return Ok(());
        };
        let occupant = Occupant { pid: std::process::id(), http };
        let text = serde_json::to_vec(&occupant)
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot describe this process".to_owned(), error))?;
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file: &File = &lock;
        let mut write = || -> io::Result<()> {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)
        };
        write().map_err(|error| disk_error("write", &self.path.join(LOCK_FILE), error))
    }
}

fn open_lock(path: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    if create {
        options.write(true).create(true);
    }
    options.open(path)
}

/// `None` when the occupant has not written itself down yet.
fn read_occupant(mut file: &File) -> io::Result<Option<Occupant>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(OCCUPANT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).ok())
}

fn cannot_use(path: &Path) -> String {
    format!("cannot use {} as the data folder: it must be a folder that this user may read and write", path.display())
}

fn taken(path: &Path, by: Option<Occupant>) -> SeamError {
    let pid = by.map_or_else(|| "pid unknown".to_owned(), |occupant| format!("pid {}", occupant.pid));
    let message = format!("another weir ({pid}) is using {}; stop it or choose another --data", path.display());
    SeamError::new(ErrorKind::Config, message)
}

fn disk_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}
