//! The one way in which a file becomes part of the data: written under another name, synced, given its name, and the
//! folder synced. Whoever sees the name sees the whole file. Never replaces a file.

use std::ffi::OsString;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use weir_model::{FileKind, SeamResult, Vfs, VfsFile, planted};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::disk::parent;
use crate::{disk_error, sync_error};

/// What the names of unfinished files end in; a start removes them.
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Bytes gathered before they are handed to the disk.
const BUFFER_BYTES: usize = 256 << 10;

/// The size and the XXH3-64 of a file, by which damage is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its length in bytes.
    pub bytes: u64,
    /// XXH3-64 of its content.
    pub checksum: u64,
}

/// The name under which `path` is written until it is whole.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMPORARY_SUFFIX);
    PathBuf::from(name)
}

/// XXH3-64 of `bytes`.
pub fn checksum_of(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Writes `bytes` as the file `path`, which must not exist, and returns when it is durable.
///
/// # Errors
/// `Closed` when a sync failed or the name is taken; else as [`disk_error`].
pub fn publish(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> SeamResult<Published> {
    let mut writer = ChecksummedWriter::create(vfs, path)?;
    writer.write_all(bytes).map_err(|error| disk_error("write", path, error))?;
    writer.publish(vfs)
}

/// Reads a whole file.
///
/// # Errors
/// As [`disk_error`]; `Corrupt` when it is missing.
pub fn read_file(vfs: &dyn Vfs, path: &Path) -> SeamResult<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(vfs.len(path)?).unwrap_or(0));
        vfs.open(path, 0)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| disk_error("read", path, error))
}

/// Removes the unfinished files that a crash left in `folder` and the folders in it; returns how many there were.
///
/// # Errors
/// As [`disk_error`].
pub fn remove_leftovers(vfs: &dyn Vfs, folder: &Path) -> SeamResult<u64> {
    let mut removed = 0;
    for (path, kind) in vfs.list(folder).map_err(|error| disk_error("list", folder, error))? {
        match kind {
            FileKind::Folder => removed += remove_leftovers(vfs, &path)?,
            FileKind::File if path.to_string_lossy().ends_with(TEMPORARY_SUFFIX) => {
                vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
                removed += 1;
            }
            FileKind::File => {}
        }
    }
    Ok(removed)
}

/// A file on its way to being published: counts and checksums what is written to it.
///
/// Dropped before [`ChecksummedWriter::publish`] it leaves a temporary file, which the next start removes.
#[derive(Debug)]
pub struct ChecksummedWriter {
    path: PathBuf,
    file: BufWriter<Box<dyn VfsFile>>,
    hash: Xxh3Debug,
    bytes: u64,
}

/// The running hash, which has nothing to show.
struct Xxh3Debug(Box<Xxh3>);

impl std::fmt::Debug for Xxh3Debug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("xxh3")
    }
}

impl ChecksummedWriter {
    /// Begins the file that will be called `path`. What an earlier attempt at the same name left behind is removed.
    ///
    /// # Errors
    /// As [`disk_error`].
    pub fn create(vfs: &dyn Vfs, path: &Path) -> SeamResult<Self> {
        let unfinished = temporary(path);
        let file = match vfs.create(&unfinished) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                vfs.remove(&unfinished).and_then(|()| vfs.create(&unfinished))
            }
            created => created,
        };
        let file = file.map_err(|error| disk_error("create", &unfinished, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Xxh3Debug(Box::default()),
            bytes: 0,
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// `Closed` when a sync failed or the name is taken; else as [`disk_error`].
    pub fn publish(self, vfs: &dyn Vfs) -> SeamResult<Published> {
        let Self { path, mut file, hash, bytes } = self;
        file.flush().map_err(|error| disk_error("write", &path, error))?;
        if !planted!(PublishNotSynced) {
            file.get_mut().sync().map_err(|error| sync_error(&path, error))?;
        }
        drop(file);
        vfs.rename_new(&temporary(&path), &path).map_err(|error| disk_error("name", &path, error))?;
        let folder = parent(&path);
        if !planted!(PublishNameNotSynced) {
            vfs.sync_folder(folder).map_err(|error| sync_error(folder, error))?;
        }
        Ok(Published { bytes, checksum: hash.0.digest() })
    }

    /// Gives the file up and removes what there is of it.
    pub fn discard(self, vfs: &dyn Vfs) {
        let unfinished = temporary(&self.path);
        drop(self.file.into_parts());
        // A leftover is removed by the next start.
        let _ = vfs.remove(&unfinished);
    }
}

impl Write for ChecksummedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.0.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
