//! Stories of plain text.

use arrow::array::Array;
use arrow::array::cast::AsArray;
use bytes::Bytes;
use weir_model::{EventTime, Offset, PartitionId, Position, WantedField};

use super::*;

fn raw(lines: &[&[u8]], fallback_time: Option<EventTime>) -> Raw {
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for line in lines {
        let start = bytes.len();
        bytes.extend_from_slice(line);
        let span = RecordSpan {
            start: start as u32,
            end: bytes.len() as u32,
            offset: Offset(start as u64),
            original_bytes: line.len() as u64,
        };
        records.push(span);
        bytes.push(b'\n');
    }
    Raw {
        partition: PartitionId::new("p"),
        origin: "p".into(),
        bytes: Bytes::from(bytes),
        records,
        next: Position::default(),
        fallback_time,
    }
}

fn decoder(time_field: Option<&str>, fields: Fields) -> SeamResult<TextDecoder> {
    TextDecoder::new(Wanted {
        time_field: time_field.map(Into::into),
        not_before: EventTime::from_micros(10),
        fields,
        declared: Vec::new(),
    })
}

#[test]
fn every_line_is_a_row_also_an_empty_one() {
    let mut decoder = decoder(None, Fields::All).expect("a valid plan");
    let decoded =
        decoder.decode(&raw(&[b"\xEF\xBB\xBFfirst, and long enough for a view", b"", b"\xFF", b"last"], None));
    let batch = &decoded.batches[0];
    let messages: Vec<_> = batch.columns.column(1).as_string_view().iter().flatten().collect();
    assert_eq!(messages, ["first, and long enough for a view", "", "last"]);
    assert_eq!(batch.columns.column(0).null_count(), 3);
    assert_eq!(batch.columns.schema(), text_schema());
    assert_eq!(decoded.rejected[0].reason, "not valid UTF-8 at byte 0 (0xff); expected UTF-8");
    assert!(!batch.is_timed());
}

#[test]
fn the_time_is_that_of_the_source() {
    let mut decoder = decoder(Some("ts"), Fields::All).expect("a valid plan");
    let decoded = decoder.decode(&raw(&[b"a", b"b"], Some(EventTime::from_micros(20))));
    assert_eq!(decoded.batches[0].times.as_ref(), [20, 20]);
    let decoded = decoder.decode(&raw(&[b"a"], Some(EventTime::from_micros(5))));
    assert!(decoded.rejected[0].reason.contains("before not_before"), "{}", decoded.rejected[0].reason);
    let decoded = decoder.decode(&raw(&[b"a"], None));
    assert!(decoded.rejected[0].reason.contains("its source knows none"), "{}", decoded.rejected[0].reason);
}

#[test]
fn a_plan_may_want_the_line_as_a_key_and_nothing_that_text_has_not() {
    let these = |name: &str| Fields::These(vec![WantedField { name: name.into(), kind: FieldKind::Key }]);
    let mut keyed = decoder(None, these("message")).expect("a valid plan");
    let decoded = keyed.decode(&raw(&[b"a", b"a"], None));
    assert_eq!(*decoded.batches[0].columns.column(0).data_type(), Keys::data_type());
    let error = decoder(None, these("level")).expect_err("refused");
    assert_eq!(error.message, "text has no field \"level\"; its fields are ts and message");
    assert!(decoder(Some("time"), Fields::All).is_err());
}

#[test]
fn a_line_that_was_cut_is_rejected() {
    let mut raw = raw(&[b"abc"], None);
    raw.records[0].original_bytes = 2_000_000;
    let decoded = decoder(None, Fields::All).expect("a valid plan").decode(&raw);
    assert!(decoded.rejected[0].reason.starts_with("record of 2000000 bytes is longer than max_record_bytes"));
}
