//! Keys whose oldest runs may be anywhere: new ones in a table in memory, of the others what tells whether a run has them.
//!
//! A bucket is as long as what is asked about, so it holds a key at most once, and whoever asks for a key looks into three. Its
//! runs have the columns `key` (16 bytes) and `time` (microseconds). A run is *cold* when its keys are not in the table:
//! then its [`Prints`] say which keys it has, and a row that asks for one of them brings the key back into the table,
//! where it stays until memory is short.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::prints::Prints;
use super::{KeyedMeta, KeyedState, expires_at};
use crate::keys::{Digest, digest_column, digests_of_column, times_of_column};
use crate::run::{Run, RunRows, RunStore};
use crate::snapshot::run_id;

/// A run has no more keys: what is read for the sake of one is 2.3 MB, and its prints fill their table to three quarters.
const RUN_ROWS_MAX: usize = 96 * 1024;

/// Keys in memory and in runs.
#[derive(Debug)]
pub(crate) struct Spilling {
    length: i64,
    /// By the start of each bucket.
    buckets: BTreeMap<i64, Bucket>,
    keys: usize,
    run_rows_max: usize,
}

#[derive(Debug, Default)]
struct Bucket {
    /// What no run holds yet, the keys of runs that are not cold, and those of cold runs that were asked for.
    times: HashMap<Digest, i64, FixedState>,
    /// What no run holds yet.
    fresh: Vec<(Digest, i64)>,
    /// Oldest first.
    runs: Vec<KeyRun>,
    keys: usize,
}

#[derive(Debug)]
struct KeyRun {
    /// Given when a snapshot first holds it.
    id: Option<u64>,
    rows: RunRows,
    len: usize,
    /// Which keys it has, if it is cold.
    prints: Option<Prints>,
}

impl Spilling {
    /// One that is asked about times less than `length` away.
    pub(crate) fn new(length: i64) -> Self {
        Self::with_runs_of(length, RUN_ROWS_MAX)
    }

    /// The same with runs of at most so many keys.
    pub(crate) fn with_runs_of(length: i64, run_rows_max: usize) -> Self {
        assert!(length > 0, "the plan was checked");
        Self { length, buckets: BTreeMap::new(), keys: 0, run_rows_max }
    }

    fn start(&self, time: i64) -> i64 {
        time.div_euclid(self.length).saturating_mul(self.length)
    }

    /// Where the buckets begin that hold what is asked for at `time`.
    fn around(&self, time: i64) -> [i64; 3] {
        let start = self.start(time);
        [start.saturating_sub(self.length), start, start.saturating_add(self.length)]
    }
}

impl KeyedState for Spilling {
    fn len(&self) -> usize {
        self.keys
    }

    fn fetch(&mut self, wanted: &[(Digest, i64)]) -> SeamResult<()> {
        if self.buckets.values().all(|bucket| bucket.runs.iter().all(|run| run.prints.is_none())) {
            return Ok(());
        }
        let mut of_runs: BTreeMap<(i64, usize), HashSet<Digest, FixedState>> = BTreeMap::new();
        for (key, time) in wanted {
            for start in self.around(*time) {
                let Some(bucket) = self.buckets.get(&start) else { continue };
                if bucket.times.contains_key(key) {
                    continue;
                }
                for (index, run) in bucket.runs.iter().enumerate() {
                    if run.prints.as_ref().is_some_and(|prints| prints.has(*key)) {
                        of_runs.entry((start, index)).or_default().insert(*key);
                    }
                }
            }
        }
        for ((start, index), wanted) in of_runs {
            let Some(bucket) = self.buckets.get_mut(&start) else { continue };
            let (keys, times) = bucket.runs[index].content()?;
            let found = keys.into_iter().zip(times).filter(|(key, _)| wanted.contains(key));
            bucket.times.extend(found);
        }
        Ok(())
    }

    fn get(&self, key: Digest, time: i64) -> Option<i64> {
        self.around(time).iter().find_map(|start| {
            let known = self.buckets.get(start)?.times.get(&key)?;
            (known.abs_diff(time) < self.length.unsigned_abs()).then_some(*known)
        })
    }

    fn put(&mut self, key: Digest, time: i64) {
        let bucket = self.buckets.entry(self.start(time)).or_default();
        let before = bucket.times.insert(key, time);
        debug_assert_eq!(before, None, "a bucket is no longer than what is asked about");
        bucket.fresh.push((key, time));
        bucket.keys += 1;
        self.keys += 1;
    }

    fn next_expiry(&self) -> Option<i64> {
        self.buckets.keys().next().map(|start| expires_at(*start, self.length))
    }

    fn expire(&mut self, reached: i64) {
        while let Some(first) = self.buckets.first_entry() {
            if expires_at(*first.key(), self.length) > reached {
                return;
            }
            self.keys -= first.remove().keys;
        }
    }

    fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let mut runs = Vec::new();
        for (start, bucket) in &mut self.buckets {
            bucket.gather(self.run_rows_max);
            for run in &mut bucket.runs {
                let id = *run.id.get_or_insert_with(|| {
                    *next_run += 1;
                    run_id(*next_run, node, *start, run.rows.held())
                });
                runs.push(Run { id, node, pane: EventTime::from_micros(*start), rows: run.rows.clone() });
            }
        }
        runs
    }

    fn meta(&self) -> KeyedMeta {
        let ids = |bucket: &Bucket| bucket.runs.iter().map(|run| run.id.expect("it was sealed")).collect();
        KeyedMeta { buckets: self.buckets.iter().map(|(start, bucket)| (*start, ids(bucket))).collect() }
    }

    fn restore(&mut self, meta: &KeyedMeta, runs: &[Run]) -> Result<(), String> {
        let known: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        for (start, ids) in &meta.buckets {
            let mut bucket = Bucket::default();
            for id in ids {
                let run = known.get(id).ok_or_else(|| format!("the run {id} is missing"))?;
                let mut run = KeyRun { id: Some(*id), rows: run.rows.clone(), len: 0, prints: None };
                let (keys, _) = run.content().map_err(|error| error.full())?;
                (run.len, run.prints) = (keys.len(), Some(Prints::of(&keys)));
                bucket.keys += run.len;
                bucket.runs.push(run);
            }
            self.keys += bucket.keys;
            self.buckets.insert(*start, bucket);
        }
        Ok(())
    }

    /// Oldest buckets first, and in each the oldest runs.
    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let mut freed = 0;
        for bucket in self.buckets.values_mut() {
            if freed >= wanted {
                break;
            }
            freed += bucket.release(wanted - freed, store);
        }
        freed
    }

    fn size(&self) -> usize {
        self.buckets.values().map(Bucket::size).sum()
    }
}

impl Bucket {
    /// Makes a run of what no run holds yet, together with those before it that are not cold and at most twice as long: so a
    /// key is written again about as often as the logarithm of what came after it.
    fn gather(&mut self, run_rows_max: usize) {
        for fresh in std::mem::take(&mut self.fresh).chunks(run_rows_max) {
            let (keys, times): (Vec<Digest>, Vec<i64>) = fresh.iter().copied().unzip();
            self.runs.push(KeyRun::new(batch(&keys, times)));
            while let [.., before, last] = &self.runs[..]
                && before.prints.is_none()
                && before.len <= 2 * last.len
                && before.len + last.len <= run_rows_max
            {
                let (before, last) = (before.rows.held(), last.rows.held());
                let merged = concat_batches(&last.schema(), [before, last]).expect("runs of keys are of one kind");
                self.runs.truncate(self.runs.len() - 2);
                self.runs.push(KeyRun::new(merged));
            }
        }
    }

    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        assert!(self.fresh.is_empty(), "what is let go was sealed before");
        let before = self.size();
        // The table shrinks by what its runs have of it, so this is about what is free in the end.
        let of_table = self.times.capacity() * ENTRY_BYTES / self.keys.max(1);
        let mut freed = 0;
        for run in &mut self.runs {
            if freed >= wanted {
                break;
            }
            if run.prints.is_none() {
                freed += run.len * of_table;
            }
            freed += run.chill(store);
        }
        self.times = HashMap::default();
        for run in self.runs.iter().filter(|run| run.prints.is_none()) {
            let (keys, times) = run.content().expect("it is in memory, and was made here");
            self.times.extend(keys.into_iter().zip(times));
        }
        before.saturating_sub(self.size())
    }

    fn size(&self) -> usize {
        let runs = self.runs.iter().map(|run| run.rows.size() + run.prints.as_ref().map_or(0, Prints::size));
        self.times.capacity() * ENTRY_BYTES
            + self.fresh.capacity() * size_of::<(Digest, i64)>()
            + runs.sum::<usize>()
            + self.runs.capacity() * size_of::<KeyRun>()
    }
}

/// Bytes of an entry of the table.
const ENTRY_BYTES: usize = size_of::<(Digest, i64)>() + 1;

impl KeyRun {
    /// A run that was made just now.
    fn new(batch: RecordBatch) -> Self {
        Self { id: None, len: batch.num_rows(), rows: RunRows::Held(batch), prints: None }
    }

    /// Its keys and their times, wherever they are.
    fn content(&self) -> SeamResult<(Vec<Digest>, Vec<i64>)> {
        let batch = self.rows.load(self.id.unwrap_or(0))?;
        let content = || match batch.columns() {
            [keys, times] => Ok((digests_of_column(keys)?, times_of_column(times)?)),
            columns => Err(format!("a run of keys has {} columns, not 2", columns.len())),
        };
        content().map_err(|problem| SeamError::new(ErrorKind::Corrupt, problem))
    }

    /// Makes it cold; returns how many bytes its rows took.
    fn chill(&mut self, store: &Arc<dyn RunStore>) -> usize {
        if self.prints.is_none() {
            let (keys, _) = self.content().expect("it is in memory, and was made here");
            self.prints = Some(Prints::of(&keys));
        }
        self.rows.release(store)
    }
}

fn batch(keys: &[Digest], times: Vec<i64>) -> RecordBatch {
    let columns = [("key", digest_column(keys)), ("time", Arc::new(Int64Array::from(times)) as _)];
    RecordBatch::try_from_iter(columns).expect("a key and a time for each")
}
