//! Expressions computed over batches: results, types, what is refused.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_model::Compiler;

use super::SqlCompiler;
use crate::{SqlError, SqlErrorKind};

fn rows() -> RecordBatch {
    let tags = StructArray::from(vec![
        (
            Arc::new(Field::new("env", DataType::Utf8View, true)),
            Arc::new(StringViewArray::from(vec![Some("prod"), Some("test"), None])) as ArrayRef,
        ),
        (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
    ]);
    let level: DictionaryArray<Int32Type> = vec![Some("INFO"), Some("ERROR"), None].into_iter().collect();
    let times = TimestampMicrosecondArray::from(vec![1_000_000, 61_500_000, 7_200_000_000]).with_timezone("UTC");
    RecordBatch::try_from_iter_with_nullable(vec![
        ("level", Arc::new(level) as ArrayRef, true),
        ("message", Arc::new(StringViewArray::from(vec![Some("a"), Some("Bb"), None])) as ArrayRef, true),
        ("host", Arc::new(StringArray::from(vec![Some("h1"), Some("h2"), Some("h1")])) as ArrayRef, true),
        ("took", Arc::new(Float64Array::from(vec![Some(9.0), Some(10.0), None])) as ArrayRef, true),
        ("code", Arc::new(StringViewArray::from(vec![Some("9"), Some("10"), Some("x")])) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![3, 0, -1])) as ArrayRef, true),
        ("ok", Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef, true),
        ("tags", Arc::new(tags) as ArrayRef, true),
        ("flat.name", Arc::new(StringViewArray::from(vec!["x", "y", "z"])) as ArrayRef, true),
        ("ts", Arc::new(times) as ArrayRef, true),
        ("@version", Arc::new(StringViewArray::from(vec!["1", "2", "3"])) as ArrayRef, true),
    ])
    .unwrap()
}

fn shown(array: &dyn Array) -> String {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect::<Vec<_>>().join(" ")
}

fn value(text: &str) -> String {
    let rows = rows();
    let expression = SqlCompiler::new().compile(text, &rows.schema()).unwrap();
    let value = expression.evaluate(&rows).unwrap();
    assert_eq!(value.data_type(), expression.data_type(), "{text}");
    assert_eq!(value.len(), rows.num_rows(), "{text}");
    shown(&value)
}

fn refused(text: &str) -> SqlError {
    SqlCompiler::new().compile_sql(text, &rows().schema()).unwrap_err()
}

#[test]
fn expressions_take_all_kinds_of_strings() {
    assert_eq!(value("level IN ('ERROR','FATAL')"), "false true null");
    assert_eq!(value("upper(level) || '-' || message || host"), "INFO-ah1 ERROR-Bbh2 null");
    assert_eq!(value("coalesce(level, 'none')"), "INFO ERROR none");
    assert_eq!(value("message LIKE '%b' OR host = 'h1'"), "true true true");
    assert_eq!(value("level = host"), "false false null");
}

#[test]
fn names_are_found_exactly_and_then_ignoring_case() {
    assert_eq!(value("LEVEL = 'INFO'"), "true false null");
    assert_eq!(value("\"Level\""), "INFO ERROR null");
    let schema = Schema::new(["a", "A", "bB", "Bb"].map(|name| Field::new(name, DataType::Int64, true)).to_vec());
    let compiler = SqlCompiler::new();
    let schema = Arc::new(schema);
    assert!(compiler.compile_sql("a + A", &schema).is_ok());
    let error = compiler.compile_sql("1 + bb", &schema).unwrap_err();
    assert_eq!((error.kind, error.column), (SqlErrorKind::UnknownColumn, Some(5)));
    assert!(error.message.contains("\"bB\" or \"Bb\""), "{error}");
}

#[test]
fn dots_address_children_and_columns_with_dots() {
    assert_eq!(value("tags.env = 'prod'"), "true false null");
    assert_eq!(value("TAGS['env']"), "prod test null");
    assert_eq!(value("tags.n + 1"), "2 3 4");
    assert_eq!(value("flat.name"), "x y z");
    assert_eq!(value("tags.nothing IS NULL"), "true true true");
    assert_eq!(value("@version"), "1 2 3");
}

#[test]
fn a_column_that_the_schema_lacks_is_a_null_of_a_fitting_type() {
    assert_eq!(value("missing"), "null null null");
    assert_eq!(value("missing > 5 OR n = 3"), "true null null");
    assert_eq!(value("missing AND ok"), "null false null");
    assert_eq!(value("coalesce(missing, message)"), "a Bb null");
    assert_eq!(value("missing > ts"), "null null null");
    let schema = rows().schema();
    let kind = |text| SqlCompiler::new().compile(text, &schema).unwrap().data_type().clone();
    assert_eq!(kind("missing"), DataType::Utf8View);
    assert_eq!(kind("missing + 1"), DataType::Float64);
}

#[test]
fn numbers_in_texts_compare_as_numbers() {
    assert_eq!(value("code > 9.5"), "false true null");
    assert_eq!(value("code = '10'"), "false true false");
    assert_eq!(value("took > 9"), "false true null");
}

#[test]
fn times_are_microseconds_in_utc_whatever_made_them() {
    let utc = "1970-01-01T00:00:00Z 1970-01-01T00:01:00Z 1970-01-01T02:00:00Z";
    assert_eq!(value("date_trunc('minute', ts)"), utc);
    assert_eq!(
        value("to_timestamp('2026-01-01T00:00:00.5+01:00')").split(' ').next(),
        Some("2025-12-31T23:00:00.500Z")
    );
    assert_eq!(value("ts >= '1970-01-01T00:01:00Z'"), "false true true");
    assert_eq!(value("ts + INTERVAL '1 hour' > '1970-01-01T02:30:00Z'"), "false false true");
    let expression = SqlCompiler::new().compile("to_timestamp_seconds(n)", &rows().schema()).unwrap();
    assert_eq!(expression.data_type().to_string(), "Timestamp(µs, \"UTC\")");
}

#[test]
fn a_function_of_one_dictionary_column_is_a_dictionary() {
    let level: DictionaryArray<Int32Type> =
        (0..1_000).map(|row| [Some("INFO"), Some("error"), None][row % 3]).collect();
    let rows = RecordBatch::try_from_iter(vec![("level", Arc::new(level) as ArrayRef)]).unwrap();
    let compile = |text| SqlCompiler::new().compile(text, &rows.schema()).unwrap();
    let upper = compile("upper(level)");
    assert_eq!(upper.data_type().to_string(), "Dictionary(Int32, Utf8)");
    assert_eq!(compile("substr(level, 2)").data_type(), upper.data_type(), "the one kind of group keys");
    let part = compile("substr(level, 2)").evaluate(&rows).unwrap();
    assert_eq!(shown(&part.slice(0, 3)), "NFO rror null");
    let value = upper.evaluate(&rows).unwrap();
    assert_eq!(shown(&value.slice(0, 4)), "INFO ERROR null INFO");
    let mixed = compile("lower(level) IN ('error') AND length(level) = 5 OR level IS NULL");
    let value = mixed.evaluate(&rows).unwrap();
    assert_eq!(shown(&value.slice(0, 4)), "false true true false");
    let of_null = compile("coalesce(level, 'none')").evaluate(&rows).unwrap();
    assert_eq!(shown(&of_null.slice(0, 4)), "INFO error none INFO");
}

#[test]
fn a_dictionary_of_a_column_without_nulls_is_computed_per_value() {
    let level: DictionaryArray<Int32Type> = (0..100).map(|row| ["7", "8"][row % 2]).collect();
    let level = DictionaryArray::try_new(level.keys().clone(), Arc::new(StringArray::from(vec!["7", "8"]))).unwrap();
    let schema = Schema::new(vec![Field::new("level", level.data_type().clone(), false)]);
    let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(level)]).unwrap();
    let expression = SqlCompiler::new().compile("level || '!'", &rows.schema()).unwrap();
    let value = expression.evaluate(&rows).unwrap();
    assert_eq!(value.as_dictionary::<Int32Type>().values().len(), 3, "two values and null, not a hundred rows");
}

#[test]
fn a_dictionary_value_that_no_row_has_cannot_fail_a_row() {
    let level: DictionaryArray<Int32Type> = (0..100).map(|row| if row == 0 { "x" } else { "7" }).collect();
    let rows = RecordBatch::try_from_iter(vec![("level", Arc::new(level) as ArrayRef)]).unwrap();
    let expression = SqlCompiler::new().compile("CAST(level AS BIGINT)", &rows.schema()).unwrap();
    assert!(expression.evaluate(&rows).is_err(), "there is a row with it");
    let without = expression.evaluate(&rows.slice(1, 99)).unwrap();
    assert_eq!(shown(&without.slice(0, 2)), "7 7");
}

#[test]
fn what_would_differ_in_a_replay_is_refused_with_the_reason() {
    for text in ["now()", "ts < current_timestamp", "random() > 0.5", "uuid()", "current_date", "current_time"] {
        let error = refused(text);
        assert_eq!(error.kind, SqlErrorKind::NotAllowed, "{text}: {error}");
        assert!(error.to_string().contains("replayed"), "{text}: {error}");
    }
}

#[test]
fn aggregates_are_sent_to_where_they_belong() {
    let error = refused("n > 1 AND sum(n) > 5");
    assert_eq!((error.kind, error.column), (SqlErrorKind::NotAllowed, Some(11)));
    assert!(error.to_string().contains("`compute`"), "{error}");
}

#[test]
fn an_unknown_function_comes_with_its_place_and_the_nearest() {
    let error = refused("1 = 1 AND uper(level) = 'x'");
    assert_eq!((error.kind, error.column), (SqlErrorKind::UnknownFunction, Some(11)));
    assert_eq!(error.to_string(), "there is no function \"uper\" (did you mean \"upper\"?)");
}

#[test]
fn types_that_do_not_fit_are_refused() {
    for text in ["ts + 'x' * 2", "tags > 5", "upper(1, 2)", "NOT ts"] {
        assert_eq!(refused(text).kind, SqlErrorKind::Type, "{text}");
    }
}

#[test]
fn syntax_errors_say_where() {
    let error = refused("level = = 'x'");
    assert_eq!((error.kind, error.column), (SqlErrorKind::Syntax, Some(9)));
    let error = refused("level = 'x' level");
    assert_eq!((error.kind, error.column), (SqlErrorKind::Syntax, Some(13)));
    assert_eq!(refused("  ").message, "the expression is empty");
    assert_eq!(refused("a; DROP TABLE x").kind, SqlErrorKind::Syntax);
}

#[test]
fn a_value_that_cannot_be_computed_is_an_error_with_the_text() {
    let rows = rows();
    let expression = SqlCompiler::new().compile("1 / CAST(n AS BIGINT)", &rows.schema()).unwrap();
    let error = expression.evaluate(&rows).unwrap_err();
    assert!(error.message.contains("\"1 / CAST(n AS BIGINT)\" cannot be computed"), "{}", error.message);
}

#[test]
fn the_longest_expressions_that_the_gate_lets_through_compile() {
    let chain = vec!["n = 1"; 200].join(" OR ");
    assert!(value(&chain).starts_with("false"));
    let sum = vec!["n"; 401].join(" + ");
    assert_eq!(value(&sum), "1203 0 -401");
    let nested = format!("{}n{}", "(".repeat(50), ")".repeat(50));
    assert_eq!(value(&nested), "3 0 -1");
    let list = (0..2_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(value(&format!("n IN ({list})")), "true true false");
}

#[test]
fn constants_are_columns_too() {
    assert_eq!(value("1 + 1"), "2 2 2");
    assert_eq!(value("'x'"), "x x x");
    assert_eq!(value("NULL"), "null null null");
}
