//! Where the contents and manifests of backups are put: a folder. Knows nothing of what is in them.

use std::fmt::Debug;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use weir_disk::{ChecksummedWriter, Disk, FileLock, publish, remove_leftovers};
use weir_model::{SeamError, SeamResult, Vfs};
use xxhash_rust::xxh3::Xxh3;

use super::failed;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The hashes and the length of some content.
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) checksum: String,
    pub(super) checksum64: u64,
}

/// Held while a backup is made; released when it is dropped.
pub(super) trait Held {}

impl Held for FileLock {}

/// Takes content as it comes.
pub(super) type Taking<'a> = &'a mut dyn FnMut(&[u8]) -> std::io::Result<()>;

/// A place of named files, each there as a whole or not at all. Names have `/` between folders.
pub(super) trait Shelf: Send + Sync + Debug {
    /// Keeps others from making a backup here; what they left unfinished is removed.
    ///
    /// # Errors
    /// `Config` when somebody makes one.
    fn lock(&self) -> SeamResult<Box<dyn Held>>;

    /// The names of all files in `folder` and the folders in it, sorted.
    ///
    /// # Errors
    /// As the other side says.
    fn names(&self, folder: &str) -> SeamResult<Vec<String>>;

    /// Whether there is a file of that name and so many bytes.
    fn has(&self, name: &str, bytes: u64) -> bool;

    /// Gives `to` the content of a file; `None` when it is not there. More than `bytes` bytes are too many, and are not read.
    ///
    /// # Errors
    /// As the other side says.
    fn read(&self, name: &str, bytes: u64, to: Taking<'_>) -> SeamResult<Option<Content>>;

    /// Puts the first `bytes` bytes of the file `from` here, if they have that checksum, also in the place of something
    /// else; whether they had.
    ///
    /// # Errors
    /// As the other side says.
    fn put(&self, name: &str, from: &Path, bytes: u64, checksum: &str) -> SeamResult<bool>;

    /// Makes a new file of these bytes.
    ///
    /// # Errors
    /// As the other side says; also when there is one.
    fn publish(&self, name: &str, bytes: &[u8]) -> SeamResult<()>;

    /// Removes files.
    ///
    /// # Errors
    /// As the other side says.
    fn remove(&self, names: &[String]) -> SeamResult<()>;

    /// What people know it by.
    fn shown(&self, name: &str) -> String;
}

/// A folder.
#[derive(Clone, Debug)]
pub(super) struct FolderShelf {
    folder: PathBuf,
}

impl FolderShelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl Shelf for FolderShelf {
    fn lock(&self) -> SeamResult<Box<dyn Held>> {
        for name in ["objects", "backups"] {
            let folder = self.folder.join(name);
            Disk.create_folder(&folder).map_err(|error| failed("create", &folder, error))?;
        }
        let alone = FileLock::take_or(&self.folder.join("lock"), "another backup is being made here")?;
        remove_leftovers(&Disk, &self.folder)?;
        Ok(Box::new(alone))
    }

    fn names(&self, folder: &str) -> SeamResult<Vec<String>> {
        let mut names = Vec::new();
        for entry in walkdir::WalkDir::new(self.folder.join(folder)).sort_by_file_name() {
            let entry = match entry {
                Err(error) if error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound) => continue,
                entry => entry.map_err(|error| failed("list", &self.folder, std::io::Error::other(error)))?,
            };
            let name = entry.path().strip_prefix(&self.folder).ok().and_then(Path::to_str);
            names.extend(name.filter(|_| entry.file_type().is_file()).map(str::to_owned));
        }
        Ok(names)
    }

    fn has(&self, name: &str, bytes: u64) -> bool {
        fs::metadata(self.folder.join(name)).is_ok_and(|there| there.is_file() && there.len() == bytes)
    }

    fn read(&self, name: &str, _: u64, to: Taking<'_>) -> SeamResult<Option<Content>> {
        let path = self.folder.join(name);
        match read_through(&path, u64::MAX, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            content => content.map(Some).map_err(|error| failed("copy", &path, error)),
        }
    }

    fn put(&self, name: &str, from: &Path, bytes: u64, checksum: &str) -> SeamResult<bool> {
        let path = self.folder.join(name);
        let parent = path.parent().unwrap_or(&self.folder);
        Disk.create_folder(parent).map_err(|error| failed("create", parent, error))?;
        // A content of another length in its place is what a full disk or a careless hand has left.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &path, error)),
            _ => {}
        }
        let mut writer = ChecksummedWriter::create(&Disk, &path)?;
        let copied = read_through(from, bytes, |bytes| writer.write_all(bytes));
        let copied = copied.map_err(|error| failed("copy to", &path, error))?;
        if copied.checksum != checksum {
            writer.discard(&Disk);
            return Ok(false);
        }
        writer.publish(&Disk)?;
        Ok(true)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> SeamResult<()> {
        publish(&Disk, &self.folder.join(name), bytes).map(drop)
    }

    fn remove(&self, names: &[String]) -> SeamResult<()> {
        for name in names {
            let path = self.folder.join(name);
            fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
        }
        let backups = self.folder.join("backups");
        Disk.sync_folder(&backups).map_err(|error| weir_disk::sync_error(&backups, error))
    }

    fn shown(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// What content is made of, as it comes.
#[derive(Default)]
pub(super) struct Measuring {
    hash: Xxh3,
    bytes: u64,
}

impl Measuring {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn content(&self) -> Content {
        let (checksum, checksum64) = (format!("{:032x}", self.hash.digest128()), self.hash.digest());
        Content { bytes: self.bytes, checksum, checksum64 }
    }
}

/// Reads at most `bytes_max` bytes of a file and hands them to `to`.
pub(super) fn read_through(
    path: &Path,
    bytes_max: u64,
    mut to: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<Content> {
    let mut file = Disk.open(path, 0)?.take(bytes_max);
    let (mut measuring, mut chunk) = (Measuring::default(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(measuring.content()),
            read => {
                measuring.take(&chunk[..read]);
                to(&chunk[..read])?;
            }
        }
    }
}

/// The error of content that is not what it was a moment before.
pub(super) fn changed(path: &str) -> SeamError {
    SeamError::new(weir_model::ErrorKind::Retry, format!("{path} changed while it was copied"))
}
