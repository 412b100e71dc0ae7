//! What every keyed state must do: the same as one that is in memory and nowhere else, whatever is let go and whenever it is
//! sealed, restored and asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use proptest::prelude::*;
use weir_model::{ErrorKind, SeamError, SeamResult};
use xxhash_rust::xxh3::xxh3_128;

use super::in_memory::InMemory;
use super::{KeyedState, Spilling};
use crate::keys::Digest;
use crate::run::{Run, RunRows, RunStore};

/// How long a bucket is.
const LENGTH: i64 = 10;

/// The runs of the last snapshot; how often one was loaded.
#[derive(Debug, Default)]
struct Files {
    runs: Mutex<BTreeMap<u64, RecordBatch>>,
    loads: Mutex<usize>,
}

impl RunStore for Files {
    fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        *self.loads.lock().expect("one thread") += 1;
        let found = self.runs.lock().expect("one thread").get(&id).cloned();
        found.ok_or_else(|| SeamError::new(ErrorKind::Corrupt, format!("no run {id}")))
    }
}

impl Files {
    fn keep(&self, runs: &[Run]) {
        let all: Vec<_> = runs.iter().map(|run| (run.id, run.rows.load(run.id).expect("it is somewhere"))).collect();
        *self.runs.lock().expect("one thread") = all.into_iter().collect();
    }
}

fn digest(key: u64) -> Digest {
    xxh3_128(&key.to_le_bytes())
}

/// What is done to a keyed state.
#[derive(Clone, Debug)]
enum Act {
    /// Rows with these keys and times come together: each is put unless it is there.
    Rows(Vec<(u64, i64)>),
    Expire(i64),
    /// A snapshot, after which so much is let go.
    Release(usize),
    /// A snapshot, and another life that begins with it.
    Crash,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let rows = prop::collection::vec((0..40_u64, 0..80_i64), 1..12);
    let act = prop_oneof![
        5 => rows.prop_map(Act::Rows),
        1 => (0..60_i64).prop_map(Act::Expire),
        2 => prop_oneof![Just(0), Just(200), Just(usize::MAX)].prop_map(Act::Release),
        1 => Just(Act::Crash),
    ];
    prop::collection::vec(act, 1..25)
}

/// A state with what a shell has around it.
struct Life {
    state: Box<dyn KeyedState>,
    make: fn() -> Box<dyn KeyedState>,
    files: Arc<Files>,
    next_run: u64,
}

impl Life {
    fn new(make: fn() -> Box<dyn KeyedState>) -> Self {
        Self { state: make(), make, files: Arc::default(), next_run: 0 }
    }

    fn seal(&mut self) -> Vec<Run> {
        let runs = self.state.seal(3, &mut self.next_run);
        self.files.keep(&runs);
        runs
    }

    /// What it says to an act.
    fn does(&mut self, act: &Act) -> String {
        match act {
            Act::Rows(rows) => {
                let wanted: Vec<(Digest, i64)> = rows.iter().map(|(key, time)| (digest(*key), *time)).collect();
                self.state.fetch(&wanted).expect("every file is there");
                let mut said = Vec::new();
                for (key, time) in wanted {
                    let is_there = self.state.get(key, time).is_some();
                    said.push(is_there);
                    if !is_there {
                        self.state.put(key, time);
                    }
                }
                format!("{said:?}, then {}", self.state.len())
            }
            Act::Expire(reached) => {
                self.state.expire(*reached);
                format!("{} are left, until {:?}", self.state.len(), self.state.next_expiry())
            }
            Act::Release(wanted) => {
                self.seal();
                let store: Arc<dyn RunStore> = self.files.clone();
                self.state.release(*wanted, &store);
                format!("{} are left", self.state.len())
            }
            Act::Crash => {
                let runs = self.seal();
                // One that is in memory alone has nothing to begin anew with.
                if !runs.is_empty() || self.state.len() == 0 {
                    let meta = self.state.meta();
                    let store: Arc<dyn RunStore> = self.files.clone();
                    let stored = runs.into_iter().map(|run| Run {
                        rows: RunRows::Stored { store: Arc::clone(&store), bytes: run.rows.bytes() },
                        ..run
                    });
                    self.state = (self.make)();
                    self.state.restore(&meta, &stored.collect::<Vec<_>>()).expect("it is its own snapshot");
                }
                format!("{} are left, until {:?}", self.state.len(), self.state.next_expiry())
            }
        }
    }
}

fn in_memory() -> Box<dyn KeyedState> {
    Box::new(InMemory::new(LENGTH))
}

fn spilling() -> Box<dyn KeyedState> {
    Box::new(Spilling::with_runs_of(LENGTH, 5))
}

proptest! {
    #[test]
    fn a_spilling_state_says_what_one_in_memory_says(acts in acts()) {
        let (mut expected, mut found) = (Life::new(in_memory), Life::new(spilling));
        for (index, act) in acts.iter().enumerate() {
            prop_assert_eq!(expected.does(act), found.does(act), "act {}", index);
        }
    }
}

#[test]
fn ten_times_as_many_keys_as_memory_holds_are_told_apart_within_it() {
    const BUDGET: usize = 1 << 17;
    let mut life = Life::new(|| Box::new(Spilling::new(1_000_000_000)));
    let (mut next, mut all, mut largest) = (0_u64, 0, 0);
    while all < 10 * BUDGET {
        let rows: Vec<(u64, i64)> = (next..next + 500).map(|key| (key, key.cast_signed())).collect();
        next += 500;
        assert!(life.does(&Act::Rows(rows)).starts_with("[false"));
        all = next as usize * 49;
        largest = largest.max(life.state.size());
        if life.state.size() > BUDGET {
            let over = life.state.size() - BUDGET * 3 / 4;
            life.does(&Act::Release(over));
        }
    }
    // Of a key that is away six bytes stay.
    assert!(largest < 2 * BUDGET + next as usize * 6, "{largest} bytes of {next} keys");
    let old: Vec<(u64, i64)> = (0..1_000_u64).map(|key| (key, key.cast_signed())).collect();
    let said = life.does(&Act::Rows(old));
    assert!(!said.contains("false"), "what was let go is still known");
}

#[test]
fn a_file_is_read_once_for_many_rows_and_not_for_rows_that_it_does_not_have() {
    let mut life = Life::new(|| Box::new(Spilling::new(1_000)));
    life.does(&Act::Rows((0..500).map(|key| (key, 5)).collect()));
    life.does(&Act::Release(usize::MAX));
    let loads = |life: &Life| *life.files.loads.lock().expect("one thread");
    let before = loads(&life);
    life.does(&Act::Rows((1_000..1_500).map(|key| (key, 5)).collect()));
    assert_eq!(loads(&life), before, "others");
    life.does(&Act::Rows((0..100).map(|key| (key, 5)).collect()));
    assert_eq!(loads(&life), before + 1);
    life.does(&Act::Rows((0..100).map(|key| (key, 5)).collect()));
    assert_eq!(loads(&life), before + 1, "they are in memory again");
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_an_unknown_key() {
    let mut life = Life::new(|| Box::new(Spilling::new(1_000)));
    life.does(&Act::Rows(vec![(1, 5)]));
    life.does(&Act::Release(usize::MAX));
    life.files.runs.lock().expect("one thread").clear();
    assert_eq!(life.state.fetch(&[(digest(1), 5)]).expect_err("gone").kind, ErrorKind::Corrupt);
    life.state.fetch(&[(digest(2), 5)]).expect("no file has it");
}
