//! Keys in RocksDB: held to the suite of every keyed state, and to what a kill, a torn write and damage may do to them.

use std::fs;
use std::path::{Path, PathBuf};

use weir_engine::{KeyStore, KeysOfRun, StoredKey, key_conformance};
use weir_model::ErrorKind;

use super::rocks::RocksKeys;

fn open(folder: &Path) -> RocksKeys {
    RocksKeys::open(folder.to_owned()).expect("a folder of its own")
}

#[test]
fn keys_in_rocksdb_say_what_keys_in_memory_say() {
    let folder = tempfile::tempdir().expect("a folder");
    key_conformance::check(0..40, |name| Box::new(open(&folder.path().join(name))));
}

/// Runs of a hundred keys each, of which each key tells its run.
fn add(store: &mut RocksKeys, runs: std::ops::Range<u64>) {
    for run in runs {
        let keys: Vec<u128> = (0..100).map(|key| u128::from(run) << 64 | key).collect();
        let times: Vec<i64> = (0..100).collect();
        store.add(&KeysOfRun { id: run, bucket: 5, keys: &keys, times: &times }).expect("there is room");
    }
}

/// Of every run that it says it has, it has all keys.
fn check_whole(store: &mut RocksKeys) -> usize {
    let runs = store.runs().expect("it can be read");
    for (run, keys) in &runs {
        let wanted: Vec<(i64, u128)> = (0..*keys).map(|key| (5, u128::from(*run) << 64 | u128::from(key))).collect();
        let found = store.get(&wanted).expect("it can be read");
        let expected = (0..*keys).map(|time| Some(StoredKey { run: *run, time: time.cast_signed() }));
        assert!(found.into_iter().eq(expected), "run {run}");
    }
    runs.len()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in files(from, "") {
        fs::copy(&file, to.join(file.file_name().expect("it has a name"))).expect("copied");
    }
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_file() && path.to_string_lossy().ends_with(suffix)).collect()
}

#[test]
fn after_a_kill_and_a_torn_write_what_it_says_that_it_has_it_has_whole() {
    let place = tempfile::tempdir().expect("a folder");
    let first = place.path().join("first");
    let mut store = open(&first);
    add(&mut store, 0..20);
    // A copy of the files while they are in use is what a kill leaves.
    copy(&first, &place.path().join("killed"));
    assert_eq!(check_whole(&mut open(&place.path().join("killed"))), 20);
    let (mut least, mut most) = (usize::MAX, 0);
    for cut in 1..40 {
        let torn = place.path().join(format!("torn-{cut}"));
        copy(&first, &torn);
        let log = files(&torn, ".log").into_iter().max_by_key(|log| fs::metadata(log).map_or(0, |meta| meta.len()));
        let log = log.expect("what was written lately is in a log");
        let bytes = fs::metadata(&log).expect("it is there").len();
        let file = fs::OpenOptions::new().write(true).open(&log).expect("it opens");
        file.set_len(bytes * cut / 40).expect("it is cut");
        let whole = check_whole(&mut open(&torn));
        (least, most) = (least.min(whole), most.max(whole));
    }
    assert!(least <= 1 && most >= 18, "from {least} to {most} runs were left");
}

#[test]
fn what_is_damaged_is_told_and_the_next_life_begins_without_it() {
    let place = tempfile::tempdir().expect("a folder");
    let mut store = open(place.path());
    // More than memory takes before tables are written.
    add(&mut store, 0..4_000);
    drop(store);
    let tables = files(place.path(), ".sst");
    assert!(!tables.is_empty(), "tables were written");
    for table in tables {
        let mut bytes = fs::read(&table).expect("it can be read");
        // The data, not what says where it is.
        let data = bytes.len() / 2;
        bytes[..data].iter_mut().step_by(512).for_each(|byte| *byte ^= 0x55);
        fs::write(&table, bytes).expect("it can be written");
    }
    let mut store = open(place.path());
    let wanted: Vec<(i64, u128)> = (0..4_000).map(|run| (5, u128::from(run as u64) << 64)).collect();
    let damage = store.get(&wanted).expect_err("the checksums do not match");
    assert_eq!(damage.kind, ErrorKind::Corrupt, "{}", damage.full());
    drop(store);
    assert_eq!(check_whole(&mut open(place.path())), 0, "it has nothing, and does not say otherwise");
}

#[test]
fn what_is_no_database_is_thrown_away_and_one_in_use_is_refused() {
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("CURRENT"), "nonsense").expect("written");
    let mut store = open(place.path());
    add(&mut store, 0..1);
    let refused = RocksKeys::open(place.path().to_owned()).expect_err("it is open already");
    assert_eq!(refused.kind, ErrorKind::Config, "{}", refused.full());
    assert_eq!(check_whole(&mut store), 1, "and nothing happened to it");
}
