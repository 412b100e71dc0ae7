//! Backups in a bucket: of S3, Google or Azure. Refuses to make two at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use weir_model::SeamResult;
use weir_state::BucketClient;

use super::shelf::{Content, Held, Measuring, Shelf, Taking, changed};
use super::{failed, refused};

/// Larger contents are sent and fetched in pieces of so many bytes.
const PIECE_BYTES: usize = 8 << 20;
/// The object that says that a backup is being made.
const LOCK: &str = "lock";
/// After so long whoever made it is gone.
const LOCK_AGE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// A place in a bucket.
#[derive(Debug)]
pub(super) struct BucketShelf {
    bucket: Arc<BucketClient>,
    /// The contents that are there, once they were listed; nobody else changes them while the lock is held.
    known: Mutex<Option<BTreeMap<String, u64>>>,
}

/// The lock of a bucket.
struct BucketLock(Arc<BucketClient>);

impl Held for BucketLock {}

impl Drop for BucketLock {
    fn drop(&mut self) {
        // One that stays is taken over when it is old.
        let _ = self.0.remove(LOCK);
    }
}

impl BucketShelf {
    pub(super) fn new(bucket: Arc<BucketClient>) -> Self {
        Self { bucket, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Option<BTreeMap<String, u64>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that somebody is at it, or when they began.
    fn try_lock(&self) -> SeamResult<Option<SystemTime>> {
        let who = format!("{{\"pid\":{}}}", std::process::id());
        if self.bucket.create(LOCK, Bytes::from(who))? {
            return Ok(None);
        }
        // Gone again already: it has just ended.
        Ok(Some(self.bucket.look_at(LOCK)?.map_or_else(SystemTime::now, |(_, since)| since)))
    }
}

/// A file, piece by piece.
struct Pieces<'a> {
    file: std::io::Take<File>,
    from: &'a Path,
    measuring: Measuring,
}

impl<'a> Pieces<'a> {
    /// The first `bytes` bytes of a file.
    fn of(from: &'a Path, bytes: u64) -> SeamResult<Self> {
        let file = File::open(from).map_err(|error| failed("read", from, error))?.take(bytes);
        Ok(Self { file, from, measuring: Measuring::default() })
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> SeamResult<Bytes> {
        let mut piece = Vec::new();
        let read = self.file.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
        read.map_err(|error| failed("read", self.from, error))?;
        self.measuring.take(&piece);
        Ok(Bytes::from(piece))
    }
}

impl Shelf for BucketShelf {
    fn lock(&self) -> SeamResult<Box<dyn Held>> {
        if let Some(since) = self.try_lock()? {
            let age = since.elapsed().unwrap_or_default();
            let taken = || {
                refused(format!(
                    "another backup is being made here since {} s: if its process is gone, remove {}",
                    age.as_secs(),
                    self.bucket.shown(LOCK)
                ))
            };
            if age < LOCK_AGE_MAX {
                return Err(taken());
            }
            self.bucket.remove(LOCK)?;
            if self.try_lock()?.is_some() {
                return Err(taken());
            }
        }
        let held = Box::new(BucketLock(Arc::clone(&self.bucket)));
        *self.known() = Some(self.bucket.list("objects")?.into_iter().collect());
        Ok(held)
    }

    fn names(&self, folder: &str) -> SeamResult<Vec<String>> {
        Ok(self.bucket.list(folder)?.into_iter().map(|(name, _)| name).collect())
    }

    fn has(&self, name: &str, bytes: u64) -> bool {
        self.known().as_ref().is_some_and(|known| known.get(name) == Some(&bytes))
    }

    fn read(&self, name: &str, bytes: u64, to: Taking<'_>) -> SeamResult<Option<Content>> {
        let Some((length, _)) = self.bucket.look_at(name)? else { return Ok(None) };
        let mut measuring = Measuring::default();
        let mut at = 0;
        // One more than there should be is enough to see that there are too many.
        let until = length.min(bytes.saturating_add(1));
        while at < until {
            let piece = self.bucket.read_range(name, at, (until - at).min(PIECE_BYTES as u64))?;
            let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { return Ok(None) };
            to(&piece).map_err(|error| failed("copy", Path::new(name), error))?;
            measuring.take(&piece);
            at += piece.len() as u64;
        }
        Ok(Some(measuring.content()))
    }

    fn put(&self, name: &str, from: &Path, bytes: u64, checksum: &str) -> SeamResult<bool> {
        let mut pieces = Pieces::of(from, bytes)?;
        if bytes <= PIECE_BYTES as u64 {
            let piece = pieces.next()?;
            if pieces.measuring.content().checksum != checksum {
                return Ok(false);
            }
            self.bucket.put(name, piece)?;
        } else {
            let mut is_same = true;
            let sent = self.bucket.put_pieces(name, || {
                let piece = pieces.next()?;
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
                is_same = pieces.measuring.content().checksum == checksum;
                // Nothing is there before all of it is.
                if is_same { Ok(None) } else { Err(changed(name)) }
            });
            if !is_same {
                return Ok(false);
            }
            sent?;
        }
        if let Some(known) = self.known().as_mut() {
            known.insert(name.to_owned(), bytes);
        }
        Ok(true)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> SeamResult<()> {
        if self.bucket.create(name, Bytes::copy_from_slice(bytes))? {
            return Ok(());
        }
        // A try before may have stored it although its answer never came.
        match self.bucket.read(name)? {
            Some(there) if there == bytes => Ok(()),
            _ => Err(refused(format!("{} is there already", self.bucket.shown(name)))),
        }
    }

    fn remove(&self, names: &[String]) -> SeamResult<()> {
        names.iter().try_for_each(|name| self.bucket.remove(name))
    }

    fn shown(&self, name: &str) -> String {
        self.bucket.shown(name)
    }
}
