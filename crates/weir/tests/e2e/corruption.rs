//! Every kind of file in the data folder, damaged in every way: what was good before is used, or the damage is named with
//! the file and what to do about it. Never silence, never a panic, never a start that fails again and again by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Place, Running, awaited, copied, well};
use crate::up::{Server, exchange, post_rows};

const PIPELINE: &str = "\
name: whole
sources:
  logs:
    http: { stream: logs, retain: { bytes: 8MiB } }
    format: json
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - name: counted
    window: { tumbling: 1m, by: [level], compute: { events: count(*) } }
outputs:
  - table: rows
    from: logs
  - table: counted
epoch: 100ms
";

/// Ways to damage a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Flip,
    Zero,
    Cut,
    Delete,
    /// The file as it was some time before.
    Older,
}

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// As if nothing had happened: the file can be made again, or an older one is gone back to.
    Whole,
    /// It starts and answers; what is lost is named, with these words.
    Named(&'static str),
    /// It does not start, and says so with these words.
    Refused(&'static str),
    /// It starts and answers; the pipeline stops, and says so with these words.
    Stopped(&'static str),
}

impl Outcome {
    /// Whether it has come to this: by everything that was said, and by the rows that are found if it started.
    fn is(self, said: &str, rows: Option<i64>) -> bool {
        match self {
            Whole => rows == Some(400) && said.contains("\"running\""),
            Named(words) => rows.is_some_and(|rows| rows > 0) && said.contains(words),
            Stopped(words) => rows == Some(400) && said.contains(words),
            Refused(words) => rows.is_none() && said.contains(words),
        }
    }
}

use Damage::{Cut, Delete, Flip, Older, Zero};
use Outcome::{Named, Refused, Stopped, Whole};

/// The contract: kind of file, damage, outcome. `docs/runbooks/damage.md` says the same to people.
const CONTRACT: [(&str, Damage, Outcome); 30] = [
    ("log segment", Flip, Named(".log is damaged at byte")),
    ("log segment", Zero, Named(".log is damaged at byte")),
    ("log segment", Cut, Stopped("the log is older than what was made of it")),
    ("log segment", Delete, Stopped("the log is older than what was made of it")),
    ("log segment", Older, Stopped("the log is older than what was made of it")),
    ("keys of a segment", Flip, Whole),
    ("keys of a segment", Zero, Whole),
    ("keys of a segment", Cut, Whole),
    ("keys of a segment", Delete, Whole),
    ("keys of a segment", Older, Whole),
    ("catalog", Flip, Refused("catalog.sqlite")),
    ("catalog", Zero, Refused("catalog.sqlite")),
    ("catalog", Cut, Refused("catalog.sqlite")),
    ("catalog", Delete, Refused("catalog.sqlite is missing")),
    // Everything since is made again of the log.
    ("catalog", Older, Whole),
    ("table segment", Flip, Named(".parquet")),
    ("table segment", Zero, Named(".parquet")),
    ("table segment", Cut, Named(".parquet")),
    ("table segment", Delete, Named(".parquet")),
    ("table segment", Older, Named(".parquet")),
    ("dead letters", Flip, Named(".parquet")),
    ("dead letters", Zero, Named(".parquet")),
    ("dead letters", Cut, Named(".parquet")),
    ("dead letters", Delete, Named(".parquet")),
    ("dead letters", Older, Named(".parquet")),
    ("state", Flip, Whole),
    ("state", Zero, Whole),
    ("state", Cut, Whole),
    ("state", Delete, Whole),
    ("state", Older, Whole),
];

/// A data folder after rows 0 to 400, of which the catalog, the log and the state of rows 0 to 100 are kept as `older`.
struct Golden {
    place: Place,
    pipeline: PathBuf,
}

impl Golden {
    fn new() -> Self {
        let place = Place::new();
        let pipeline = place.write("whole.yaml", PIPELINE);
        let golden = Self { place, pipeline };
        golden.life(0..100);
        golden.brought_back("older");
        golden.life(100..400);
        golden.brought_back("golden");
        golden
    }

    /// The data folder as a backup brings it back, which leaves nothing of the catalog beside its file.
    fn brought_back(&self, name: &str) {
        well(&self.place.weir(&["backup", "saved", "--data"]).arg(self.place.data()).output().unwrap());
        well(&self.place.weir(&["restore", "saved", "--data", name]).output().unwrap());
    }

    /// Starts, posts rows one request at a time, waits until they are stored, and stops.
    fn life(&self, rows: std::ops::Range<u32>) {
        let server = Server::start(&self.place, &[self.pipeline.to_str().unwrap()]);
        for from in rows.clone().step_by(20) {
            post_rows(&server, from, from + 20);
        }
        // A record without a time, to be found among the dead letters.
        let timeless = "{\"ts\":\"never\",\"level\":\"INFO\",\"message\":\"timeless\"}\n";
        assert_eq!(server.send("POST", "/api/v1/ingest/logs", "application/x-ndjson", timeless).0, 200);
        server.sql_becomes("SELECT count(*) FROM rows", rows.end.into());
        server.sql_becomes("SELECT count(*) FROM dead_letters", if rows.start == 0 { 1 } else { 2 });
        assert_eq!(server.stop("-TERM"), Some(0));
    }
}

/// The files of a kind, the newest last.
fn files(data: &Path, kind: &str) -> Vec<PathBuf> {
    let (folder, end) = match kind {
        "log segment" => ("log/logs/0", ".log"),
        "keys of a segment" => ("log/logs/0", ".keys"),
        "catalog" => ("", "catalog.sqlite"),
        "table segment" => ("tables/rows", ".parquet"),
        "dead letters" => ("tables/dead_letters", ".parquet"),
        "state" => ("state/whole", ".snap"),
        other => unreachable!("no files are {other}"),
    };
    let listed = fs::read_dir(data.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = listed.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    found.sort();
    found
}

/// Does the damage to the newest file of the kind; the second newest where it is a table's, so that rows remain after it.
fn damage(data: &Path, older: &Path, kind: &str, how: Damage) {
    let found = files(data, kind);
    if kind == "keys of a segment" && found.is_empty() {
        // The only segment is not closed yet: a summary beside it is wrong whatever it says.
        fs::write(data.join("log/logs/0/00000000000000000000.keys"), "not a summary").unwrap();
        return;
    }
    let file = found.last().unwrap_or_else(|| panic!("no {kind}")).clone();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    match how {
        Flip if kind == "catalog" => {
            // In the head of the first page; a bit in the text of a row is what checksums of files and commits are for.
            bytes[100] ^= 0x10;
        }
        Flip => bytes[middle] ^= 1,
        Zero => {
            let end = (middle + 4096).min(bytes.len());
            bytes[middle..end].fill(0);
        }
        Cut => bytes.truncate(middle),
        Delete => return fs::remove_file(&file).unwrap(),
        Older => {
            let before = files(older, kind);
            bytes = match before.iter().rev().find(|path| path.file_name() == file.file_name()).or(before.last()) {
                Some(path) => fs::read(path).unwrap(),
                None => b"of another time".to_vec(),
            };
        }
    }
    fs::write(&file, bytes).unwrap();
}

/// Starts on `data` and waits until it has come to what is `expected`. Returns everything that was said.
fn start(place: &Place, pipeline: &Path, data: &Path, (case, expected): (&str, Outcome)) -> String {
    let said = place.path("said.txt");
    let mut command: Command = place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(data).arg(pipeline).stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
    let mut process = Running(command.spawn().unwrap());
    let heard = || fs::read_to_string(&said).unwrap();
    let ended = awaited(&format!("{case}: it starts or ends"), || {
        let ended = process.0.try_wait().unwrap().is_some();
        if ended || heard().contains("Weir is up") { Ok(ended) } else { Err(heard()) }
    });
    if ended {
        let said = heard();
        assert!(expected.is(&said, None), "{case}: expected {expected:?}, but it ended:\n{said}");
        return said;
    }
    let address = heard().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let told = awaited(&format!("{case}: {expected:?}"), || {
        let body = r#"{"sql":"SELECT r.*, (SELECT count(*) FROM dead_letters WHERE payload LIKE '%e%') AS letters FROM rows r"}"#;
        let (_, _, answer) = exchange(&address, "POST", "/api/v1/sql", "application/json", body).unwrap();
        let (_, _, pipelines) = exchange(&address, "GET", "/api/v1/pipelines", "text/plain", "").unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let rows = parsed["row_count"].as_i64().unwrap_or(-1);
        let said = heard() + &answer + &pipelines;
        if expected.is(&said, Some(rows)) { Ok(answer + &pipelines) } else { Err(format!("{rows} rows and:\n{said}")) }
    });
    Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().unwrap();
    let status = process.0.wait().unwrap();
    assert!(status.success(), "{case}: {status}: {}", heard());
    heard() + &told
}

#[test]
fn every_kind_of_file_damaged_in_every_way_is_made_good_or_named() {
    let golden = Golden::new();
    for (kind, how, outcome) in CONTRACT {
        let place = Place::new();
        copied(&golden.place.path("golden"), &place.data());
        damage(&place.data(), &golden.place.path("older"), kind, how);
        let case = format!("{kind}, {how:?}");
        let said = start(&place, &golden.pipeline, &place.data(), (&case, outcome));
        assert!(!said.contains("panicked"), "{case}: {said}");
    }
}

const INDEXED: &str = "\
name: indexed
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
    schema: { ts: timestamp, service: string, n: int64, message: string }
time: { field: ts }
outputs:
  - table: { name: rows, rollups: [{ every: 1m, by: [service], of: [n] }] }
";

/// A data folder with one segment that is large enough for an index; the same but for what its rows say.
fn indexed(name: &str) -> Place {
    let place = Place::new();
    let row = |n: u64| {
        let (minute, service, long) = (n / 2_000, n % 7, n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        format!(
            "{{\"ts\":\"2026-01-01T00:{minute:02}:00Z\",\"service\":\"{name} {service}\",\"n\":{n},\"message\":\"order {long} of {name}{}\"}}\n",
            if n == 12_345 { " needle" } else { "" }
        )
    };
    place.write("logs.ndjson", (0..20_000).map(row).collect::<String>());
    well(&place.run(&place.write("p.yaml", INDEXED), &[]));
    place
}

#[test]
fn a_search_index_and_sums_that_are_damaged_in_any_way_cost_time_and_no_answer() {
    let (place, other) = (indexed("shop"), indexed("bank"));
    let index = |place: &Place| -> PathBuf {
        let listed = fs::read_dir(place.data().join("tables/rows")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = listed.filter(|path| path.extension().is_some_and(|end| end == "tok")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let ask = |asked: &str| place.query(asked);
    let found = "SELECT n, service FROM rows WHERE message LIKE '%needle%'";
    let sums = "SELECT service, count(*) AS events, sum(n) AS total FROM rows GROUP BY service ORDER BY service";
    let right = (ask(found), ask(sums));
    assert_eq!((right.0.len(), right.0[0]["n"].as_u64(), right.1.len()), (1, Some(12_345), 7), "{right:?}");
    let plan = |asked: &str| format!("{:?}", ask(&format!("EXPLAIN {asked}")));
    assert!(plan(sums).contains("answered by the rollup"), "{}", plan(sums));
    let (path, of_another) = (index(&place), fs::read(index(&other)).unwrap());
    let sound = fs::read(&path).unwrap();
    for at in [0, 8, 12, 24, 40, sound.len() / 4, sound.len() / 2, sound.len() * 3 / 4, sound.len() - 1] {
        let (mut flipped, mut zeroed) = (sound.clone(), sound.clone());
        flipped[at] ^= 1;
        let end = (at + 4096).min(sound.len());
        zeroed[at..end].fill(0);
        for damaged in [&flipped[..], &zeroed, &sound[..at]] {
            fs::write(&path, damaged).unwrap();
            assert!((ask(found), ask(sums)) == right, "at {at} of {}, {} bytes", sound.len(), damaged.len());
        }
    }
    fs::write(&path, &of_another).unwrap();
    assert!((ask(found), ask(sums)) == right, "the index of another segment");
    fs::remove_file(&path).unwrap();
    assert!((ask(found), ask(sums)) == right, "no index");
    assert!(!plan(sums).contains("answered by the rollup"), "{}", plan(sums));
}
