use bytes::Bytes;
use expect_test::expect;
use weir_model::{Offset, PartitionId};

use super::*;

#[test]
fn a_dead_letter_says_where_it_came_from_and_keeps_the_record() {
    let letter = |payload: &'static [u8]| Rejected {
        partition: PartitionId::new("logs:a.log"),
        origin: "a.log".into(),
        offset: Offset(7),
        reason: "no JSON".to_owned(),
        payload: Bytes::from_static(payload),
        original_bytes: payload.len() as u64,
    };
    let rows = dead_letter_batch(&[letter(b"{x"), letter(b"\xff!")], "app", ProcessingTime::from_micros(0));
    let mut text = Vec::new();
    crate::ndjson(&rows, &mut text);
    expect![[r#"
        {"time":"1970-01-01T00:00:00Z","pipeline":"app","source_file":"a.log","partition":"logs:a.log","source_offset":7,"reason":"no JSON","payload":"{x","payload_base64":null,"original_bytes":2}
        {"time":"1970-01-01T00:00:00Z","pipeline":"app","source_file":"a.log","partition":"logs:a.log","source_offset":7,"reason":"no JSON","payload":"�!","payload_base64":"/yE=","original_bytes":2}
    "#]]
    .assert_eq(&String::from_utf8(text).expect("JSON is text"));
}
