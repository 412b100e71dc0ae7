//! Results in every format, byte by byte.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    NullArray, RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use expect_test::expect;

use super::{Chunks, Encoder, Format, Summary, type_name, write_blocking};
use crate::testing::{Stage, block_on, many};
use crate::{QueryErrorCode, RunOptions};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

fn encoded(format: Format, batch: &RecordBatch) -> String {
    let mut encoder = Encoder::new(format, &batch.schema(), Vec::new()).unwrap();
    encoder.batch(batch).unwrap();
    let summary =
        Summary { rows: batch.num_rows() as u64, elapsed: Duration::from_micros(1_500), ..Summary::default() };
    String::from_utf8(encoder.finish(&summary).unwrap()).unwrap()
}

fn small() -> RecordBatch {
    batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_509_000]).with_timezone("UTC"))),
        ("text", Arc::new(StringViewArray::from(vec![Some("a \"b\"\n"), None]))),
        ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(-1)]))),
    ])
}

#[test]
fn json_is_one_object() {
    let expected = expect![[r#"
        {"columns":[{"name":"ts","type":"timestamp"},{"name":"text","type":"string"},{"name":"n","type":"int64"}],"rows":[
        ["1970-01-01T00:00:00Z","a \"b\"\n",9223372036854775807],
        ["1970-01-01T00:00:01.509Z",null,-1]],"row_count":2,"truncated":false,"elapsed_ms":1.500,"warnings":[]}
    "#]];
    expected.assert_eq(&encoded(Format::Json, &small()));
    let empty = encoded(Format::Json, &small().slice(0, 0));
    assert!(serde_json::from_str::<serde_json::Value>(&empty).is_ok_and(|json| json["rows"] == serde_json::json!([])));
}

#[test]
fn ndjson_has_one_object_per_line_with_nulls() {
    let expected = expect![[r#"
        {"ts":"1970-01-01T00:00:00Z","text":"a \"b\"\n","n":9223372036854775807}
        {"ts":"1970-01-01T00:00:01.509Z","text":null,"n":-1}
    "#]];
    expected.assert_eq(&encoded(Format::Ndjson, &small()));
}

#[test]
fn every_type_has_a_json() {
    let level: DictionaryArray<Int32Type> = vec![Some("INFO"), None, Some("INFO")].into_iter().collect();
    let tags = StructArray::from(vec![
        (
            Arc::new(Field::new("a", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![Some(1), None, None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("b c", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["x", "y", "z"])) as ArrayRef,
        ),
    ]);
    let items = vec![Some(vec![Some(1), None]), Some(vec![]), None];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("dictionary", Arc::new(level)),
        ("object", Arc::new(tags)),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items))),
        ("float", Arc::new(Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, 1.0]))),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        ("nothing", Arc::new(NullArray::new(3))),
        ("date", Arc::new(Date32Array::from(vec![0, -1, 20_454]))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![1, -1, 1_500_000_000]))),
        ("secs", Arc::new(TimestampSecondArray::from(vec![1, -1, 1_767_225_600]))),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(150), Some(-1), None]).with_precision_and_scale(10, 2).unwrap()),
        ),
    ];
    let batch = batch(columns);
    let expected = expect![[r#"
        {"dictionary":"INFO","object":{"a":1,"b c":"x"},"list":[1,null],"float":null,"bool":true,"unsigned":18446744073709551615,"nothing":null,"date":"1970-01-01","nanos":"1970-01-01T00:00:00.000000001Z","secs":"1970-01-01T00:00:01Z","decimal":1.50}
        {"dictionary":null,"object":{"a":null,"b c":"y"},"list":[],"float":null,"bool":false,"unsigned":0,"nothing":null,"date":"1969-12-31","nanos":"1969-12-31T23:59:59.999999999Z","secs":"1969-12-31T23:59:59Z","decimal":-0.01}
        {"dictionary":"INFO","object":{"a":null,"b c":"z"},"list":null,"float":1.0,"bool":null,"unsigned":1,"nothing":null,"date":"2026-01-01","nanos":"1970-01-01T00:00:01.5Z","secs":"2026-01-01T00:00:00Z","decimal":null}
    "#]];
    expected.assert_eq(&encoded(Format::Ndjson, &batch));
    let kinds: Vec<String> = batch.schema().fields().iter().map(|field| type_name(field.data_type())).collect();
    let expected = "string struct<a: int64, b c: string> list<int64> float64 bool uint64 null date timestamp timestamp decimal128(10, 2)";
    assert_eq!(kinds.join(" "), expected);
}

#[test]
fn sliced_columns_are_written_from_where_they_begin() {
    let level: DictionaryArray<Int32Type> = vec!["a", "b", "c"].into_iter().collect();
    let items = vec![Some(vec![Some(1)]), Some(vec![Some(2), Some(3)]), Some(vec![])];
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(items);
    let sliced = batch(vec![("d", Arc::new(level)), ("l", Arc::new(list))]).slice(1, 2);
    assert_eq!(encoded(Format::Ndjson, &sliced), "{\"d\":\"b\",\"l\":[2,3]}\n{\"d\":\"c\",\"l\":[]}\n");
}

#[test]
fn csv_quotes_what_needs_it() {
    let texts = vec![Some("plain"), Some("a,b"), Some("say \"hi\""), Some("two\nlines"), Some(""), None, Some(" edge")];
    let rows = batch(vec![
        ("text, all of it", Arc::new(StringArray::from(texts))),
        ("n", Arc::new(Int64Array::from(vec![Some(-1), None, Some(2), Some(3), Some(4), Some(5), Some(6)]))),
    ]);
    let expected = [
        "\"text, all of it\",n",
        "plain,-1",
        "\"a,b\",",
        "\"say \"\"hi\"\"\",2",
        "\"two\nlines\",3",
        "\"\",4",
        ",5",
        "\" edge\",6",
        "",
    ];
    assert_eq!(encoded(Format::Csv { formula_safe: false }, &rows), expected.join("\r\n"));
}

#[test]
fn csv_can_disarm_formulas_and_leaves_numbers_alone() {
    let rows = batch(vec![
        ("t", Arc::new(StringArray::from(vec!["=1+1", "@x", "-x", "+x", "x=1"]))),
        ("n", Arc::new(Int64Array::from(vec![-1, -2, -3, -4, -5]))),
    ]);
    let safe = encoded(Format::Csv { formula_safe: true }, &rows);
    assert_eq!(safe, "t,n\r\n'=1+1,-1\r\n'@x,-2\r\n'-x,-3\r\n'+x,-4\r\nx=1,-5\r\n");
    assert!(encoded(Format::Csv { formula_safe: false }, &rows).contains("\r\n=1+1,-1"));
}

#[test]
fn a_table_is_for_people() {
    let rows = batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_509_000, 0]).with_timezone("UTC"))),
        ("message", Arc::new(StringArray::from(vec!["two\nlines\u{1b}[31m".to_owned(), "x".repeat(500)]))),
        ("n", Arc::new(Int64Array::from(vec![Some(5), None]))),
    ]);
    let shown = encoded(Format::Table, &rows);
    assert!(shown.contains("│ 1970-01-01 00:00:01.509 ┆ two⏎lines\\u{1b}[31m"), "{shown}");
    assert!(shown.contains(&format!("{}… ", "x".repeat(100))) && !shown.contains(&"x".repeat(101)), "{shown}");
    assert!(shown.ends_with("2 rows (1.5 ms)\n"), "{shown}");
}

#[test]
fn an_arrow_stream_has_plain_strings() {
    let level: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    let rows = batch(vec![("view", Arc::new(StringViewArray::from(vec!["x", "y"]))), ("key", Arc::new(level))]);
    let mut encoder = Encoder::new(Format::Arrow, &rows.schema(), Vec::new()).unwrap();
    encoder.batch(&rows).unwrap();
    encoder.batch(&rows.slice(1, 1)).unwrap();
    let bytes = encoder.finish(&Summary::default()).unwrap();
    let read: Vec<RecordBatch> = StreamReader::try_new(Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
    assert!(read[0].schema().fields().iter().all(|field| *field.data_type() == DataType::Utf8));
}

#[test]
fn a_view_of_little_does_not_carry_much_along() {
    let engine = Stage::with_logs(&[many(0, 20_000)], &[]).engine();
    let mut result = engine.run_blocking("SELECT message FROM logs LIMIT 1", RunOptions::default()).unwrap();
    let mut bytes = Vec::new();
    write_blocking(&mut result, Format::Arrow, &mut bytes).unwrap();
    assert!(bytes.len() < 2_000, "{}", bytes.len());
}

#[test]
fn results_are_written_while_they_come() {
    let engine = Stage::with_logs(&[many(0, 20_000)], &[]).engine();
    let options = RunOptions { max_rows: Some(15_000), ..RunOptions::default() };
    let mut bytes = Vec::new();
    let mut result = engine.run_blocking("SELECT n FROM logs", options.clone()).unwrap();
    let summary = write_blocking(&mut result, Format::Json, &mut bytes).unwrap();
    assert!(summary.truncated && summary.rows == 15_000);
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((json["row_count"].as_u64(), json["truncated"].as_bool()), (Some(15_000), Some(true)));
    assert_eq!(json["rows"].as_array().unwrap().len(), 15_000);
    block_on(async {
        let result = engine.run("SELECT n FROM logs", options).await.unwrap();
        let mut chunks = Chunks::new(result, Format::Ndjson).unwrap();
        let (mut count, mut lines) = (0, 0);
        while let Some(chunk) = chunks.next().await {
            count += 1;
            lines += chunk.unwrap().iter().filter(|byte| **byte == b'\n').count();
        }
        assert!(count > 1 && lines == 15_000, "{count} {lines}");
    });
}

#[test]
fn an_error_on_the_way_ends_the_chunks() {
    let engine = Stage::with_logs(&[many(0, 10)], &[]).engine();
    block_on(async {
        let result = engine.run("SELECT 1 / (n - 5) FROM logs", RunOptions::default()).await.unwrap();
        let mut chunks = Chunks::new(result, Format::Json).unwrap();
        let error = chunks.next().await.unwrap().unwrap_err();
        assert!(matches!(error, super::WriteError::Query(error) if error.code == QueryErrorCode::Failed));
        assert!(chunks.next().await.is_none());
    });
}

#[test]
fn a_parquet_file_is_written_while_rows_come() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let stage = Stage::new();
    stage.table("logs", many(0, 1).schema(), &[many(0, 540)], &[]);
    let engine = stage.engine();
    let sql = "SELECT a.n * 1000 + b.n AS n, a.message AS text, make_array(b.level) AS list, INTERVAL '1 month' AS span \
               FROM logs a, logs b";
    let (bytes, pieces) = block_on(async {
        let result = engine.run(sql, RunOptions::default()).await.unwrap();
        let mut chunks = Chunks::new(result, Format::Parquet).unwrap();
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
            pieces += 1;
        }
        (bytes, pieces)
    });
    assert!(pieces > 1, "{pieces} pieces");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 540 * 540);
    assert!(reader.metadata().num_row_groups() > 1);
    let kinds: Vec<_> = reader.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!((&kinds[0], &kinds[1], &kinds[3]), (&DataType::Int64, &DataType::Utf8, &DataType::Utf8));
    let mut sum = 0;
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().clone();
        sum += arrow::compute::sum(&column).unwrap();
    }
    assert_eq!(sum, 540 * 1001 * (539 * 540 / 2));
}

#[test]
fn formats_have_names() {
    assert_eq!(Format::named("csv"), Some(Format::Csv { formula_safe: false }));
    assert_eq!(Format::named("xml"), None);
    assert_eq!(Format::Ndjson.content_type(), "application/x-ndjson");
}
