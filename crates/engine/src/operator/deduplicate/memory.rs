//! The keys of rows that went on, each with its event time, in buckets of event time that are forgotten whole.
//!
//! A bucket is as long as `within`, so it holds a key at most once, and whoever asks for a key looks into three. A bucket
//! is forgotten once the watermark is two `within` past its last instant: rows that are not late are later than that by
//! `within`. Its runs have the columns `key` (16 bytes) and `time` (microseconds).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::Run;
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::operator::runs::Runs;

/// The keys that are remembered.
#[derive(Debug)]
pub(crate) struct Memory {
    within: i64,
    /// By the start of each bucket.
    buckets: BTreeMap<i64, Bucket>,
    keys: usize,
}

#[derive(Debug, Default)]
struct Bucket {
    times: HashMap<Digest, i64, FixedState>,
    /// What no run holds yet.
    fresh: Vec<(Digest, i64)>,
    runs: Runs,
}

/// What a snapshot keeps besides runs: of each bucket its start and the names of its runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MemoryMeta {
    buckets: Vec<(i64, Vec<u64>)>,
}

impl Memory {
    pub(crate) fn new(within: i64) -> Self {
        assert!(within > 0, "the plan was checked");
        Self { within, buckets: BTreeMap::new(), keys: 0 }
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// Whether a row with this key went on less than `within` from `time`.
    pub(crate) fn holds(&self, key: Digest, time: i64) -> bool {
        let start = self.start(time);
        [start.saturating_sub(self.within), start, start.saturating_add(self.within)].iter().any(|start| {
            let known = self.buckets.get(start).and_then(|bucket| bucket.times.get(&key));
            known.is_some_and(|known| known.abs_diff(time) < self.within.unsigned_abs())
        })
    }

    /// Remembers a key that is not held at `time`.
    pub(crate) fn insert(&mut self, key: Digest, time: i64) {
        let bucket = self.buckets.entry(self.start(time)).or_default();
        let before = bucket.times.insert(key, time);
        debug_assert_eq!(before, None, "a bucket is no longer than `within`");
        bucket.fresh.push((key, time));
        self.keys += 1;
    }

    fn start(&self, time: i64) -> i64 {
        time.div_euclid(self.within).saturating_mul(self.within)
    }

    /// The watermark at which the next bucket is forgotten.
    pub(crate) fn next_forgotten(&self) -> Option<i64> {
        self.buckets.keys().next().map(|start| forgotten_at(*start, self.within))
    }

    /// Forgets what no row that is on time at the watermark `reached` can equal.
    pub(crate) fn forget(&mut self, reached: i64) {
        while let Some(first) = self.buckets.first_entry() {
            if forgotten_at(*first.key(), self.within) > reached {
                return;
            }
            self.keys -= first.remove().times.len();
        }
    }

    /// Every run; what came since the last time becomes one per bucket.
    pub(crate) fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let mut runs = Vec::new();
        for (start, bucket) in &mut self.buckets {
            if !bucket.fresh.is_empty() {
                let (keys, times): (Vec<Digest>, Vec<i64>) = bucket.fresh.drain(..).unzip();
                bucket.runs.push(run(&keys, times));
            }
            runs.extend(bucket.runs.seal((node, *start), next_run));
        }
        runs
    }

    pub(crate) fn meta(&self) -> MemoryMeta {
        MemoryMeta { buckets: self.buckets.iter().map(|(start, bucket)| (*start, bucket.runs.ids())).collect() }
    }

    /// Takes over what a snapshot holds.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn restore(&mut self, meta: &MemoryMeta, runs: &[Run]) -> Result<(), String> {
        for (start, ids) in &meta.buckets {
            let runs = Runs::restore(ids, runs)?;
            let mut bucket = Bucket::default();
            for batch in runs.batches() {
                let [keys, times] = batch.columns() else {
                    return Err(format!("a run of keys has {} columns, not 2", batch.num_columns()));
                };
                let (keys, times) = (digests_of_column(keys)?, times_of_column(times)?);
                bucket.times.extend(keys.into_iter().zip(times));
            }
            bucket.runs = runs;
            self.keys += bucket.times.len();
            self.buckets.insert(*start, bucket);
        }
        Ok(())
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let entry = size_of::<(Digest, i64)>() + 1;
        let of = |bucket: &Bucket| (bucket.times.capacity() + bucket.fresh.capacity()) * entry + bucket.runs.size();
        self.buckets.values().map(of).sum()
    }
}

/// The watermark at which the bucket that begins at `start` is forgotten: its last instant and twice `within`.
fn forgotten_at(start: i64, within: i64) -> i64 {
    start.saturating_add(within - 1).saturating_add(within).saturating_add(within)
}

fn run(keys: &[Digest], times: Vec<i64>) -> RecordBatch {
    let columns = [("key", digest_column(keys)), ("time", Arc::new(Int64Array::from(times)) as _)];
    RecordBatch::try_from_iter(columns).expect("a key and a time for each")
}
