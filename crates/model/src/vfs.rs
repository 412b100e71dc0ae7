//! The seam to the disk, for everything whose loss would be noticed. `disk` implements it; `sim` loses power.

use std::fmt::Debug;
use std::io::{Read, Result, Write};
use std::path::{Path, PathBuf};

/// What a folder's entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// A file being written. What was written is durable only after [`VfsFile::sync`] and, for a new name, after the
/// folder was synced too.
pub trait VfsFile: Write + Send + Debug {
    /// Makes everything written so far durable. An error is fatal for the file: nothing may be assumed about what of
    /// it is on disk, and the call must not be repeated.
    ///
    /// # Errors
    /// As the disk says.
    fn sync(&mut self) -> Result<()>;
}

/// The file operations that durability is built from. Paths are absolute or relative to the working folder.
pub trait Vfs: Send + Sync + Debug {
    /// Creates a file that must not exist.
    ///
    /// # Errors
    /// `AlreadyExists`, or as the disk says.
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>>;

    /// Opens a file for appending, creating it if needed.
    ///
    /// # Errors
    /// As the disk says.
    fn append(&self, path: &Path) -> Result<Box<dyn VfsFile>>;

    /// Opens a file for reading from byte `from`.
    ///
    /// # Errors
    /// As the disk says.
    fn open(&self, path: &Path, from: u64) -> Result<Box<dyn Read + Send>>;

    /// A file's length in bytes.
    ///
    /// # Errors
    /// As the disk says.
    fn len(&self, path: &Path) -> Result<u64>;

    /// Cuts a file to `bytes` and makes that durable.
    ///
    /// # Errors
    /// As the disk says.
    fn truncate(&self, path: &Path, bytes: u64) -> Result<()>;

    /// Gives a file a new name, replacing what was there.
    ///
    /// # Errors
    /// As the disk says.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a file a new name that must be free.
    ///
    /// # Errors
    /// `AlreadyExists`, or as the disk says.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the disk says.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Creates a folder and those above it, durably.
    ///
    /// # Errors
    /// As the disk says.
    fn create_folder(&self, path: &Path) -> Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As the disk says; fatal like [`VfsFile::sync`].
    fn sync_folder(&self, path: &Path) -> Result<()>;

    /// The entries of a folder, sorted by name; empty if it does not exist.
    ///
    /// # Errors
    /// As the disk says.
    fn list(&self, path: &Path) -> Result<Vec<(PathBuf, FileKind)>>;

    /// A name for a file that no file ever had and none ever will: 26 letters and digits that sort by when they were made.
    fn unused_name(&self) -> String;

    /// Bytes that are free on the disk that holds `path`.
    ///
    /// # Errors
    /// As the disk says.
    fn free_bytes(&self, path: &Path) -> Result<u64>;
}
