//! Where backups lie: a folder of contents that are there once, and of manifests that name them. Knows nothing of what
//! the files mean.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use weir_disk::{ChecksummedWriter, Disk, publish, remove_leftovers};
use weir_model::{SeamError, SeamResult, Vfs};
use xxhash_rust::xxh3::Xxh3;

use super::manifest::{Entry, Manifest};
use super::pin::{Pinned, lock};
use super::{Keep, failed, refused};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A folder of backups.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
}

/// What became of a file.
pub(super) enum Put {
    /// Its content was there.
    There(Entry),
    /// Its content is there now.
    New(Entry),
    /// It is not what the catalog says, and is left out.
    Damaged(String),
}

/// The hashes and the length of some content.
pub(super) struct Content {
    pub(super) bytes: u64,
    pub(super) checksum: String,
    checksum64: u64,
}

impl Vault {
    /// The backups in `place`, a folder.
    ///
    /// # Errors
    /// `Config` when the place is none that backups can be in.
    pub fn at(place: &str) -> SeamResult<Self> {
        if let Some((scheme, _)) = place.split_once("://") {
            return Err(refused(format!(
                "backups cannot be in {scheme}:// yet: name a folder, such as a mounted bucket"
            )));
        }
        Ok(Self { folder: PathBuf::from(place) })
    }

    /// Takes the lock of this folder, which is created if needed; unfinished files are removed.
    pub(super) fn lock(&self) -> SeamResult<File> {
        for name in ["objects", "backups"] {
            let folder = self.folder.join(name);
            Disk.create_folder(&folder).map_err(|error| failed("create", &folder, error))?;
        }
        let alone = lock(&self.folder.join("lock"), "another backup is being made here")?;
        remove_leftovers(&Disk, &self.folder)?;
        Ok(alone)
    }

    /// The names of the backups there are, oldest first.
    ///
    /// # Errors
    /// As the disk says.
    pub fn ids(&self) -> SeamResult<Vec<String>> {
        let folder = self.folder.join("backups");
        let listed = Disk.list(&folder).map_err(|error| failed("list", &folder, error))?;
        let id = |path: &Path| Some(path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned());
        Ok(listed.iter().filter_map(|(path, _)| id(path)).collect())
    }

    /// The backup `id`; the newest without one.
    ///
    /// # Errors
    /// `Config` when it is not there or of another format, `Corrupt` when it is damaged.
    pub fn manifest(&self, id: Option<&str>) -> SeamResult<Manifest> {
        let ids = self.ids()?;
        let id = match id {
            Some(id) if ids.iter().any(|known| known == id) => id,
            Some(id) => {
                return Err(refused(format!(
                    "there is no backup {id} in {}: {}",
                    self.folder.display(),
                    ids.join(", ")
                )));
            }
            None => ids.last().ok_or_else(|| refused(format!("there is no backup in {}", self.folder.display())))?,
        };
        let path = self.folder.join("backups").join(format!("{id}.json"));
        let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
        Manifest::decode(&path, &bytes)
    }

    /// The newest backup that can be read: a damaged one is no reason not to make another.
    pub(super) fn newest(&self) -> SeamResult<Option<Manifest>> {
        Ok(self.ids()?.iter().rev().find_map(|id| self.manifest(Some(id)).ok()))
    }

    /// Puts a file's content here, unless it is here; `known` is what the backup before says of the file.
    pub(super) fn put(&self, file: &Pinned, known: Option<&Entry>) -> SeamResult<Put> {
        let is_same =
            |known: &&Entry| known.bytes == file.bytes && known.modified_ns == file.modified_ns && self.has(known);
        if let Some(known) = known.filter(is_same) {
            return Ok(Put::There(known.clone()));
        }
        let damaged = |why: &str| Ok(Put::Damaged(format!("{} is damaged and not in the backup: {why}", file.path)));
        let content = match read_through(&file.held, file.bytes, |_| Ok(())) {
            Err(error) if error.kind() == ErrorKind::NotFound => return damaged("it is missing"),
            content => content.map_err(|error| failed("read", &file.held, error))?,
        };
        if content.bytes != file.bytes || file.expected.is_some_and(|expected| expected != content.checksum64) {
            return damaged("it does not match its checksum");
        }
        let Content { bytes, checksum, .. } = content;
        let entry = Entry { path: file.path.clone(), bytes, checksum, modified_ns: file.modified_ns };
        if self.has(&entry) {
            return Ok(Put::There(entry));
        }
        let path = self.folder.join(entry.object());
        let parent = path.parent().unwrap_or(&self.folder);
        Disk.create_folder(parent).map_err(|error| failed("create", parent, error))?;
        // A content of another length in its place is what a full disk or a careless hand has left.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &path, error)),
            _ => {}
        }
        let mut writer = ChecksummedWriter::create(&Disk, &path)?;
        let copied = read_through(&file.held, file.bytes, |bytes| writer.write_all(bytes));
        let copied = copied.map_err(|error| failed("copy to", &path, error))?;
        if copied.checksum != entry.checksum {
            writer.discard(&Disk);
            return Err(SeamError::new(
                weir_model::ErrorKind::Retry,
                format!("{} changed while it was copied", file.path),
            ));
        }
        writer.publish(&Disk)?;
        Ok(Put::New(entry))
    }

    fn has(&self, entry: &Entry) -> bool {
        fs::metadata(self.folder.join(entry.object())).is_ok_and(|there| there.is_file() && there.len() == entry.bytes)
    }

    /// Makes a backup true.
    pub(super) fn publish(&self, manifest: &Manifest) -> SeamResult<()> {
        let path = self.folder.join("backups").join(format!("{}.json", manifest.id));
        publish(&Disk, &path, &manifest.encode()?).map(|_| ())
    }

    /// Reads the content of `entry`, hands it to `to`, and refuses it if it is not what it should be.
    pub(super) fn get(&self, entry: &Entry, to: impl FnMut(&[u8]) -> std::io::Result<()>) -> SeamResult<()> {
        let path = self.folder.join(entry.object());
        let damaged = |why: String| {
            let message = format!("{} of the backup, {}, is damaged: {why}", entry.path, path.display());
            SeamError::new(weir_model::ErrorKind::Corrupt, message)
        };
        let content = match read_through(&path, u64::MAX, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(damaged("it is missing".to_owned())),
            content => content.map_err(|error| failed("copy", &path, error))?,
        };
        if (content.bytes, &content.checksum) == (entry.bytes, &entry.checksum) {
            return Ok(());
        }
        Err(damaged(format!("it has {} bytes that do not match their checksum", content.bytes)))
    }

    /// Deletes the backups that `keep` does not keep, and contents that no backup names any more. The newest stays.
    pub(super) fn delete_old(&self, keep: Keep, now: DateTime<Utc>) -> SeamResult<Vec<String>> {
        let ids = self.ids()?;
        let manifests: Vec<(String, SeamResult<Manifest>)> = ids
            .into_iter()
            .map(|id| {
                let manifest = self.manifest(Some(&id));
                (id, manifest)
            })
            .collect();
        let times: Vec<Option<DateTime<Utc>>> =
            manifests.iter().map(|(_, manifest)| manifest.as_ref().ok().map(|manifest| manifest.taken_at())).collect();
        let old = keep.old(&times, now);
        let (mut deleted, mut needed) = (Vec::new(), BTreeSet::new());
        for ((id, manifest), is_old) in manifests.into_iter().zip(old) {
            if is_old {
                let path = self.folder.join("backups").join(format!("{id}.json"));
                fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
                deleted.push(id);
            } else {
                // What a damaged manifest needs is not known: nothing can be deleted.
                needed.extend(manifest?.files.iter().map(Entry::object));
            }
        }
        let backups = self.folder.join("backups");
        Disk.sync_folder(&backups).map_err(|error| weir_disk::sync_error(&backups, error))?;
        for entry in walkdir::WalkDir::new(self.folder.join("objects")).into_iter().filter_map(Result::ok) {
            let relative = entry.path().strip_prefix(&self.folder).map(|path| path.display().to_string());
            if entry.file_type().is_file() && relative.is_ok_and(|path| !needed.contains(&path)) {
                fs::remove_file(entry.path()).map_err(|error| failed("remove", entry.path(), error))?;
            }
        }
        Ok(deleted)
    }
}

/// Reads at most `bytes_max` bytes of a file and hands them to `to`.
fn read_through(
    path: &Path,
    bytes_max: u64,
    mut to: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<Content> {
    let mut file = Disk.open(path, 0)?.take(bytes_max);
    let (mut hash, mut bytes, mut chunk) = (Xxh3::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => {
                hash.update(&chunk[..read]);
                to(&chunk[..read])?;
                bytes += read as u64;
            }
        }
    }
    Ok(Content { bytes, checksum: format!("{:032x}", hash.digest128()), checksum64: hash.digest() })
}
