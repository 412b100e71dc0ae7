//! Backups on a shelf: contents that are there once, and manifests that name them. Knows nothing of what the files mean.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use weir_model::{SeamError, SeamResult, Secret};
use weir_state::{Bucket, BucketClient};

use super::bucket::BucketShelf;
use super::manifest::{Entry, Manifest};
use super::pin::Pinned;
use super::shelf::{FolderShelf, Held, Shelf, changed, read_through};
use super::{Keep, failed, refused};

/// The largest manifest that is read: some hundred thousand files.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// A place of backups.
#[derive(Clone, Debug)]
pub struct Vault {
    shelf: Arc<dyn Shelf>,
    /// What people call it.
    place: String,
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

impl Vault {
    /// The backups in `place`: a folder, or a bucket (`s3://bucket/prefix`, `gs://`, `az://`) with `options` by the names that
    /// object stores have for them. What is not there is taken from the environment.
    ///
    /// # Errors
    /// `Config` when the place is none that backups can be in.
    pub fn at(place: &str, options: BTreeMap<String, Secret>) -> SeamResult<Self> {
        if place.contains("://") {
            let bucket = Bucket { url: place.to_owned(), options };
            return Ok(Self::in_bucket(Arc::new(BucketClient::open(&bucket)?), place));
        }
        if let Some(name) = options.keys().next() {
            return Err(refused(format!(
                "a folder has no options: {name} is one of buckets, such as s3://bucket/prefix"
            )));
        }
        Ok(Self { shelf: Arc::new(FolderShelf::new(PathBuf::from(place))), place: place.to_owned() })
    }

    /// The backups in a bucket that people call `place`.
    pub fn in_bucket(bucket: Arc<BucketClient>, place: &str) -> Self {
        Self { shelf: Arc::new(BucketShelf::new(bucket)), place: place.to_owned() }
    }

    /// Takes the lock; unfinished files are removed.
    pub(super) fn lock(&self) -> SeamResult<Box<dyn Held>> {
        self.shelf.lock()
    }

    /// The names of the backups there are, oldest first.
    ///
    /// # Errors
    /// As the disk, or the bucket, says.
    pub fn ids(&self) -> SeamResult<Vec<String>> {
        let names = self.shelf.names("backups")?;
        let id = |name: &String| Some(name.strip_prefix("backups/")?.strip_suffix(".json")?.to_owned());
        Ok(names.iter().filter_map(id).collect())
    }

    /// The backup `id`; the newest without one.
    ///
    /// # Errors
    /// `Config` when it is not there or of another format, `Corrupt` when it is damaged.
    pub fn manifest(&self, id: Option<&str>) -> SeamResult<Manifest> {
        let ids = self.ids()?;
        let id = match id {
            Some(id) if ids.iter().any(|known| known == id) => id,
            Some(id) => return Err(refused(format!("there is no backup {id} in {}: {}", self.place, ids.join(", ")))),
            None => ids.last().ok_or_else(|| refused(format!("there is no backup in {}", self.place)))?,
        };
        let name = manifest_name(id);
        let mut bytes = Vec::new();
        let mut gather = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        if self.shelf.read(&name, MANIFEST_BYTES_MAX, &mut gather)?.is_none() {
            return Err(refused(format!("{} was removed meanwhile", self.shelf.shown(&name))));
        }
        Manifest::decode(Path::new(&self.shelf.shown(&name)), &bytes)
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
        let (bytes, checksum) = (content.bytes, content.checksum);
        let entry = Entry { path: file.path.clone(), bytes, checksum, modified_ns: file.modified_ns };
        if self.has(&entry) {
            return Ok(Put::There(entry));
        }
        if self.shelf.put(&entry.object(), &file.held, file.bytes, &entry.checksum)? {
            Ok(Put::New(entry))
        } else {
            Err(changed(&file.path))
        }
    }

    /// Whether the content of `entry` is here.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.shelf.has(&entry.object(), entry.bytes)
    }

    /// Makes a backup true.
    pub(super) fn publish(&self, manifest: &Manifest) -> SeamResult<()> {
        self.shelf.publish(&manifest_name(&manifest.id), &manifest.encode()?)
    }

    /// Reads the content of `entry`, hands it to `to`, and refuses it if it is not what it should be.
    pub(super) fn get(&self, entry: &Entry, mut to: impl FnMut(&[u8]) -> std::io::Result<()>) -> SeamResult<()> {
        let object = entry.object();
        let damaged = |why: String| {
            let message = format!("{} of the backup, {}, is damaged: {why}", entry.path, self.shelf.shown(&object));
            SeamError::new(weir_model::ErrorKind::Corrupt, message)
        };
        let Some(content) = self.shelf.read(&object, entry.bytes, &mut to)? else {
            return Err(damaged("it is missing".to_owned()));
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
                deleted.push(id);
            } else {
                // What a damaged manifest needs is not known: nothing can be deleted.
                needed.extend(manifest?.files.iter().map(Entry::object));
            }
        }
        // The manifests first: one that is there has all of its contents.
        self.shelf.remove(&deleted.iter().map(|id| manifest_name(id)).collect::<Vec<_>>())?;
        let contents = self.shelf.names("objects")?;
        self.shelf.remove(&contents.into_iter().filter(|name| !needed.contains(name)).collect::<Vec<_>>())?;
        Ok(deleted)
    }
}

fn manifest_name(id: &str) -> String {
    format!("backups/{id}.json")
}
