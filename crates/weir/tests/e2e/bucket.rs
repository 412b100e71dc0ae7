//! Buckets, on a real server of the S3 API (moto) on this machine: backups go there and come back, also of a pipeline that
//! has its state there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Place, Running, python, said, until, well};
use crate::up::{Server, exchange};

/// Its first line says what it needs.
const SERVER: &str = include_str!("s3_server.py");

/// A server with the empty bucket `weir`.
pub(crate) struct S3 {
    _process: Running,
    pub(crate) address: String,
}

/// What a client says of itself; the server checks no signatures.
const CLIENT: &str = "text/plain\r\nAuthorization: AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";

impl S3 {
    pub(crate) fn start() -> Self {
        let needs = SERVER.lines().next().unwrap().strip_prefix("# needs ").unwrap();
        let mut command = Command::new(python("s3", &needs.split(' ').collect::<Vec<_>>()));
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Running(command.spawn().unwrap());
        let mut address = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the bucket's server has ended before it was up");
        Self { _process: process, address: address.trim().to_owned() }
    }

    fn endpoint(&self) -> String {
        format!("endpoint=http://{}", self.address)
    }

    /// The names of the objects that begin with `prefix`.
    pub(crate) fn objects(&self, prefix: &str) -> Vec<String> {
        let path = format!("/weir?list-type=2&prefix={prefix}");
        let (_, _, body) = exchange(&self.address, "GET", &path, CLIENT, "").unwrap();
        body.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }
}

fn in_cloud(mut command: Command) -> Command {
    command.env("AWS_ACCESS_KEY_ID", "me").env("AWS_SECRET_ACCESS_KEY", "hunter2").env("AWS_REGION", "us-east-1");
    command
}

fn weir(place: &Place, arguments: &[&str]) -> Output {
    in_cloud(place.weir(arguments)).output().unwrap()
}

const BACKUPS: &str = "s3://weir/backups";

#[test]
fn a_data_folder_is_saved_to_a_bucket_and_comes_back() {
    let server = S3::start();
    let endpoint = server.endpoint();
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", "3000", "--out", "logs.ndjson"]).output().unwrap());
    // Its state lies in the same bucket.
    let pipeline = place.write(
        "p.yaml",
        format!(
            "name: saved\nsources: {{ logs: {{ file: {{ paths: [logs.ndjson], follow: false }}, format: json }} }}\n\
             time: {{ field: ts, watermark: {{ bounded: {{ delay: 10s }} }} }}\n\
             steps: [{{ name: counted, window: {{ tumbling: 1h, by: [service], compute: {{ events: count(*) }} }} }}]\n\
             outputs: [{{ table: rows, from: logs }}, {{ table: counted }}]\n\
             state: {{ snapshots: {{ url: 's3://weir/state', options: {{ endpoint: 'http://{}' }} }} }}\n",
            server.address
        ),
    );
    well(&in_cloud(place.run_command(&pipeline, &[])).output().unwrap());
    assert!(!server.objects("state/saved/").is_empty(), "the state is in the bucket");
    // A file that is sent and fetched in several pieces.
    let large: Vec<u8> = (0..20_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    place.write("data/log/large/0/00000000000000000000.log", &large);

    let data = place.data();
    let data = data.to_str().unwrap();
    let backup = || {
        let output = weir(
            &place,
            &["backup", BACKUPS, "--option", &endpoint, "--data", data, "--format", "json", "--keep", "2"],
        );
        well(&output);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = backup();
    assert!(first["new_bytes"].as_u64().unwrap() > 20 << 20 && first["troubles"] == serde_json::json!([]), "{first}");
    let second = backup();
    assert!(second["new_bytes"].as_u64().unwrap() < 1 << 20, "what is there is not sent again: {second}");
    assert_eq!(backup()["deleted"], serde_json::json!([first["id"]]), "two are kept");
    assert_eq!(server.objects("backups/backups/").len(), 2);
    assert!(server.objects("backups/lock").is_empty(), "nobody holds it any more");

    let restore = |more: &[&str]| {
        let output = in_cloud(place.weir(&["restore", BACKUPS, "--option", &endpoint])).args(more).output().unwrap();
        well(&output);
        said(&output)
    };
    assert_eq!(restore(&["--list"]).lines().count(), 2);
    assert!(restore(&["--verify"]).contains("is sound"));
    restore(&["--data", "again"]);
    assert_eq!(fs::read(place.path("again/log/large/0/00000000000000000000.log")).unwrap(), large);
    let counted = |data: &str| {
        let output = weir(&place, &["query", "--format", "csv", "--data", data, "SELECT sum(events) FROM counted"]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(counted("again"), counted(data));
    // It goes on where the backup was, with a state of its own in the bucket.
    well(&weir(&place, &["run", pipeline.to_str().unwrap(), "--data", "again"]));
    let owners: std::collections::BTreeSet<_> =
        server.objects("state/saved/").iter().filter_map(|name| name.split('/').nth(2).map(str::to_owned)).collect();
    assert!(!owners.is_empty());
    assert_eq!(counted("again"), counted(data));

    let wrong = weir(&place, &["backup", "s3://nowhere/x", "--option", &endpoint, "--data", data]);
    assert!(!wrong.status.success() && said(&wrong).contains("s3://nowhere/x"), "{}", said(&wrong));
    assert!(!said(&wrong).contains("hunter2"), "{}", said(&wrong));
    let typo = weir(&place, &["backup", BACKUPS, "--option", "endpiont=x", "--data", data]);
    assert!(typo.status.code() == Some(2) && said(&typo).contains("it has no option endpiont"), "{}", said(&typo));
}

#[test]
fn old_rows_of_a_table_move_to_a_bucket_and_are_found_there() {
    let server = S3::start();
    let place = Place::new();
    let pipeline = place.write(
        "old.yaml",
        format!(
            "name: old\nepoch: 100ms\nsources: {{ in: {{ http: {{ stream: old }}, format: json, schema: {{ ts: timestamp, level: string, n: int64 }} }} }}\n\
             time: {{ field: ts, not_before: 2000-01-01T00:00:00Z }}\n\
             outputs: [{{ table: {{ name: old, tiers: [{{ after: 30d, url: 's3://weir/cold', options: {{ endpoint: 'http://{}', \
             access_key_id: me, secret_access_key: hunter2 }} }}] }} }}]\n",
            server.address
        ),
    );
    let mut command = in_cloud(place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]));
    command.arg(place.data()).arg(&pipeline);
    let weir = Server::of(command, std::io::sink());
    let post = |day: &str, from: u32| {
        let row =
            |n| format!("{{\"ts\":\"{day}T00:00:00Z\",\"level\":\"INFO\",\"n\":{n},\"message\":\"row number {n}\"}}\n");
        let rows: String = (from..from + 100).map(row).collect();
        let (status, answer) = weir.send("POST", "/api/v1/ingest/old", "application/x-ndjson", &rows);
        assert_eq!(status, 200, "{answer}");
        // The next rows are in another commit.
        weir.sql_becomes(&format!("SELECT count(*) FROM old WHERE n >= {from} AND n < {}", from + 100), 100);
    };
    post("2001-01-01", 0);
    // Commits that recovery may go back behind stay here; each of these is one.
    let mut from = 100;
    until("something moves", || {
        let moved = !server.objects("cold/tables/old/").is_empty();
        if !moved {
            post("2001-01-02", from);
            from += 100;
        }
        moved
    });
    let asked = "SELECT sum(n) FROM old WHERE ts < '2001-01-02'";
    assert_eq!(weir.sql(asked)["rows"][0][0], 4950);
    assert_eq!(weir.sql("SELECT count(*) FROM old")["rows"][0][0], u64::from(from));
    assert_eq!(weir.sql("SELECT n FROM old WHERE message LIKE '%number 42%' AND n < 100")["rows"][0][0], 42);
    assert_eq!(weir.stop("-TERM"), Some(0));

    // Without the pipeline file: the keys come from the environment, the address from the catalog.
    let data = place.data();
    let output = weir_ask(&place, data.to_str().unwrap(), asked);
    assert_eq!(output.trim(), "4950");
    let catalog = fs::read(place.path("data/catalog.sqlite")).unwrap();
    let wal = fs::read(place.path("data/catalog.sqlite-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"hunter2");
    assert!(!holds(&catalog) && !holds(&wal), "the catalog knows no keys");

    backed_up(&place, server.objects("cold/tables/old/").len(), &[(asked, 4950), ("SELECT count(*) FROM old", from)]);

    // What is gone from the bucket, or is something else, is named.
    let object = server.objects("cold/tables/old/").remove(0);
    let path = format!("/weir/{object}");
    assert_eq!(exchange(&server.address, "PUT", &path, CLIENT, "something else").unwrap().0, 200);
    missed(&place, &object);
    assert_eq!(exchange(&server.address, "DELETE", &path, CLIENT, "").unwrap().0, 204);
    missed(&place, &object);
}

/// A backup has what lies in a bucket too, fetches each object once, and needs no bucket when it is restored.
fn backed_up(place: &Place, objects: usize, answers: &[(&str, u32)]) {
    let backup = |more: &[&str]| {
        let output = weir(place, &[&["backup", "saved", "--format", "json"], more].concat());
        well(&output);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (report["files"].as_u64().unwrap(), report["new_bytes"].as_u64().unwrap())
    };
    let (named, fetched, again) = (backup(&["--without-tiers"]), backup(&[]), backup(&[]));
    assert_eq!(fetched.0 - named.0, objects as u64);
    assert!(again.1 < fetched.1, "only the catalog is new: {again:?}");
    well(&weir(place, &["restore", "saved", "--data", "alone"]));
    for (asked, expected) in answers {
        // Without keys there is no bucket.
        let output = place.weir(&["query", "--format", "csv", "--data", "alone", asked]).output().unwrap();
        well(&output);
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some(expected.to_string().as_str()));
    }
}

fn missed(place: &Place, object: &str) {
    let asked = "SELECT count(*) FROM old WHERE n + 0 >= 0";
    let output = weir(place, &["query", "--format", "csv", "--data", "data", asked]);
    assert!(!output.status.success(), "never a part of an answer");
    assert!(said(&output).contains(&format!("s3://weir/{object}")), "{object}: {}", said(&output));
}

fn weir_ask(place: &Place, data: &str, sql: &str) -> String {
    let output = weir(place, &["query", "--format", "csv", "--data", data, sql]);
    well(&output);
    String::from_utf8(output.stdout).unwrap().lines().last().unwrap_or_default().to_owned()
}

const IN_BUCKET: &str = "\
name: kept
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 10s } } }
steps:
  - name: counted
    window: { tumbling: 30s, by: [service, level], compute: { events: count(*), slowest: max(duration_ms) } }
outputs:
  - table: rows
    from: logs
  - table: counted
epoch: 100ms
";

/// Everything that a run came to.
fn came_to(place: &Place) -> (i64, Vec<Value>) {
    (place.number("SELECT count(*) FROM rows"), place.query("SELECT * FROM counted ORDER BY row_id, revision"))
}

#[test]
fn with_its_state_in_a_bucket_only_a_run_that_is_killed_and_finds_the_newest_damaged_ends_as_if_nothing_had_happened() {
    let server = S3::start();
    let (place, straight) = (Place::new(), Place::new());
    let gen_logs = ["gen", "logs", "--rows", "60000", "--rows-per-sec", "100", "--seed", "3", "--out", "logs.ndjson"];
    well(&place.weir(&gen_logs).output().unwrap());
    well(&straight.weir(&gen_logs).output().unwrap());
    well(&straight.run(&straight.write("kept.yaml", IN_BUCKET), &[]));
    let state = format!(
        "state: {{ snapshots: {{ url: 's3://weir/state', options: {{ endpoint: 'http://{}' }} }} }}\n",
        server.address
    );
    let pipeline = place.write("kept.yaml", IN_BUCKET.to_owned() + &state);
    let start = || in_cloud(place.run_command(&pipeline, &[])).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let snapshots = || server.objects("state/kept/");
    for _ in 0..3 {
        let (before, mut running) = (snapshots(), Running(start().unwrap()));
        // Killed some epochs later, if it has not come to its end by then.
        let mut seen = std::collections::BTreeSet::new();
        until("three epochs have come", || {
            seen.extend(snapshots().into_iter().filter(|name| !before.contains(name)));
            seen.len() >= 3 || running.0.try_wait().unwrap().is_some()
        });
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        // The copies on this disk are gone: what is read of the state comes from the bucket.
        for file in walkdir::WalkDir::new(place.data().join("state")).into_iter().filter_map(Result::ok) {
            if file.path().extension().is_some_and(|end| end == "snap") {
                fs::remove_file(file.path()).unwrap();
            }
        }
    }
    // The name alone says what the disk has, and how the rest is found.
    let inspect = |pipeline: &str| weir(&place, &["state", "inspect", pipeline, "--format", "json", "--data", "data"]);
    let local = String::from_utf8(inspect("kept").stdout).unwrap();
    assert!(local.contains("give the pipeline's file instead of its name"), "{local}");
    let files = || walkdir::WalkDir::new(place.data().join("state")).into_iter().filter_map(Result::ok);
    let files = || files().map(walkdir::DirEntry::into_path);
    let (disk, there) = (files().collect::<Vec<_>>(), snapshots());
    // There may be a later one that no commit names.
    let kept: Value = serde_json::from_slice(&inspect("kept.yaml").stdout).unwrap();
    for epoch in kept["epochs"].as_array().unwrap() {
        assert!(epoch["damage"].is_null() && epoch["bytes"].as_u64() > Some(0), "{kept}");
    }
    assert_eq!(kept["epoch"], kept["epochs"][0]["epoch"], "{kept}");
    assert_eq!(kept["steps"][0]["name"], "counted", "{kept}");
    assert!(disk == files().collect::<Vec<_>>() && there == snapshots(), "nothing was written");
    let newest = kept["epochs"][0]["snapshot"].as_str().unwrap();
    let newest = snapshots().into_iter().find(|name| name.contains(newest)).unwrap();
    assert_eq!(exchange(&server.address, "PUT", &format!("/weir/{newest}"), CLIENT, "something else").unwrap().0, 200);
    let output = weir(&place, &["run", pipeline.to_str().unwrap(), "--data", place.data().to_str().unwrap()]);
    assert!(said(&output).contains("went back to that of epoch"), "{}", said(&output));
    assert!(came_to(&place) == came_to(&straight), "it ends as if nothing had happened");
}
