//! Keyed states, held to the same suite, and what they cost in memory and in files that are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use weir_model::{ErrorKind, SeamError, SeamResult};

use super::conformance::{Act, Life, check, digest, play};
use super::{KeyStore, KeyedState, KeysOfRun, Spilling, StoredKey};
use crate::keys::Digest;

/// What a store has: of runs how many keys, of each key in a bucket its run and time.
type Kept = (BTreeMap<u64, u64>, BTreeMap<(i64, Digest), StoredKey>);

/// A store as simple as can be, that other lives find again.
#[derive(Clone, Debug, Default)]
struct Simple(Arc<Mutex<Kept>>);

impl Simple {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().expect("one thread")
    }
}

impl KeyStore for Simple {
    fn runs(&mut self) -> SeamResult<BTreeMap<u64, u64>> {
        Ok(self.kept().0.clone())
    }

    fn keep(&mut self, alive: &BTreeSet<u64>, first: i64) -> SeamResult<()> {
        self.kept().0.retain(|run, _| alive.contains(run));
        self.kept().1.retain(|(bucket, _), _| *bucket >= first);
        Ok(())
    }

    fn add(&mut self, run: &KeysOfRun<'_>) -> SeamResult<()> {
        let mut kept = self.kept();
        kept.0.insert(run.id, run.keys.len() as u64);
        let keys = run.keys.iter().zip(run.times);
        kept.1.extend(keys.map(|(key, time)| ((run.bucket, *key), StoredKey { run: run.id, time: *time })));
        Ok(())
    }

    fn get(&mut self, wanted: &[(i64, Digest)]) -> SeamResult<Vec<Option<StoredKey>>> {
        let kept = self.kept();
        Ok(wanted.iter().map(|wanted| kept.1.get(wanted).copied()).collect())
    }
}

/// One whose disk has failed.
#[derive(Debug)]
struct Failing;

impl Failing {
    fn error<T>() -> SeamResult<T> {
        Err(SeamError::new(ErrorKind::Closed, "the disk has failed"))
    }
}

impl KeyStore for Failing {
    fn runs(&mut self) -> SeamResult<BTreeMap<u64, u64>> {
        Ok(BTreeMap::new())
    }

    fn keep(&mut self, _: &BTreeSet<u64>, _: i64) -> SeamResult<()> {
        Ok(())
    }

    fn add(&mut self, _: &KeysOfRun<'_>) -> SeamResult<()> {
        Self::error()
    }

    fn get(&mut self, _: &[(i64, Digest)]) -> SeamResult<Vec<Option<StoredKey>>> {
        Self::error()
    }
}

#[test]
fn a_spilling_state_says_what_one_in_memory_says() {
    for seed in 0..400 {
        play(seed, || Box::new(Spilling::with_runs_of(10, 5)));
    }
}

#[test]
fn one_that_asks_a_store_says_the_same() {
    let mut stores: BTreeMap<String, Simple> = BTreeMap::new();
    check(0..400, |name| Box::new(stores.entry(name.to_owned()).or_default().clone()));
}

/// Rows of these keys, all at their own time.
fn rows(keys: std::ops::Range<u64>) -> Act {
    Act::Rows(keys.map(|key| (key, key.cast_signed())).collect())
}

#[test]
fn ten_times_as_many_keys_as_memory_holds_are_told_apart_within_it() {
    const BUDGET: usize = 1 << 17;
    for store in [None, Some(Simple::default())] {
        let bytes_per_key = if store.is_some() { 0 } else { 6 };
        let make = || -> Box<dyn KeyedState> {
            let state = Spilling::new(1_000_000_000);
            Box::new(match &store {
                Some(store) => state.in_store(Box::new(store.clone())),
                None => state,
            })
        };
        let mut life = Life::new(make);
        let (mut next, mut all, mut largest) = (0_u64, 0, 0);
        while all < 10 * BUDGET {
            assert!(life.does(&rows(next..next + 500)).starts_with("[false"));
            next += 500;
            all = next as usize * 49;
            largest = largest.max(life.state().size());
            if life.state().size() > BUDGET {
                let over = life.state().size() - BUDGET * 3 / 4;
                life.does(&Act::Release(over));
            }
        }
        assert!(largest < 2 * BUDGET + next as usize * bytes_per_key, "{largest} bytes of {next} keys");
        let said = life.does(&rows(0..1_000));
        assert!(!said.contains("false"), "what was let go is still known");
    }
}

#[test]
fn a_file_is_read_once_for_many_rows_and_not_for_rows_that_it_does_not_have() {
    let same_time = |keys: std::ops::Range<u64>| Act::Rows(keys.map(|key| (key, 5)).collect());
    let mut life = Life::new(|| Box::new(Spilling::new(1_000)));
    life.does(&same_time(0..500));
    life.does(&Act::Release(usize::MAX));
    let before = life.files.loads();
    life.does(&same_time(1_000..1_500));
    assert_eq!(life.files.loads(), before, "others");
    life.does(&same_time(0..100));
    assert_eq!(life.files.loads(), before + 1);
    life.does(&same_time(0..100));
    assert_eq!(life.files.loads(), before + 1, "they are in memory again");
}

#[test]
fn a_new_life_reads_no_file_of_which_the_store_has_the_keys() {
    let store = Simple::default();
    let mut life = Life::new(|| Box::new(Spilling::new(1_000).in_store(Box::new(store.clone()))));
    life.does(&rows(0..500));
    life.does(&Act::Release(usize::MAX));
    let before = life.files.loads();
    life.does(&Act::Crash(0));
    assert_eq!(life.files.loads(), before, "it was told which runs the store has");
    assert!(!life.does(&rows(0..500)).contains("false"));
    store.kept().0.clear();
    life.does(&Act::Crash(0));
    assert_eq!(life.files.loads(), before + 1, "what the store lost is read again");
    assert!(!life.does(&rows(0..500)).contains("false"));
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_an_unknown_key() {
    let mut life = Life::new(|| Box::new(Spilling::new(1_000)));
    life.does(&rows(1..2));
    life.does(&Act::Release(usize::MAX));
    life.files.runs.lock().expect("one thread").clear();
    assert_eq!(life.state().fetch(&[(digest(1), 1)]).expect_err("gone").kind, ErrorKind::Corrupt);
    life.state().fetch(&[(digest(2), 1)]).expect("no file has it");
}

#[test]
fn keys_that_a_store_does_not_take_stay_in_memory_until_that_is_told() {
    let mut life = Life::new(|| Box::new(Spilling::new(1_000).in_store(Box::new(Failing))));
    life.does(&rows(0..100));
    let before = life.state().size();
    life.does(&Act::Release(usize::MAX));
    assert!(life.state().size() >= before / 2, "nothing was let go that nobody has");
    assert!((0..100).all(|key| life.state().get(digest(key), key.cast_signed()).is_some()));
    assert_eq!(life.state().fetch(&[]).expect_err("it is told with the next rows").kind, ErrorKind::Closed);
}
