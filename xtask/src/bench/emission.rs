//! How long results wait: rows are piped in live at a fixed rate, and each result's delay is the moment when a reader of the
//! output has it, less the moment before the first row was written to the pipe that moved the watermark to the end of its
//! window. Everything in between counts: the pipe, decoding, the engine, the commit.
//!
//! Two outputs of one run are measured: standard output, which shows rows as they are made (at least once), and a file,
//! which shows what is committed (exactly once).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::fields::millis;
use super::options::Options;
use crate::shell::{Outcome, command, root};

/// Rows are written so often, as many as are due.
const BEAT: Duration = Duration::from_millis(5);
/// How often the file is looked at: at most so much of a delay is the measurement's own.
const LOOK: Duration = Duration::from_millis(1);
/// As the pipeline says.
const DELAY_MS: i64 = 10_000;
const WINDOW_MS: i64 = 1_000;
/// Rows per second unless told otherwise.
const RATE: u64 = 50_000;

/// When the watermark was moved past the end of each window.
type Passed = Arc<Mutex<BTreeMap<i64, Instant>>>;

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let out = super::scratch()?.join("emission");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let result = out.join("result.ndjson");
    let mut command = command(&weir.to_string_lossy(), &["run", "--quiet"]);
    command.arg(root().join("examples/bench-emission.yaml")).arg("--data").arg(out.join("data"));
    command.arg("--set").arg(format!("outputs.1.file.path={:?}", result.to_string_lossy()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut weir = command.spawn().map_err(|error| format!("weir could not be started: {error}"))?;
    let (input, output) = pipes(&mut weir)?;
    let passed = Passed::default();
    let shown = std::thread::spawn({
        let passed = Arc::clone(&passed);
        move || read_lines(output, &passed)
    });
    let committed = std::thread::spawn({
        let (passed, result) = (Arc::clone(&passed), result.clone());
        let until = Instant::now() + Duration::from_secs(options.seconds);
        move || read_file(&result, &passed, until)
    });
    write_rows(input, options, &passed)?;
    let status = weir.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("weir ended with {status}"));
    }
    let died = |_| "a reader has died".to_owned();
    println!(
        "{} rows/s for {} s, windows of 1 s, watermark 10 s behind; delays in ms",
        options.rate.unwrap_or(RATE),
        options.seconds
    );
    report("standard output, at least once", shown.join().map_err(died)?);
    report("file, exactly once", committed.join().map_err(died)?);
    Ok(())
}

fn pipes(weir: &mut Child) -> Outcome<(ChildStdin, ChildStdout)> {
    weir.stdin.take().zip(weir.stdout.take()).ok_or_else(|| "no pipes".to_owned())
}

/// Writes rows at the rate until the time is over, and ends the input.
fn write_rows(mut input: ChildStdin, options: &Options, passed: &Passed) -> Outcome {
    let (begun, mut written, mut largest) = (Instant::now(), 0_u64, 0);
    let mut random = options.seed | 1;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        let due = (begun.elapsed().as_secs_f64() * options.rate.unwrap_or(RATE) as f64) as u64;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
        let now = now.as_millis() as i64;
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for _ in written..due {
            let disorder = if next(10) < 7 { next(500) } else { next(5_000) } as i64;
            let time = now - disorder;
            if time > largest {
                // The windows that end between the watermark before and after this row.
                let (before, after) = (largest - DELAY_MS, time - DELAY_MS);
                if largest > 0 && before.div_euclid(WINDOW_MS) < after.div_euclid(WINDOW_MS) {
                    ends.push(after.div_euclid(WINDOW_MS) * WINDOW_MS);
                }
                largest = time;
            }
            row(&mut bytes, time, &mut next)?;
        }
        written = written.max(due);
        let moment = Instant::now();
        passed.lock().unwrap_or_else(PoisonError::into_inner).extend(ends.into_iter().map(|end| (end, moment)));
        input.write_all(&bytes).map_err(|error| format!("weir does not read: {error}"))?;
        #[expect(clippy::disallowed_methods, reason = "the rate is made by the clock")]
        std::thread::sleep(BEAT);
    }
    Ok(())
}

fn row(bytes: &mut Vec<u8>, time: i64, next: &mut impl FnMut(u64) -> u64) -> Outcome {
    let service = next(50).min(next(50));
    let level = ["INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"][next(6) as usize];
    writeln!(
        bytes,
        "{{\"ts\":{time},\"level\":\"{level}\",\"service\":\"svc-{service:02}\",\"host\":\"host-{:03}\",\"app_id\":\"app-{:04}\",\
         \"message\":\"Message {} delivered to subscription audit-{} after {} retries\",\"duration_ms\":{}.{:03},\
         \"tags\":{{\"env\":\"prod\",\"region\":\"eu-west-1\",\"team\":\"core\",\"v\":\"1.6\"}}}}",
        next(200),
        next(500),
        next(1000),
        next(1000),
        next(10),
        next(400),
        next(1000),
    )
    .map_err(|error| error.to_string())
}

fn read_lines(output: ChildStdout, passed: &Passed) -> Vec<f64> {
    let mut delays = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        delays.extend(delay(&line, passed));
    }
    delays
}

/// Reads a file as it grows, until some time after the rows have ended: what comes then is the end of the run.
fn read_file(path: &PathBuf, passed: &Passed, until: Instant) -> Vec<f64> {
    let (mut delays, mut pending, mut file) = (Vec::new(), Vec::new(), None);
    while Instant::now() < until {
        if file.is_none() {
            file = File::open(path).ok();
        }
        if let Some(file) = &mut file {
            let _ = file.read_to_end(&mut pending);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                delays.extend(delay(&String::from_utf8_lossy(&line), passed));
            }
        }
        #[expect(clippy::disallowed_methods, reason = "a file does not say when it grows")]
        std::thread::sleep(LOOK);
    }
    delays
}

/// How long after its window's end was passed a result is here; `None` when nothing has passed it.
fn delay(line: &str, passed: &Passed) -> Option<f64> {
    let now = Instant::now();
    let end = millis(line, "window_end").ok()?;
    let passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    let moment = passed.get(&end)?;
    Some(now.saturating_duration_since(*moment).as_secs_f64() * 1000.0)
}

fn report(what: &str, mut delays: Vec<f64>) {
    delays.sort_by(f64::total_cmp);
    let at = |part: f64| delays.get(((delays.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN);
    println!(
        "  {what:<32} p50 {:>7.1}   p99 {:>7.1}   p99.9 {:>7.1}   max {:>7.1}   of {} results",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        delays.len()
    );
}
