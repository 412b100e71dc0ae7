//! The search index beside a segment: made with it, missed without harm, made again.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::{Setting, commit, rows, visible, writer};
use crate::tokens::INDEXED_ROWS_MIN;
use crate::{Beside, Need, Store, TokenIndex};

const ROWS: i64 = INDEXED_ROWS_MIN as i64;

/// The only segment's path and the blocks in which its messages may have `text`.
fn found(store: &Store, text: &str) -> (PathBuf, Result<usize, String>) {
    let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
    let segment = &table.segments[0];
    let path = segment.index().expect("large enough for an index");
    let need = Need::fragment(text, Beside::Anything, Beside::Anything);
    let blocks = TokenIndex::open(&path, segment.rows, segment.bytes)
        .and_then(|index| index.blocks_with("message", &need))
        .map(|blocks| blocks.len());
    (path, blocks.map_err(|fault| fault.to_string()))
}

/// Rows of long numbers, one of which has a needle.
fn numbers() -> RecordBatch {
    let long = |id: i64| (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |id: i64| format!("order {} {} of{}", long(id), long(!id), if id == 8_199 { " needle" } else { "" });
    let times = TimestampMicrosecondArray::from_iter_values(0..ROWS).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 3] = [
        ("ts", Arc::new(times)),
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("message", Arc::new(StringArray::from_iter_values((0..ROWS).map(text)))),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn written(setting: &Setting) -> Arc<Store> {
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&numbers()).expect("taken");
    commit(&store, &mut writer, 1, 1);
    drop(writer);
    store
}

#[test]
fn a_large_segment_has_an_index_from_the_start_and_a_small_one_has_none() {
    let setting = Setting::new();
    let store = written(&setting);
    assert_eq!(found(&store, "needle").1, Ok(1));
    assert_eq!(found(&store, "order").1, Ok(2));
    assert!(!store.index_once().expect("looked"), "nothing is missing");
    let mut writer = writer(&store);
    writer.append(&rows(0..10)).expect("taken");
    commit(&store, &mut writer, 2, 2);
    let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
    assert_eq!(table.segments[1].index(), None);
}

#[test]
fn a_missing_or_damaged_index_is_made_again_and_rows_are_never_missed() {
    let setting = Setting::new();
    let store = written(&setting);
    let (path, _) = found(&store, "");
    let sound = std::fs::read(&path).expect("read");
    drop(store);
    std::fs::remove_file(&path).expect("removed");
    let store = setting.open().expect("opened without an index");
    assert_eq!(found(&store, "needle").1, Err("there is no index".to_owned()));
    assert_eq!(visible(&store).len() as i64, ROWS);
    assert!(store.index_once().expect("made"));
    assert!(!store.index_once().expect("nothing left"));
    assert_eq!(std::fs::read(&path).expect("read"), sound, "the same rows make the same index");

    let mut bytes = sound.clone();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).expect("damaged");
    let (_, fault) = found(&store, "needle");
    let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
    store.found_bad_index(&table.segments[0].path, &fault.expect_err("damaged"));
    assert!(store.index_once().expect("made"));
    assert_eq!(std::fs::read(&path).expect("read"), sound);
}

#[test]
fn an_index_goes_with_its_segment() {
    let setting = Setting::new();
    let store = written(&setting);
    let (path, _) = found(&store, "");
    assert_eq!(
        store.remove_committed("logs", |batch| Ok(vec![true; batch.num_rows()].into())).expect("removed"),
        16_384
    );
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert!(!path.exists());
    drop(store);

    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&rows(0..ROWS)).expect("taken");
    writer.prepare(weir_model::Epoch(2)).expect("prepared, never committed");
    std::mem::forget(writer);
    drop(store);
    let store = setting.open().expect("opened again");
    assert!(visible(&store).is_empty());
    assert!(super::files(&setting).is_empty(), "neither the segment nor its index stays");
}
