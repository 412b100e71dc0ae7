//! The buckets in which old rows of tables lie: opened when they are first asked, with the keys that pipelines name, else with
//! those of the environment. Knows nothing of rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_model::{ErrorKind, SeamError, SeamResult, Secret};
use weir_state::BucketClient;
use weir_store::{Bucket, Buckets, Place};

/// Buckets by their places.
#[derive(Debug, Default)]
pub struct TierBuckets {
    /// What pipelines say about each address, keys included.
    options: BTreeMap<String, BTreeMap<String, Secret>>,
    known: Mutex<BTreeMap<Place, Arc<TierBucket>>>,
}

impl TierBuckets {
    /// Those that are reached with the options `options`, by address; others as their places say.
    pub fn new(options: BTreeMap<String, BTreeMap<String, Secret>>) -> Self {
        Self { options, known: Mutex::default() }
    }
}

impl Buckets for TierBuckets {
    fn bucket(&self, place: &Place) -> Arc<dyn Bucket> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = known.entry(place.clone()).or_insert_with(|| {
            let mut options: BTreeMap<String, Secret> =
                place.options.iter().map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
            options.extend(self.options.get(&place.url).cloned().unwrap_or_default());
            let bucket = weir_state::Bucket { url: place.url.clone(), options };
            Arc::new(TierBucket { bucket, client: Mutex::default() })
        });
        Arc::clone(bucket) as Arc<dyn Bucket>
    }
}

/// One of them.
#[derive(Debug)]
struct TierBucket {
    bucket: weir_state::Bucket,
    client: Mutex<Option<Arc<BucketClient>>>,
}

impl TierBucket {
    fn client(&self) -> SeamResult<Arc<BucketClient>> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        // What is wrong with it may be right in another process: it is no damage.
        let opened = BucketClient::open(&self.bucket);
        let opened = opened.map_err(|error| SeamError { kind: ErrorKind::Retry, ..error })?;
        Ok(Arc::clone(client.insert(Arc::new(opened))))
    }
}

impl Bucket for TierBucket {
    fn put(&self, name: &str, bytes: Bytes) -> SeamResult<()> {
        self.client()?.put(name, bytes)
    }

    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Bytes> {
        let client = self.client()?;
        client
            .read_range(name, offset, bytes)?
            .ok_or_else(|| SeamError::new(ErrorKind::Corrupt, format!("{} is not there", client.shown(name))))
    }

    fn remove(&self, name: &str) -> SeamResult<()> {
        self.client()?.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_opened_when_it_is_asked_and_what_is_wrong_with_it_is_no_damage() {
        let buckets = TierBuckets::default();
        let place = Place { url: "s4://nowhere".to_owned(), options: BTreeMap::new() };
        let error = buckets.bucket(&place).read("a", 0, 1).expect_err("there is no s4");
        assert_eq!(error.kind, ErrorKind::Retry);
        assert!(error.full().contains("s4"), "{}", error.full());
    }
}
