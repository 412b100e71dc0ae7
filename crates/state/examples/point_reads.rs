//! What it costs to ask RocksDB for keys one by one that a table in memory would know: time per key, and memory. Behind
//! ADR 0019; measures nothing else.
//!
//! `cargo run --release -p weir-state --features rocksdb --example point_reads [MILLION_KEYS]`

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use weir_disk::Disk;
use weir_engine::KeysOfRun;
use weir_state::SnapshotStore;

/// Keys of a run, and those that are asked for together: a batch.
const RUN: usize = 65_536;
const BATCH: usize = 8_192;
const BATCHES: usize = 100;

fn main() {
    let millions: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let keys = millions * 1_000_000;
    let folder = std::env::temp_dir().join(format!("weir-point-reads-{}", std::process::id()));
    let before = resident();
    in_memory(keys, before);
    in_rocksdb(keys, &folder, resident());
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

/// The digest of a key: evenly distributed, as those of the engine are.
fn digest(number: usize) -> u128 {
    let half = |salt: u64| {
        (number as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    u128::from(half(1)) << 64 | u128::from(half(2))
}

/// The keys of batches, from all over.
fn batches(keys: usize) -> impl Iterator<Item = Vec<(i64, u128)>> {
    (0..BATCHES).map(move |batch| {
        (0..BATCH).map(|row| (0, digest((batch * BATCH + row).wrapping_mul(2_654_435_761) % keys))).collect()
    })
}

fn in_memory(keys: usize, before: u64) {
    let began = Instant::now();
    let mut known: HashMap<u128, u64> = HashMap::new();
    known.extend((0..keys).map(|key| (digest(key), key as u64)));
    say("memory", "put", began, keys, resident() - before);
    let began = Instant::now();
    let found: usize = batches(keys).map(|batch| batch.iter().filter(|(_, key)| known.contains_key(key)).count()).sum();
    assert_eq!(found, BATCH * BATCHES);
    say("memory", "get", began, found, resident() - before);
}

fn in_rocksdb(keys: usize, folder: &Path, before: u64) {
    let store = SnapshotStore::new(Arc::new(Disk), folder);
    let stores = store.key_stores("p").expect("a name");
    let mut store = stores.open("step").expect("built with RocksDB");
    let began = Instant::now();
    for run in 0..keys.div_ceil(RUN) {
        let of_run: Vec<u128> = (run * RUN..((run + 1) * RUN).min(keys)).map(digest).collect();
        let times = vec![0; of_run.len()];
        store.add(&KeysOfRun { id: run as u64, bucket: 0, keys: &of_run, times: &times }).expect("there is room");
    }
    say("rocksdb", "put", began, keys, resident().saturating_sub(before));
    for round in ["get", "get again"] {
        let began = Instant::now();
        let found = batches(keys).map(|batch| store.get(&batch).expect("read").iter().flatten().count());
        let found: usize = found.sum();
        assert_eq!(found, BATCH * BATCHES);
        say("rocksdb", round, began, found, resident().saturating_sub(before));
    }
    let began = Instant::now();
    let absent: Vec<(i64, u128)> = (keys..keys + BATCH * BATCHES).map(|key| (0, digest(key))).collect();
    let found: usize = absent.chunks(BATCH).map(|batch| store.get(batch).expect("read").iter().flatten().count()).sum();
    assert_eq!(found, 0);
    say("rocksdb", "get of unknown ones", began, absent.len(), resident().saturating_sub(before));
}

fn say(place: &str, what: &str, began: Instant, keys: usize, memory: u64) {
    let each = began.elapsed().as_secs_f64() / keys as f64 * 1e9;
    println!("{place:8} {what:20} {each:>8.0} ns per key, {:>7.1} MB", memory as f64 / 1e6);
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has one");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}
