use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::tokens::{self, Subject};
use crate::{IndexFault, TokenIndex};

/// Rows of an hour: some late, some without a time, a service or a number.
fn rows(count: i64) -> RecordBatch {
    let mixed = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let time = |n: i64| (n % 101 != 0).then(|| (n - (mixed(n) % 7) as i64 * 20) * 1_000_000);
    let service = |n: i64| (n % 53 != 0).then(|| format!("svc-{}", mixed(n) % 5));
    let level = |n: i64| Some(["INFO", "WARN", "ERROR"][(mixed(n) % 3) as usize]);
    let took = |n: i64| (n % 17 != 0).then(|| mixed(n) as f64 / 1_000.0 - 100.0);
    let columns: [(&str, ArrayRef); 5] = [
        ("ts", Arc::new((0..count).map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ("service", Arc::new((0..count).map(service).collect::<StringViewArray>())),
        ("level", Arc::new((0..count).map(level).collect::<StringViewArray>())),
        ("message", Arc::new((0..count).map(|n| Some(format!("message {n}"))).collect::<StringViewArray>())),
        ("took", Arc::new((0..count).map(took).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("a batch")
}

fn file(rows: &RecordBatch, bytes: u64) -> Vec<u8> {
    let mut builder = tokens::Builder::new(&rows.schema(), Some("ts"), &crate::TableSettings::default());
    (0..rows.num_rows()).step_by(1_000).for_each(|at| builder.add(&rows.slice(at, 1_000.min(rows.num_rows() - at))));
    tokens::encode(builder, Subject { bytes, checksum: 1 }).expect("written")
}

/// Time, service, level.
type Key = (Option<i64>, Option<String>, Option<String>);

fn text(column: &dyn Array, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.as_string_view().value(row).to_owned())
}

#[test]
fn sums_are_those_of_the_rows_whatever_their_order() {
    let rows = rows(20_000);
    let index = TokenIndex::from_bytes(file(&rows, 1 << 30)).expect("an index");
    let listed = index.rollups().expect("listed");
    let by: Vec<(i64, &[String])> = listed.iter().map(|(rollup, ..)| (rollup.every_us, rollup.by.as_slice())).collect();
    let minutes = [(MINUTE_US, &["service".to_owned(), "level".to_owned()][..]), (MINUTE_US, &[][..])];
    assert_eq!(by, minutes, "messages have too many values");

    let mut expected: BTreeMap<Key, (i64, Vec<f64>)> = BTreeMap::new();
    let times = rows.column(0).as_primitive::<TimestampMicrosecondType>();
    let numbers = rows.column(4).as_primitive::<Float64Type>();
    for row in 0..rows.num_rows() {
        let bucket = times.is_valid(row).then(|| times.value(row).div_euclid(MINUTE_US) * MINUTE_US);
        let group = expected.entry((bucket, text(rows.column(1), row), text(rows.column(2), row))).or_default();
        group.0 += 1;
        group.1.extend(numbers.is_valid(row).then(|| numbers.value(row)));
    }
    let groups = index.rollup(0, true).expect("read");
    let column = |name: &str| Arc::clone(groups.column_by_name(name).expect("a column"));
    let buckets = column(BUCKET);
    let buckets = buckets.as_primitive::<TimestampMicrosecondType>();
    let numbers = |name: String| column(&name).as_primitive::<Float64Type>().clone();
    let (sums, least, greatest) =
        (numbers(sum_column("took")), numbers(min_column("took")), numbers(max_column("took")));
    let counts = column(&count_column("took")).as_primitive::<Int64Type>().clone();
    let counted = column(ROWS).as_primitive::<Int64Type>().clone();
    let sketches = column(&sketch_column("took"));
    assert_eq!(groups.num_rows(), expected.len());
    for row in 0..groups.num_rows() {
        let bucket = buckets.is_valid(row).then(|| buckets.value(row));
        let (rows, values) = &expected[&(bucket, text(&column("service"), row), text(&column("level"), row))];
        assert_eq!((counted.value(row), counts.value(row)), (*rows, values.len() as i64));
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        let Some((first, last)) = values.first().zip(values.last()) else {
            assert!(sums.is_null(row) && least.is_null(row) && greatest.is_null(row));
            continue;
        };
        assert_eq!((least.value(row), greatest.value(row)), (*first, *last));
        assert!((sums.value(row) - values.iter().sum::<f64>()).abs() < 1e-6);
        let sketch = Sketch::read(sketches.as_binary::<i32>().value(row)).expect("a sketch");
        let (median, exact) = (sketch.quantile(0.5).expect("values"), values[(values.len() - 1) / 2]);
        assert!((median - exact).abs() <= 0.011 * exact.abs() + 1e-9, "{median} {exact}");
    }
}

#[test]
fn a_column_of_few_values_is_counted_and_one_that_has_no_number_is_not_summed_up() {
    let rows = rows(20_000);
    let hosts: StringViewArray = (0..20_000).map(|n| Some(format!("a-host-of-a-long-name-{}", n % 9))).collect();
    let broken: Float64Array = (0..20_000).map(|n| Some(if n == 19_999 { f64::NAN } else { 1.0 })).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("ts", Arc::clone(rows.column(0)), true),
        ("host", Arc::new(hosts), true),
        ("broken", Arc::new(broken), true),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let index = TokenIndex::from_bytes(file(&rows, 1 << 30)).expect("an index");
    let listed = index.rollups().expect("listed");
    assert!(listed[0].0.by.is_empty() && listed[0].0.measures.is_empty() && !listed[0].2);
    assert_eq!((listed[1].0.every_us, listed[1].0.by.as_slice()), (QUARTER_US, &["host".to_owned()][..]));
    let hosts = index.rollup(1, false).expect("read");
    let counted = hosts.column_by_name(ROWS).expect("rows").as_primitive::<Int64Type>();
    assert_eq!(arrow::compute::sum(counted), Some(20_000));
}

#[test]
fn a_table_without_event_times_has_no_rollups_and_a_small_segment_only_small_ones() {
    let rows = rows(20_000);
    let mut builder = tokens::Builder::new(&rows.schema(), None, &crate::TableSettings::default());
    builder.add(&rows);
    let bytes = tokens::encode(builder, Subject { bytes: 1 << 30, checksum: 1 }).expect("written");
    assert!(TokenIndex::from_bytes(bytes).expect("an index").rollups().expect("listed").is_empty());
    assert!(TokenIndex::from_bytes(file(&rows, 1_000)).expect("an index").rollups().expect("listed").is_empty());
}

#[test]
fn a_damaged_rollup_is_an_error_and_never_another_sum() {
    let whole = file(&rows(3_000), 1 << 30);
    let ask = |bytes: Vec<u8>| -> Result<RecordBatch, IndexFault> {
        let index = TokenIndex::from_bytes(bytes)?;
        index.rollups()?;
        index.rollup(0, true)
    };
    let right = ask(whole.clone()).expect("sound");
    for at in (0..whole.len()).step_by(whole.len() / 300) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        if let Ok(groups) = ask(bytes) {
            assert_eq!(groups, right, "byte {at}");
        }
        assert!(ask(whole[..at].to_vec()).is_err(), "{at} bytes");
    }
}

#[test]
fn a_rollup_of_too_many_groups_is_given_up() {
    let groups = |count: i64| {
        let times = TimestampMicrosecondArray::from_iter_values((0..count).map(|n| n * MINUTE_US)).with_timezone("UTC");
        let rows = RecordBatch::try_from_iter([("ts", Arc::new(times) as ArrayRef)]).expect("a batch");
        let mut builder = tokens::Builder::new(&rows.schema(), Some("ts"), &crate::TableSettings::default());
        builder.add(&rows);
        let bytes = tokens::encode(builder, Subject { bytes: 1 << 40, checksum: 1 }).expect("written");
        let listed = TokenIndex::from_bytes(bytes).expect("an index").rollups().expect("listed");
        listed.first().map(|(_, groups, _)| *groups)
    };
    assert_eq!(groups(GROUPS_MAX as i64), Some(GROUPS_MAX as u64));
    assert_eq!(groups(GROUPS_MAX as i64 + 1), None);
}
