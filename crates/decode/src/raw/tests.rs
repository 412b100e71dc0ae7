//! Stories of raw records.

use expect_test::expect;
use weir_model::{Decoder, FieldKind};

use super::RawDecoder;
use crate::typed::trial::{all, raw, text, these};

#[test]
fn records_are_bytes_whatever_they_are() {
    let decoded = RawDecoder::new(&all()).expect("a decoder").decode(&raw(&[b"\xff\0".to_vec(), Vec::new()]));
    expect![[r#"
        {"ts":null,"value":"ff00"}
        {"ts":null,"value":""}"#]]
    .assert_eq(&text(&decoded));
}

#[test]
fn a_field_that_is_not_there_is_refused_with_those_that_are() {
    let wanted = these(&[("body", FieldKind::Key)]);
    expect![[r#"raw has no field "body"; its fields are ts and value"#]]
        .assert_eq(&RawDecoder::new(&wanted).expect_err("refused").to_string());
}
