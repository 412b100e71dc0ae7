use bytes::Bytes;
use expect_test::expect;
use weir_model::{Offset, PartitionId};

use super::*;

#[test]
fn a_dead_letter_says_where_it_came_from_and_keeps_the_record() {
    let rejected = |payload: &'static [u8]| Rejected {
        partition: PartitionId::new("logs:a.log"),
        origin: "a.log".into(),
        offset: Offset(7),
        reason: "no JSON".to_owned(),
        payload: Bytes::from_static(payload),
        original_bytes: payload.len() as u64,
    };
    let letter = |payload| DeadLetter {
        rejected: rejected(payload),
        kind: LetterKind::Record,
        source: Some("logs".to_owned()),
        format: "json",
    };
    let of = LettersOf { pipeline: "app", now: ProcessingTime::from_micros(0), epoch: Epoch(7), before: 2 };
    let rows = dead_letter_batch(&[letter(b"{x"), letter(b"\xff!")], of);
    let mut text = Vec::new();
    crate::ndjson(&rows, &mut text);
    expect![[r#"
        {"id":"7-2","time":"1970-01-01T00:00:00Z","pipeline":"app","kind":"record","source":"logs","format":"json","source_file":"a.log","partition":"logs:a.log","source_offset":7,"reason":"no JSON","payload":"{x","payload_base64":null,"original_bytes":2,"row_id":"4396b7cd482aca928dca454680bf88b1"}
        {"id":"7-3","time":"1970-01-01T00:00:00Z","pipeline":"app","kind":"record","source":"logs","format":"json","source_file":"a.log","partition":"logs:a.log","source_offset":7,"reason":"no JSON","payload":"�!","payload_base64":"/yE=","original_bytes":2,"row_id":"64b1e75876bd62aa51790389d9e599b7"}
    "#]]
    .assert_eq(&String::from_utf8(text).expect("JSON is text"));
}
