//! Keys whose oldest runs may be anywhere: new ones in a table in memory, of the others what tells whether a run has them.
//!
//! A bucket is as long as what is asked about, so it holds a key at most once, and whoever asks for a key looks into three. Its
//! runs have the columns `key` (16 bytes) and `time` (microseconds). A run is *cold* when its keys are not in the table:
//! then its [`Prints`] say which keys it has, or a [`KeyStore`] has them, and a row that asks for one of them brings the key
//! back into the table, where it stays until memory is short.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use weir_model::{ErrorKind, EventTime, SeamError, SeamResult};

use super::prints::Prints;
use super::{KeyStore, KeyedMeta, KeyedState, KeysOfRun, expires_at};
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
    /// What has the keys of cold runs, if prints do not tell of them.
    store: Option<Box<dyn KeyStore>>,
    /// Why the store did not take keys, which are in memory still.
    trouble: Option<SeamError>,
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
    /// How its keys are found, if they are not in the table.
    cold: Option<Cold>,
}

#[derive(Debug)]
enum Cold {
    /// They are in the run's rows, wherever these are, and this says which.
    Prints(Prints),
    /// The store has them.
    InStore,
}

impl Cold {
    fn prints(&self) -> Option<&Prints> {
        match self {
            Self::Prints(prints) => Some(prints),
            Self::InStore => None,
        }
    }
}

impl Spilling {
    /// One that is asked about times less than `length` away.
    pub(crate) fn new(length: i64) -> Self {
        Self::with_runs_of(length, RUN_ROWS_MAX)
    }

    /// The same with runs of at most so many keys.
    pub(crate) fn with_runs_of(length: i64, run_rows_max: usize) -> Self {
        assert!(length > 0, "the plan was checked");
        Self { length, buckets: BTreeMap::new(), keys: 0, run_rows_max, store: None, trouble: None }
    }

    /// The same with the keys of cold runs in `store`.
    pub(crate) fn in_store(self, store: Box<dyn KeyStore>) -> Self {
        Self { store: Some(store), ..self }
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
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        if self.buckets.values().all(|bucket| bucket.runs.iter().all(|run| run.cold.is_none())) {
            return Ok(());
        }
        let mut of_store: BTreeSet<(i64, Digest)> = BTreeSet::new();
        let mut of_runs: BTreeMap<(i64, usize), HashSet<Digest, FixedState>> = BTreeMap::new();
        for (key, time) in wanted {
            for start in self.around(*time) {
                let Some(bucket) = self.buckets.get(&start) else { continue };
                if bucket.times.contains_key(key) {
                    continue;
                }
                for (index, run) in bucket.runs.iter().enumerate() {
                    match &run.cold {
                        Some(Cold::Prints(prints)) if prints.has(*key) => {
                            of_runs.entry((start, index)).or_default().insert(*key);
                        }
                        Some(Cold::InStore) => {
                            of_store.insert((start, *key));
                        }
                        Some(Cold::Prints(_)) | None => {}
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
        self.fetch_stored(of_store.into_iter().collect())
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
        let mut stored = BTreeMap::new();
        if let Some(store) = &mut self.store {
            let alive = meta.buckets.iter().flat_map(|(_, ids)| ids).copied().collect();
            let first = meta.buckets.first().map_or(i64::MAX, |(start, _)| *start);
            let kept = store.keep(&alive, first).and_then(|()| store.runs());
            stored = kept.map_err(|error| error.full())?;
        }
        for (start, ids) in &meta.buckets {
            let mut bucket = Bucket::default();
            for id in ids {
                let run = known.get(id).ok_or_else(|| format!("the run {id} is missing"))?;
                let mut run = KeyRun { id: Some(*id), rows: run.rows.clone(), len: 0, cold: None };
                match stored.get(id) {
                    Some(keys) => (run.len, run.cold) = (*keys as usize, Some(Cold::InStore)),
                    None => run.index(*start, self.store.as_deref_mut()).map_err(|error| error.full())?,
                }
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
        if let Some(keys) = &mut self.store {
            let alive = self.buckets.values().flat_map(|bucket| &bucket.runs).filter_map(|run| run.id).collect();
            let first = self.buckets.keys().next().copied().unwrap_or(i64::MAX);
            if let Err(trouble) = keys.keep(&alive, first) {
                self.trouble.get_or_insert(trouble);
                return 0;
            }
        }
        let mut freed = 0;
        for (start, bucket) in &mut self.buckets {
            if freed >= wanted {
                break;
            }
            let released = bucket.release((*start, wanted - freed), store, self.store.as_deref_mut());
            let (bytes, trouble) = released;
            freed += bytes;
            if let Some(trouble) = trouble {
                self.trouble.get_or_insert(trouble);
                break;
            }
        }
        freed
    }

    fn size(&self) -> usize {
        self.buckets.values().map(Bucket::size).sum()
    }
}

impl Spilling {
    /// Brings keys back that the store has.
    fn fetch_stored(&mut self, wanted: Vec<(i64, Digest)>) -> SeamResult<()> {
        let Some(store) = self.store.as_mut().filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let found = store.get(&wanted)?;
        for ((start, key), found) in wanted.into_iter().zip(found) {
            let Some((bucket, found)) = self.buckets.get_mut(&start).zip(found) else { continue };
            // What is left of runs that were given up says nothing.
            let is_alive = |run: &KeyRun| run.id == Some(found.run) && matches!(run.cold, Some(Cold::InStore));
            if bucket.runs.iter().any(is_alive) {
                bucket.times.insert(key, found.time);
            }
        }
        Ok(())
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
                && before.cold.is_none()
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

    /// Returns about how many bytes are free, and what went wrong before there were enough.
    fn release(
        &mut self,
        (start, wanted): (i64, usize),
        store: &Arc<dyn RunStore>,
        mut keys: Option<&mut (dyn KeyStore + 'static)>,
    ) -> (usize, Option<SeamError>) {
        assert!(self.fresh.is_empty(), "what is let go was sealed before");
        let before = self.size();
        // The table shrinks by what its runs have of it, so this is about what is free in the end.
        let of_table = self.times.capacity() * ENTRY_BYTES / self.keys.max(1);
        let (mut freed, mut trouble) = (0, None);
        for run in &mut self.runs {
            if freed >= wanted {
                break;
            }
            if run.cold.is_none() {
                if let Err(error) = run.index(start, keys.as_deref_mut()) {
                    trouble = Some(error);
                    break;
                }
                freed += run.len * of_table;
            }
            freed += run.rows.release(store);
        }
        self.times = HashMap::default();
        for run in self.runs.iter().filter(|run| run.cold.is_none()) {
            let (keys, times) = run.content().expect("it is in memory, and was made here");
            self.times.extend(keys.into_iter().zip(times));
        }
        (before.saturating_sub(self.size()), trouble)
    }

    fn size(&self) -> usize {
        let runs = self
            .runs
            .iter()
            .map(|run| run.rows.size() + run.cold.as_ref().and_then(Cold::prints).map_or(0, Prints::size));
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
        Self { id: None, len: batch.num_rows(), rows: RunRows::Held(batch), cold: None }
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

    /// Makes it cold: its keys are found without the table from now on.
    fn index(&mut self, bucket: i64, store: Option<&mut (dyn KeyStore + 'static)>) -> SeamResult<()> {
        let (keys, times) = self.content()?;
        self.len = keys.len();
        self.cold = Some(match store {
            Some(store) => {
                let id = self.id.expect("a run that is let go was in a snapshot");
                store.add(&KeysOfRun { id, bucket, keys: &keys, times: &times })?;
                Cold::InStore
            }
            None => Cold::Prints(Prints::of(&keys)),
        });
        Ok(())
    }
}

fn batch(keys: &[Digest], times: Vec<i64>) -> RecordBatch {
    let columns = [("key", digest_column(keys)), ("time", Arc::new(Int64Array::from(times)) as _)];
    RecordBatch::try_from_iter(columns).expect("a key and a time for each")
}
