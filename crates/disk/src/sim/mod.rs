//! A disk in memory that loses power: what was not synced is lost or torn, by a seed. Does no I/O and has no clock, so
//! the same calls and the same seed give the same disk.
//!
//! It is as unkind as a disk is allowed to be: a file's unsynced end survives in part, in 512-byte sectors that may
//! come back as zeros; every unsynced change of a folder survives or does not, by itself; after a failed sync a later
//! one says yes and does nothing.

mod state;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_model::{FileKind, Vfs, VfsFile};

use state::{Condition, Node, Operation, State};

/// What can go wrong with one operation that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power fails before the operation; everything fails until [`SimDisk::restart`].
    PowerLoss,
    /// The power fails after the operation was done, before its caller knows.
    PowerLossAfter,
    /// The process is killed before the operation; everything fails until [`SimDisk::restart`], but nothing is lost.
    Kill,
    /// The process is killed after the operation was done.
    KillAfter,
    /// The disk is full.
    Full,
    /// The disk answers with an error (EIO).
    Broken,
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk; `seed` decides what survives a loss of power.
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// The operation with number `operation` (as [`SimDisk::operations`] counts them) will go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.lock().faults.insert(operation, fault);
    }

    /// After `left` more operations called `kind` (as [`SimDisk::journal`] calls them) the next one will go wrong.
    pub fn fail_at_next(&self, kind: &'static str, left: u64, fault: Fault) {
        self.lock().faults_of_kind.push((kind, left, fault));
    }

    /// No planned fault will happen.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
        self.lock().faults_of_kind.clear();
    }

    /// How many operations that change the disk there have been: create, append, write, sync, truncate, rename,
    /// remove, folders.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The disk holds no more than `bytes` from now on; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used()
    }

    /// The power fails now.
    pub fn crash(&self) {
        self.lock().condition = Condition::PowerFailed;
    }

    /// A new process begins; files that were open stay dead, and what was planned to go wrong does not. If the power had
    /// failed, what was not durable is lost or torn.
    pub fn restart(&self) {
        self.lock().restart();
    }

    /// Whether neither the power has failed nor the process was killed.
    pub fn is_powered(&self) -> bool {
        self.lock().condition == Condition::Running
    }

    /// Does something durable that is not on this disk, such as a transaction of a database, as one of its operations:
    /// counted like them, and what goes wrong with them goes wrong with it.
    ///
    /// # Errors
    /// As planned by [`SimDisk::fail_at`]; after [`Fault::PowerLossAfter`] and [`Fault::KillAfter`] it was done all the same.
    pub async fn act<T>(&self, what: &'static str, subject: &[u8], work: impl Future<Output = T>) -> io::Result<T> {
        let done = Operation { what, path: Path::new(""), bytes: subject };
        let fault = self.lock().begin(&done)?;
        let value = work.await;
        self.lock().end(fault)?;
        Ok(value)
    }

    /// A hash of everything that was done to this disk, in its order: with the same seed the same. Of a path the last two
    /// names count, so that it does not matter where a test keeps its data.
    pub fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// What went wrong as planned, in its order: the number of the operation, which, and how.
    pub fn mishaps(&self) -> Vec<String> {
        self.lock().mishaps.clone()
    }

    /// Writes the operations down from now on, for [`SimDisk::journal`].
    pub fn keep_journal(&self) {
        self.lock().journal.get_or_insert_default();
    }

    /// The operations since [`SimDisk::keep_journal`].
    pub fn journal(&self) -> Vec<String> {
        self.lock().journal.clone().unwrap_or_default()
    }

    /// Changes the bytes of a file behind everyone's back, durably: for tests of damage.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let id = state.file(path).expect("a file to damage");
        let inode = &mut state.inodes[id];
        change(&mut inode.content);
        inode.durable = inode.content.len();
    }

    /// Every file with its content, for assertions.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.lock();
        let files = state.names.iter().filter_map(|(path, node)| match node {
            Node::File(id) => Some((path.clone(), state.inodes[*id].content.clone())),
            Node::Folder => None,
        });
        files.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    /// What it was called when it was opened.
    path: PathBuf,
    inode: usize,
    /// Which life of the machine opened the file: it is dead in the next.
    life: u64,
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = Operation { what: "write to", path: &self.path, bytes };
        self.disk.lock().change(&write, |state| state.write(self.inode, self.life, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let sync = Operation::on("sync", &self.path);
        let synced = state.change(&sync, |state| state.sync(self.inode, self.life));
        // A process that was killed has asked for nothing: what is dirty is still to be written.
        if synced.is_err() && state.condition == Condition::Running {
            state.forsake(self.inode);
        }
        synced
    }
}

impl SimDisk {
    fn handle(&self, path: &Path, inode: usize) -> Box<dyn VfsFile> {
        let life = self.lock().life;
        Box::new(SimFile { disk: self.clone(), path: path.to_owned(), inode, life })
    }
}

impl Vfs for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.lock().change(&Operation::on("create", path), |state| state.create(path))?;
        Ok(self.handle(path, inode))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.lock().change(&Operation::on("append to", path), |state| match state.file(path) {
            Ok(inode) => Ok(inode),
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.create(path),
            Err(error) => Err(error),
        })?;
        Ok(self.handle(path, inode))
    }

    fn open(&self, path: &Path, from: u64) -> io::Result<Box<dyn Read + Send>> {
        let state = self.lock();
        state.check_power()?;
        let inode = state.file(path)?;
        let mut content = Cursor::new(state.inodes[inode].content.clone());
        content.set_position(from);
        Ok(Box::new(content))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let state = self.lock();
        state.check_power()?;
        let inode = state.file(path)?;
        Ok(state.inodes[inode].content.len() as u64)
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.lock().change(&Operation::on("truncate", path), |state| state.truncate(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock().change(&Operation::on("rename to", to), |state| state.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock().change(&Operation::on("rename to", to), |state| {
            if state.names.contains_key(to) { Err(io::ErrorKind::AlreadyExists.into()) } else { state.rename(from, to) }
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock().change(&Operation::on("remove", path), |state| state.remove(path))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.lock().change(&Operation::on("create folder", path), |state| state.create_folder(path))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.lock().change(&Operation::on("sync folder", path), |state| state.sync_folder(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, FileKind)>> {
        let state = self.lock();
        state.check_power()?;
        let entries = state.names.iter().filter(|(name, _)| name.parent() == Some(path));
        let kind = |node: &Node| {
            if matches!(node, Node::Folder) { FileKind::Folder } else { FileKind::File }
        };
        Ok(entries.map(|(name, node)| (name.clone(), kind(node))).collect())
    }

    fn unused_name(&self) -> String {
        let mut state = self.lock();
        state.names_given += 1;
        format!("{:026}", state.names_given)
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.lock();
        state.check_power()?;
        Ok(state.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(state.used())))
    }
}
