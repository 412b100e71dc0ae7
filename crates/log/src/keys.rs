//! Which keyed appends a topic has taken, so that a client that heard no answer may send again and nothing is taken twice.
//!
//! A keyed append begins with a mark in the segment file ([`Mark`]), so key and records become durable together. What a
//! closed segment marked is gathered in `<base offset>.keys` beside it: a summary that can be made anew from the segment, and outlives it for as long
//! as its keys count.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use weir_disk::{checksum_of, publish, read_file};
use weir_model::{ErrorKind, Offset, SeamError, SeamResult, Vfs};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::AppendAck;

/// First bytes of a summary.
const MAGIC: &[u8; 8] = b"weirkey1";
/// Bytes of an entry of a summary.
const ENTRY_BYTES: usize = Mark::BYTES + 8 + 4 + 8;

/// What says which append follows it: the payload of a frame that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// A hash of the client's key.
    pub(crate) key: u128,
    /// A hash of the records: the same key for others is a mistake of the client.
    pub(crate) digest: u64,
}

impl Mark {
    /// Bytes of an encoded mark: key, digest, little endian.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn of(key: &str, records: &[Bytes]) -> Self {
        let mut digest = Xxh3::new();
        for record in records {
            digest.update(&(record.len() as u64).to_le_bytes());
            digest.update(record);
        }
        Self { key: xxh3_128(key.as_bytes()), digest: digest.digest() }
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..].copy_from_slice(&self.digest.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no mark.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, digest) = bytes.split_at_checked(16)?;
        Some(Self {
            key: u128::from_le_bytes(key.try_into().ok()?),
            digest: u64::from_le_bytes(digest.try_into().ok()?),
        })
    }
}

/// A keyed append that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) mark: Mark,
    /// The offset of its first record.
    pub(crate) first: u64,
    /// How many records.
    pub(crate) count: u32,
    /// When it arrived: microseconds since 1970, UTC.
    pub(crate) arrival: i64,
}

impl Marked {
    /// What the client of `mark` hears, which has the same key.
    ///
    /// # Errors
    /// `Config` when the records are others than those that came with the key before.
    pub(crate) fn answer(&self, mark: Mark, partition: u32) -> SeamResult<AppendAck> {
        if mark.digest == self.mark.digest {
            let (first_offset, count) = (Offset(self.first), u64::from(self.count));
            return Ok(AppendAck { partition, first_offset, count, repeated: true });
        }
        let message = format!(
            "this key came before with other records, at offset {}: a key stands for one append and is sent again only with the same records",
            self.first
        );
        Err(SeamError::new(ErrorKind::Config, message))
    }
}

/// The keyed appends of a topic that are remembered: the latest, as many as allowed and not older than allowed.
#[derive(Debug)]
pub(crate) struct Keys {
    known: HashMap<u128, Marked>,
    /// Oldest first.
    order: VecDeque<Marked>,
    keys_max: usize,
    age_max_micros: i64,
}

impl Keys {
    pub(crate) fn new(keys_max: usize, age_max_micros: i64) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), keys_max, age_max_micros }
    }

    pub(crate) fn find(&self, mark: Mark) -> Option<&Marked> {
        self.known.get(&mark.key)
    }

    /// Remembers an append that is later than all known ones, and forgets what is too old or too much.
    pub(crate) fn add(&mut self, marked: Marked) {
        self.known.insert(marked.mark.key, marked);
        self.order.push_back(marked);
        let too_old = marked.arrival.saturating_sub(self.age_max_micros);
        while let Some(oldest) = self.order.front().copied() {
            if self.order.len() <= self.keys_max && oldest.arrival >= too_old {
                break;
            }
            self.order.pop_front();
            // A key that came again after it was forgotten once stands for the later append.
            if self.known.get(&oldest.mark.key) == Some(&oldest) {
                self.known.remove(&oldest.mark.key);
            }
        }
    }

    /// What is remembered of the segment that begins at `base` and ends before `end`, oldest first.
    pub(crate) fn of_segment(&self, base: u64, end: u64) -> Vec<Marked> {
        let from = self.order.partition_point(|marked| marked.first < base);
        self.order.range(from..).take_while(|marked| marked.first < end).copied().collect()
    }
}

/// Where the summary of the segment that begins at `base` lies.
pub(crate) fn summary_path(folder: &Path, base: u64) -> PathBuf {
    folder.join(format!("{base:020}.keys"))
}

/// The base offset in a summary's name.
pub(crate) fn summary_base(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".keys")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Writes the summary of a closed segment.
///
/// # Errors
/// As the disk says; the summary can be made again.
pub(crate) fn write_summary(vfs: &dyn Vfs, path: &Path, marked: &[Marked]) -> SeamResult<()> {
    let mut bytes = MAGIC.to_vec();
    for entry in marked {
        bytes.extend_from_slice(&entry.mark.encode());
        bytes.extend_from_slice(&entry.first.to_le_bytes());
        bytes.extend_from_slice(&entry.count.to_le_bytes());
        bytes.extend_from_slice(&entry.arrival.to_le_bytes());
    }
    bytes.extend_from_slice(&checksum_of(&bytes).to_le_bytes());
    publish(vfs, path, &bytes).map(|_| ())
}

/// What a summary says; `None` when it is not there or not sound.
pub(crate) fn read_summary(vfs: &dyn Vfs, path: &Path) -> Option<Vec<Marked>> {
    let bytes = read_file(vfs, path).ok()?;
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if u64::from_le_bytes(checksum.try_into().ok()?) != checksum_of(content) {
        return None;
    }
    let entries = content.strip_prefix(MAGIC)?.chunks_exact(ENTRY_BYTES);
    let entry = |bytes: &[u8]| {
        let (mark, rest) = bytes.split_at(Mark::BYTES);
        Some(Marked {
            mark: Mark::decode(mark)?,
            first: u64::from_le_bytes(rest[..8].try_into().ok()?),
            count: u32::from_le_bytes(rest[8..12].try_into().ok()?),
            arrival: i64::from_le_bytes(rest[12..].try_into().ok()?),
        })
    };
    entries.map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_disk::SimDisk;

    fn marked(key: u128, first: u64, arrival: i64) -> Marked {
        Marked { mark: Mark { key, digest: 1 }, first, count: 2, arrival }
    }

    #[test]
    fn the_latest_keys_are_remembered_as_many_and_as_long_as_allowed() {
        let mut keys = Keys::new(3, 100);
        for key in 0..5u64 {
            keys.add(marked(u128::from(key), key * 2, i64::try_from(key).expect("small")));
        }
        let there = |keys: &Keys| -> Vec<u128> {
            (0..9).filter(|key| keys.find(Mark { key: *key, digest: 0 }).is_some()).collect()
        };
        assert_eq!(there(&keys), [2, 3, 4]);
        keys.add(marked(8, 10, 103));
        assert_eq!(there(&keys), [3, 4, 8], "key 2 came more than 100 before");
        keys.add(marked(3, 12, 103));
        keys.add(marked(7, 14, 104));
        assert_eq!(there(&keys), [3, 7, 8], "the second time of key 3 is remembered when the first is forgotten");
    }

    #[test]
    fn a_summary_reads_back_and_damage_is_no_summary() {
        let disk = SimDisk::new(1);
        disk.create_folder(Path::new("/")).expect("created");
        let path = summary_path(Path::new("/"), 7);
        let entries = [marked(1, 7, 5), marked(2, 9, 6)];
        write_summary(&disk, &path, &entries).expect("written");
        assert_eq!(read_summary(&disk, &path), Some(entries.to_vec()));
        let bytes = read_file(&disk, &path).expect("read");
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 4;
            let path = summary_path(Path::new("/"), 100 + at as u64);
            publish(&disk, &path, &other).expect("written");
            assert_eq!(read_summary(&disk, &path), None, "byte {at}");
        }
        assert_eq!(read_summary(&disk, &summary_path(Path::new("/"), 8)), None);
    }
}
