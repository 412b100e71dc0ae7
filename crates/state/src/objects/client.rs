//! A bucket for threads that may block: every operation has a deadline, and its errors say what to do. Knows nothing of what
//! is in the objects.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store_remote::memory::InMemory;
use object_store_remote::path::Path;
use object_store_remote::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Runtime;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::bucket::Bucket;

/// How long one operation may take, tries included; and so much longer for each MiB that it moves. Short, because a
/// pipeline that is asked to stop waits for it.
const DEADLINE: Duration = Duration::from_secs(20);
const DEADLINE_PER_MIB: Duration = Duration::from_secs(1);
/// The pauses between two tries of a write that found no server.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A place in a bucket, and how it is asked. Names are relative to it, with `/` between folders.
#[derive(Debug)]
pub struct BucketClient {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The bucket, for people.
    url: String,
    deadline: Duration,
    /// Requests are made on a thread of their own; `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl BucketClient {
    /// The place that `bucket` names. Opens no connection yet.
    ///
    /// # Errors
    /// `Config` when the address or an option makes no sense.
    pub fn open(bucket: &Bucket) -> SeamResult<Self> {
        let (store, prefix) = bucket.open()?;
        Self::of(store, prefix, bucket.url.split('/').take(3).collect::<Vec<_>>().join("/"))
    }

    /// A bucket in memory, for tests: its content goes with it.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn in_memory() -> SeamResult<Self> {
        Self::of(Arc::new(InMemory::new()), Path::from("tests"), "memory://".to_owned())
    }

    pub(crate) fn of(store: Arc<dyn ObjectStore>, prefix: Path, url: String) -> SeamResult<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("bucket")
            .enable_all()
            .build()
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "no thread for the bucket", error))?;
        Ok(Self { store, prefix, url, deadline: DEADLINE, runtime: Some(runtime) })
    }

    /// A folder of it.
    #[must_use]
    pub fn inside(mut self, folder: &str) -> Self {
        self.prefix = self.path(folder);
        self
    }

    /// With less patience, for tests.
    #[cfg(test)]
    pub(crate) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// What people know an object by.
    pub fn shown(&self, name: &str) -> String {
        format!("{}/{}", self.url, self.path(name))
    }

    /// Waits for an operation that moves `bytes` bytes.
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
        let lost = |_| SeamError::new(ErrorKind::Closed, "the thread for the bucket is gone");
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

    /// Stores an object unless there is one of that name: whether it did. A try whose answer is lost counts as one that was
    /// there.
    ///
    /// # Errors
    /// `Retry` when the other side does not take it.
    pub fn create(&self, name: &str, bytes: Bytes) -> SeamResult<bool> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let (length, payload) = (bytes.len(), PutPayload::from_bytes(bytes));
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
        match self.wait("write", name, length, put)? {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed("write", name, error)),
        }
    }

    /// Stores an object, also in the place of another.
    ///
    /// # Errors
    /// As [`BucketClient::create`].
    pub fn put(&self, name: &str, bytes: Bytes) -> SeamResult<()> {
        let (store, path, length) = (Arc::clone(&self.store), self.path(name), bytes.len());
        let put = async move { store.put(&path, PutPayload::from_bytes(bytes)).await };
        self.wait("write", name, length, put)?.map(drop).map_err(|error| self.failed("write", name, error))
    }

    /// Stores an object piece by piece, as `next` gives them; all but the last have at least 5 MiB. It is there when all of
    /// them are, and not at all when `next` fails.
    ///
    /// # Errors
    /// As [`BucketClient::create`]; as `next` says.
    pub fn put_pieces(&self, name: &str, mut next: impl FnMut() -> SeamResult<Option<Bytes>>) -> SeamResult<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let failed = |error| self.failed("write", name, error);
        let begun = self.wait("write", name, 0, async move { store.put_multipart(&path).await })?;
        let mut upload = begun.map_err(failed)?;
        let mut write = || -> SeamResult<()> {
            while let Some(piece) = next()? {
                let length = piece.len();
                let part = upload.put_part(PutPayload::from_bytes(piece));
                self.wait("write", name, length, part)?.map_err(failed)?;
            }
            Ok(())
        };
        let written = write();
        let ended = match &written {
            Ok(()) => self.wait("write", name, 0, async move { upload.complete().await.map(drop) })?,
            // What is left of it is the bucket's to clean up, should this fail too.
            Err(_) => self.wait("give up", name, 0, async move { upload.abort().await })?.or(Ok(())),
        };
        written.and(ended.map_err(failed))
    }

    /// An object; `None` when it is not there.
    ///
    /// # Errors
    /// `Retry` when the other side does not answer.
    pub fn read(&self, name: &str) -> SeamResult<Option<Vec<u8>>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let get = async move { store.get(&path).await?.bytes().await };
        self.found("read", name, 0, get).map(|bytes| bytes.map(Vec::from))
    }

    /// At most `bytes` bytes of an object from `offset` on; `None` when it is not there.
    ///
    /// # Errors
    /// As [`BucketClient::read`]; also when it ends before `offset`.
    pub fn read_range(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Option<Bytes>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let get = async move { store.get_range(&path, offset..offset + bytes).await };
        self.found("read", name, usize::try_from(bytes).unwrap_or(usize::MAX), get)
    }

    /// How long an object is and when it was written; `None` when it is not there.
    ///
    /// # Errors
    /// As [`BucketClient::read`].
    pub fn look_at(&self, name: &str) -> SeamResult<Option<(u64, SystemTime)>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let head = async move { store.head(&path).await };
        let found = self.found("look at", name, 0, head)?;
        Ok(found.map(|found| (found.size, found.last_modified.into())))
    }

    /// The objects in `folder` and the folders in it, by name, with their lengths.
    ///
    /// # Errors
    /// As [`BucketClient::read`].
    pub fn list(&self, folder: &str) -> SeamResult<Vec<(String, u64)>> {
        let (store, path) = (Arc::clone(&self.store), self.path(folder));
        let list = async move { store.list(Some(&path)).try_collect::<Vec<_>>().await };
        let found = self.wait("list", folder, 0, list)?.map_err(|error| self.failed("list", folder, error))?;
        let begins = format!("{}/", self.prefix);
        let begins = if self.prefix.as_ref().is_empty() { "" } else { begins.as_str() };
        let name = |object: object_store_remote::ObjectMeta| {
            Some((object.location.as_ref().strip_prefix(begins)?.to_owned(), object.size))
        };
        let mut names: Vec<_> = found.into_iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// As [`BucketClient::read`].
    pub fn remove(&self, name: &str) -> SeamResult<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        self.found("remove", name, 0, async move { store.delete(&path).await }).map(drop)
    }

    /// Gives an object another name; whether it was there.
    ///
    /// # Errors
    /// As [`BucketClient::read`].
    pub(crate) fn rename(&self, from: &str, to: &str) -> SeamResult<bool> {
        let (store, from_path, to) = (Arc::clone(&self.store), self.path(from), self.path(to));
        let renamed = self.found("rename", from, 0, async move { store.rename(&from_path, &to).await })?;
        Ok(renamed.is_some())
    }

    fn found<T: Send + 'static>(
        &self,
        doing: &str,
        name: &str,
        bytes: usize,
        operation: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> SeamResult<Option<T>> {
        match self.wait(doing, name, bytes, operation)? {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(doing, name, error)),
        }
    }
}

impl Drop for BucketClient {
    fn drop(&mut self) {
        // An ordinary drop would wait, which is not allowed on every thread.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_created_once_read_in_parts_listed_and_removed() {
        let bucket = BucketClient::in_memory().expect("a bucket");
        assert!(bucket.create("a/b/one", Bytes::from_static(b"0123456789")).expect("created"));
        assert!(!bucket.create("a/b/one", Bytes::from_static(b"other")).expect("it is there"));
        bucket.put("a/two", Bytes::from_static(b"xy")).expect("put");
        assert_eq!(bucket.read("a/b/one").expect("read").as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(bucket.read_range("a/b/one", 2, 3).expect("read").as_deref(), Some(&b"234"[..]));
        assert_eq!(bucket.read("a/three").expect("asked"), None);
        assert_eq!(bucket.look_at("a/two").expect("asked").map(|(bytes, _)| bytes), Some(2));
        assert_eq!(bucket.list("a").expect("listed"), [("a/b/one".to_owned(), 10), ("a/two".to_owned(), 2)]);
        bucket.remove("a/two").expect("removed");
        bucket.remove("a/two").expect("it is gone already");
        assert_eq!(bucket.list("").expect("listed").len(), 1);
    }

    #[test]
    fn an_object_of_pieces_is_there_as_a_whole_or_not_at_all() {
        let bucket = BucketClient::in_memory().expect("a bucket");
        let mut pieces = vec![vec![2_u8; 3], vec![1_u8; 6 << 20]];
        bucket.put_pieces("large", || Ok(pieces.pop().map(Bytes::from))).expect("stored");
        let bytes = bucket.read("large").expect("read").expect("there");
        assert_eq!((bytes.len(), bytes[0], bytes[6 << 20]), ((6 << 20) + 3, 1, 2));
        let mut first = true;
        let broken = bucket.put_pieces("broken", || {
            if std::mem::take(&mut first) { Ok(Some(Bytes::from_static(b"x"))) } else { Err(disk_is_gone()) }
        });
        assert_eq!(broken.expect_err("it fails").message, "the disk is gone");
        assert_eq!(bucket.read("broken").expect("asked"), None);
    }

    fn disk_is_gone() -> SeamError {
        SeamError::new(ErrorKind::Closed, "the disk is gone")
    }
}
