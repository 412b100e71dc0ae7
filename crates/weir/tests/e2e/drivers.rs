//! Drivers of PostgreSQL as tools use them: JDBC's, which DBeaver, Metabase, DataGrip, Tableau and Spark go by, and Go's, which
//! Grafana goes by. Their programs lie in `clients`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Place, go_program, jar, repository, said};
use crate::postgres::Stage;

/// The driver of PostgreSQL for Java, and its checksum.
const DRIVER: (&str, &str) =
    ("org.postgresql:postgresql:42.7.14", "73914527305a40cce504b0d3d90b23caf565136912d607ae8ae7c5895512332c");

/// A table with a column of each kind that rows of JSON have.
const KINDS: u32 = 20;

fn clients() -> PathBuf {
    repository().join("crates/weir/tests/e2e/clients")
}

fn stage() -> Stage {
    let stage = Stage::with(&["logs", "kinds"]);
    let rows: String = (0..KINDS)
        .map(|n| {
            let level = if n % 3 == 0 { "ERROR" } else { "INFO" };
            let note = if n % 3 == 0 { "null" } else { "\"it's a note\"" };
            format!(
                "{{\"ts\":\"2026-01-01T00:00:{n:02}.5Z\",\"level\":\"{level}\",\"ms\":{n}.25,\"n\":{n},\"ok\":{},\"note\":{note},\
                 \"tags\":[\"a\",\"b\"],\"who\":{{\"name\":\"x\",\"age\":{n}}}}}\n",
                n % 2 == 0
            )
        })
        .collect();
    stage.ingest("kinds", &rows);
    stage.server.sql_becomes("SELECT count(*) FROM kinds", u64::from(KINDS));
    stage
}

/// Runs chapters of a client one after the other; each says that it is well.
fn tells(mut client: Command) {
    let output = client.stdin(Stdio::null()).output().expect("the client can be started");
    assert!(output.status.success() && output.stdout.ends_with(b"well\n"), "{}", said(&output));
}

fn java(stage: &Stage, chapter: &str, files: &[&str]) {
    let mut java = Command::new("java");
    java.args(["-XX:TieredStopAtLevel=1", "-Duser.timezone=America/New_York", "-cp"]).arg(jar(DRIVER.0, DRIVER.1));
    java.arg(clients().join("Jdbc.java")).args([chapter, &stage.address]);
    tells_with(java, files);
}

fn tells_with(mut client: Command, files: &[&str]) {
    client.args(files.iter().map(|file| clients().join(file)));
    tells(client);
}

fn go(stage: &Stage, chapter: &str) {
    let place = Place::new();
    let mut client = Command::new(go_program(&clients().join("go"), &place.path("client")));
    client.args([chapter, &stage.address]);
    tells(client);
}

#[test]
fn the_jdbc_driver_says_what_there_is() {
    java(&stage(), "browses", &[]);
}

#[test]
fn the_jdbc_driver_asks_in_each_of_its_modes_and_is_told_what_is_wrong() {
    java(&stage(), "asks", &[]);
}

#[test]
fn the_jdbc_driver_binds_parameters_of_each_type() {
    java(&stage(), "binds", &[]);
}

#[test]
fn the_jdbc_driver_has_transactions_cursors_settings_and_cancels() {
    java(&stage(), "lasts", &[]);
}

#[test]
fn what_dbeaver_metabase_and_datagrip_ask_is_answered() {
    java(&stage(), "looks", &["dbeaver.sql", "metabase.sql", "datagrip.sql"]);
}

#[test]
fn pgx_asks_binds_and_cancels_in_each_of_its_modes() {
    go(&stage(), "pgx");
}

#[test]
fn lib_pq_asks_binds_and_cancels() {
    go(&stage(), "pq");
}

#[test]
fn what_grafana_asks_is_answered() {
    go(&stage(), "grafana");
}
