//! State that lies in files alone, damaged: while the pipeline is up and has let go of it, and while it is down. It goes back
//! behind the damage and ends as if nothing had happened, or stops and names the file and what can be done; never a row twice.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Place, awaited, copied, until};
use crate::up::{Server, exchange};

/// After a start nothing is in memory: what came before is in the files of the snapshot alone, until a row asks for it.
const PIPELINE: &str = "\
name: cold
sources:
  in: { http: { stream: in }, format: json }
time: { field: ts, watermark: { bounded: { delay: 1h } } }
steps:
  - name: once
    deduplicate: { by: [id], within: 12h }
outputs:
  - table: once
state: { memory: 1MiB }
epoch: 100ms
";

/// Epochs with rows; more than commits are kept.
const POSTS: u32 = 14;
const IDS: u32 = 400;

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Cut,
    Delete,
    /// Another file of the same pipeline in its place.
    Swap,
}

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// That of the newest commit, which older ones can do without.
    Newest,
    /// All there are: nothing can be gone back to.
    All,
}

fn rows(ids: std::ops::Range<u32>) -> String {
    let row =
        |id: u32| format!("{{\"ts\":\"2026-01-01T10:{:02}:{:02}Z\",\"id\":\"request {id}\"}}\n", id / 60 % 60, id % 60);
    ids.map(row).collect()
}

fn post(server: &Server, body: &str) {
    let (status, _, answer) =
        exchange(server.address(), "POST", "/api/v1/ingest/in", "application/x-ndjson", body).unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// The last epoch that was committed.
fn epoch(server: &Server) -> u64 {
    let said: serde_json::Value = serde_json::from_str(&server.get("/api/v1/pipelines").1).unwrap();
    said["pipelines"][0]["epoch"].as_u64().unwrap_or_else(|| panic!("no epoch in {said}"))
}

/// A data folder of a pipeline that has seen every id and was stopped.
fn golden() -> (Place, PathBuf) {
    let place = Place::new();
    let pipeline = place.write("cold.yaml", PIPELINE);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    for number in 0..POSTS {
        let before = epoch(&server);
        post(&server, &rows(number * IDS..(number + 1) * IDS));
        server.sql_becomes("SELECT count(*) FROM once", u64::from((number + 1) * IDS));
        // Rows are seen before they are committed: each post is to have an epoch of its own.
        until("the rows have an epoch", || epoch(&server) != before);
    }
    assert_eq!(server.stop("-TERM"), Some(0));
    (place, pipeline)
}

/// Does the damage, and returns the name of the newest file.
fn damage(data: &Path, which: Which, how: Damage) -> String {
    let listed = fs::read_dir(data.join("state/cold")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = listed.filter(|path| path.extension().is_some_and(|end| end == "snap")).collect();
    files.sort();
    assert!(files.len() > 5, "several snapshots are kept: {files:?}");
    let contents: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let from = if which == Which::All { 0 } else { files.len() - 1 };
    for (index, file) in files.iter().enumerate().skip(from) {
        let mut bytes = contents[index].clone();
        let middle = bytes.len() / 2;
        match how {
            Damage::Flip => bytes[middle] ^= 1,
            Damage::Cut => bytes.truncate(middle),
            Damage::Delete => {
                fs::remove_file(file).unwrap();
                continue;
            }
            Damage::Swap => bytes.clone_from(&contents[(index + contents.len() - 1) % contents.len()]),
        }
        fs::write(file, bytes).unwrap();
    }
    files.last().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

/// Waits until what is said of the pipelines contains `words`.
fn is_said(server: &Server, words: &str) -> String {
    awaited(&format!("{words} is said"), || {
        let said = server.get("/api/v1/pipelines").1;
        if said.contains(words) { Ok(said) } else { Err(said) }
    })
}

fn check((golden, pipeline): &(Place, PathBuf), which: Which, how: Damage, is_up: bool) {
    let place = Place::new();
    copied(&golden.data(), &place.data());
    let all = u64::from(POSTS * IDS);
    let before = (!is_up).then(|| damage(&place.data(), which, how));
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    let file = before.unwrap_or_else(|| {
        is_said(&server, "\"running\"");
        damage(&place.data(), which, how)
    });
    // Every id once more: whoever has lost what it remembered shows some of them twice.
    post(&server, &rows(0..POSTS * IDS));
    let said = match which {
        Which::Newest => is_said(&server, "went back to that of epoch"),
        Which::All => is_said(&server, "--reset-state"),
    };
    match which {
        Which::Newest => {
            assert!(said.contains(&file), "it names {file}: {said}");
            post(&server, &rows(POSTS * IDS..POSTS * IDS + 10));
            server.sql_becomes("SELECT count(*) FROM once", all + 10);
            assert_eq!(server.sql("SELECT count(DISTINCT id) FROM once")["rows"][0][0], all + 10);
        }
        Which::All => {
            assert!(said.contains(".snap"), "it names files: {said}");
            assert!(
                said.contains("--reset-state") && said.contains("from a backup"),
                "it says what can be done: {said}"
            );
            assert_eq!(server.sql("SELECT count(*) FROM once")["rows"][0][0], all, "what is shown stays as it is");
            assert!(server.get("/api/v1/pipelines").1.contains("\"failed\""), "it does not try for ever");
        }
    }
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn a_damaged_file_of_state_that_is_not_in_memory_is_gone_back_behind_or_named() {
    let golden = golden();
    for how in [Damage::Flip, Damage::Cut, Damage::Delete, Damage::Swap] {
        for which in [Which::All, Which::Newest] {
            for is_up in [false, true] {
                println!("{which:?} {how:?} {}", if is_up { "while it is up" } else { "while it is down" });
                check(&golden, which, how, is_up);
            }
        }
    }
}
