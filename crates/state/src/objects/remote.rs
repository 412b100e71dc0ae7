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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store_remote::path::Path;
use object_store_remote::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Runtime;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::Objects;
use super::folder::{FolderObjects, SUFFIX};
use crate::object::{damaged, is_name};

/// How long one operation may take, tries included; and so much longer for each MiB that it moves. Short, because a
/// pipeline that is asked to stop waits for it.
const DEADLINE: Duration = Duration::from_secs(20);
const DEADLINE_PER_MIB: Duration = Duration::from_secs(1);
/// The pauses between two tries of a write that found no server.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Objects in a bucket.
#[derive(Debug)]
pub(crate) struct RemoteObjects {
    store: Arc<dyn ObjectStore>,
    /// Where they begin.
    prefix: Path,
    /// The same, for people.
    url: String,
    deadline: Duration,
    /// Copies of what was written and read; one that is missing or damaged is fetched again.
    cache: FolderObjects,
    /// The objects in the bucket, once they were listed.
    known: Mutex<Option<BTreeSet<String>>>,
    /// Requests are made on a thread of their own; `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl RemoteObjects {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        url: String,
        cache: FolderObjects,
    ) -> SeamResult<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("snapshots")
            .enable_all()
            .build()
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "no thread for the bucket of snapshots", error))?;
        let known = Mutex::default();
        Ok(Self { store, prefix, url, deadline: DEADLINE, cache, known, runtime: Some(runtime) })
    }

    /// With less patience, for tests.
    #[cfg(test)]
    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn object(&self, name: &str) -> Path {
        self.prefix.clone().join(format!("{name}{SUFFIX}"))
    }

    fn known(&self) -> MutexGuard<'_, Option<BTreeSet<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an operation that moves `bytes` bytes. This thread may block: it is the pipeline's own.
    fn wait<T: Send + 'static>(
        &self,
        doing: &str,
        name: &str,
        bytes: usize,
        operation: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> SeamResult<Result<T, Error>> {
        let patience = self.deadline + DEADLINE_PER_MIB * u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().expect("it is there until this is dropped");
        runtime.spawn(async move {
            let _ = sender.send(tokio::time::timeout(patience, operation).await);
        });
        let lost = |_| SeamError::new(ErrorKind::Closed, "the thread for the bucket of snapshots is gone");
        receiver.recv().map_err(lost)?.map_err(|_| {
            let message = format!("cannot {doing} {}: no answer within {patience:?}", self.shown(name));
            SeamError::new(ErrorKind::Retry, message)
        })
    }

    fn failed(&self, doing: &str, name: &str, error: Error) -> SeamError {
        let (kind, hint) = match &error {
            Error::NotFound { .. } => (ErrorKind::Corrupt, ""),
            Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
                (ErrorKind::Retry, "; check the credentials and what they are allowed to do")
            }
            Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. } => (ErrorKind::Config, ""),
            _ => (ErrorKind::Retry, ""),
        };
        SeamError::caused(kind, format!("cannot {doing} {}{hint}", self.shown(name)), error)
    }

    fn fetch(&self, name: &str) -> SeamResult<Vec<u8>> {
        let (store, path) = (Arc::clone(&self.store), self.object(name));
        let get = async move { store.get(&path).await?.bytes().await };
        let bytes = self.wait("read", name, 0, get)?.map_err(|error| self.failed("read", name, error))?;
        Ok(bytes.into())
    }

    /// Makes sure that there is a copy.
    fn copied(&self, name: &str) -> SeamResult<()> {
        if !is_name(name) {
            return Err(damaged(&self.url, format!("\"{}\" is no object", name.escape_debug())));
        }
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

impl Drop for RemoteObjects {
    fn drop(&mut self) {
        // An ordinary drop would wait, which is not allowed on every thread.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Objects for RemoteObjects {
    fn put(&self, name: &str, bytes: Vec<u8>) -> SeamResult<u64> {
        let (store, path) = (Arc::clone(&self.store), self.object(name));
        let content = bytes::Bytes::from(bytes);
        let payload = PutPayload::from_bytes(content.clone());
        let try_until = tokio::time::Instant::now() + self.deadline / 2;
        let put = async move {
            let mut pause = PAUSE_FIRST;
            loop {
                let put = store.put_opts(&path, payload.clone(), PutOptions::from(PutMode::Create)).await;
                let may_pass = matches!(put, Err(Error::Generic { .. }));
                if !may_pass || tokio::time::Instant::now() + pause > try_until {
                    return put;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        };
        match self.wait("write", name, content.len(), put)? {
            Ok(_) => {}
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => self.is_stored(name, &content)?,
            Err(error) => return Err(self.failed("write", name, error)),
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
        let (store, prefix) = (Arc::clone(&self.store), self.prefix.clone());
        let list = async move {
            let found = store.list_with_delimiter(Some(&prefix)).await?.objects;
            Ok(found.into_iter().map(|object| object.location).collect::<Vec<_>>())
        };
        let found = self.wait("list", "", 0, list)?.map_err(|error| self.failed("list", "", error))?;
        let name = |path: Path| Some(path.filename()?.strip_suffix(SUFFIX)?.to_owned());
        let names: BTreeSet<String> = found.into_iter().filter_map(name).filter(|name| is_name(name)).collect();
        *self.known() = Some(names.clone());
        Ok(names)
    }

    fn remove(&self, name: &str) -> SeamResult<u64> {
        let bytes = self.cache.len(name).unwrap_or(0);
        let (store, path) = (Arc::clone(&self.store), self.object(name));
        let delete = async move { store.delete(&path).await };
        match self.wait("remove", name, 0, delete)? {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(self.failed("remove", name, error)),
        }
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
        let (store, from) = (Arc::clone(&self.store), self.object(name));
        let to = self.prefix.clone().join("damaged").join(format!("{name}{SUFFIX}"));
        let there = format!("{}/{to}", self.url);
        let rename = async move { store.rename(&from, &to).await };
        match self.wait("put aside", name, 0, rename)? {
            Ok(()) => {}
            Err(Error::NotFound { .. }) => return Ok(here),
            Err(error) => return Err(self.failed("put aside", name, error)),
        }
        if let Some(known) = self.known().as_mut() {
            known.remove(name);
        }
        Ok(Some(there))
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{}", self.url, self.object(name))
    }
}
