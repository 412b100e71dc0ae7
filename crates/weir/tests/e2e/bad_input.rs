//! Whatever comes in, there is a clear error or a dead letter with its position, and the rest goes on.

use std::fs;
use std::io::Write;

use crate::harness::{Place, paths, said, well};

const PIPELINE: &str = "\
name: bad
sources:
  logs:
    file: { paths: [in.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 10s } } }
outputs:
  - table: rows
";

fn good(n: u32) -> String {
    format!("{{\"ts\":\"2026-01-01T00:00:{:02}Z\",\"n\":{n}}}\n", n % 60)
}

/// Runs the pipeline over `content` and expects it to end well.
fn run_over(content: impl AsRef<[u8]>) -> Place {
    let place = Place::new();
    let logs = place.write("in.ndjson", content);
    let pipeline = place.write("p.yaml", PIPELINE);
    well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&logs])]));
    place
}

/// Offset and reason of every dead letter.
fn dead_letters(place: &Place) -> Vec<(i64, String)> {
    let rows = place.query("SELECT source_offset, reason FROM dead_letters ORDER BY source_offset");
    rows.iter()
        .map(|row| (row["source_offset"].as_i64().unwrap(), row["reason"].as_str().unwrap().to_owned()))
        .collect()
}

/// Expects one dead letter at `offset` whose reason contains `reason`, and `rows` rows stored.
fn expect_one(place: &Place, rows: i64, offset: usize, reason: &str) {
    let letters = dead_letters(place);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].0, i64::try_from(offset).unwrap(), "{letters:?}");
    assert!(letters[0].1.contains(reason), "{letters:?}");
    assert_eq!(place.number("SELECT count(*) FROM rows"), rows);
}

#[test]
fn a_line_that_is_not_json_is_a_dead_letter_with_its_position() {
    let place = run_over(format!("{}this is not JSON\n{}", good(1), good(2)));
    expect_one(&place, 2, good(1).len(), "");
    let payload = place.query("SELECT payload, source_file FROM dead_letters");
    assert_eq!(payload[0]["payload"], "this is not JSON");
    assert!(payload[0]["source_file"].as_str().unwrap().ends_with("in.ndjson"));
}

#[test]
fn invalid_utf8_is_a_dead_letter_that_keeps_its_bytes() {
    let mut content = good(1).into_bytes();
    content.extend(b"{\"ts\":\"2026-01-01T00:00:02Z\",\"m\":\"\xff\xfe\"}\n");
    content.extend(good(3).into_bytes());
    let place = run_over(content);
    expect_one(&place, 2, good(1).len(), "UTF-8");
    let payload = place.query("SELECT payload_base64 FROM dead_letters");
    assert!(payload[0]["payload_base64"].as_str().is_some_and(|text| !text.is_empty()), "{payload:?}");
}

#[test]
fn a_line_of_100_mb_is_a_dead_letter_and_the_next_line_is_read() {
    let place = Place::new();
    let path = place.path("in.ndjson");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(good(1).as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\n").unwrap();
    file.write_all(good(2).as_bytes()).unwrap();
    drop(file);
    let pipeline = place.write("p.yaml", PIPELINE);
    well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&path])]));
    expect_one(&place, 2, good(1).len(), "104857600");
    let length = place.query("SELECT original_bytes FROM dead_letters");
    assert_eq!(length[0]["original_bytes"], 104_857_600);
}

#[test]
fn a_missing_or_absurd_timestamp_is_a_dead_letter() {
    for (line, reason) in [
        ("{\"n\":1}", "ts"),
        ("{\"ts\":\"9999-12-31T00:00:00Z\",\"n\":1}", "9999"),
        ("{\"ts\":\"1970-01-01T00:00:00Z\",\"n\":1}", "1970"),
        ("{\"ts\":\"yesterday\",\"n\":1}", "yesterday"),
    ] {
        let place = run_over(format!("{}{line}\n{}", good(1), good(2)));
        expect_one(&place, 2, good(1).len(), reason);
    }
}

#[test]
fn a_truncated_gzip_gives_what_it_holds_and_says_so() {
    use std::process::{Command, Stdio};
    let place = Place::new();
    let content: String = (0..20_000).map(good).collect();
    let plain = place.write("in.ndjson", &content);
    let packed = Command::new("gzip").arg("-c").arg(&plain).stdout(Stdio::piped()).output().unwrap().stdout;
    let cut = place.write("cut.gz", &packed[..packed.len() / 2]);
    let pipeline = place.write("p.yaml", PIPELINE);
    let output = place.run(&pipeline, &[paths("sources.logs.file.paths", &[&cut])]);
    assert_eq!(output.status.code(), Some(1), "it ran, and something went wrong\n{}", said(&output));
    assert!(said(&output).contains("cut.gz"), "{}", said(&output));
    let rows = place.number("SELECT count(*) FROM rows");
    assert!(rows > 1_000 && rows < 20_000, "{rows} rows before the damage");
}

#[test]
fn a_file_that_is_not_there_stops_the_start_with_its_name() {
    let place = Place::new();
    let pipeline = place.write("p.yaml", PIPELINE);
    let output = place.run(&pipeline, &[paths("sources.logs.file.paths", &[&place.path("no/such/folder/*.log")])]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no/such/folder"), "{}", said(&output));
}

#[test]
fn one_unreadable_path_among_good_ones_is_trouble_and_the_others_are_read() {
    let place = Place::new();
    let logs = place.write("in.ndjson", good(1));
    std::os::unix::fs::symlink("loop.ndjson", place.path("loop.ndjson")).unwrap();
    let pipeline = place.write("p.yaml", PIPELINE);
    let output = place.run(&pipeline, &[paths("sources.logs.file.paths", &[&logs, &place.path("loop.ndjson")])]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("loop.ndjson"), "{}", said(&output));
    assert_eq!(place.number("SELECT count(*) FROM rows"), 1);
}

#[test]
fn a_wrong_key_is_refused_with_its_line_and_the_nearest_name() {
    let place = Place::new();
    let pipeline = place.write("p.yaml", PIPELINE.replace("follow:", "folow:"));
    let output = place.run(&pipeline, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert!(text.contains("p.yaml:4:"), "{text}");
    assert!(text.contains("folow") && text.contains("follow"), "{text}");
    assert!(!place.data().exists(), "nothing is started for a pipeline that is wrong");
}

#[test]
fn a_column_that_does_not_exist_is_refused_before_anything_starts() {
    let place = Place::new();
    let yaml = PIPELINE
        .replace("format: json", "format: spark_log")
        .replace("outputs:", "steps:\n  - where: levle = 'ERROR'\noutputs:");
    let output = place.run(&place.write("p.yaml", yaml), &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert!(text.contains("levle") && text.contains("level"), "{text}");
    assert!(text.contains("p.yaml:8:12"), "the column inside the expression\n{text}");
}

/// Runs over a disk of 3 MiB, which is full before the end, then over the same disk with room, in a mount namespace of its own.
const FULL_DISK: &str = r#"
set -eu
mount -t tmpfs -o size=3m tmpfs small
code=0
"$WEIR" run p.yaml --data small/data >first.txt 2>&1 || code=$?
echo "$code" >first.code
mount -o remount,size=200m small
"$WEIR" run p.yaml --data small/data >second.txt 2>&1
"$WEIR" query --data small/data --format csv 'SELECT count(*) FROM rows' >count.csv
"#;

#[test]
fn a_full_disk_ends_the_run_with_a_clear_error_and_a_rerun_loses_nothing() {
    use std::process::Command;
    let place = Place::new();
    let rows = 120_000;
    well(&place.weir(&["gen", "logs", "--rows", &rows.to_string(), "--out", "in.ndjson"]).output().unwrap());
    // Without it the run would wait ten minutes for room.
    let impatient = PIPELINE.replace("- table: rows", "- { table: rows, retry: { give_up_after: 2s } }");
    place.write("p.yaml", impatient);
    fs::create_dir(place.path("small")).unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK])
        .env("WEIR", env!("CARGO_BIN_EXE_weir"))
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap_or_default();
    assert!(output.status.success(), "{}{}{}", said(&output), read("first.txt"), read("second.txt"));
    let first = read("first.txt").to_lowercase();
    assert_eq!(read("first.code").trim(), "1", "{first}");
    assert!(first.contains("disk is full") || first.contains("no space left"), "{first}");
    assert_eq!(read("count.csv").lines().nth(1), Some(rows.to_string().as_str()));
}
