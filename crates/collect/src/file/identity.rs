//! How a file is recognised: after a restart, after it was renamed, copied, truncated or compressed. Pure.
//! Refuses to guess: a file that is not recognised is a new one and is read from its beginning.
//!
//! A partition is one **incarnation** of a file: the bytes that were written to it between two truncations, whatever
//! its name becomes. The first incarnation found at a path is called `<source>:<path>`, later ones
//! `<source>:<path>#2`, `#3` and so on. What is known of an incarnation travels in [`weir_model::Position::token`]:
//! the path where it was last seen, device and inode, and a hash of its *head*: of the first bytes of its
//! (decompressed) content that were taken, at most [`HEAD_BYTES_MAX`]. A file that is found is
//!
//! 1. the known incarnation with its device and inode, if the head is the same and the file is not shorter than what
//!    was taken of it: it stayed, or was renamed (`app.log` to `app.log.1`);
//! 2. else the known incarnation that was last at its path, on the same two conditions: the data was copied, restored
//!    from a backup, or written anew with the same beginning by an editor;
//! 3. else, if it is compressed, the known incarnation in the same folder whose path its own path begins with, whose
//!    file is gone, and which has the same head: a rotated file was compressed (`app.log` to `app.log.2.gz`);
//! 4. else a new incarnation. Where rule 1 failed only in its conditions and the path is the same, the file was
//!    truncated or written over in place, which is reported: what had not been read by then cannot be read any more.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, PartitionId, Position, Positions, SeamError, SeamResult};
use xxhash_rust::xxh3::xxh3_64;

/// How many bytes of the beginning of a file are compared.
pub(crate) const HEAD_BYTES_MAX: usize = 1024;

/// A file's number on its disk: device and inode.
pub(crate) type FileNumber = (u64, u64);

/// What is known of an incarnation, as the token in its position has it (compact JSON).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) path: String,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// How many bytes the head has.
    pub(crate) head: u64,
    /// XXH3-64 of the head.
    pub(crate) hash: u64,
    /// For a compressed file its size on disk, by which an archive that was completed later is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packed: Option<u64>,
}

impl Identity {
    pub(crate) fn of(path: &str, number: FileNumber, head: &[u8], packed: Option<u64>) -> Self {
        let (dev, ino) = number;
        Self { path: path.to_owned(), dev, ino, head: head.len() as u64, hash: xxh3_64(head), packed }
    }

    pub(crate) fn number(&self) -> FileNumber {
        (self.dev, self.ino)
    }

    pub(crate) fn token(&self) -> Arc<str> {
        serde_json::to_string(self).expect("numbers and a string are always JSON").into()
    }
}

/// Whether what is remembered beside a position is by what a file is known again.
pub fn names_file(token: &str) -> bool {
    serde_json::from_str::<Identity>(token).is_ok()
}

/// An incarnation that an earlier run, or this one, has read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: PartitionId,
    pub(crate) identity: Identity,
    pub(crate) offset: u64,
    pub(crate) finished: bool,
}

impl Known {
    /// All incarnations in `positions` of which anything was taken.
    pub(crate) fn all(positions: &Positions) -> SeamResult<Vec<Self>> {
        let taken = positions.iter().filter(|(_, position)| position.token.is_some() || position.offset.0 > 0);
        taken.map(|(id, position)| Self::of(id, position)).collect()
    }

    fn of(id: &PartitionId, position: &Position) -> SeamResult<Self> {
        let token = position.token.as_deref().unwrap_or_default();
        let identity = serde_json::from_str(token).map_err(|error| {
            let message = format!("the position of {id} does not say which file it belongs to: \"{token}\"");
            SeamError::caused(ErrorKind::Corrupt, message, error)
        })?;
        Ok(Self { id: id.clone(), identity, offset: position.offset.0, finished: position.finished })
    }
}

/// A file that was found.
pub(crate) struct Candidate<'a> {
    pub(crate) path: &'a str,
    pub(crate) number: FileNumber,
    /// Its size on disk.
    pub(crate) size: u64,
    /// Whether it is compressed: its size says nothing about its content then.
    pub(crate) compressed: bool,
    /// The first bytes of its content, [`HEAD_BYTES_MAX`] if it has so many.
    pub(crate) head: &'a [u8],
}

impl Candidate<'_> {
    fn has_head(&self, identity: &Identity) -> bool {
        let bytes = identity.head as usize;
        self.head.len() >= bytes && xxh3_64(&self.head[..bytes]) == identity.hash
    }

    /// Whether there is more in the file than was taken when it had ended.
    pub(crate) fn has_grown_since(&self, known: &Known) -> bool {
        if self.compressed { known.identity.packed != Some(self.size) } else { self.size > known.offset }
    }

    fn continues(&self, known: &Known) -> bool {
        self.has_head(&known.identity) && (self.compressed || self.size >= known.offset)
    }

    fn is_archive_of(&self, known: &Known, is_gone: &dyn Fn(FileNumber) -> bool) -> bool {
        let path = &known.identity.path;
        let same_folder =
            self.path.rsplit_once('/').map(|(folder, _)| folder) == path.rsplit_once('/').map(|(folder, _)| folder);
        let stem = without_rotation_number(path);
        self.compressed
            && same_folder
            && self.path.starts_with(stem)
            && known.identity.head > 0
            && self.has_head(&known.identity)
            && is_gone(known.identity.number())
    }
}

/// `app.log` of `app.log.1`: what a rotated file was called before.
fn without_rotation_number(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => path,
    }
}

/// What a file that was found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The incarnation with this index.
    Same(usize),
    /// A new incarnation.
    New,
    /// A new incarnation in the file of the one with this index, which has ended.
    Truncated(usize),
}

/// What `file` is, given everything that is `known` and has no file yet; `is_gone` says that no file with this number
/// was found.
pub(crate) fn recognise(file: &Candidate<'_>, known: &[Known], is_gone: &dyn Fn(FileNumber) -> bool) -> Verdict {
    let find = |rule: &dyn Fn(&Known) -> bool| newest(known.iter().enumerate().filter(|(_, known)| rule(known)));
    let same_number = |known: &Known| known.identity.number() == file.number;
    let same_path = |known: &Known| known.identity.path == file.path;
    find(&|known| same_number(known) && file.continues(known))
        .or_else(|| find(&|known| same_path(known) && known.identity.head > 0 && file.continues(known)))
        .or_else(|| find(&|known| file.is_archive_of(known, is_gone)))
        .map(Verdict::Same)
        .or_else(|| find(&|known| !known.finished && same_number(known) && same_path(known)).map(Verdict::Truncated))
        .unwrap_or(Verdict::New)
}

/// Of several incarnations the one of which most was taken; of equal ones the one that has not finished.
fn newest<'a>(known: impl Iterator<Item = (usize, &'a Known)>) -> Option<usize> {
    known.max_by_key(|(_, known)| (known.offset, !known.finished)).map(|(index, _)| index)
}

/// The name of the next incarnation of the file at `path`, given the names in use.
pub(crate) fn next_id(source: &str, path: &str, in_use: &dyn Fn(&PartitionId) -> bool) -> PartitionId {
    let first = PartitionId::new(format!("{source}:{path}"));
    let later = (2_u64..).map(|n| PartitionId::new(format!("{source}:{path}#{n}")));
    std::iter::once(first).chain(later).find(|id| !in_use(id)).expect("there is always a next number")
}
