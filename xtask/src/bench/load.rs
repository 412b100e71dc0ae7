//! Rows of the generator that are in no file: through a pipe into the table `logs`, each eight neighbours with a trace id of
//! their own.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Running;
use super::meter::{self, Cost};
use super::options::Options;
use super::up::look_later;
use crate::shell::{Outcome, command};

/// Rows of one trace.
pub(super) const TRACE_ROWS: u64 = 8;

/// How rows come into the table.
pub(super) struct Load<'a> {
    /// What is chosen about the table, as it stands behind its name: nothing, or `, index: full`.
    pub(super) chosen: &'a str,
    /// How often an epoch commits.
    pub(super) epoch: &'a str,
    /// The last rows come one by one.
    pub(super) trickle: Option<Trickle>,
}

/// So many rows come so far apart that each is in a commit of its own: nobody goes back behind what came before them then.
pub(super) struct Trickle {
    pub(super) rows: u64,
    pub(super) apart: Duration,
}

/// A pipeline that keeps every row of `source` in the table `logs`.
pub(super) fn keeping(name: &str, source: &str, chosen: &str) -> String {
    format!(
        "\
name: {name}
sources:
  logs: {{ {source}, format: json }}
time:
  field: ts
  watermark: {{ bounded: {{ delay: 10s }} }}
outputs:
  - table: {{ name: logs{chosen} }}
"
    )
}

/// Writes such a pipeline into `folder`, for rows that are posted.
pub(super) fn for_posts(folder: &Path, chosen: &str) -> Outcome<std::path::PathBuf> {
    let path = folder.join("posts.yaml");
    let text = keeping("posts", "http: { stream: logs }", chosen);
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Takes `options.rows` rows into the table `logs` of `folder/data`.
pub(super) fn load(weir: &Path, folder: &Path, options: &Options, load: &Load<'_>) -> Outcome<Cost> {
    let pipeline = folder.join("large.yaml");
    let text = keeping("large", "stdin: {}", load.chosen);
    fs::write(&pipeline, text).map_err(|error| format!("{}: {error}", pipeline.display()))?;
    let (from, to) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
    let mut generator = Command::new(weir);
    generator.args(["gen", "logs", "--rows", &options.rows.to_string(), "--seed", &options.seed.to_string()]);
    let generator = generator.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
    let mut generator = Running(generator.map_err(|error| format!("the generator: {error}"))?);
    let lines = generator.0.stdout.take().ok_or("the generator has no output")?;
    let (slow_from, apart) = load
        .trickle
        .as_ref()
        .map_or((u64::MAX, Duration::ZERO), |trickle| (options.rows.saturating_sub(trickle.rows), trickle.apart));
    let wait = move |row| if row >= slow_from { Some(apart) } else { None };
    let writing = std::thread::spawn(move || add_traces(BufReader::with_capacity(1 << 20, lines), to, wait));
    let mut taking = command(&weir.to_string_lossy(), &["run", "--quiet"]);
    taking.arg(&pipeline).arg("--data").arg(folder.join("data")).arg("--set").arg(format!("epoch={}", load.epoch));
    taking.stdin(Stdio::from(from)).stdout(Stdio::null());
    // What the generator takes is not ours: it is waited for afterwards.
    let cost = meter::run(&mut taking)?;
    drop(taking);
    writing.join().map_err(|_| "the writer has died".to_owned())?.map_err(|error| format!("the pipe: {error}"))?;
    Ok(cost)
}

/// Each line with a trace id more. Before some rows it waits for as long as `wait` says.
fn add_traces(mut lines: impl BufRead, to: impl Write, wait: impl Fn(u64) -> Option<Duration>) -> std::io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 20, to);
    let mut line = Vec::with_capacity(1 << 10);
    let mut row = 0;
    while lines.read_until(b'\n', &mut line)? > 0 {
        if let Some(apart) = wait(row) {
            to.flush()?;
            look_later(apart);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_trace_and_others_have_their_own() {
        let mut out = Vec::new();
        add_traces(&b"{\"a\":1}\n{\"a\":2}\n"[..], &mut out, |_| None).expect("memory takes all");
        let trace = trace_id(0);
        let text = format!("{{\"a\":1,\"trace_id\":\"{trace}\"}}\n{{\"a\":2,\"trace_id\":\"{trace}\"}}\n");
        assert_eq!(String::from_utf8_lossy(&out), text);
        assert_eq!(trace.len(), 32);
        assert!(trace_id(TRACE_ROWS) != trace && trace_id(TRACE_ROWS - 1) == trace);
    }
}
