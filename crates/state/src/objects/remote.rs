//! Objects in a bucket, with a folder as their cache. Refuses to replace an object, and to touch those of others.
//!
//! ```text
//! <url>/<pipeline>/<owner>/<name>.snap             an object
//! <url>/<pipeline>/<owner>/damaged/<name>.snap     one that was put aside
//! ```
//!
//! The owner is a data folder: objects are removed only by the process that has it, after a commit of its own, and a
//! second installation that has the same pipeline and bucket has other objects.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_model::{ErrorKind, SeamError, SeamResult};

use super::Objects;
use super::client::BucketClient;
use super::folder::{FolderObjects, SUFFIX};
use crate::object::{damaged, is_name};

/// Objects in a bucket.
#[derive(Debug)]
pub(crate) struct RemoteObjects {
    bucket: BucketClient,
    /// Copies of what was written and read; one that is missing or damaged is fetched again.
    cache: FolderObjects,
    /// The objects in the bucket, once they were listed.
    known: Mutex<Option<BTreeSet<String>>>,
}

/// The object's name in the bucket.
pub(super) fn of(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// Refuses what cannot be the name of an object.
pub(super) fn check_name(bucket: &BucketClient, name: &str) -> SeamResult<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(damaged(&bucket.shown(""), format!("\"{}\" is no object", name.escape_debug())))
}

/// The objects in the bucket. Those that were put aside lie in a folder: their names have one.
pub(super) fn listed(bucket: &BucketClient) -> SeamResult<BTreeSet<String>> {
    let name = |(name, _): (String, u64)| name.strip_suffix(SUFFIX).map(str::to_owned);
    Ok(bucket.list("")?.into_iter().filter_map(name).filter(|name| is_name(name)).collect())
}

impl RemoteObjects {
    pub(crate) fn new(bucket: BucketClient, cache: FolderObjects) -> Self {
        Self { bucket, cache, known: Mutex::default() }
    }

    /// Others have written or removed objects: which there are is asked anew.
    pub(crate) fn forget_names(&self) {
        *self.known() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<BTreeSet<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, name: &str) -> SeamResult<Vec<u8>> {
        let found = self.bucket.read(&of(name))?;
        found.ok_or_else(|| damaged(&self.shown(name), "it is not there".to_owned()))
    }

    /// Makes sure that there is a copy.
    fn copied(&self, name: &str) -> SeamResult<()> {
        check_name(&self.bucket, name)?;
        if !self.cache.has(name) {
            let bytes = self.fetch(name)?;
            self.cache.put(name, bytes)?;
        }
        Ok(())
    }

    /// A try before may have stored the object although its answer never came: then it is there, byte for byte.
    fn is_stored(&self, name: &str, bytes: &[u8]) -> SeamResult<()> {
        if self.fetch(name)? == bytes {
            return Ok(());
        }
        let message = format!("{} was there already, and is something else", self.shown(name));
        Err(SeamError::new(ErrorKind::Closed, message))
    }
}

impl Objects for RemoteObjects {
    fn put(&self, name: &str, bytes: Vec<u8>) -> SeamResult<u64> {
        let content = bytes::Bytes::from(bytes);
        if !self.bucket.create(&of(name), content.clone())? {
            self.is_stored(name, &content)?;
        }
        if let Some(known) = self.known().as_mut() {
            known.insert(name.to_owned());
        }
        let length = content.len() as u64;
        if let Err(error) = self.cache.put(name, content.into()) {
            // It is safe in the bucket, and fetched when it is needed.
            tracing::warn!(error = error.full(), "no copy of a snapshot was kept on this disk");
        }
        Ok(length)
    }

    fn len(&self, name: &str) -> SeamResult<u64> {
        self.copied(name)?;
        self.cache.len(name)
    }

    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Vec<u8>> {
        self.copied(name)?;
        self.cache.read(name, offset, bytes)
    }

    fn forget_copy(&self, name: &str) -> SeamResult<bool> {
        let may_be_there = self.names()?.contains(name);
        if may_be_there && self.cache.has(name) {
            tracing::warn!(copy = self.cache.shown(name), "the copy of a snapshot is damaged: it is fetched again");
            self.cache.remove(name)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn names(&self) -> SeamResult<BTreeSet<String>> {
        if let Some(known) = &*self.known() {
            return Ok(known.clone());
        }
        let names = listed(&self.bucket)?;
        *self.known() = Some(names.clone());
        Ok(names)
    }

    fn remove(&self, name: &str) -> SeamResult<u64> {
        let bytes = self.cache.len(name).unwrap_or(0);
        self.bucket.remove(&of(name))?;
        if let Some(known) = self.known().as_mut() {
            known.remove(name);
        }
        if self.cache.has(name) {
            self.cache.remove(name)?;
        }
        Ok(bytes)
    }

    fn set_aside(&self, name: &str) -> SeamResult<Option<String>> {
        let here = self.cache.set_aside(name)?;
        let aside = format!("damaged/{}", of(name));
        if !self.bucket.rename(&of(name), &aside)? {
            return Ok(here);
        }
        if let Some(known) = self.known().as_mut() {
            known.remove(name);
        }
        Ok(Some(self.bucket.shown(&aside)))
    }

    fn shown(&self, name: &str) -> String {
        self.bucket.shown(&of(name))
    }
}
