use std::time::Duration;

use super::{Setting, block_on, commit, commit_of, files, ids, rows, visible, writer};
use crate::{StoreConfig, TableConfig};
use weir_model::{CommitPoint, Epoch, ErrorKind, Offset, PartitionId, Prepared};

#[test]
fn rows_are_visible_at_once_and_exactly_once_through_flush_commit_and_restart() {
    let mut setting = Setting::new();
    setting.config = StoreConfig { segment_rows_max: 25, ..StoreConfig::default() };
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for id in 0..10 {
        writer.append(&rows(id * 10..(id + 1) * 10)).expect("taken");
        assert_eq!(visible(&store), (0..(id + 1) * 10).collect::<Vec<_>>());
    }
    let prepared = writer.prepare(Epoch(1)).expect("prepared");
    assert_eq!(prepared.segments.iter().map(|segment| segment.rows).sum::<u64>(), 100);
    assert!(prepared.segments.len() > 1, "segments are written before the barrier when enough rows are there");
    assert_eq!(visible(&store), (0..100).collect::<Vec<_>>());
    writer.append(&rows(100..110)).expect("rows of the next epoch may come before the commit");
    block_on(store.commit(commit_of("p", 1, 7, prepared))).expect("committed");
    writer.committed(Epoch(1)).expect("told");
    assert_eq!(visible(&store), (0..110).collect::<Vec<_>>());
    drop(writer);
    assert_eq!(visible(&store), (0..100).collect::<Vec<_>>(), "what is not committed goes with its writer");
    drop(store);
    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), (0..100).collect::<Vec<_>>());
    let last = block_on(store.last("p")).expect("read").expect("a commit");
    assert_eq!((last.epoch, last.positions["in"][&PartitionId::new("p")].offset), (Epoch(1), Offset(7)));
    assert_eq!(block_on(store.last("other")).expect("read"), None);
}

#[test]
fn an_aborted_epoch_leaves_nothing() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&rows(0..10)).expect("taken");
    writer.prepare(Epoch(1)).expect("prepared");
    let held = store.snapshot().expect("a snapshot");
    writer.append(&rows(10..20)).expect("taken");
    writer.abort().expect("aborted");
    writer.abort().expect("aborting again changes nothing");
    assert!(store.snapshot().expect("a snapshot").tables.is_empty(), "a table begins with its first commit");
    assert_eq!(ids(&*setting.vfs, &held), (0..10).collect::<Vec<_>>(), "a reader keeps what it saw");
    drop(held);
    store.sweep().expect("swept");
    assert!(files(&setting).is_empty());
    writer.append(&rows(20..30)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    assert_eq!(visible(&store), (20..30).collect::<Vec<_>>());
}

#[test]
fn a_commit_may_be_repeated_and_an_epoch_is_committed_once() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&rows(0..10)).expect("taken");
    let prepared = writer.prepare(Epoch(3)).expect("prepared");
    let first = commit_of("p", 3, 7, prepared);
    block_on(store.commit(first.clone())).expect("committed");
    block_on(store.commit(first)).expect("the same again is no harm");
    assert_eq!(visible(&store), (0..10).collect::<Vec<_>>());
    let other = block_on(store.commit(commit_of("p", 3, 8, Prepared::default()))).expect_err("refused");
    assert_eq!(other.kind, ErrorKind::Closed);
    assert!(other.message.contains("epoch 3 is committed already"), "{}", other.message);
}

#[test]
fn going_back_to_an_older_commit_undoes_positions_and_rows_together() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 1..=12 {
        writer.append(&rows(epoch * 10..epoch * 10 + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), epoch.cast_unsigned());
        while store.compact_once().expect("compacted").is_some() {}
    }
    let kept = || -> Vec<u64> { store.commits("p").expect("read").iter().map(|commit| commit.epoch.0).collect() };
    assert_eq!(kept(), [12, 11, 10, 9, 8, 7, 6, 5], "the newest first, and no more than are kept");
    let as_epoch = |epoch| commit_of("p", epoch, 10, Prepared::default());
    assert_eq!(block_on(store.go_back(Epoch(4), as_epoch(13))).expect_err("too old").kind, ErrorKind::Config);
    assert_eq!(block_on(store.go_back(Epoch(10), as_epoch(12))).expect_err("an epoch twice").kind, ErrorKind::Config);
    assert_eq!(visible(&store), (10..130).collect::<Vec<_>>(), "what is refused changes nothing");
    block_on(store.go_back(Epoch(10), as_epoch(13))).expect("back");
    assert_eq!(visible(&store), (10..110).collect::<Vec<_>>());
    assert_eq!(kept(), [13, 10, 9, 8, 7, 6, 5], "epochs go on where they were");
    drop((writer, store));
    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), (10..110).collect::<Vec<_>>());
    let last = block_on(store.last("p")).expect("read").expect("a commit");
    assert_eq!(last, as_epoch(13));
    setting.pass(StoreConfig::default().grace + Duration::from_secs(1));
    store.sweep().expect("swept");
    let held = store.snapshot().expect("a snapshot");
    assert_eq!(files(&setting).len(), held.tables["logs"].segments.len(), "the files that were taken back are gone");
}

#[test]
fn a_table_written_to_every_second_keeps_few_files_and_every_row() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    let mut most = 0;
    for epoch in 0..300 {
        writer.append(&rows(epoch * 3..epoch * 3 + 3)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), 1);
        while store.compact_once().expect("compacted").is_some() {}
        most = most.max(store.snapshot().expect("a snapshot").tables["logs"].segments.len());
    }
    assert!(most < 32, "{most} segments");
    assert_eq!(visible(&store), (0..900).collect::<Vec<_>>());
    assert!(files(&setting).len() > 300, "files are kept for readers in other processes");
    let held = store.snapshot().expect("a snapshot");
    setting.pass(StoreConfig::default().grace + Duration::from_secs(1));
    store.sweep().expect("swept");
    assert_eq!(files(&setting).len(), held.tables["logs"].segments.len());
    drop((writer, store));
    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), (0..900).collect::<Vec<_>>());
    assert_eq!(store.troubles(), []);
}

#[test]
fn a_reader_of_this_process_keeps_its_files_beyond_the_grace() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..20 {
        writer.append(&rows(epoch * 3..epoch * 3 + 3)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), 1);
    }
    let before = store.snapshot().expect("a snapshot");
    let report = store.compact_once().expect("compacted").expect("something to do");
    assert_eq!((report.table.as_str(), report.segments, report.rows), ("logs", 13, 39));
    setting.pass(Duration::from_secs(3600));
    assert_eq!(store.sweep().expect("swept"), 0);
    assert_eq!(ids(&*setting.vfs, &before), (0..60).collect::<Vec<_>>());
    assert_eq!(visible(&store), (0..60).collect::<Vec<_>>());
    drop(before);
    assert_eq!(store.sweep().expect("swept"), 13);
}

#[test]
fn two_writers_share_a_table() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let (mut one, mut two) = (writer(&store), writer(&store));
    one.append(&rows(0..5)).expect("taken");
    two.append(&rows(5..10)).expect("taken");
    assert_eq!(visible(&store), (0..10).collect::<Vec<_>>());
    commit(&store, &mut one, 1, 1);
    two.abort().expect("aborted");
    assert_eq!(visible(&store), (0..5).collect::<Vec<_>>());
}

#[test]
fn a_name_that_means_something_to_a_path_is_no_table() {
    let store = Setting::new().open().expect("opened");
    let long = "a".repeat(64);
    for name in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "A",
        "1a",
        "a.",
        ".a",
        "a..b",
        "a.b.c",
        "a.B",
        "a./b",
        "../a.b",
        "a.b/../c",
        "a b",
        "a\0b",
        "a%2fb",
        "a:b",
        "~a",
        "public.logs",
        "live.logs",
        "pg_catalog.t",
        "information_schema.t",
        &long,
        &format!("a.{long}"),
        &format!("{long}.a"),
    ] {
        let error = store.writer(name, TableConfig::default()).expect_err(name);
        assert_eq!(error.kind, ErrorKind::Config);
    }
    store.writer(&"a".repeat(63), TableConfig::default()).expect("the longest name");
    store.writer(&format!("{0}.{0}", "a".repeat(63)), TableConfig::default()).expect("and a tenant's");
}
