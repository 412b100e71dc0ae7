//! What is chosen about a table: how it shows in what is written, and that it is known after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;

use super::{Setting, commit, writer};
use crate::segment::decode;
use crate::tokens::INDEXED_ROWS_MIN;
use crate::{
    Beside, IndexKind, Need, Place, RollupSettings, SortKey, Store, TableSettings, TierSettings, TokenIndex, Ttl,
};

fn settle(store: &Store, settings: TableSettings) {
    store.settle(&BTreeMap::from([("logs".to_owned(), settings)])).expect("settled");
}

/// Rows of long numbers, and of three hosts.
fn numbers(ids: std::ops::Range<i64>) -> RecordBatch {
    let long = |id: i64| (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let times = TimestampMicrosecondArray::from_iter_values(ids.clone()).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 4] = [
        ("ts", Arc::new(times)),
        ("id", Arc::new(Int64Array::from_iter_values(ids.clone()))),
        ("host", Arc::new(StringArray::from_iter_values(ids.clone().map(|id| ["c", "a", "b"][id as usize % 3])))),
        (
            "message",
            Arc::new(StringArray::from_iter_values(ids.map(|id| format!("order {} of {}", long(id), long(!id))))),
        ),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// The ids in each segment, in its order.
fn in_order(store: &Store) -> Vec<Vec<i64>> {
    let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
    let ids =
        |batch: RecordBatch| batch.column_by_name("id").expect("id").as_primitive::<Int64Type>().values().to_vec();
    let of =
        |segment| decode(&**store.vfs(), segment, &table.schema).expect("read").into_iter().flat_map(ids).collect();
    table.segments.iter().map(of).collect()
}

#[test]
fn rows_lie_in_the_chosen_order_when_they_are_written_merged_and_after_a_restart() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let sort = SortKey::Columns(vec!["host".to_owned(), "ts".to_owned()]);
    settle(&store, TableSettings { sort: sort.clone(), ..TableSettings::default() });
    let mut writer = writer(&store);
    for epoch in 0..20 {
        writer.append(&numbers(epoch * 6..epoch * 6 + 6)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned() + 1, 1);
    }
    assert_eq!(in_order(&store)[1], [7, 10, 8, 11, 6, 9], "by host, then by time");
    drop((writer, store));
    let store = setting.open().expect("opened again");
    assert_eq!(store.settings("logs").sort, sort);
    assert!(store.compact_once().expect("compacted").is_some());
    let merged = &in_order(&store)[0];
    let key = |id: &i64| ((id + 2) % 3, *id);
    assert!(merged.len() > 6 && merged.is_sorted_by_key(key), "{merged:?}");
}

#[test]
fn an_index_of_everything_knows_more_than_one_of_tokens_and_none_knows_nothing() {
    let rows = INDEXED_ROWS_MIN as i64;
    let blocks = |kind: IndexKind| {
        let setting = Setting::new();
        let store = setting.open().expect("opened");
        settle(&store, TableSettings { index: kind, ..TableSettings::default() });
        let mut writer = writer(&store);
        writer.append(&numbers(0..rows)).expect("taken");
        commit(&store, &mut writer, 1, 1);
        let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
        let segment = &table.segments[0];
        let path = segment.index().expect("large enough for an index");
        let index = TokenIndex::open(&path, segment.rows, segment.bytes).expect("an index");
        // Numbers that are nowhere.
        let asked =
            (0..500_u64).map(|n| Need::fragment(&(n * 7_919 + 123_456).to_string(), Beside::NoWord, Beside::NoWord));
        let taken: usize = asked.map(|need| index.blocks_with("message", &need).expect("asked").len()).sum();
        (taken, std::fs::metadata(path).expect("measured").len() * 100 / segment.bytes)
    };
    let (of_tokens, share) = blocks(IndexKind::Tokens);
    let (of_full, _) = blocks(IndexKind::Full);
    assert!(share <= 16, "{share}%");
    assert!(of_full < of_tokens || of_full == 0, "{of_full} blocks are read in vain, and {of_tokens} by tokens");
    assert_eq!(blocks(IndexKind::None).0, 500 * 2, "every block is read");
}

#[test]
fn what_old_segments_lack_is_made_when_it_is_chosen() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&numbers(0..INDEXED_ROWS_MIN as i64)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    let listed = || {
        let table = store.snapshot().expect("a snapshot").tables.remove("logs").expect("the table");
        let segment = &table.segments[0];
        let path = segment.index().expect("large enough for an index");
        let index = TokenIndex::open(&path, segment.rows, segment.bytes).expect("an index");
        let listed = index.rollups().expect("listed");
        listed.into_iter().map(|(rollup, ..)| (rollup.every_us, rollup.by.join(" "))).collect::<Vec<_>>()
    };
    assert!(!listed().contains(&(10_000_000, "host".to_owned())));
    let own = RollupSettings { every_us: 10_000_000, by: vec!["host".to_owned()], measures: vec!["id".to_owned()] };
    settle(&store, TableSettings { rollups: vec![own], ..TableSettings::default() });
    assert!(store.index_once().expect("made"));
    assert!(!store.index_once().expect("nothing left"));
    assert_eq!(listed()[0], (10_000_000, "host".to_owned()));
}

#[test]
fn settings_are_all_known_after_a_restart_or_none_of_them() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let ttl =
        Ttl { rows_us: Some(5), by: Some("level".to_owned()), of_values: BTreeMap::from([("debug".to_owned(), 1)]) };
    let own = RollupSettings { every_us: 1_000_000, by: vec!["host".to_owned()], measures: Vec::new() };
    let sort = SortKey::Arrival;
    let options = BTreeMap::from([("region".to_owned(), "eu-central-1".to_owned())]);
    let tier = TierSettings { after_us: 7, place: Place { url: "s3://bucket/old".to_owned(), options } };
    let chosen = TableSettings { ttl, sort, index: IndexKind::None, rollups: vec![own], tiers: vec![tier] };
    let with = |name: &str| BTreeMap::from([("a".to_owned(), chosen.clone()), (name.to_owned(), chosen.clone())]);
    assert!(store.settle(&with("../b")).is_err());
    assert_eq!(store.settings("a"), TableSettings::default());
    store.settle(&with("b")).expect("settled");
    assert!(store.snapshot().expect("a snapshot").tables.is_empty(), "a table begins with its first commit");
    drop(store);
    let store = setting.open().expect("opened again");
    assert_eq!((store.settings("a"), store.settings("b")), (chosen.clone(), chosen));
    assert_eq!(store.settings("c"), TableSettings::default());
}
