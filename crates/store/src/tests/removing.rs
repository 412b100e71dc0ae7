//! Committed rows that are taken out of their table.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;
use weir_disk::{Fault, SimDisk};

use super::{Setting, commit, files, ids, rows, visible, writer};

/// Those rows whose id is below `limit`.
fn below(limit: i64) -> impl FnMut(&RecordBatch) -> weir_model::SeamResult<BooleanArray> {
    move |batch| {
        let ids = batch.column_by_name("id").expect("id").as_primitive::<Int64Type>();
        Ok(ids.iter().map(|id| id.map(|id| id < limit)).collect())
    }
}

#[test]
fn what_is_removed_is_gone_at_once_and_for_good_and_everything_else_stays() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..3 {
        writer.append(&rows(epoch * 10..(epoch + 1) * 10)).expect("taken");
        commit(&store, &mut writer, epoch.unsigned_abs() + 1, 1);
    }
    writer.append(&rows(30..35)).expect("not committed yet");
    let held = store.snapshot().expect("a snapshot");
    assert_eq!(store.remove_committed("logs", below(15)).expect("removed"), 15);
    assert_eq!(visible(&store), (15..35).collect::<Vec<_>>());
    assert_eq!(ids(&*setting.vfs, &held), (0..35).collect::<Vec<_>>(), "a reader keeps what it saw");
    assert_eq!(store.remove_committed("logs", below(15)).expect("nothing left"), 0);
    assert_eq!(store.remove_committed("nobody", below(15)).expect("no such table"), 0);

    let mut read = Vec::new();
    let mut take = |batch: &RecordBatch| {
        read.extend(batch.column_by_name("id").expect("id").as_primitive::<Int64Type>().values().iter().copied());
        Ok(())
    };
    store.each_committed("logs", &mut take).expect("read");
    read.sort_unstable();
    assert_eq!(read, (15..30).collect::<Vec<_>>(), "what is not committed is not read");
    drop((held, writer, store));
    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), (15..30).collect::<Vec<_>>());
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert_eq!(files(&setting).len(), 2, "the files that were replaced are deleted");
}

#[test]
fn an_emptied_table_takes_rows_again() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..2 {
        writer.append(&rows(epoch * 10..(epoch + 1) * 10)).expect("taken");
        commit(&store, &mut writer, epoch.unsigned_abs() + 1, 1);
    }
    assert_eq!(store.remove_committed("logs", below(12)).expect("removed"), 12);
    assert_eq!(store.remove_committed("logs", below(100)).expect("all the rest"), 8);
    assert!(visible(&store).is_empty());
    writer.append(&rows(20..30)).expect("taken");
    commit(&store, &mut writer, 3, 1);
    assert_eq!(visible(&store), (20..30).collect::<Vec<_>>(), "an empty table takes rows again");
}

#[test]
fn power_lost_at_any_step_of_a_removal_leaves_all_of_it_or_none() {
    for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
        for at in 0.. {
            let disk = SimDisk::new(at);
            let setting = Setting::on(Arc::new(disk.clone()), true);
            let store = setting.open().expect("opened");
            let mut writer = writer(&store);
            for epoch in 0..3 {
                writer.append(&rows(epoch * 10..(epoch + 1) * 10)).expect("taken");
                commit(&store, &mut writer, epoch.unsigned_abs() + 1, 1);
            }
            drop(writer);
            disk.fail_at(disk.operations() + at, fault);
            let removed = store.remove_committed("logs", below(15)).is_ok();
            if removed && disk.is_powered() {
                assert!(at > 3, "the story has only {at} steps");
                break;
            }
            drop(store);
            disk.crash();
            disk.restart();
            let store = setting.open().expect("recovered");
            let seen = visible(&store);
            let is_whole = seen == (15..30).collect::<Vec<_>>() || (!removed && seen == (0..30).collect::<Vec<_>>());
            assert!(is_whole, "{fault:?} at {at}: {seen:?}");
            assert_eq!(
                (store.troubles(), store.verify().expect("verified")),
                (Vec::new(), Vec::new()),
                "{fault:?} at {at}"
            );
            store.remove_committed("logs", below(15)).expect("asked again");
            assert_eq!(visible(&store), (15..30).collect::<Vec<_>>(), "{fault:?} at {at}");
        }
    }
}

#[test]
fn what_is_neither_true_nor_false_stays() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&rows(0..4)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    let unsure = |_: &RecordBatch| Ok(BooleanArray::from(vec![Some(true), None, Some(false), None]));
    assert_eq!(store.remove_committed("logs", unsure).expect("removed"), 1);
    assert_eq!(visible(&store).len(), 3);
}
