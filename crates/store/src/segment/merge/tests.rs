//! Stories about segments that are merged: the bytes are those of all rows at once, and few rows are unpacked at a time.

use std::path::PathBuf;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use proptest::prelude::*;
use weir_disk::{SimDisk, read_file};

use super::super::decode::{checked_bytes, decode};
use super::super::encode::encode;
use super::super::tests::{FOLDER, of_new};
use super::*;
use crate::tokens::index_path;
use crate::{SegmentRef, SortKey, TableSettings};

/// Rows of a segment: where its times begin, how far one is from the next, how many, and how long its texts are.
#[derive(Clone, Debug)]
struct Made {
    first: i64,
    step: i64,
    rows: usize,
    text_bytes: usize,
    /// Has the column `level`, and rows without a time.
    is_whole: bool,
}

impl Made {
    fn batch(&self, seed: i64) -> RecordBatch {
        let time = |row: i64| (!self.is_whole || row % 97 != 13).then_some(self.first + row * self.step + row % 3);
        let rows = || 0..self.rows as i64;
        let text = |row: i64| format!("{row} of {seed} {}", "x".repeat(self.text_bytes + (row % 7) as usize));
        let levels =
            StringViewArray::from_iter(rows().map(|row| (row % 5 != 4).then_some(["INFO", "WARN"][row as usize % 2])));
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", Arc::new(TimestampMicrosecondArray::from_iter(rows().map(time)).with_timezone("UTC"))),
            ("n", Arc::new(Int64Array::from_iter_values(rows().map(|row| row * 31 % 1_009 + seed)))),
            ("message", Arc::new(StringViewArray::from_iter_values(rows().map(text)))),
        ];
        if self.is_whole {
            columns.insert(2, ("level", Arc::new(levels)));
        }
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
    }
}

fn encoding(sort: SortKey) -> Encoding {
    let whole = Made { first: 0, step: 1, rows: 1, text_bytes: 0, is_whole: true };
    let settings = Arc::new(TableSettings { sort, ..TableSettings::default() });
    Encoding { table: "t".to_owned(), schema: whole.batch(0).schema(), time_column: Some("ts".to_owned()), settings }
}

/// Writes each as a segment with the columns that it has.
fn segments(disk: &SimDisk, sort: &SortKey, made: &[Made]) -> Vec<SegmentRef> {
    let written = made.iter().enumerate().map(|(at, made)| {
        let batch = made.batch(at as i64);
        let encoding = Encoding { schema: batch.schema(), ..encoding(sort.clone()) };
        of_new(&encode(disk, Path::new(FOLDER), &encoding, &[batch]).expect("written"))
    });
    written.collect()
}

fn surveyed(disk: &SimDisk, encoding: &Encoding, segment: &SegmentRef) -> Surveyed {
    let packed = Packed::new(segment, checked_bytes(disk, segment).expect("sound")).expect("a segment");
    Surveyed::new(encoding, packed).expect("read")
}

/// The bytes of a segment and of its index.
fn bytes(disk: &SimDisk, new: &NewSegment) -> (Vec<u8>, Option<Vec<u8>>) {
    let path: PathBuf = Path::new(FOLDER).join(&new.path);
    (read_file(disk, &path).expect("there"), read_file(disk, &index_path(&path)).ok())
}

/// All rows of a segment.
fn at_once(disk: &SimDisk, encoding: &Encoding, segment: &SegmentRef) -> RecordBatch {
    let batches = decode(disk, segment, &encoding.schema).expect("read");
    concat_batches(&encoding.schema, &batches).expect("one batch")
}

/// Merges segments, and encodes all of their rows at once.
fn both_ways(disk: &SimDisk, written_by: &SortKey, encoding: &Encoding, made: &[Made]) -> [NewSegment; 2] {
    let segments = segments(disk, written_by, made);
    let all = segments.iter().flat_map(|segment| decode(disk, segment, &encoding.schema).expect("read"));
    let all: Vec<RecordBatch> = all.collect();
    let inputs = segments.iter().map(|segment| surveyed(disk, encoding, segment)).collect();
    let folder = Path::new(FOLDER);
    let merged = merge(disk, folder, encoding, inputs).expect("merged");
    [merged, encode(disk, folder, encoding, &all).expect("written")]
}

/// Merges segments and compares with all of their rows, encoded at once.
fn check(written_by: &SortKey, sort: SortKey, made: &[Made]) {
    let (disk, encoding) = (SimDisk::new(1), encoding(sort));
    let [merged, expected] = both_ways(&disk, written_by, &encoding, made);
    assert_eq!((merged.rows, merged.time_range), (expected.rows, expected.time_range));
    assert!(bytes(&disk, &merged) == bytes(&disk, &expected), "the same bytes");
}

fn sort_keys() -> impl Strategy<Value = SortKey> {
    let by = |names: &[&str]| SortKey::Columns(names.iter().map(|name| (*name).to_owned()).collect());
    prop_oneof![
        4 => Just(SortKey::Time),
        2 => Just(by(&["level", "n"])),
        1 => Just(by(&["message"])),
        1 => Just(SortKey::Arrival),
    ]
}

fn some_made() -> impl Strategy<Value = Made> {
    let rows = prop_oneof![3 => 1_usize..3_000, 1 => 8_000_usize..18_000];
    (0_i64..200_000, 1_i64..20, rows, prop_oneof![4 => Just(10_usize), 1 => Just(300)], any::<bool>())
        .prop_map(|(first, step, rows, text_bytes, is_whole)| Made { first, step, rows, text_bytes, is_whole })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn the_bytes_are_those_of_all_rows_at_once(
        written_by in sort_keys(),
        sort in sort_keys(),
        same in any::<bool>(),
        made in prop::collection::vec(some_made(), 1..5),
    ) {
        check(if same { &sort } else { &written_by }, sort.clone(), &made);
    }
}

#[test]
fn wide_rows_pass_in_smaller_batches_and_are_the_same() {
    let wide = |first| Made { first, step: 2, rows: 2_500, text_bytes: 3_000, is_whole: true };
    for second in [1_000, 100_000] {
        let (disk, encoding) = (SimDisk::new(1), encoding(SortKey::Time));
        let new = both_ways(&disk, &SortKey::Time, &encoding, &[wide(0), wide(second)]);
        let [merged, expected] = new.map(|new| of_new(&new));
        let packed = Packed::new(&merged, checked_bytes(&disk, &merged).expect("sound")).expect("a segment");
        assert!(packed.rows_at_once() < BATCH_ROWS, "{} rows", packed.rows_at_once());
        assert_eq!(at_once(&disk, &encoding, &merged), at_once(&disk, &encoding, &expected));
    }
}

#[test]
fn a_part_of_the_rows_is_written_as_if_the_others_had_never_been() {
    let (disk, encoding) = (SimDisk::new(1), encoding(SortKey::Time));
    let made = Made { first: 0, step: 5, rows: 40_000, text_bytes: 20, is_whole: true };
    let segment = segments(&disk, &SortKey::Time, &[made]).remove(0);
    let stays = BooleanBuffer::collect_bool(40_000, |row| !(8_192..2 * 8_192).contains(&row) && row % 3 != 0);
    let mut from = 0;
    let kept = decode(&disk, &segment, &encoding.schema).expect("read").into_iter().map(|batch| {
        let mask = BooleanArray::new(stays.slice(from, batch.num_rows()), None);
        from += batch.num_rows();
        filter_record_batch(&batch, &mask).expect("filtered")
    });
    let kept: Vec<_> = kept.filter(|batch| batch.num_rows() > 0).collect();
    let expected = encode(&disk, Path::new(FOLDER), &encoding, &kept).expect("written");
    let packed = Packed::new(&segment, checked_bytes(&disk, &segment).expect("sound")).expect("a segment");
    let input = Surveyed::new(&encoding, packed.keeping(stays)).expect("read");
    let merged = merge(&disk, Path::new(FOLDER), &encoding, vec![input]).expect("merged");
    assert!(bytes(&disk, &merged) == bytes(&disk, &expected), "the same bytes");
}

#[test]
fn no_more_is_held_than_a_few_batches_of_what_is_open() {
    let (disk, encoding) = (SimDisk::new(1), encoding(SortKey::Time));
    // Three lie over each other, the others one behind the other.
    let made = |first| Made { first, step: 1, rows: 40_000, text_bytes: 40, is_whole: false };
    let firsts = [0, 10, 20, 100_000, 200_000, 300_000];
    let segments = segments(&disk, &SortKey::Time, &firsts.map(made));
    let inputs = || segments.iter().map(|segment| surveyed(&disk, &encoding, segment)).collect::<Vec<_>>();
    let mut merging = Merging::new(&encoding, SortedBy::of(&encoding).expect("a key"), inputs());
    let (mut rows, mut most, mut most_open) = (0, 0, 0);
    while let Some(chunk) = merging.next_chunk().expect("read") {
        rows += chunk.num_rows();
        most = most.max(merging.held.iter().map(RecordBatch::num_rows).sum::<usize>());
        most_open = most_open.max(merging.inputs.iter().filter(|input| matches!(input, Input::Open(_))).count());
    }
    assert_eq!((rows, most_open), (firsts.len() * 40_000, 3));
    assert!(most <= 3 * BATCH_ROWS, "{most} rows");
    let all: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let (of_three, of_all) = (merge_bytes(&inputs()[..3]), merge_bytes(&inputs()));
    let packed_three: u64 = segments[..3].iter().map(|segment| segment.bytes).sum();
    assert_eq!(of_all - all, of_three - packed_three, "those that follow take nothing more");
}
