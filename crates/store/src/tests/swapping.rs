//! Committed rows that are exchanged for others: at once, once, and back.

use std::collections::HashMap;
use std::sync::Arc;

use weir_model::{Epoch, ErrorKind};

use super::{Setting, commit, rows, visible, writer};
use crate::{Store, Swap, SwapWay, TableSwap, TableSwapped, digests, union_of};

fn swap(way: SwapWay) -> Swap {
    Swap { id: "logs-1".to_owned(), pipeline: "p".to_owned(), since: Epoch(3), way }
}

/// Takes out the rows with the ids of `go` and brings in those of `come`.
fn of_table(go: std::ops::Range<i64>, come: std::ops::Range<i64>) -> TableSwap<'static> {
    let mut gone: HashMap<u128, u64> = HashMap::new();
    if !go.is_empty() {
        digests(&as_stored(go)).expect("digests").into_iter().for_each(|digest| *gone.entry(digest).or_default() += 1);
    }
    let batch = as_stored(come.clone());
    let schema = union_of(&batch.schema(), &batch.schema());
    let come = if come.is_empty() { Vec::new() } else { vec![Ok(batch)] };
    TableSwap { table: "logs".to_owned(), schema, time: None, go: gone, come: Box::new(come.into_iter()) }
}

/// Rows as the table shows them.
fn as_stored(ids: std::ops::Range<i64>) -> arrow::array::RecordBatch {
    let batch = rows(if ids.is_empty() { 0..1 } else { ids });
    let plain = crate::schema::plain(&batch).expect("plain");
    crate::as_shown(&plain, &plain.schema()).expect("shown")
}

fn three_epochs(store: &Arc<Store>) -> crate::TableWriter {
    let mut writer = writer(store);
    for epoch in 0..3 {
        writer.append(&rows(epoch * 10..(epoch + 1) * 10)).expect("taken");
        commit(store, &mut writer, epoch.unsigned_abs() + 1, 1);
    }
    writer
}

#[test]
fn rows_go_and_come_at_once_and_the_way_back_brings_them_back() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let writer = three_epochs(&store);
    let swapped = store.swap(&swap(SwapWay::In), vec![of_table(5..15, 100..107)]).expect("swapped");
    assert_eq!(swapped, [TableSwapped { table: "logs".to_owned(), gone: 10, come: 7 }]);
    let after: Vec<i64> = (0..5).chain(15..30).chain(100..107).collect();
    assert_eq!(visible(&store), after);
    let again = store.swap(&swap(SwapWay::In), vec![of_table(0..0, 100..107)]).expect_err("once");
    assert_eq!(again.kind, ErrorKind::Config);
    drop((writer, store));

    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), after, "it is there after a restart");
    assert_eq!(store.is_swapped("logs-1").expect("known"), Some(true));
    store.swap(&swap(SwapWay::Out), vec![of_table(100..107, 5..15)]).expect("back");
    assert_eq!(visible(&store), (0..30).collect::<Vec<_>>());
    assert_eq!(store.is_swapped("logs-1").expect("known"), Some(false));
}

#[test]
fn when_a_row_that_goes_is_not_there_nothing_happens() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let _writer = three_epochs(&store);
    let error = store.swap(&swap(SwapWay::In), vec![of_table(25..35, 100..107)]).expect_err("five are missing");
    assert!(error.message.contains("5 rows of the table logs are not there any more"), "{}", error.message);
    let back = store.swap(&swap(SwapWay::Out), vec![of_table(0..5, 0..0)]).expect_err("it was never swapped in");
    assert_eq!(back.kind, ErrorKind::Config);
    let mut of_another = swap(SwapWay::In);
    of_another.pipeline = "somebody else".to_owned();
    store.swap(&of_another, vec![of_table(0..5, 0..0)]).expect_err("the rows of others are not touched");
    assert_eq!(visible(&store), (0..30).collect::<Vec<_>>());
    assert_eq!(store.is_swapped("logs-1").expect("known"), None);
}

#[test]
fn nobody_goes_back_behind_the_commit_that_the_rows_are_as_old_as() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let _writer = three_epochs(&store);
    assert_eq!(store.commits("p").expect("kept").len(), 3);
    store.swap(&swap(SwapWay::In), vec![of_table(0..1, 100..101)]).expect("swapped");
    let kept: Vec<u64> = store.commits("p").expect("kept").iter().map(|kept| kept.epoch.0).collect();
    assert_eq!(kept, [3]);
}
