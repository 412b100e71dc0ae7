//! What state costs: many open windows with ten aggregates, as a user has them: memory beside a pipeline that holds one, how
//! long a checkpoint takes that has all of them in it, and how long a start takes after a kill.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::options::Options;
use crate::shell::{Outcome, command};

/// Groups are windows times keys.
const KEYS: u64 = 1_000;
/// A step holds no more of them, the oldest make room: where there are to be more, several steps hold them, of the same rows.
const GROUPS_MAX: u64 = 1_000_000;
/// State of 6 GB.
const STEPS_MAX: u64 = 8;
/// How often the instance is asked.
const LOOK: Duration = Duration::from_millis(5);
/// For how long it may take to get anywhere.
const PATIENCE: Duration = Duration::from_secs(300);

const PIPELINE: &str = "\
name: many
sources:
  in:
    file: { paths: [IN], follow: true }
    format: json
    schema: { n: float64 }
time: { field: ts, watermark: { bounded: { delay: 31d } } }
steps:
STEPSoutputs:
OUTPUTSepoch: 1s
";

const STEP: &str = "  - name: NAME
    from: in
    window:
      tumbling: 1m
      by: [key]
      compute:
        count: count(*)
        sum: sum(n)
        avg: avg(n)
        min: min(n)
        max: max(n)
        p50: quantile(0.5, n)
        p95: quantile(0.95, n)
        deviation: stddev(n)
        first: first(n)
        last: last(n)
";

const OUTPUT: &str = "  - { table: NAME, from: NAME }\n";

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let scratch = super::scratch()?.join("state");
    let _ = fs::remove_dir_all(&scratch);
    let steps = options.groups.div_ceil(GROUPS_MAX);
    if steps > STEPS_MAX {
        return Err(format!("--groups {}: at most {}", options.groups, STEPS_MAX * GROUPS_MAX));
    }
    // Of each step.
    let groups = (options.groups / steps).div_ceil(KEYS) * KEYS;
    let one = Instance::start(&weir, &scratch.join("one"), (1, groups, steps))?;
    let alone = one.resident()?;
    drop(one);
    let folder = scratch.join("many");
    let mut many = Instance::start(&weir, &folder, (groups * 2, groups, steps))?;
    let held = many.resident()?;
    let before = many.checkpoints()?;
    many.append(groups)?;
    let after = many.checkpoints()?;
    let bytes = many.metric("weir_pipeline_checkpoint_size_bytes")?;
    let last = many.metric("weir_pipeline_epoch")?;
    many.kill()?;
    // What comes while it is away is what it has to take up next.
    many.write(KEYS)?;
    let started = Instant::now();
    many.child = many.spawn()?;
    many.wait("it has started", |instance| Ok(instance.get("/health/startup")?.starts_with("HTTP/1.1 200")))?;
    let ready = started.elapsed();
    many.wait("new rows are committed", |instance| {
        let read = instance.metric("weir_pipeline_records_read_total")? as u64;
        Ok(read >= KEYS && instance.metric("weir_pipeline_epoch")? > last)
    })?;
    let goes_on = started.elapsed();
    println!("{} open windows, 10 aggregates, {steps} steps:", groups * steps);
    println!("  memory   {:>8.1} MB more than with one window", (held.saturating_sub(alone)) as f64 / 1e6);
    println!("  state    {:>8.1} MB in the checkpoint", bytes / 1e6);
    println!(
        "  epochs   {:>8.3} s on average, of {} while every window changed",
        (after.0 - before.0) / (after.1 - before.1),
        after.1 - before.1
    );
    println!("  recovery {:>8.3} s from the start of the process until everything is restored", ready.as_secs_f64());
    println!("           {:>8.3} s until rows that came meanwhile are committed", goes_on.as_secs_f64());
    Ok(())
}

/// A Weir that is up.
struct Instance {
    weir: PathBuf,
    folder: PathBuf,
    port: u16,
    rows: u64,
    groups: u64,
    child: Child,
}

impl Instance {
    /// Starts it on a file of so many rows, with so many groups in each of so many steps, and waits until they are committed.
    fn start(weir: &Path, folder: &Path, (rows, groups, steps): (u64, u64, u64)) -> Outcome<Self> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.map_err(|error| format!("no port: {error}"))?.port();
        let input = folder.join("in.ndjson");
        let all = |text: &str| (0..steps).map(|step| text.replace("NAME", &format!("many_{step}"))).collect::<String>();
        let pipeline = PIPELINE.replace("[IN]", &format!("[{:?}]", input.to_string_lossy()));
        let pipeline = pipeline.replace("STEPS", &all(STEP)).replace("OUTPUTS", &all(OUTPUT));
        write(&folder.join("many.yaml"), pipeline.as_bytes(), false)?;
        write(&input, b"", false)?;
        let child = spawn(weir, folder, port)?;
        let mut instance = Self { weir: weir.to_owned(), folder: folder.to_owned(), port, rows: 0, groups, child };
        instance.append(rows)?;
        Ok(instance)
    }

    fn spawn(&self) -> Outcome<Child> {
        spawn(&self.weir, &self.folder, self.port)
    }

    /// Appends rows, group after group.
    fn write(&mut self, rows: u64) -> Outcome {
        let mut text = String::new();
        for row in 0..rows {
            let group = row % self.groups;
            let (window, key) = (group / KEYS, group % KEYS);
            let (day, hour, minute) = (1 + window / 1440, window / 60 % 24, window % 60);
            let value = (row * 7_919 % 100_000) as f64 / 10.0;
            text.push_str(&format!(
                "{{\"ts\":\"2026-01-{day:02}T{hour:02}:{minute:02}:30Z\",\"key\":\"key-{key}\",\"n\":{value}}}\n"
            ));
        }
        write(&self.folder.join("in.ndjson"), text.as_bytes(), true)?;
        self.rows += rows;
        Ok(())
    }

    /// Appends rows and waits until they are committed.
    fn append(&mut self, rows: u64) -> Outcome {
        self.write(rows)?;
        let before = self.metric("weir_pipeline_epoch").unwrap_or(0.0);
        self.wait("the rows are read", |instance| {
            Ok(instance.metric("weir_pipeline_records_read_total").unwrap_or(0.0) as u64 >= instance.rows)
        })?;
        let read = self.metric("weir_pipeline_epoch").unwrap_or(before);
        self.wait("the rows are committed", |instance| {
            Ok(instance.metric("weir_pipeline_epoch").unwrap_or(0.0) > read.max(before))
        })
    }

    /// Seconds of all checkpoints, and how many there were.
    fn checkpoints(&self) -> Outcome<(f64, f64)> {
        Ok((
            self.metric("weir_pipeline_checkpoint_duration_seconds_sum")?,
            self.metric("weir_pipeline_checkpoint_duration_seconds_count")?,
        ))
    }

    fn metric(&self, name: &str) -> Outcome<f64> {
        let text = self.get("/metrics")?;
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
        let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok());
        value.ok_or_else(|| format!("/metrics has no {name}"))
    }

    fn get(&self, path: &str) -> Outcome<String> {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().map_err(|error| format!("{path}: {error}"))
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> Outcome<bool>) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self).unwrap_or(false) {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("weir ended with {status} before {what}"));
            }
            if Instant::now() > deadline {
                return Err(format!("waited in vain until {what}"));
            }
            #[expect(clippy::disallowed_methods, reason = "another process is watched; there is no event for it")]
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Resident memory in bytes.
    fn resident(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} has no VmRSS"))
    }

    fn kill(&mut self) -> Outcome {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(weir: &Path, folder: &Path, port: u16) -> Outcome<Child> {
    let mut command = command(&weir.to_string_lossy(), &["up"]);
    command.arg(folder.join("many.yaml")).arg("--data").arg(folder.join("data"));
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| format!("weir could not be started: {error}"))
}

fn write(path: &Path, bytes: &[u8], append: bool) -> Outcome {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(append).truncate(!append).write(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| format!("{}: {error}", path.display()))
}
