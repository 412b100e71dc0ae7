use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::tests::{Setting, commit, files, ids, rows, visible, writer};
use crate::{Store, TableSettings, Ttl};

const SECOND: i64 = 1_000_000;

/// Sets how many seconds rows stay, and those of levels.
fn settle(store: &Store, rows: Option<i64>, of_levels: &[(&str, i64)]) {
    let of_values = of_levels.iter().map(|(level, seconds)| ((*level).to_owned(), seconds * SECOND)).collect();
    let ttl = Ttl { rows_us: rows.map(|seconds| seconds * SECOND), by: Some("level".to_owned()), of_values };
    let settings = TableSettings { ttl, ..TableSettings::default() };
    store.settle(&BTreeMap::from([("logs".to_owned(), settings)])).expect("settled");
}

/// Rows of these ids and levels; the time of each is its id, in seconds, or none.
fn of_levels(rows: &[(i64, Option<i64>, &str)]) -> RecordBatch {
    let times = rows.iter().map(|(_, second, _)| second.map(|second| second * SECOND));
    let columns: [(&str, ArrayRef); 3] = [
        ("ts", Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, ..)| *id)))),
        ("level", Arc::new(StringArray::from_iter_values(rows.iter().map(|(.., level)| *level)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("a batch")
}

fn expire(store: &Store) -> Vec<(u64, usize, usize)> {
    std::iter::from_fn(|| store.expire_once().expect("expired"))
        .map(|expired| (expired.rows, expired.dropped, expired.rewritten))
        .collect()
}

#[test]
fn whole_segments_go_when_their_last_row_has_stayed_long_enough_and_stay_gone_after_a_restart() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    for epoch in 0..4 {
        writer.append(&rows(epoch * 10..epoch * 10 + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned() + 1, 1);
    }
    setting.pass(Duration::from_secs(125));
    assert_eq!(expire(&store), [], "nobody has said that they go");
    settle(&store, Some(100), &[]);
    let before = store.snapshot().expect("a snapshot");
    assert_eq!(expire(&store), [(20, 2, 0)], "all that goes from a table goes at once");
    assert_eq!(visible(&store), (20..40).collect::<Vec<_>>());
    assert_eq!(ids(&**store.vfs(), &before), (0..40).collect::<Vec<_>>(), "who began before reads on");
    drop((before, writer, store));
    let store = setting.open().expect("opened again");
    assert_eq!(visible(&store), (20..40).collect::<Vec<_>>());
    assert_eq!(expire(&store), [], "the table is kept as was said before the restart, and nothing else is due");
    setting.pass(Duration::from_secs(1_000));
    assert_eq!(expire(&store), [(20, 2, 0)]);
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert!(files(&setting).is_empty(), "the files are gone");
}

#[test]
fn rows_of_a_level_go_before_the_others_and_what_has_no_time_stays_beside_them() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    let rows = [
        (0, Some(0), "DEBUG"),
        (1, Some(1), "error"),
        (2, Some(2), "info"),
        (3, None, "debug"),
        (4, Some(500), "debug"),
    ];
    writer.append(&of_levels(&rows)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    settle(&store, Some(1_000), &[("debug", 100), ("error", 9_000)]);
    setting.pass(Duration::from_secs(510));
    assert_eq!(expire(&store), [(1, 0, 1)], "the case of a level does not matter");
    assert_eq!(visible(&store), [1, 2, 3, 4]);
    setting.pass(Duration::from_secs(2_000));
    assert_eq!(expire(&store), [(2, 0, 1)]);
    assert_eq!(visible(&store), [1, 3]);
    assert_eq!(expire(&store), [], "nothing is written anew in vain");
    setting.pass(Duration::from_secs(9_000));
    assert_eq!(expire(&store), [(2, 1, 0)], "the last row that has a time takes with it what has none");
}

#[test]
fn old_rows_that_come_late_are_taken_and_go_by_the_same_rule() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    settle(&store, Some(100), &[]);
    setting.pass(Duration::from_secs(1_000));
    writer.append(&rows(950..1_000)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    writer.append(&rows(0..10)).expect("rows of long ago are taken");
    commit(&store, &mut writer, 2, 2);
    assert_eq!(visible(&store).len(), 60);
    assert_eq!(expire(&store), [(10, 1, 0)]);
    assert_eq!(visible(&store), (950..1_000).collect::<Vec<_>>());
}

#[test]
fn whoever_looks_sees_every_row_once_while_rows_come_are_committed_merged_and_go() {
    const EPOCHS: i64 = 120;
    let mut setting = Setting::new();
    setting.config.segment_rows_max = 15;
    let store = setting.open().expect("opened");
    settle(&store, Some(200), &[]);
    let done = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let look = || {
            let mut looks = 0_u64;
            while !done.load(Ordering::Acquire) || looks == 0 {
                let seen = visible(&store);
                let expected: Vec<i64> =
                    seen.first().map_or_else(Vec::new, |first| (*first..*first + seen.len() as i64).collect());
                assert_eq!(seen, expected, "no row twice, none missing between the first and the last");
                looks += 1;
            }
            looks
        };
        let lookers = [scope.spawn(look), scope.spawn(look)];
        let mut writer = writer(&store);
        for epoch in 0..EPOCHS {
            for part in 0..2 {
                // Two at a time: the times of neighbours are the other way round.
                writer.append(&rows(epoch * 20 + part * 10..epoch * 20 + part * 10 + 10)).expect("taken");
            }
            setting.pass(Duration::from_secs(20));
            commit(&store, &mut writer, epoch.cast_unsigned() + 1, 1);
            while store.compact_once().expect("compacted").is_some() {}
            expire(&store);
            store.sweep().expect("swept");
        }
        done.store(true, Ordering::Release);
        lookers.map(|looker| looker.join().expect("every look was right"))
    });
    assert!(looks.iter().all(|looks| *looks > 0));
    let left = visible(&store);
    assert_eq!(left.last(), Some(&(EPOCHS * 20 - 1)));
    assert!((200..=240).contains(&left.len()), "{} rows are left of those that are 200 s old at most", left.len());
}
