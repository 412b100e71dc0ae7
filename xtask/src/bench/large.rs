//! Workload D with more rows than anybody wants to keep as a file: they go from the generator through a pipe into a table, each
//! eight neighbours with a trace id of their own, and then a Weir that is up is asked over HTTP what people ask. Every
//! answer of which the rows say what it must be is compared with that.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Running;
use super::meter::{self, Cost};
use super::options::Options;
use super::up::{Client, Up};
use crate::shell::{Outcome, command};

/// As many rows of event time pass in a second.
pub(super) const ROWS_PER_SEC: f64 = 1_389.0;
/// The first row's time is this long after the day begins, without its delay.
const LEAD_SECS: f64 = 120.0;
/// Rows of one trace.
pub(super) const TRACE_ROWS: u64 = 8;
/// The generator's needles: in the rows with this remainder.
const NEEDLE_EVERY: u64 = 250_003;
const NEEDLE_AT: u64 = 17;
/// Warm runs go on for so long: the clock of a process ticks a hundred times in a second.
const WARM_SECS: f64 = 1.0;
const WARM_RUNS_MAX: u32 = 200;
/// A question that takes longer is asked again once only.
const LONG_MS: f64 = 3_000.0;

const PIPELINE: &str = "\
name: large
sources:
  logs: { stdin: {}, format: json }
time:
  field: ts
  watermark: { bounded: { delay: 10s } }
outputs:
  - table: logs
";

/// A question, and what its answer must have.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) ask: Ask,
    /// Lines, or the sum of the counts `n` in them.
    expect: Expect,
}

#[derive(Clone)]
pub(super) enum Ask {
    Sql(String),
    Get(String),
}

enum Expect {
    Anything,
    Lines(u64),
    Sum(u64),
}

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let folder = match &options.out {
        Some(out) => out.clone(),
        None => super::scratch()?.join("large"),
    };
    let data = folder.join("data");
    let marker = folder.join(format!("rows-{}-{}", options.rows, options.seed));
    if marker.exists() {
        println!("{} rows are there already", options.rows);
    } else {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let cost = load(&weir, &folder, options)?;
        let million = options.rows as f64 / 1e6;
        println!(
            "{} rows taken in: {:.2} CPU-s per million rows, {:.0} rows/s, peak {:.0} MB",
            options.rows,
            cost.cpu_secs / million,
            options.rows as f64 / cost.wall_secs,
            cost.peak_bytes as f64 / 1e6
        );
        fs::write(&marker, "").map_err(|error| format!("{}: {error}", marker.display()))?;
    }
    let up = Up::start(&weir, &data, &[])?;
    up.settle()?;
    let (segments, bytes) = on_disk(&data)?;
    println!(
        "{segments} segments, {:.1} MB on disk, {:.1} bytes per row",
        bytes as f64 / 1e6,
        bytes as f64 / options.rows as f64
    );
    println!("merges: {:.1} CPU-s", up.cpu_secs()?);
    drop(up);
    let up = Up::start(&weir, &data, &[])?;
    println!(
        "| question | CPU ms cold | wall ms cold | CPU ms warm | wall ms warm | bytes of answer |\n|---|---|---|---|---|---|"
    );
    let mut failures = Vec::new();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    for question in questions(options.rows).iter().filter(|question| wanted(question.name)) {
        match measured(&up, question, options.runs) {
            Ok(line) => println!("{line}"),
            Err(why) => failures.push(format!("{}: {why}", question.name)),
        }
    }
    println!("peak memory of the server: {:.0} MB", up.peak_bytes()? as f64 / 1e6);
    drop(up);
    if options.out.is_none() {
        let _ = fs::remove_dir_all(&folder);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// How many segments there are and their bytes, with their indexes, and without those that were replaced and wait to be deleted.
fn on_disk(data: &Path) -> Outcome<(usize, u64)> {
    const LISTED: &str = "import sqlite3, sys\n\
        for row in sqlite3.connect(sys.argv[1]).execute('SELECT path FROM segments'): print(row[0])";
    let catalog = data.join("catalog.sqlite");
    let listed = Command::new("python3").args(["-c", LISTED]).arg(&catalog).output();
    let listed = listed.map_err(|error| format!("python3: {error}"))?;
    let (mut segments, mut bytes) = (0, 0);
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let path = data.join(path);
        let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        bytes += size(&path) + size(&path.with_extension("tok"));
        segments += 1;
    }
    Ok((segments, bytes))
}

/// Takes `options.rows` rows into the table `logs` of `folder/data`.
pub(super) fn load(weir: &Path, folder: &Path, options: &Options) -> Outcome<Cost> {
    let pipeline = folder.join("large.yaml");
    fs::write(&pipeline, PIPELINE).map_err(|error| format!("{}: {error}", pipeline.display()))?;
    let (from, to) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
    let mut generator = Command::new(weir);
    generator.args(["gen", "logs", "--rows", &options.rows.to_string(), "--seed", &options.seed.to_string()]);
    let generator = generator.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
    let mut generator = Running(generator.map_err(|error| format!("the generator: {error}"))?);
    let lines = generator.0.stdout.take().ok_or("the generator has no output")?;
    let writing = std::thread::spawn(move || add_traces(BufReader::with_capacity(1 << 20, lines), to));
    let mut taking = command(&weir.to_string_lossy(), &["run", "--quiet"]);
    taking.arg(&pipeline).arg("--data").arg(folder.join("data")).args(["--set", "epoch=10s"]);
    taking.stdin(Stdio::from(from)).stdout(Stdio::null());
    // What the generator takes is not ours: it is waited for afterwards.
    let cost = meter::run(&mut taking)?;
    drop(taking);
    writing.join().map_err(|_| "the writer has died".to_owned())?.map_err(|error| format!("the pipe: {error}"))?;
    Ok(cost)
}

/// Each line with a trace id more.
fn add_traces(mut lines: impl BufRead, to: impl Write) -> std::io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 20, to);
    let mut line = Vec::with_capacity(1 << 10);
    let mut row = 0;
    while lines.read_until(b'\n', &mut line)? > 0 {
        line.truncate(line.len() - 2);
        writeln!(line, ",\"trace_id\":\"{}\"}}", trace_id(row))?;
        to.write_all(&line)?;
        line.clear();
        row += 1;
    }
    to.flush()
}

/// The trace of a row: 32 hexadecimal digits that look like any others (the mixing function of SplitMix64, twice).
pub(super) fn trace_id(row: u64) -> String {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let trace = (row / TRACE_ROWS + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:016x}{:016x}", mix(trace), mix(trace ^ 0x5555_5555_5555_5555))
}

/// The time of a row that is not late.
pub(super) fn time_of(row: f64) -> String {
    let millis = ((LEAD_SECS + row / ROWS_PER_SEC) * 1e3) as u64;
    let (day, rest, fraction) = (1 + millis / 86_400_000, millis / 1_000 % 86_400, millis % 1_000);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}.{fraction:03}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// What is asked of so many rows.
fn questions(rows: u64) -> Vec<Question> {
    let sql = |name, text: &str, expect| Question { name, ask: Ask::Sql(text.to_owned()), expect };
    let get = |name, path: &str| Question { name, ask: Ask::Get(path.to_owned()), expect: Expect::Anything };
    // A whole hour in the middle, if there are so many rows.
    let hour = (LEAD_SECS + rows as f64 / ROWS_PER_SEC / 2.0) as u64 / 3_600;
    let at = |hour: u64| format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
    let (from, to) = (at(hour), at(hour + 1));
    let range = format!("ts >= TIMESTAMP '{from}' AND ts < TIMESTAMP '{to}'");
    let needles = (rows + NEEDLE_EVERY - 1 - NEEDLE_AT) / NEEDLE_EVERY;
    let needle = (needles / 2).min(needles.saturating_sub(1)) * NEEDLE_EVERY + NEEDLE_AT;
    let trace = trace_id(rows / 3);
    vec![
        sql(
            "q1",
            &format!("SELECT level, count(*) AS n FROM logs WHERE {range} GROUP BY level ORDER BY level"),
            Expect::Anything,
        ),
        sql(
            "q2",
            &format!(
                "SELECT service, count(*) AS n FROM logs WHERE {range} AND level = 'ERROR' GROUP BY service ORDER BY n \
                 DESC, service LIMIT 10"
            ),
            Expect::Anything,
        ),
        sql("q3", "SELECT count(*) AS n FROM logs WHERE message LIKE '%needle-7f3a%'", Expect::Sum(needles)),
        sql("q4", "SELECT * FROM logs WHERE app_id = 'app-0042' ORDER BY ts DESC LIMIT 100", Expect::Lines(100)),
        sql(
            "q5",
            &format!(
                "SELECT date_trunc('minute', ts) AS m, approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS \
                 p FROM logs WHERE {range} GROUP BY 1 ORDER BY 1"
            ),
            Expect::Anything,
        ),
        sql("q6", "SELECT host, count(*) AS n FROM logs GROUP BY host ORDER BY host", Expect::Sum(rows)),
        sql(
            "q7",
            "SELECT service, count(*) AS n FROM logs WHERE message LIKE '%OutOfMemoryError%' GROUP BY service ORDER BY service",
            Expect::Anything,
        ),
        sql("count", "SELECT count(*) AS n FROM logs", Expect::Sum(rows)),
        get("recent", "/api/v1/logs?table=logs&limit=100"),
        sql("recent-sql", "SELECT * FROM logs ORDER BY ts DESC LIMIT 100", Expect::Lines(100)),
        get("recent-filtered", "/api/v1/logs?table=logs&limit=100&search=service%3Asvc-07%20level%3Aerror"),
        get("histogram", "/api/v1/logs/histogram?table=logs&buckets=60"),
        get("histogram-hour", &format!("/api/v1/logs/histogram?table=logs&buckets=60&from={from}&to={to}")),
        sql(
            "histogram-service",
            "SELECT date_trunc('hour', ts) AS h, level, count(*) AS n FROM logs WHERE service = 'svc-07' GROUP BY 1, 2",
            Expect::Anything,
        ),
        sql(
            "facet-errors",
            "SELECT service, count(*) AS n FROM logs WHERE level = 'ERROR' GROUP BY service ORDER BY n DESC LIMIT 10",
            Expect::Lines(10),
        ),
        sql(
            "facet-hour",
            &format!(
                "SELECT host, count(*) AS n FROM logs WHERE {range} AND service = 'svc-07' GROUP BY host ORDER BY n DESC LIMIT 10"
            ),
            Expect::Lines(10),
        ),
        sql("trace", &format!("SELECT * FROM logs WHERE trace_id = '{trace}' ORDER BY ts"), Expect::Lines(TRACE_ROWS)),
        get("trace-search", &format!("/api/v1/logs?table=logs&limit=100&search=trace_id%3A{trace}")),
        sql(
            "word",
            &format!("SELECT ts, message FROM logs WHERE has_words(message, '7f3a{needle}')"),
            Expect::Lines(1),
        ),
        get("word-search", &format!("/api/v1/logs?table=logs&limit=100&search=needle-7f3a{needle}")),
        sql("nowhere", "SELECT count(*) AS n FROM logs WHERE message LIKE '%nowhere to be found%'", Expect::Sum(0)),
    ]
}

/// Asks once and again; a line of the table.
fn measured(up: &Up, question: &Question, runs: u32) -> Outcome<String> {
    let mut client = up.client()?;
    let ask = |client: &mut Client| -> Outcome<(f64, String)> {
        let began = Instant::now();
        let body = answer(client, &question.ask)?;
        Ok((began.elapsed().as_secs_f64() * 1e3, body))
    };
    let before = up.cpu_secs()?;
    let (cold_wall, body) = ask(&mut client)?;
    let cold_cpu = (up.cpu_secs()? - before) * 1e3;
    checked(question, &body)?;
    let (began, before, mut warm_wall, mut times) = (Instant::now(), up.cpu_secs()?, f64::INFINITY, 0);
    let runs = if cold_wall > LONG_MS { 1 } else { runs };
    while times < runs || (began.elapsed().as_secs_f64() < WARM_SECS && times < WARM_RUNS_MAX) {
        warm_wall = warm_wall.min(ask(&mut client)?.0);
        times += 1;
    }
    let warm_cpu = (up.cpu_secs()? - before) * 1e3 / f64::from(times);
    let name = question.name;
    Ok(format!("| {name} | {cold_cpu:.0} | {cold_wall:.1} | {warm_cpu:.1} | {warm_wall:.1} | {} |", body.len()))
}

pub(super) fn answer(client: &mut Client, ask: &Ask) -> Outcome<String> {
    match ask {
        Ask::Sql(text) => client.sql(text),
        Ask::Get(path) => {
            let answer = client.get(path)?;
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("{path}: {}", answer.body.trim())) }
        }
    }
}

fn checked(question: &Question, body: &str) -> Outcome {
    let (is, must) = match question.expect {
        Expect::Anything => return Ok(()),
        Expect::Lines(lines) => (body.lines().count() as u64, lines),
        Expect::Sum(sum) => (body.lines().filter_map(count_in).sum(), sum),
    };
    if is == must { Ok(()) } else { Err(format!("the answer says {is} and should say {must}")) }
}

/// The number `n` of a line.
fn count_in(line: &str) -> Option<u64> {
    let rest = line.split_once("\"n\":")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_trace_and_others_have_their_own() {
        let mut out = Vec::new();
        add_traces(&b"{\"a\":1}\n{\"a\":2}\n"[..], &mut out).expect("memory takes all");
        let trace = trace_id(0);
        let text = format!("{{\"a\":1,\"trace_id\":\"{trace}\"}}\n{{\"a\":2,\"trace_id\":\"{trace}\"}}\n");
        assert_eq!(String::from_utf8_lossy(&out), text);
        assert_eq!(trace.len(), 32);
        assert!(trace_id(TRACE_ROWS) != trace && trace_id(TRACE_ROWS - 1) == trace);
    }

    #[test]
    fn counts_of_all_lines_are_added_up() {
        let sum: u64 = "{\"n\":3}\n{\"host\":\"a\",\"n\":40}\n".lines().filter_map(count_in).sum();
        assert_eq!(sum, 43);
        assert_eq!(time_of(0.0), "2026-01-01T00:02:00.000Z");
        assert_eq!(time_of(ROWS_PER_SEC * 86_400.0), "2026-01-02T00:02:00.000Z");
    }
}
