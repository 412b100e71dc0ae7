//! Kills at random moments under load: rows are posted and appended to a file all the time, two pipelines store them and
//! count them in windows, and the process is killed again and again.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::client::{Server, post};
use super::{Dice, Options, Verdict, ask, pipeline, row, write};
use crate::shell::Outcome;

/// Rows per request, and per write to the file.
const ROWS: u64 = 20;
/// How long the load pauses between two of them.
const PAUSE: Duration = Duration::from_millis(5);
/// A life lasts up to so many milliseconds after it is up.
const LIFE_MS_MAX: u64 = 800;
/// How long everything may take to be stored once the load is over.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the load has put in: rows 0 to `posted` by HTTP, rows 0 to `written` by the file.
#[derive(Default)]
struct Load {
    address: Mutex<String>,
    posted: AtomicU64,
    written: AtomicU64,
    over: AtomicBool,
}

pub(super) fn run(options: &Options, scratch: &Path) -> Outcome {
    fs::create_dir_all(scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let (data, rows) = (scratch.join("data"), scratch.join("rows.ndjson"));
    let (posted, tailed) = (scratch.join("posted.yaml"), scratch.join("tailed.yaml"));
    write(&posted, &pipeline("posted", "http: { stream: rows }"))?;
    write(&tailed, &pipeline("tailed", &format!("file: {{ paths: [{:?}], follow: true }}", rows.to_string_lossy())))?;
    let load = Arc::new(Load::default());
    let file = File::create(&rows).map_err(|error| format!("{}: {error}", rows.display()))?;
    let workers =
        [std::thread::spawn(appending(Arc::clone(&load), file)), std::thread::spawn(posting(Arc::clone(&load)))];
    let began = Instant::now();
    let mut dice = Dice(options.seed);
    let start = || -> Outcome<Server> {
        let server = Server::start(Server::command(&options.weir, &data, &[&posted, &tailed]))?;
        let server = server.map_err(|status| format!("it ended before it was up: {status}"))?;
        *load.address.lock().unwrap_or_else(PoisonError::into_inner) = server.address.clone();
        Ok(server)
    };
    for kill in 1..=options.kills {
        let mut server = start()?;
        pass(Duration::from_millis(dice.below(LIFE_MS_MAX)));
        if let Some(status) = server.process.try_wait().map_err(|error| error.to_string())? {
            return Err(format!("life {kill} ended by itself: {status}"));
        }
        drop(server);
    }
    let server = start()?;
    pass(Duration::from_millis(LIFE_MS_MAX));
    load.over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().map_err(|_| "a client has died".to_owned())?;
    }
    let (posted, written) = (load.posted.load(Ordering::Relaxed), load.written.load(Ordering::Relaxed));
    for (name, wanted) in [("posted", posted), ("tailed", written)] {
        until_stored(&options.weir, &data, name, wanted)?;
    }
    server.stop()?;
    let mut verdict = Verdict::of(&options.weir, &data, "posted", posted)?;
    verdict.add(&Verdict::of(&options.weir, &data, "tailed", written)?);
    let took = began.elapsed().as_secs();
    verdict.judge(&format!(
        "{} kills under load in {took} s (seed {}), {posted} rows posted, {written} appended to a file",
        options.kills, options.seed
    ))
}

/// Lets time pass: a load has a pace, and a random moment is no event that could be awaited.
#[expect(clippy::disallowed_methods, reason = "nothing is waited for")]
fn pass(time: Duration) {
    std::thread::sleep(time);
}

fn posting(load: Arc<Load>) -> impl FnOnce() + Send {
    move || {
        while !load.over.load(Ordering::Relaxed) {
            let from = load.posted.load(Ordering::Relaxed);
            let rows: String = (from..from + ROWS).map(row).collect();
            loop {
                let address = load.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if post(&address, "rows", from, &rows) {
                    break;
                }
                pass(PAUSE);
            }
            load.posted.store(from + ROWS, Ordering::Relaxed);
            pass(PAUSE);
        }
    }
}

fn appending(load: Arc<Load>, mut file: File) -> impl FnOnce() + Send {
    move || {
        while !load.over.load(Ordering::Relaxed) {
            let from = load.written.load(Ordering::Relaxed);
            let rows: String = (from..from + ROWS).map(row).collect();
            // Cut in the middle of a row, so that a reader sees half of one.
            let (first, second) = rows.as_bytes().split_at(rows.len() / 2 + 7);
            if file.write_all(first).and_then(|()| file.write_all(second)).is_err() {
                return;
            }
            load.written.store(from + ROWS, Ordering::Relaxed);
            pass(PAUSE);
        }
    }
}

fn until_stored(weir: &Path, data: &Path, table: &str, wanted: u64) -> Outcome {
    let began = Instant::now();
    loop {
        let stored = ask(weir, data, &format!("SELECT count(*) FROM {table}"))?;
        if stored.first().and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= wanted) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            // What is missing is counted by the verdict.
            return Ok(());
        }
    }
}
