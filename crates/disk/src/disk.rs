//! The real disk. Follows no symbolic link in the last part of a path, and never retries a failed sync.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, OFlags, RenameFlags};
use weir_model::{FileKind, Vfs, VfsFile};

/// Folders are for their owner alone: logs hold secrets.
const FOLDER_MODE: u32 = 0o700;
/// Files are as the umask says: those in the data folder are behind its own lock, and a result file is meant to be read.
const FILE_MODE: u32 = 0o666;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile {
    file: File,
    /// A sync has failed: what of the file is on disk is unknown, so nothing more is written to it or claimed of it.
    broken: bool,
}

impl DiskFile {
    fn boxed(file: File) -> Box<dyn VfsFile> {
        Box::new(Self { file, broken: false })
    }

    fn check(&self) -> io::Result<()> {
        if self.broken { Err(io::Error::other("an earlier sync of this file failed")) } else { Ok(()) }
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()
    }
}

impl VfsFile for DiskFile {
    fn sync(&mut self) -> io::Result<()> {
        self.check()?;
        // fdatasync also writes the metadata without which the data could not be read back, such as the length.
        self.file.sync_data().inspect_err(|_| self.broken = true)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// So many names of folders are remembered as durable; of more, some are synced again.
const NAMED_MAX: usize = 10_000;

/// The folders whose names this process knows to be durable. A folder that is there may be one that a process created that
/// died before it could sync the name, or was told that the sync had failed.
fn named_folders() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static NAMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the name of the folder `path` durable, unless that is known. One that cannot be made durable goes, so that no later
/// sync is taken for that of its name.
fn name_folder(path: &Path) -> io::Result<()> {
    if named_folders().contains(path) {
        return Ok(());
    }
    match File::open(parent(path)).and_then(|parent| parent.sync_all()) {
        Ok(()) => {}
        // What holds it may be entered and not read: then it was somebody else who created it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => {
            // Only if nothing is in it yet.
            let _ = fs::remove_dir(path);
            return Err(error);
        }
    }
    let mut named = named_folders();
    if named.len() >= NAMED_MAX {
        named.clear();
    }
    named.insert(path.to_owned());
    Ok(())
}

impl Vfs for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        options().write(true).create_new(true).open(path).map(DiskFile::boxed)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        options().append(true).create(true).open(path).map(DiskFile::boxed)
    }

    fn open(&self, path: &Path, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = options().read(true).open(path)?;
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        Ok(Box::new(file))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_file() { Ok(metadata.len()) } else { Err(io::ErrorKind::IsADirectory.into()) }
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = options().write(true).open(path)?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Some file systems cannot refuse to replace. A link can: it fails when the name is taken.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        if path.is_dir() {
            return name_folder(path);
        }
        self.create_folder(parent(path))?;
        named_folders().remove(path);
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Ok(()) => name_folder(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => name_folder(path),
            Err(error) => Err(error),
        }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileKind)>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            // Links, sockets and devices are nobody's data here.
            if kind.is_dir() {
                found.push((entry.path(), FileKind::Folder));
            } else if kind.is_file() {
                found.push((entry.path(), FileKind::File));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn unused_name(&self) -> String {
        ulid::Ulid::generate().to_string()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
