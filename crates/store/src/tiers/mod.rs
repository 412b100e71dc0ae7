//! Old segments lie in a bucket instead of on the local disk: their rows are read there, their search index and sums stay here.
//! Which segment a query sees does not depend on it: a move changes where one lies, in one transaction, and nothing else.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::settings::TierSettings;
use crate::tables::{Buried, Grave, Live};
use crate::{SegmentRef, Store};

/// A place in a bucket, as the catalog knows it: no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Such as `s3://bucket/prefix`.
    pub url: String,
    /// How it is reached, besides what must not be written down: that is looked for where the store runs.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// An object in a bucket. Its name is never used again: what is removed late is never what came since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// A place in a bucket, for threads that may block.
pub trait Bucket: Debug + Send + Sync {
    /// Stores an object, also in the place of another.
    ///
    /// # Errors
    /// `Retry` when the other side does not take it.
    fn put(&self, name: &str, bytes: Bytes) -> SeamResult<()>;

    /// The `bytes` bytes of an object from `offset` on.
    ///
    /// # Errors
    /// `Corrupt` when it is not there or ends before, `Retry` when the other side does not answer.
    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Bytes>;

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// `Retry` when the other side does not answer.
    fn remove(&self, name: &str) -> SeamResult<()>;
}

/// Opens buckets.
pub trait Buckets: Debug + Send + Sync {
    /// The bucket at `place`; what is wrong with it shows when it is asked.
    fn bucket(&self, place: &Place) -> Arc<dyn Bucket>;
}

/// Where a segment lies that is not on the local disk.
#[derive(Clone, Debug)]
pub struct Remote {
    pub(crate) object: Object,
    bucket: Arc<dyn Bucket>,
}

impl Remote {
    pub(crate) fn new(buckets: &dyn Buckets, object: Object) -> Self {
        Self { bucket: buckets.bucket(&object.place), object }
    }

    /// The `bytes` bytes from `offset` on. Blocks.
    ///
    /// # Errors
    /// As [`Bucket::read`].
    pub fn read(&self, offset: u64, bytes: u64) -> SeamResult<Bytes> {
        let read = self.bucket.read(&self.object.name, offset, bytes)?;
        if read.len() as u64 == bytes {
            return Ok(read);
        }
        let (shown, found) = (self.shown(), read.len());
        let message =
            format!("{shown} is damaged: it has {found} bytes from byte {offset} on, of {bytes} that it should have");
        Err(SeamError::new(ErrorKind::Corrupt, message))
    }

    /// What people know it by.
    pub fn shown(&self) -> String {
        format!("{}/{}", self.object.place.url.trim_end_matches('/'), self.object.name)
    }

    pub(crate) fn remove(&self) -> SeamResult<()> {
        self.bucket.remove(&self.object.name)
    }
}

/// For a store that was told of no buckets.
#[derive(Debug)]
pub(crate) struct NoBuckets;

#[derive(Debug)]
struct NoBucket(String);

impl NoBucket {
    fn unknown<T>(&self) -> SeamResult<T> {
        let message = format!("nobody has said how {} is reached", self.0);
        Err(SeamError::new(ErrorKind::Retry, message))
    }
}

impl Buckets for NoBuckets {
    fn bucket(&self, place: &Place) -> Arc<dyn Bucket> {
        Arc::new(NoBucket(place.url.clone()))
    }
}

impl Bucket for NoBucket {
    fn put(&self, _: &str, _: Bytes) -> SeamResult<()> {
        self.unknown()
    }

    fn read(&self, _: &str, _: u64, _: u64) -> SeamResult<Bytes> {
        self.unknown()
    }

    fn remove(&self, _: &str) -> SeamResult<()> {
        self.unknown()
    }
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Of which table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// To where.
    pub to: String,
}

impl Store {
    /// Tells the store how buckets are reached; until then segments in them cannot be read.
    pub fn set_buckets(&self, buckets: Arc<dyn Buckets>) {
        let mut tables = self.tables();
        for live in tables.by_name.values_mut().flat_map(|table| &mut table.live) {
            if let Some(remote) = &live.segment.remote {
                live.segment.remote = Some(Arc::new(Remote::new(&*buckets, remote.object.clone())));
            }
        }
        for grave in &mut tables.graves {
            if let Some(remote) = &grave.buried.remote {
                grave.buried.remote = Some(Arc::new(Remote::new(&*buckets, remote.object.clone())));
            }
        }
        drop(tables);
        *self.buckets_mut() = buckets;
    }

    /// Moves one segment whose rows are all old enough to where its table wants old ones; `None` when there is none. Call it
    /// until then, from a thread that may block. Segments of commits that recovery may go back behind stay.
    ///
    /// # Errors
    /// `Retry` when the bucket does not take it. `Corrupt` when the segment is damaged: it was put aside, call it again.
    pub fn move_once(&self) -> SeamResult<Option<Moved>> {
        self.owned()?;
        // Compaction replaces segments too.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((live, tier)) = self.next_to_move()? else { return Ok(None) };
        let bytes = self.bytes_of(&live.segment)?;
        let name = format!("{}-{}.parquet", live.row.path.trim_end_matches(".parquet"), self.vfs().unused_name());
        let remote = Remote::new(&*self.buckets(), Object { place: tier.place.clone(), name });
        remote.bucket.put(&remote.object.name, bytes)?;
        self.publish_move(live, remote)
    }

    fn next_to_move(&self) -> SeamResult<Option<(Live, TierSettings)>> {
        let oldest = self.catalog().oldest_epochs()?;
        let (tables, now) = (self.tables(), self.now());
        for table in tables.by_name.values() {
            for live in &table.live {
                let is_settled = oldest.get(&live.row.pipeline).is_none_or(|oldest| live.row.epoch <= *oldest);
                let tier = wanted(&table.settings.tiers, &live.segment, now).filter(|_| is_settled);
                let place = live.segment.remote.as_ref().map(|remote| &remote.object.place);
                if let Some(tier) = tier.filter(|tier| place != Some(&tier.place)) {
                    return Ok(Some((live.clone(), tier.clone())));
                }
            }
        }
        Ok(None)
    }

    fn publish_move(&self, live: Live, remote: Remote) -> SeamResult<Option<Moved>> {
        let mut catalog = self.catalog();
        let now = self.now();
        // What goes is where it lay: the file here, or an object elsewhere. The index stays.
        let old = Buried { remote: live.segment.remote.clone(), index: false };
        let grave = old.remote.as_ref().map_or_else(|| live.row.path.clone(), |remote| remote.object.name.clone());
        if !catalog.moved(&live.row, &remote.object, (grave.as_str(), &old), now)? {
            return Ok(None);
        }
        let mut tables = self.tables();
        let moved =
            Moved { table: live.row.table.clone(), rows: live.row.rows, bytes: live.row.bytes, to: remote.shown() };
        if let Some(there) = tables.table(&live.row.table).live.iter_mut().find(|there| there.row.id == live.row.id) {
            there.row.object = Some(remote.object.clone());
            // Whoever looks from now on reads it there; those who began before hold the file.
            there.segment = SegmentRef { remote: Some(Arc::new(remote)), pin: Arc::default(), ..there.segment.clone() };
        }
        let (path, relative) = (self.path().join(&grave), Some(grave));
        tables.graves.push(Grave { path, relative, since: now, pin: live.segment.pin, buried: old });
        Ok(Some(moved))
    }
}

/// Where a segment belongs at `now`, if not where it was written: the tier of those whose age it has that is for the oldest.
fn wanted<'a>(tiers: &'a [TierSettings], segment: &SegmentRef, now: i64) -> Option<&'a TierSettings> {
    let (_, last) = segment.time_range?;
    let is_old = |tier: &&TierSettings| last < now.saturating_sub(tier.after_us);
    tiers.iter().filter(is_old).max_by_key(|tier| tier.after_us)
}
