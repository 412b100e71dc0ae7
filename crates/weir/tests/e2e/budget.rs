//! State that is larger than the memory it may take: the results are those of a pipeline that has all the memory it wants.

use std::fmt::Write;
use std::fs;
#[cfg(feature = "rocksdb")]
use std::io::Write as _;

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

const KEYED: &str = "\
name: keyed
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
  owners:
    file: { paths: [owners.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 10m } } }
steps:
  - name: visits
    from: logs
    window:
      session: 20m
      by: [id]
      compute: { events: count(*), median: \"quantile(0.5, n)\", last: last(service) }
  - name: seen
    from: logs
    window:
      global: { forget_after: 30m }
      by: [id]
      emit: { every_rows: 2 }
      compute: { events: count(*), median: \"quantile(0.5, n)\", last: last(service) }
  - name: owned
    from: logs
    join: { with: owners, on: { id: id }, as_of: {}, kind: left }
outputs:
  - file: { path: visits.ndjson, format: ndjson }
    from: visits
  - file: { path: seen.ndjson, format: ndjson }
    from: seen
  - file: { path: owned.ndjson, format: ndjson }
    from: owned
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

#[test]
fn sessions_global_windows_and_tables_that_are_joined_say_the_same_with_little_memory() {
    let rows = rows();
    let owners: String = (0..27_000).fold(String::new(), |mut text, row| {
        let _ = writeln!(
            text,
            "{{\"ts\":\"2026-01-01T09:{:02}:00Z\",\"id\":\"request {row}\",\"owner\":\"team {} of some length\"}}",
            row % 60,
            row % 777
        );
        text
    });
    let results = |memory: &str| {
        let place = Place::new();
        place.write("logs.ndjson", &rows);
        place.write("owners.ndjson", &owners);
        well(&place.run(&place.write("keyed.yaml", KEYED.replace("MEMORY", memory)), &[]));
        ["visits", "seen", "owned"].map(|name| fs::read(place.path(&format!("{name}.ndjson"))).unwrap())
    };
    let large = results("8GiB");
    let lines = large.each_ref().map(|text| text.iter().filter(|byte| **byte == b'\n').count());
    assert!(lines.iter().all(|lines| *lines >= 27_000), "{lines:?}");
    assert!(large == results("1MiB"));
}

const BACKEND: &str = "state: { memory: 1MiB, backend: rocksdb }";

#[cfg(not(feature = "rocksdb"))]
#[test]
fn a_weir_without_rocksdb_says_so_and_what_to_do() {
    let place = Place::new();
    place.write("logs.ndjson", rows());
    let output = place.run(&place.write("large.yaml", PIPELINE.replace("state: { memory: MEMORY }", BACKEND)), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for part in ["built without RocksDB", "backend: rocksdb", "--features rocksdb", "leave `backend` out"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn keys_in_rocksdb_change_no_byte_of_the_results_also_when_the_run_goes_on_later() {
    let rows = rows();
    let lines: Vec<&str> = rows.split_inclusive('\n').collect();
    let results = |state: &str| {
        let place = Place::new();
        let pipeline = place.write("large.yaml", PIPELINE.replace("state: { memory: MEMORY }", state));
        // Three lives over a file that grows: what the others knew, the last ones must.
        let logs = place.write("logs.ndjson", "");
        for part in [0..9_000, 9_000..20_000, 20_000..lines.len()] {
            let mut file = fs::OpenOptions::new().append(true).open(&logs).unwrap();
            file.write_all(lines[part].concat().as_bytes()).unwrap();
            well(&place.run(&pipeline, &[]));
        }
        let found =
            |entry: fs::DirEntry| entry.file_name() == "rocksdb" && entry.path().read_dir().unwrap().count() == 1;
        let folders = fs::read_dir(place.data().join("state/large")).unwrap();
        let has_store = folders.map(|entry| entry.unwrap()).any(found);
        assert_eq!(has_store, state.contains("rocksdb"));
        fs::read(place.path("once.ndjson")).unwrap()
    };
    let once = results("state: { memory: 8GiB }");
    assert_eq!(once.iter().filter(|byte| **byte == b'\n').count(), 27_000, "no row twice");
    assert!(once == results(BACKEND));
}
