//! Stories of comma-separated values.

use arrow::datatypes::DataType;
use expect_test::{Expect, expect};
use proptest::prelude::{any, proptest};
use weir_model::{Decoder, EventTime, FieldKind, Wanted, WantedField};

use super::{CsvConfig, CsvDecoder, CsvFramer};
use crate::cutting::records_in_pieces;
use crate::typed::trial::{Dice, all, raw, text, these};

fn config(columns: &[&str]) -> CsvConfig {
    CsvConfig { columns: columns.iter().map(|name| (*name).to_owned()).collect(), ..CsvConfig::default() }
}

fn check(config: &CsvConfig, wanted: &Wanted, lines: &[&str], expected: Expect) {
    let records: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
    expected.assert_eq(&text(&CsvDecoder::new(config, wanted).expect("a decoder").decode(&raw(&records))));
}

#[test]
fn values_are_text_and_what_is_missing_is_null() {
    let lines = [
        "a,b,c",
        ",\"\",\" \"",
        "\"x,\"\"y\"\"\",\"line\nend\",a rather long value of text",
        "1,2",
        "1,\"2,3",
        "1,\"2\"3,4",
    ];
    check(
        &config(&["one", "two", "three"]),
        &all(),
        &lines,
        expect![[r#"
        {"one":"a","three":"c","two":"b"}
        {"one":null,"three":" ","two":""}
        {"one":"x,\"y\"","three":"a rather long value of text","two":"line\nend"}
        3: record has 2 values; expected 3: one, two, three
        4: the quote at byte 2 is not closed
        5: the quote at byte 4 closes a value, and more of it follows"#]],
    );
}

#[test]
fn declared_types_hold_and_only_what_is_needed_is_read() {
    let declared = [("n", DataType::Int64), ("f", DataType::Float64), ("b", DataType::Boolean)];
    let declared = declared.map(|(name, kind)| WantedField { name: name.into(), kind: FieldKind::Value(kind) });
    let lines = ["1,0.5,true", "x,1,false", "1,,maybe"];
    check(
        &config(&["n", "f", "b"]),
        &Wanted { declared: declared.into(), ..all() },
        &lines,
        expect![[r#"
        {"b":true,"f":0.5,"n":1}
        1: column "n" is "x"; expected a whole number of 64 bits
        2: column "b" is "maybe"; expected true or false"#]],
    );
    let wanted = Wanted {
        time_field: Some("at".into()),
        not_before: EventTime::from_micros(0),
        ..these(&[("host", FieldKind::Key)])
    };
    let lines = ["2026-11-21 08:00:00,a,?", "1763712000,b,?", "never,c,?", ",d,?"];
    check(
        &config(&["at", "host", "rest"]),
        &wanted,
        &lines,
        expect![[r#"
        {"host":"a"}
        {"host":"b"}
        2: column "at" is "never"; expected a time such as "2026-01-31T12:00:00.5Z", or a number since 1970
        3: time field "at" is missing or null; expected a time"#]],
    );
}

#[test]
fn headers_are_passed_over_also_in_the_middle_and_before_the_values_of_a_record() {
    let headed = CsvConfig { header: true, delimiter: ';', null: "\\N".to_owned(), ..config(&["a", "b"]) };
    let lines = [
        "\u{feff}a;\"b\"",
        "1;2",
        "a;b",
        "a;b\r\n",
        "\\N;\"\\N\"",
        "a;b\n3;4\n",
        "\"a\";\"b\"\r\n5;\"6\nlong enough for a view\"",
        "b;a",
        "a;b\n7;8\n9;10",
    ];
    check(
        &headed,
        &all(),
        &lines,
        expect![[r#"
        {"a":"1","b":"2"}
        {"a":null,"b":"\\N"}
        {"a":"3","b":"4"}
        {"a":"5","b":"6\nlong enough for a view"}
        {"a":"b","b":"a"}
        8: the line ends at byte 7, and more follows; a record is one row"#]],
    );
    check(&config(&["a"]), &all(), &["a"], expect![[r#"{"a":"a"}"#]]);
}

#[test]
fn a_record_is_one_line_with_its_end_or_without() {
    check(
        &config(&["a", "b"]),
        &all(),
        &["1,2\n", "3,\"4\"\r\n", "5,6\n7,8", "\"9\"\n", "1,\r"],
        expect![[r#"
            {"a":"1","b":"2"}
            {"a":"3","b":"4"}
            {"a":"1","b":"\r"}
            2: the line ends at byte 3, and more follows; a record is one row
            3: record has 1 values; expected 2: a, b"#]],
    );
}

#[test]
fn what_is_wrong_with_a_configuration_is_said() {
    let check = |config: CsvConfig, expected: Expect| {
        let wrong = config.check().expect_err("it is wrong");
        expected.assert_eq(&format!("{}: {}", wrong.key, wrong.reason));
    };
    check(config(&[]), expect!["csv.columns: csv does not know what its columns are; add columns: [...]"]);
    check(config(&["a", "a"]), expect![[r#"csv.columns: "a" is no name, or there twice"#]]);
    check(
        CsvConfig { delimiter: 'ß', ..config(&["a"]) },
        expect!["csv.delimiter: 'ß' is not one byte that may stand in a line"],
    );
    check(
        CsvConfig { delimiter: '"', ..config(&["a"]) },
        expect!["csv.delimiter: the delimiter and the quote are the same"],
    );
    let wanted = these(&[("c", FieldKind::Key)]);
    expect![[r#"csv has no column "c"; its columns are a, b"#]]
        .assert_eq(&CsvDecoder::new(&config(&["a", "b"]), &wanted).expect_err("no such column").to_string());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_wherever_the_bytes_are_cut(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let letter = |dice: &mut Dice| ['a', ',', '"', '\n', '\r', 'ß'][dice.below(6) as usize];
        let mut rows: Vec<Vec<String>> = Vec::new();
        for _ in 0..1 + dice.below(5) {
            let value = |dice: &mut Dice| (0..dice.below(6)).map(|_| letter(dice)).collect::<String>();
            rows.push((0..3).map(|_| value(&mut dice)).collect());
        }
        let quoted = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
        let lines = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n");
        let bytes = lines.collect::<String>().into_bytes();
        let mut cuts: Vec<usize> = (0..dice.below(5)).map(|_| dice.below(bytes.len() as u64) as usize).collect();
        cuts.sort_unstable();
        let found = records_in_pieces(&CsvFramer::new('"'), &bytes, &cuts);
        let records: Vec<Vec<u8>> = found.into_iter().map(|(at, length)| bytes[at..at + length].to_vec()).collect();
        let decoded = CsvDecoder::new(&config(&["a", "b", "c"]), &all()).expect("a decoder").decode(&raw(&records));
        let shown = rows.iter().map(|row| serde_json::json!({ "a": row[0], "b": row[1], "c": row[2] }).to_string());
        assert_eq!(text(&decoded), shown.collect::<Vec<_>>().join("\n"));
    }
}
