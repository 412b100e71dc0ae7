//! What every keyed state must do: the same as one that is in memory and nowhere else, whatever is let go and whenever it is
//! sealed, restored, set back and asked. And what every [`KeyStore`] must do, whose keys such a state asks for. Panics with
//! what does not hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use weir_model::{ErrorKind, SeamError, SeamResult};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::in_memory::InMemory;
use super::{KeyStore, KeyedMeta, KeyedState, KeysOfRun, Spilling, StoredKey};
use crate::keys::Digest;
use crate::run::{Run, RunRows, RunStore};

/// How long a bucket is.
const LENGTH: i64 = 10;
/// Keys of a run at most, so that there are many runs.
const RUN_ROWS_MAX: usize = 5;
/// Acts of one play.
const ACTS: u64 = 40;
/// Snapshots that a life can be set back to.
const KEPT_MAX: usize = 4;

/// Checks every promise of a store, and that a keyed state which uses it says what one in memory says, in as many random
/// plays as there are `seeds`. `open` opens the store of this name, with what it had when it was dropped.
///
/// # Panics
/// When a promise does not hold, with the seed.
pub fn check(seeds: std::ops::Range<u64>, mut open: impl FnMut(&str) -> Box<dyn KeyStore>) {
    keeps_its_promises(|| open("promises"));
    for seed in seeds {
        let name = format!("seed-{seed}");
        play(seed, || Box::new(Spilling::with_runs_of(LENGTH, RUN_ROWS_MAX).in_store(open(&name))));
    }
}

/// Plays random acts to a keyed state and to one in memory.
pub(crate) fn play(seed: u64, make: impl FnMut() -> Box<dyn KeyedState>) {
    let mut life = Life::new(make);
    let mut expected = Expected { state: InMemory::new(LENGTH), kept: VecDeque::new() };
    for at in 0..ACTS {
        let act = act(seed, at, life.kept.len());
        let said = life.does(&act);
        assert_eq!(said, expected.does(&act), "seed {seed}, act {at}: {act:?}");
    }
}

/// What is done to a keyed state.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Rows with these keys and times come together: each is put unless it is there.
    Rows(Vec<(u64, i64)>),
    Expire(i64),
    /// A snapshot, after which so much is let go.
    Release(usize),
    /// A snapshot.
    Seal,
    /// Another life, that begins with a snapshot: the last, or one so many before it.
    Crash(usize),
}

/// A random act, with so many snapshots to go back to.
fn act(seed: u64, at: u64, kept: usize) -> Act {
    let mut count = 0_u64;
    let mut random = |below: u64| {
        count += 1;
        xxh3_64(&[seed, at, count].map(u64::to_le_bytes).concat()) % below
    };
    match random(10) {
        0..=4 => Act::Rows((0..=random(11)).map(|_| (random(40), random(80).cast_signed())).collect()),
        5 => Act::Expire(random(60).cast_signed()),
        6 | 7 => Act::Release([0, 200, usize::MAX][random(3) as usize]),
        8 if kept > 0 => Act::Crash([0, 0, random(kept as u64) as usize][random(3) as usize]),
        _ => Act::Seal,
    }
}

/// The runs of the last snapshot; how often one was loaded.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) runs: Mutex<BTreeMap<u64, RecordBatch>>,
    loads: Mutex<usize>,
}

impl RunStore for Files {
    fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        *self.loads.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let found = self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        found.ok_or_else(|| SeamError::new(ErrorKind::Corrupt, format!("no run {id}")))
    }
}

impl Files {
    fn keep(&self, runs: impl Iterator<Item = (u64, RecordBatch)>) {
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = runs.collect();
    }

    #[cfg(test)]
    pub(crate) fn loads(&self) -> usize {
        *self.loads.lock().expect("one thread")
    }
}

pub(crate) fn digest(key: u64) -> Digest {
    xxh3_128(&key.to_le_bytes())
}

/// A state with what a shell has around it.
pub(crate) struct Life<M> {
    pub(crate) state: Option<Box<dyn KeyedState>>,
    make: M,
    pub(crate) files: Arc<Files>,
    next_run: u64,
    /// The newest last.
    kept: VecDeque<Kept>,
}

/// A snapshot.
struct Kept {
    meta: KeyedMeta,
    runs: Vec<(Run, RecordBatch)>,
    next_run: u64,
}

impl<M: FnMut() -> Box<dyn KeyedState>> Life<M> {
    pub(crate) fn new(mut make: M) -> Self {
        Self { state: Some(make()), make, files: Arc::default(), next_run: 0, kept: VecDeque::new() }
    }

    pub(crate) fn state(&mut self) -> &mut dyn KeyedState {
        self.state.as_deref_mut().expect("it is there between two lives")
    }

    fn seal(&mut self) {
        let state = self.state.as_deref_mut().expect("it is there between two lives");
        let runs = state.seal(3, &mut self.next_run);
        let meta = state.meta();
        let loaded = |run: Run| {
            let batch = run.rows.load(run.id).expect("it is somewhere");
            (run, batch)
        };
        let runs: Vec<(Run, RecordBatch)> = runs.into_iter().map(loaded).collect();
        self.files.keep(runs.iter().map(|(run, batch)| (run.id, batch.clone())));
        push(&mut self.kept, Kept { meta, runs, next_run: self.next_run });
    }

    /// What it says to an act.
    pub(crate) fn does(&mut self, act: &Act) -> String {
        match act {
            Act::Crash(back) => self.crash(*back),
            Act::Release(_) | Act::Seal => self.seal(),
            Act::Rows(_) | Act::Expire(_) => {}
        }
        let store: Arc<dyn RunStore> = self.files.clone();
        let state = self.state();
        if let Act::Release(wanted) = act {
            state.release(*wanted, &store);
        }
        said(state, act)
    }

    fn crash(&mut self, back: usize) {
        drop_newest(&mut self.kept, back);
        // Whatever has a store lets go of it first.
        self.state = None;
        let mut state = (self.make)();
        if let Some(kept) = self.kept.back() {
            self.files.keep(kept.runs.iter().map(|(run, batch)| (run.id, batch.clone())));
            let store: Arc<dyn RunStore> = self.files.clone();
            let stored = kept.runs.iter().map(|(run, batch)| {
                let bytes = batch.get_array_memory_size() as u64;
                Run { rows: RunRows::Stored { store: Arc::clone(&store), bytes }, ..run.clone() }
            });
            state.restore(&kept.meta, &stored.collect::<Vec<_>>()).expect("it is its own snapshot");
            self.next_run = kept.next_run;
        }
        self.state = Some(state);
    }
}

/// What must be said.
struct Expected {
    state: InMemory,
    kept: VecDeque<InMemory>,
}

impl Expected {
    fn does(&mut self, act: &Act) -> String {
        match act {
            Act::Crash(back) => {
                drop_newest(&mut self.kept, *back);
                self.state = self.kept.back().cloned().unwrap_or_else(|| InMemory::new(LENGTH));
            }
            Act::Release(_) | Act::Seal => push(&mut self.kept, self.state.clone()),
            Act::Rows(_) | Act::Expire(_) => {}
        }
        said(&mut self.state, act)
    }
}

fn push<T>(kept: &mut VecDeque<T>, newest: T) {
    kept.push_back(newest);
    if kept.len() > KEPT_MAX {
        kept.pop_front();
    }
}

fn drop_newest<T>(kept: &mut VecDeque<T>, many: usize) {
    kept.truncate(kept.len().saturating_sub(many));
}

/// What a state says to an act, when what is around it has been done.
fn said(state: &mut dyn KeyedState, act: &Act) -> String {
    match act {
        Act::Rows(rows) => {
            let wanted: Vec<(Digest, i64)> = rows.iter().map(|(key, time)| (digest(*key), *time)).collect();
            state.fetch(&wanted).expect("every file is there");
            let mut said = Vec::new();
            for (key, time) in wanted {
                let is_there = state.get(key, time).is_some();
                said.push(is_there);
                if !is_there {
                    state.put(key, time);
                }
            }
            format!("{said:?}, then {}", state.len())
        }
        Act::Expire(reached) => {
            state.expire(*reached);
            format!("{} are left, until {:?}", state.len(), state.next_expiry())
        }
        Act::Release(_) | Act::Seal | Act::Crash(_) => {
            format!("{} are left, until {:?}", state.len(), state.next_expiry())
        }
    }
}

fn keeps_its_promises(mut open: impl FnMut() -> Box<dyn KeyStore>) {
    let keys = |from: u64, to: u64| -> Vec<Digest> { (from..to).map(digest).collect() };
    let mut store = open();
    assert_eq!(store.runs().expect("it can be read"), BTreeMap::new(), "a new store has nothing");
    let large = keys(0, 100_000);
    let times: Vec<i64> = (0..100_000).map(|time| time - 50_000).collect();
    store.add(&KeysOfRun { id: 7, bucket: -10, keys: &large, times: &times }).expect("room for many keys");
    store
        .add(&KeysOfRun { id: u64::MAX, bucket: 10, keys: &large[..3], times: &[1, i64::MIN, i64::MAX] })
        .expect("room");
    drop(store);
    let mut store = open();
    let runs = BTreeMap::from([(7, 100_000), (u64::MAX, 3)]);
    assert_eq!(store.runs().expect("it can be read"), runs, "what was added is there in the next life");
    let found = |run, time| Some(StoredKey { run, time });
    let wanted = [(-10, large[99_999]), (10, large[2]), (10, large[1]), (0, large[0]), (10, large[5]), (-10, large[0])];
    let expected =
        vec![found(7, 49_999), found(u64::MAX, i64::MAX), found(u64::MAX, i64::MIN), None, None, found(7, -50_000)];
    assert_eq!(
        store.get(&wanted).expect("it can be read"),
        expected,
        "each bucket has its own keys, in the order asked"
    );
    assert_eq!(store.get(&[]).expect("nothing is asked"), vec![]);
    store.keep(&BTreeSet::from([u64::MAX, 12]), 10).expect("it can be written");
    let runs = BTreeMap::from([(u64::MAX, 3)]);
    assert_eq!(store.runs().expect("it can be read"), runs, "what is not alive is not said to be there");
    let expected = vec![found(u64::MAX, 1)];
    assert_eq!(store.get(&[(10, large[0])]).expect("it can be read"), expected, "and what is alive is");
    store.add(&KeysOfRun { id: 8, bucket: 10, keys: &large[5..6], times: &[4] }).expect("room");
    drop(store);
    let mut store = open();
    assert_eq!(store.runs().expect("it can be read"), BTreeMap::from([(8, 1), (u64::MAX, 3)]));
    assert_eq!(store.get(&[(10, large[5]), (10, large[1])]).expect("read"), [found(8, 4), found(u64::MAX, i64::MIN)]);
    store.keep(&BTreeSet::new(), i64::MAX).expect("it can be written");
    assert_eq!(store.runs().expect("it can be read"), BTreeMap::new());
}
