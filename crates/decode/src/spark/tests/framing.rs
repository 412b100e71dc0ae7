//! Stories of where events end.

use proptest::prelude::*;
use weir_model::Framed;

use super::*;
use crate::cutting::{records_at_once, records_in_pieces};

/// The records of `content`, each between bars, with their line ends shown.
fn records(content: &str) -> Vec<String> {
    let records = records_at_once(&SparkFramer, content.as_bytes());
    records.into_iter().map(|(start, length)| content[start..start + length].escape_debug().to_string()).collect()
}

#[test]
fn what_has_no_date_belongs_to_the_line_before() {
    let content = "26/11/21 01:18:22 INFO A: one
26/11/21 01:18:23 ERROR Executor: Exception in task
org.apache.spark.SparkException: x
\tat a.B.c(D.java:1)

Caused by: java.io.IOException: y
Traceback (most recent call last):
  File \"a.py\", line 1
ValueError: z
 SQLSTATE: 38000
26/11/21 01:18:24 INFO A: two
";
    let records = records(content);
    assert_eq!(records.len(), 3);
    assert_eq!(
        (records[0].as_str(), records[2].as_str()),
        ("26/11/21 01:18:22 INFO A: one", "26/11/21 01:18:24 INFO A: two")
    );
    assert!(records[1].ends_with("SQLSTATE: 38000"));
}

#[test]
fn undated_lines_stand_alone_and_blank_ones_with_nobody() {
    let content = "\n\nSpark Executor Command: x\n====\n\nPicked up Y\n{\"ts\":\"2026-11-21T02:00:00Z\",\"level\":\"INFO\",\"msg\":\"m\"}\nprinted\n\n";
    let expected = [
        "\\n\\nSpark Executor Command: x",
        "====",
        "Picked up Y",
        "{\\\"ts\\\":\\\"2026-11-21T02:00:00Z\\\",\\\"level\\\":\\\"INFO\\\",\\\"msg\\\":\\\"m\\\"}",
        "printed",
    ];
    assert_eq!(records(content), expected);
}

#[test]
fn java_frames_belong_to_the_undated_line_above_them() {
    let content =
        "Exception in thread \"main\" java.lang.Error: x\n\tat a.B.c(D.java:1)\nCaused by: y\n\t... 3 more\nnext\n";
    assert_eq!(records(content).len(), 2);
}

#[test]
fn a_json_object_is_an_event_only_if_it_looks_like_one() {
    let content = "26/11/21 01:18:22 INFO A: schema is\n{\"type\":\"struct\"}\n{\"@timestamp\":\"2026-11-21T02:00:00Z\",\"message\":\"m\"}\nafter\n";
    let records = records(content);
    assert_eq!(records.len(), 3);
    assert!(records[0].ends_with("{\\\"type\\\":\\\"struct\\\"}"));
}

#[test]
fn a_line_of_the_other_stream_begins_another_record() {
    let content = "2026-11-21T02:00:00.1Z stderr F 26/11/21 02:00:00 ERROR A: x
2026-11-21T02:00:00.2Z stderr F java.lang.Error: y
2026-11-21T02:00:00.3Z stdout F printed
2026-11-21T02:00:00.4Z stdout P {\"ts\":\"2026-11-21T02:00:00Z\",
2026-11-21T02:00:00.4Z stderr F 26/11/21 02:00:00 INFO A: between
2026-11-21T02:00:00.5Z stdout F \"msg\":\"m\"}
2026-11-21T02:00:00.6Z stderr F 26/11/21 02:00:01 INFO A: z
";
    assert_eq!(records(content).len(), 4);
}

#[test]
fn an_event_is_known_to_end_only_when_another_begins() {
    let one = b"26/11/21 01:18:22 INFO A: one\n\tat x\n";
    assert_eq!(SparkFramer.frame(one, 0, false), Framed::Incomplete);
    assert_eq!(SparkFramer.frame(one, one.len(), true), Framed::Record { record: one.len() - 1, next: one.len() });
    assert!(SparkFramer.needs_lookahead());
    assert_eq!(SparkFramer.frame(b"\n\n", 0, true), Framed::Record { record: 0, next: 2 });
}

/// Lines of all kinds, from which files are put together.
const LINES: [&str; 24] = [
    "26/11/21 01:18:22 INFO A: one",
    "2026-11-21 01:18:22,123 [main] WARN a.B - two",
    "2026-11-21 01:18:22 no level",
    "{\"ts\":\"2026-11-21T02:00:00Z\",\"msg\":\"m\"}",
    "{\"type\":\"struct\"}",
    "",
    "   ",
    "\tat a.B.c(D.java:1)",
    "Caused by: a.BException: x",
    "Traceback (most recent call last):",
    "  File \"a.py\", line 1, in <module>",
    "ValueError: x",
    "During handling of the above exception, another exception occurred:",
    "a.b.Error: y;",
    "'Project ['x]",
    "+- Range (0, 5)",
    "== DataFrame ==",
    "printed",
    "é{",
    "2026-11-21T02:00:00.1Z stderr F 26/11/21 01:18:22 INFO A: in a container",
    "2026-11-21T02:00:00.2Z stderr P {\"ts\":\"2026-11-21T02:00:00Z\",",
    "2026-11-21T02:00:00.3Z stderr F \"msg\":\"m\"}",
    "2026-11-21T02:00:00.4Z stdout F \tat x",
    "2026-11-21T02:00:00.5Z stdout F ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cutting_elsewhere_gives_the_same_records(
        lines in prop::collection::vec((0..LINES.len(), any::<bool>()), 0..14),
        has_end in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut content: String = lines.iter().map(|(line, is_windows)| format!("{}{}", LINES[*line], if *is_windows { "\r\n" } else { "\n" })).collect();
        if !has_end {
            content.pop();
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
        cuts.sort_unstable();
        let at_once = records_at_once(&SparkFramer, content.as_bytes());
        prop_assert_eq!(&records_in_pieces(&SparkFramer, content.as_bytes(), &cuts), &at_once);
        // nothing but blank lines lies between the records
        let mut last = 0;
        for (start, length) in &at_once {
            prop_assert_eq!(*start, last.max(*start));
            prop_assert!(without_wrapping(&content[last..*start]).trim().is_empty(), "{:?}", &content[last..*start]);
            last = start + length;
        }
        prop_assert!(without_wrapping(&content[last..]).trim().is_empty());
    }
}

/// Container log lines without text are blank lines.
fn without_wrapping(text: &str) -> String {
    text.replace("2026-11-21T02:00:00.5Z stdout F", "")
}
