//! What becomes of texts, by the way in which they are written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;

use weir_model::EventTime;

use super::grok::compile;
use super::plan::FIELDS_MAX;
use super::{Into, OnFailure, Others, Parse, ParseHow, ParsePlan, ParseType};
use crate::operator::{Operator, Outcome};
use crate::rows::Rows;

fn plan(how: ParseHow) -> ParsePlan {
    ParsePlan {
        column: "text".to_owned(),
        how,
        types: Vec::new(),
        others: Others::All,
        into: Into::Columns { prefix: String::new() },
        on_failure: OnFailure::Keep,
        drop_source: true,
    }
}

fn grok(pattern: &str) -> ParseHow {
    ParseHow::Grok { pattern: pattern.to_owned(), patterns: Vec::new() }
}

fn parse(plan: &ParsePlan, texts: &[&str]) -> Outcome {
    plan.check().expect("the plan makes sense");
    let texts: ArrayRef = Arc::new(texts.iter().map(|text| Some(*text)).collect::<StringArray>());
    let columns = RecordBatch::try_from_iter([("text", texts)]).expect("one column");
    let rows = Rows { columns, origin: None, made: None };
    Parse::new(plan).take(0, &rows, &mut Vec::new()).expect("it fails for no batch")
}

/// The values of the last row: `name=value`, null left out.
fn fields(plan: &ParsePlan, text: &str) -> String {
    let outcome = parse(plan, &[text]);
    let columns = &outcome.rows.last().expect("a row comes out").columns;
    let schema = columns.schema();
    let values = schema.fields().iter().zip(columns.columns()).filter(|(_, values)| !values.is_null(0));
    let values = values.map(|(field, values)| format!("{}={}", field.name(), shown(values)));
    values.collect::<Vec<_>>().join(" ")
}

/// The first value; Arrow shows no times in a named zone.
fn shown(values: &ArrayRef) -> String {
    match values.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => EventTime::from_micros(times.value(0)).to_string(),
        None if matches!(values.data_type(), DataType::Struct(_)) => {
            let inner = values.as_struct();
            let fields = inner.column_names().into_iter().zip(inner.columns());
            let fields = fields.filter(|(_, values)| values.is_valid(0));
            format!(
                "{{{}}}",
                fields.map(|(name, values)| format!("{name}: {}", shown(values))).collect::<Vec<_>>().join(", ")
            )
        }
        None => array_value_to_string(values, 0).expect("it can be shown"),
    }
}

#[test]
fn grok_takes_lines_of_web_servers_apart() {
    let line = r#"192.0.2.7 - jo [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 2326 "http://x.org/" "Mozilla/5.0 (X11)""#;
    let mut apache = plan(grok("%{COMBINEDAPACHELOG}"));
    apache.types = vec![("timestamp".to_owned(), ParseType::Timestamp)];
    assert_eq!(
        fields(&apache, line),
        "clientip=192.0.2.7 ident=- auth=jo timestamp=2000-10-10T20:55:36Z verb=GET request=/a?b=c httpversion=1.1 \
         response=200 bytes=2326 referrer=http://x.org/ agent=Mozilla/5.0 (X11)"
    );
    assert_eq!(
        fields(&plan(grok("%{NGINXERROR}")), "2026/01/02 03:04:05 [error] 17#3: *9 open() failed"),
        "timestamp=2026/01/02 03:04:05 loglevel=error pid=17 tid=3 connection=9 message=open() failed"
    );
}

#[test]
fn grok_takes_lines_of_syslog_and_java_apart() {
    assert_eq!(
        fields(&plan(grok("%{SYSLOGLINE}")), "Oct 11 22:14:15 box sshd[4711]: Failed password"),
        "timestamp=Oct 11 22:14:15 logsource=box program=sshd pid=4711 message=Failed password"
    );
    assert_eq!(
        fields(&plan(grok("%{SYSLOG5424LINE}")), "<34>1 2003-10-11T22:14:15.003Z host su - ID47 [a b=\"c\"] text"),
        "syslog5424_pri=34 syslog5424_ver=1 syslog5424_ts=2003-10-11T22:14:15.003Z syslog5424_host=host syslog5424_app=su \
         syslog5424_msgid=ID47 syslog5424_sd=[a b=\"c\"] syslog5424_msg=text"
    );
    assert_eq!(
        fields(&plan(grok("%{JAVALOG}")), "2026-01-02 03:04:05,678 [main] WARN org.x.Y - slow"),
        "timestamp=2026-01-02 03:04:05,678 thread=main level=WARN logger=org.x.Y message=slow"
    );
    assert_eq!(
        fields(&plan(grok("%{JAVASTACKTRACEPART}")), "\tat org.x.Y$1.run(Y.java:42)"),
        "class=org.x.Y$1 method=run file=Y.java line=42"
    );
}

#[test]
fn every_known_pattern_compiles() {
    for (name, _) in super::grok_library::LIBRARY {
        compile(&format!("%{{{name}:all}}"), &[]).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    }
}

#[test]
fn own_patterns_and_types_come_with_the_pattern() {
    let own = vec![("ORDER".to_owned(), "[A-Z]{2}-%{INT}".to_owned())];
    let how =
        ParseHow::Grok { pattern: "%{ORDER:order} took %{NUMBER:ms:float}(?<unit>ms|s)".to_owned(), patterns: own };
    let plan = plan(how);
    assert_eq!(fields(&plan, "AB-12 took 5ms"), "order=AB-12 ms=5.0 unit=ms");
    assert_eq!(fields(&plan, "nothing"), "text=nothing", "the text stays");
}

#[test]
fn a_pattern_that_is_wrong_says_what_would_be_right() {
    let wrong = |how: ParseHow| plan(how).check().expect_err("it is wrong").to_string();
    assert_eq!(wrong(grok("%{IPP:x}")), "grok: there is no pattern `IPP` (did you mean `%{IP}`?)");
    assert_eq!(
        wrong(grok("%{WORD:x:nt}")),
        "grok: there is no type `nt` (there are int, float, bool, timestamp and string)"
    );
    assert!(wrong(grok("%{WORD:x")).starts_with("grok: `%{WORD:x` has no `}`"));
    assert!(wrong(grok("%{WORD}")).starts_with("grok: the pattern names nothing"));
    let own = vec![("A".to_owned(), "%{A}".to_owned())];
    assert!(wrong(ParseHow::Grok { pattern: "%{A:a}".to_owned(), patterns: own }).contains("more than 30 deep"));
    assert!(wrong(ParseHow::Regex("(?=x)".to_owned())).contains("take time linear in the text"));
    let mut typed = plan(ParseHow::Regex("(?<ms>[0-9]+)".to_owned()));
    typed.types = vec![("sm".to_owned(), ParseType::Int64)];
    assert_eq!(typed.check().expect_err("it is wrong").to_string(), "types.sm: the pattern has no `sm` (it has ms)");
}

#[test]
fn json_gives_what_is_asked_for_also_from_inside() {
    let mut plan = plan(ParseHow::Json);
    plan.types = vec![
        ("user.id".to_owned(), ParseType::Int64),
        ("at".to_owned(), ParseType::Timestamp),
        ("ok".to_owned(), ParseType::Bool),
    ];
    let text = r#"{"user":{"id":7,"name":"jo"},"at":"2026-01-02T03:04:05Z","ok":true,"say":"a\"b\u00e9","list":[1, 2],"none":null}"#;
    assert_eq!(
        fields(&plan, text),
        "user.id=7 at=2026-01-02T03:04:05Z ok=true user={\"id\":7,\"name\":\"jo\"} say=a\"bé list=[1, 2]"
    );
    plan.others = Others::These(vec![("say".to_owned(), ParseType::String)]);
    assert_eq!(fields(&plan, text), "user.id=7 at=2026-01-02T03:04:05Z ok=true say=a\"bé");
    plan.into = Into::Struct("j".to_owned());
    assert!(fields(&plan, text).starts_with("j={user.id: 7,"));
    assert_eq!(fields(&plan, "[1]"), "text=[1] j={}");
    assert!(fields(&plan, "{\"a\":1} x").starts_with("text={"), "what follows the object is wrong");
}

#[test]
fn key_value_knows_quotes_and_passes_over_words() {
    let logfmt = plan(ParseHow::KeyValue { pairs: None, equals: '=' });
    assert_eq!(fields(&logfmt, r#"hello a=1 b="x \"y\" z" c= "some words" d=e"#), "a=1 b=x \"y\" z c= d=e");
    assert!(fields(&logfmt, "a=\"open").starts_with("text=a"), "quotes that do not end");
    let query = plan(ParseHow::KeyValue { pairs: Some('&'), equals: '=' });
    assert_eq!(fields(&query, "a=1 2&b=3"), "a=1 2 b=3");
}

#[test]
fn columns_grow_row_by_row_whatever_the_batch() {
    let outcome =
        parse(&plan(ParseHow::KeyValue { pairs: None, equals: '=' }), &["a=1", "a=2", "b=3 a=4", "a=5", "c=6"]);
    let shapes: Vec<(usize, usize)> =
        outcome.rows.iter().map(|rows| (rows.columns.num_columns() - 1, rows.len())).collect();
    assert_eq!(shapes, [(1, 2), (2, 2), (3, 1)]);
}

#[test]
fn a_text_with_too_many_fields_is_not_as_it_should_be() {
    let many: Vec<String> = (0..=FIELDS_MAX).map(|field| format!("f{field}=1")).collect();
    let outcome = parse(&plan(ParseHow::KeyValue { pairs: None, equals: '=' }), &[&many.join(" "), "f1=2"]);
    let last = &outcome.rows.last().expect("rows come out").columns;
    assert_eq!(last.num_columns(), 1 + FIELDS_MAX);
    assert!(!outcome.rows[0].columns.column(0).is_null(0), "the text stays");
}
