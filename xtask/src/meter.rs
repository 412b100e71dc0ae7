//! Measures one run of a program: CPU time of it and its children, wall time, peak memory. Linux only.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::shell::Outcome;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system seconds of the process and the children it waited for.
    pub(crate) cpu_secs: f64,
    /// Seconds from start to end.
    pub(crate) wall_secs: f64,
    /// The largest resident set of the process, in bytes.
    pub(crate) peak_bytes: u64,
}

/// How often the peak is read; the kernel keeps the high-water mark, so only growth in the last interval is missed.
const POLL: Duration = Duration::from_millis(10);

/// Clock ticks per second in `/proc`; fixed at 100 for user space on Linux.
const TICKS_PER_SEC: f64 = 100.0;

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Outcome<Cost> {
    let before = children_cpu_secs()?;
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{command:?} could not be started: {error}"))?;
    let mut peak_bytes = 0;
    let status = loop {
        if let Some(bytes) = peak(child.id()) {
            peak_bytes = peak_bytes.max(bytes);
        }
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        #[expect(clippy::disallowed_methods, reason = "the peak is sampled; there is no event for it")]
        std::thread::sleep(POLL);
    };
    let wall_secs = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}"));
    }
    Ok(Cost { cpu_secs: children_cpu_secs()? - before, wall_secs, peak_bytes })
}

fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// CPU seconds of all children that were waited for: fields 16 and 17 of `/proc/self/stat`, see proc(5).
fn children_cpu_secs() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    let after_name = stat.rsplit_once(')').map_or(stat.as_str(), |(_, rest)| rest);
    let ticks: f64 = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SEC)
}
