use std::fs;
use std::path::PathBuf;

use super::{Setting, commit, rows, visible, writer};
use crate::Store;
use weir_model::ErrorKind;

/// Two committed segments, the first of which is `.0`.
fn two_segments(setting: &Setting) -> (PathBuf, PathBuf) {
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..2 {
        writer.append(&rows(epoch * 10..epoch * 10 + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), 1);
    }
    let table = store.snapshot().expect("a snapshot").tables["logs"].clone();
    (table.segments[0].path.clone(), table.segments[1].path.clone())
}

/// After `damage` the other segment is still read, and the trouble is named, also by the next start.
fn check(damage: impl Fn(&PathBuf, &PathBuf), verify: bool, reason: &str) {
    let setting = Setting::new();
    let (one, two) = two_segments(&setting);
    damage(&one, &two);
    for _ in 0..2 {
        let store = setting.open().expect("a damaged segment does not keep the store from opening");
        if verify {
            store.verify().expect("verified");
        }
        assert_eq!(visible(&store), (10..20).collect::<Vec<_>>(), "{reason}");
        let troubles = store.snapshot().expect("a snapshot").troubles;
        assert_eq!(troubles.len(), 1, "{reason}");
        assert_eq!((troubles[0].table.as_str(), &troubles[0].path, troubles[0].rows), ("logs", &one, 10));
        assert!(troubles[0].reason.contains(reason), "{}", troubles[0].reason);
    }
    let reader = Store::open_read_only(setting.path()).expect("opened");
    assert_eq!(reader.troubles().len(), 1, "readers hear of it too");
}

fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_missing_segment_is_named_and_queries_go_on() {
    check(|one, _| fs::remove_file(one).expect("removed"), false, "cannot be opened");
}

#[test]
fn a_scrub_goes_from_segment_to_segment_and_finds_what_no_reader_has_noticed() {
    let setting = Setting::new();
    let (one, two) = two_segments(&setting);
    let store = setting.open().expect("opened");
    assert!(store.scrub(1).expect("scrubbed").is_empty());
    let (first, second) = if one < two { (one, two) } else { (two, one) };
    flip(&first, 100);
    flip(&second, 100);
    let found = |bytes: u64| -> Vec<PathBuf> {
        store.scrub(bytes).expect("scrubbed").into_iter().map(|trouble| trouble.path).collect()
    };
    assert_eq!(found(1), [second], "one at a time, after the one before");
    assert_eq!(found(1), [first], "and again from the beginning");
    assert!(found(u64::MAX).is_empty());
}

#[test]
fn a_cut_segment_is_named_and_queries_go_on() {
    check(
        |one, _| fs::OpenOptions::new().write(true).open(one).expect("opened").set_len(100).expect("cut"),
        false,
        "has 100 bytes",
    );
}

#[test]
fn a_flipped_bit_anywhere_is_found_by_verify() {
    for at in [0, 4, 40, 200] {
        check(|one, _| flip(one, at), true, "does not match its checksum");
    }
}

#[test]
fn a_segment_swapped_with_another_is_found_by_verify() {
    let swap = |one: &PathBuf, two: &PathBuf| assert!(fs::copy(two, one).expect("copied") > 0);
    check(swap, true, "");
}

#[test]
fn compaction_never_merges_damage() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..20 {
        writer.append(&rows(epoch * 10..epoch * 10 + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), 1);
    }
    flip(&store.snapshot().expect("a snapshot").tables["logs"].segments[3].path, 10);
    let error = store.compact_once().expect_err("the damage is noticed");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("does not match its checksum"), "{}", error.full());
    store.compact_once().expect("the next goes on without it").expect("merged");
    assert_eq!(visible(&store), (0..30).chain(40..200).collect::<Vec<_>>());
    assert_eq!(store.troubles().len(), 1);
}

#[test]
fn a_damaged_catalog_is_refused_with_its_name() {
    let setting = Setting::new();
    two_segments(&setting);
    let path = setting.path().join("catalog.sqlite");
    let mut bytes = fs::read(&path).expect("read");
    bytes[..200].fill(0xff);
    fs::write(&path, bytes).expect("written");
    let error = setting.open().expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("catalog.sqlite") && error.message.contains("restore"), "{}", error.message);
}

#[test]
fn a_commit_that_was_tampered_with_is_corrupt() {
    let setting = Setting::new();
    two_segments(&setting);
    let catalog = rusqlite::Connection::open(setting.path().join("catalog.sqlite")).expect("opened");
    catalog.execute("UPDATE commits SET body = replace(body, 'plan', 'plot')", []).expect("written");
    drop(catalog);
    let store = setting.open().expect("opened");
    let error = super::block_on(weir_model::CommitPoint::last(&*store, "p")).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("epoch 1 of pipeline p"), "{}", error.message);
}
