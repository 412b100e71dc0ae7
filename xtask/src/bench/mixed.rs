//! Questions while rows come in: a table that has many rows already is posted more at a fixed rate, and two people ask what
//! people ask, one question after the other. Every request's time is from when it is sent to the end of its answer.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Running;
use super::asking::{Ask, ROWS_PER_SEC, answer, time_of};
use super::large::PLAIN;
use super::load::{for_posts, load, trace_id};
use super::options::Options;
use super::up::{Client, Up, look_later};
use crate::shell::Outcome;

/// Rows per second unless told otherwise.
const RATE: u64 = 50_000;
/// Clients that post, each with a connection of its own.
const POSTING: u64 = 4;
/// Rows of one post.
const POST_ROWS: u64 = 500;
/// Clients that ask.
const ASKING: u64 = 2;
const QUESTIONS: u64 = 1_000;
/// Rows come in for so long before anybody asks: files are there, small ones are being merged.
const LEAD: Duration = Duration::from_secs(10);
/// Rows of the generator that are posted again and again, with other times and traces.
const LINES: u64 = 20_000;

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let folder = match &options.out {
        Some(out) => out.clone(),
        None => super::scratch()?.join("mixed"),
    };
    let marker = folder.join(format!("rows-{}-{}", options.rows, options.seed));
    if !marker.exists() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        load(&weir, &folder, options, &PLAIN)?;
        fs::write(&marker, "").map_err(|error| format!("{}: {error}", marker.display()))?;
    }
    let up = Up::start(&weir, &folder.join("data"), &[&for_posts(&folder, "")?])?;
    up.settle()?;
    let lines = lines_of(&weir)?;
    let rate = options.rate.unwrap_or(RATE);
    let posting = Posting { rate, first: options.rows, over: AtomicBool::new(false), posted: AtomicU64::new(0) };
    let posting = Arc::new(posting);
    let before = up.cpu_secs()?;
    let begun = Instant::now();
    let posters = (0..POSTING).map(|client| {
        let (posting, lines, address) = (Arc::clone(&posting), Arc::clone(&lines), up.address.clone());
        std::thread::spawn(move || post_all(&posting, &lines, &address, (client, begun)))
    });
    let posters: Vec<_> = posters.collect();
    look_later(LEAD);
    let asked = ask_all(&up, options)?;
    let cpu = (up.cpu_secs()? - before) / begun.elapsed().as_secs_f64();
    posting.over.store(true, Ordering::Relaxed);
    let mut late = 0.0_f64;
    for poster in posters {
        late = late.max(poster.join().map_err(|_| "a client that posts has died".to_owned())??);
    }
    let real = posting.posted.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{} rows, {rate} rows/s more ({real:.0} were taken, posts at most {late:.1} s late), {ASKING} clients ask; wall ms",
        options.rows
    );
    let failed = report(&asked);
    println!("{cpu:.2} processors busy; peak memory of the server {:.0} MB", up.peak_bytes()? as f64 / 1e6);
    drop(up);
    if options.out.is_none() {
        let _ = fs::remove_dir_all(&folder);
    } else {
        // It has other rows now.
        let _ = fs::remove_file(&marker);
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} questions were not answered")) }
}

struct Posting {
    rate: u64,
    /// The number of the first row.
    first: u64,
    over: AtomicBool,
    posted: AtomicU64,
}

/// Lines of the generator without their times.
fn lines_of(weir: &Path) -> Outcome<Arc<Vec<String>>> {
    let mut generator = Command::new(weir);
    generator.args(["gen", "logs", "--rows", &LINES.to_string(), "--seed", "7"]).stdout(Stdio::piped());
    let mut generator = Running(generator.spawn().map_err(|error| format!("the generator: {error}"))?);
    let lines = generator.0.stdout.take().ok_or("the generator has no output")?;
    let without_time = |line: String| line.split_once("\",").map(|(_, rest)| rest.trim_end_matches('}').to_owned());
    let lines: Vec<String> = BufReader::new(lines).lines().map_while(Result::ok).filter_map(without_time).collect();
    // Objects end in two braces, of which both were taken away.
    Ok(Arc::new(lines))
}

/// Posts at the rate until it is over; returns how many seconds the last post was behind.
fn post_all(posting: &Posting, lines: &[String], address: &str, (client, begun): (u64, Instant)) -> Outcome<f64> {
    let mut connection = Client::new(address)?;
    let beat = Duration::from_secs_f64((POST_ROWS * POSTING) as f64 / posting.rate as f64);
    let (mut number, mut body, mut late) = (0_u64, String::new(), 0.0_f64);
    while !posting.over.load(Ordering::Relaxed) {
        let due = begun + beat.mul_f64(number as f64 + client as f64 / POSTING as f64);
        look_later(due.saturating_duration_since(Instant::now()));
        body.clear();
        let first = posting.first + (number * POSTING + client) * POST_ROWS;
        // Time runs on as it is by the clock.
        let time = time_of(posting.first as f64 + begun.elapsed().as_secs_f64() * ROWS_PER_SEC);
        for row in first..first + POST_ROWS {
            let rest = &lines[row as usize % lines.len()];
            body.push_str(&format!("{{\"ts\":\"{time}\",{rest}}},\"trace_id\":\"{}\"}}\n", trace_id(row)));
        }
        let answer = connection.post("/api/v1/ingest/logs", "application/x-ndjson", &body)?;
        if answer.status != 200 {
            return Err(format!("a post was answered with {}: {}", answer.status, answer.body.trim()));
        }
        posting.posted.fetch_add(POST_ROWS, Ordering::Relaxed);
        late = due.elapsed().as_secs_f64();
        number += 1;
    }
    Ok(late)
}

/// What one question took in milliseconds, or why it failed.
type Asked = (&'static str, Outcome<f64>);

fn ask_all(up: &Up, options: &Options) -> Outcome<Vec<Asked>> {
    let clients = (0..ASKING).map(|client| {
        let (address, rows, seed) = (up.address.clone(), options.rows, options.seed + client);
        std::thread::spawn(move || -> Outcome<Vec<Asked>> {
            let mut connection = Client::new(&address)?;
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let mut asked = Vec::new();
            for _ in 0..QUESTIONS / ASKING {
                let (name, ask) = question(&mut random, rows);
                let began = Instant::now();
                let outcome = answer(&mut connection, &ask).map(|_| began.elapsed().as_secs_f64() * 1e3);
                if outcome.is_err() {
                    connection = Client::new(&address)?;
                }
                asked.push((name, outcome));
            }
            Ok(asked)
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().map_err(|_| "a client that asks has died".to_owned())??);
    }
    Ok(all)
}

struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// The next question about a table that had `rows` rows at first.
fn question(random: &mut Random, rows: u64) -> (&'static str, Ask) {
    let last = rows as f64 / ROWS_PER_SEC;
    // An hour that ends somewhere, in half of all questions about now.
    let end = if random.below(2) == 0 { last } else { last * random.below(1_000) as f64 / 1_000.0 };
    let (from, to) = (time_of((end - 3_600.0).max(0.0) * ROWS_PER_SEC), time_of(end * ROWS_PER_SEC));
    let range = format!("ts >= TIMESTAMP '{from}' AND ts < TIMESTAMP '{to}'");
    let service = format!("svc-{:02}", random.below(50));
    let app = format!("app-{:04}", random.below(200));
    let get = |path: String| Ask::Get(format!("/api/v1/logs{path}"));
    match random.below(20) {
        0..=3 => ("recent", get("?table=logs&limit=100".to_owned())),
        4..=5 => ("recent-filtered", get(format!("?table=logs&limit=100&search=service%3A{service}%20level%3Aerror"))),
        6..=7 => ("histogram", get("/histogram?table=logs&buckets=60".to_owned())),
        8 => ("histogram-hour", get(format!("/histogram?table=logs&buckets=60&from={from}&to={to}"))),
        9..=10 => (
            "errors-by-service",
            Ask::Sql(format!(
                "SELECT service, count(*) AS n FROM logs WHERE {range} AND level = 'ERROR' GROUP BY service ORDER BY n DESC LIMIT 10"
            )),
        ),
        11 => (
            "hosts-of-service",
            Ask::Sql(format!(
                "SELECT host, count(*) AS n FROM logs WHERE {range} AND service = '{service}' GROUP BY host ORDER BY n DESC LIMIT 10"
            )),
        ),
        12..=13 => ("levels", Ask::Sql(format!("SELECT level, count(*) AS n FROM logs WHERE {range} GROUP BY level"))),
        14 => (
            "p95",
            Ask::Sql(format!(
                "SELECT date_trunc('minute', ts) AS m, approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p \
                 FROM logs WHERE {range} GROUP BY 1 ORDER BY 1"
            )),
        ),
        15..=16 => ("app", Ask::Sql(format!("SELECT * FROM logs WHERE app_id = '{app}' ORDER BY ts DESC LIMIT 100"))),
        17..=18 => {
            let trace = trace_id(random.below(rows));
            ("trace", Ask::Sql(format!("SELECT * FROM logs WHERE trace_id = '{trace}' ORDER BY ts")))
        }
        _ => ("text", get(format!("?table=logs&limit=100&search=needle-7f3a{}", random.below(100)))),
    }
}

/// Says what questions took; returns how many failed.
fn report(asked: &[Asked]) -> usize {
    let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut failed = 0;
    for (name, outcome) in asked {
        match outcome {
            Ok(took) => {
                by_name.entry(name).or_default().push(*took);
                by_name.entry("all together").or_default().push(*took);
            }
            Err(why) => {
                failed += 1;
                eprintln!("{name}: {why}");
            }
        }
    }
    println!("| question | times | p50 | p99 | max |\n|---|---|---|---|---|");
    for (name, mut took) in by_name {
        took.sort_by(f64::total_cmp);
        let at = |part: f64| took[((took.len() as f64 - 1.0) * part).round() as usize];
        println!("| {name} | {} | {:.1} | {:.1} | {:.1} |", took.len(), at(0.5), at(0.99), at(1.0));
    }
    failed
}
