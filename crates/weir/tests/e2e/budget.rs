//! State that is larger than the memory it may take: the results are those of a pipeline that has all the memory it wants.

use std::fmt::Write;
use std::fs;

use crate::harness::{Place, well};

const PIPELINE: &str = "\
name: large
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 3h } } }
steps:
  - name: once
    deduplicate: { by: [id], within: 3h }
  - name: per_minute
    window:
      tumbling: 1m
      by: [service]
      compute: { events: count(*), median: \"quantile(0.5, n)\", users: count_distinct(id), last: last(n) }
outputs:
  - file: { path: once.ndjson, format: ndjson }
    from: once
  - file: { path: windows.ndjson, format: ndjson }
state: { memory: MEMORY }
";

/// Rows of an hour and a half, of which every tenth comes again at the end.
fn rows() -> String {
    let row = |row: u64| {
        let (minute, second, service) = (row / 300, row % 60, row % 250);
        let (hour, minute) = (10 + minute / 60, minute % 60);
        format!(
            "{{\"ts\":\"2026-01-01T{hour}:{minute:02}:{second:02}Z\",\"id\":\"request {row}\",\"service\":\"service {service}\",\
             \"n\":{}.5}}\n",
            row * 7_919 % 1_000
        )
    };
    let mut text = String::new();
    for number in (0..27_000).chain((0..27_000).step_by(10)) {
        let _ = text.write_str(&row(number));
    }
    text
}

#[test]
fn a_small_budget_of_memory_changes_no_byte_of_the_results() {
    let rows = rows();
    let results = |memory: &str| {
        let place = Place::new();
        place.write("logs.ndjson", &rows);
        well(&place.run(&place.write("large.yaml", PIPELINE.replace("MEMORY", memory)), &[]));
        let read = |name: &str| fs::read(place.path(name)).unwrap();
        (read("once.ndjson"), read("windows.ndjson"))
    };
    let (once, windows) = results("8GiB");
    assert_eq!(once.iter().filter(|byte| **byte == b'\n').count(), 27_000, "no row twice");
    assert!(windows.len() > 1 << 20, "{} bytes of windows", windows.len());
    assert!((once, windows) == results("1MiB"));
}
