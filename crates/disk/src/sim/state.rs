//! What a simulated disk holds, as programs see it and as a loss of power would leave it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::Fault;

/// What survives of an unsynced end is decided sector by sector.
const SECTOR_BYTES: usize = 512;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The file with this number.
    File(usize),
    /// A folder.
    Folder,
}

/// A file's content. Files are only appended to and cut, so what is durable is a prefix.
#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) content: Vec<u8>,
    /// How many bytes of `content` survive a loss of power for certain.
    pub(super) durable: usize,
    /// What a failed sync should have written: the kernel forgets that it did not, so that a later sync says yes and
    /// leaves it as it is.
    pub(super) forsaken: Range<usize>,
}

/// A change of a folder that was not synced yet.
#[derive(Debug)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::Rename(_, path, _) => path.parent() == Some(folder),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// Something that is done to the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    pub(super) what: &'static str,
    pub(super) path: &'a Path,
    /// What is written.
    pub(super) bytes: &'a [u8],
}

impl<'a> Operation<'a> {
    pub(super) fn on(what: &'static str, path: &'a Path) -> Self {
        Self { what, path, bytes: &[] }
    }

    /// The last two names of its path.
    fn place(&self) -> String {
        let names: Vec<_> = self.path.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
        names.into_iter().rev().collect::<Vec<_>>().join("/")
    }
}

/// How the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Running,
    /// The process is gone; the kernel writes what it has.
    Killed,
    PowerFailed,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    pending: Vec<Change>,
    pub(super) inodes: Vec<Inode>,
    pub(super) faults: BTreeMap<u64, Fault>,
    /// After so many more operations that are called so.
    pub(super) faults_of_kind: Vec<(&'static str, u64, Fault)>,
    pub(super) operations: u64,
    pub(super) capacity: Option<u64>,
    pub(super) condition: Condition,
    pub(super) life: u64,
    pub(super) trace: u64,
    pub(super) mishaps: Vec<String>,
    pub(super) journal: Option<Vec<String>>,
    /// How many unused names were asked for, in all lives.
    pub(super) names_given: u64,
    random: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            inodes: Vec::new(),
            faults: BTreeMap::new(),
            faults_of_kind: Vec::new(),
            operations: 0,
            capacity: None,
            condition: Condition::Running,
            life: 0,
            trace: 0,
            mishaps: Vec::new(),
            journal: None,
            names_given: 0,
            random: seed,
        }
    }

    /// Counts an operation and lets it happen, or the fault that was planned for it.
    pub(super) fn change<T>(
        &mut self,
        what: &Operation<'_>,
        operation: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        let fault = self.begin(what)?;
        let done = operation(self);
        self.end(fault)?;
        done
    }

    /// Counts an operation, or fails in its place. What it returns is for [`State::end`].
    pub(super) fn begin(&mut self, what: &Operation<'_>) -> io::Result<Option<Fault>> {
        self.check_power()?;
        let number = self.operations;
        self.operations += 1;
        let place = what.place();
        self.trace = xxh3_64(format!("{} {} {place} {}", self.trace, what.what, xxh3_64(what.bytes)).as_bytes());
        if let Some(journal) = &mut self.journal {
            let (what, bytes) = (what.what, what.bytes);
            journal.push(format!("{number} {what} {place} ({} bytes, {:016x})", bytes.len(), xxh3_64(bytes)));
        }
        let fault = self.faults.get(&number).copied().or_else(|| self.fault_of_kind(what.what));
        if let Some(fault) = fault {
            self.mishaps.push(format!("{fault:?} at operation {number}: {} {place}", what.what));
        }
        match fault {
            None | Some(Fault::PowerLossAfter | Fault::KillAfter) => Ok(fault),
            Some(Fault::PowerLoss) => Err(self.stop(Condition::PowerFailed)),
            Some(Fault::Kill) => Err(self.stop(Condition::Killed)),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Broken) => Err(io::Error::other("input/output error")),
        }
    }

    fn fault_of_kind(&mut self, what: &str) -> Option<Fault> {
        let mut due = None;
        self.faults_of_kind.retain_mut(|(kind, left, fault)| {
            let is_due = *kind == what && *left == 0;
            *left = left.saturating_sub(u64::from(*kind == what));
            due = due.or(is_due.then_some(*fault));
            !is_due
        });
        due
    }

    /// The operation was done.
    pub(super) fn end(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            Some(Fault::PowerLossAfter) => Err(self.stop(Condition::PowerFailed)),
            Some(Fault::KillAfter) => Err(self.stop(Condition::Killed)),
            _ => Ok(()),
        }
    }

    fn stop(&mut self, condition: Condition) -> io::Error {
        self.condition = condition;
        stopped()
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.condition == Condition::Running { Ok(()) } else { Err(stopped()) }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(inode) => Some(self.inodes[*inode].content.len() as u64),
            Node::Folder => None,
        });
        files.sum()
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if path.parent().and_then(|folder| self.names.get(folder)) != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.record(Change::Add(path.to_owned(), Node::File(inode)));
        Ok(inode)
    }

    pub(super) fn write(&mut self, inode: usize, life: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_life(life)?;
        if let Some(capacity) = self.capacity {
            let room = usize::try_from(capacity.saturating_sub(self.used())).unwrap_or(usize::MAX);
            // A full disk takes what it can first: writers must cope with half of what they wrote being there.
            if room < bytes.len() && room > 0 {
                self.inodes[inode].content.extend_from_slice(&bytes[..room]);
                return Ok(room);
            }
            if room == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.inodes[inode].content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    pub(super) fn sync(&mut self, inode: usize, life: u64) -> io::Result<()> {
        self.check_life(life)?;
        let inode = &mut self.inodes[inode];
        inode.durable = inode.content.len();
        Ok(())
    }

    /// A sync has failed.
    pub(super) fn forsake(&mut self, inode: usize) {
        let Inode { content, durable, forsaken } = &mut self.inodes[inode];
        let from = if Range::is_empty(forsaken) { *durable } else { forsaken.start.min(*durable) };
        *forsaken = from..content.len();
    }

    pub(super) fn truncate(&mut self, path: &Path, bytes: u64) -> io::Result<()> {
        let inode = self.file(path)?;
        let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        let inode = &mut self.inodes[inode];
        inode.content.resize(bytes, 0);
        inode.durable = bytes;
        inode.forsaken = inode.forsaken.start..inode.forsaken.end.min(bytes);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file(from)?;
        self.record(Change::Rename(from.to_owned(), to.to_owned(), Node::File(inode)));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.record(Change::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        for folder in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            match self.names.get(folder) {
                Some(Node::Folder) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    self.names.insert(folder.to_owned(), Node::Folder);
                    self.durable_names.insert(folder.to_owned(), Node::Folder);
                }
            }
        }
        Ok(())
    }

    pub(super) fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        if self.names.get(path) != Some(&Node::Folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (synced, pending) = std::mem::take(&mut self.pending).into_iter().partition(|change| change.is_in(path));
        self.pending = pending;
        let synced: Vec<Change> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable_names));
        Ok(())
    }

    pub(super) fn restart(&mut self) {
        if self.condition == Condition::PowerFailed {
            self.lose();
        }
        self.faults.clear();
        self.faults_of_kind.clear();
        self.life += 1;
        self.condition = Condition::Running;
    }

    /// What is not durable is lost or torn.
    fn lose(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            if self.next_random().is_multiple_of(2) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for inode in 0..self.inodes.len() {
            self.tear(inode);
        }
    }

    /// Of what was not synced a random part stays, and each of its sectors as written or as zeros.
    fn tear(&mut self, inode: usize) {
        let Inode { mut content, durable, forsaken } = std::mem::take(&mut self.inodes[inode]);
        // What a disk could not write it did not write.
        content[forsaken].fill(0);
        let unsynced = content.len() - durable;
        if unsynced > 0 {
            let kept = usize::try_from(self.next_random() % (unsynced as u64 + 1)).unwrap_or(0);
            content.truncate(durable + kept);
            let mut at = durable;
            while at < content.len() {
                let end = content.len().min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if self.next_random().is_multiple_of(4) {
                    content[at..end].fill(0);
                }
                at = end;
            }
        }
        self.inodes[inode] = Inode { durable: content.len(), content, forsaken: 0..0 };
    }

    fn record(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn check_life(&self, life: u64) -> io::Result<()> {
        if self.life == life { Ok(()) } else { Err(io::Error::other("the file was open when the power failed")) }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn stopped() -> io::Error {
    io::Error::other("the power is off")
}
