//! Measures one run of a program and all it starts: CPU time, wall time, peak memory. Linux only.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::shell::Outcome;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system seconds of the process and everything it started.
    pub(crate) cpu_secs: f64,
    /// Of these, what the thread took that took most, as last seen: with a processor for every thread a run takes no less.
    pub(crate) busiest_secs: f64,
    /// Seconds from start to end.
    pub(crate) wall_secs: f64,
    /// The largest resident set, in bytes: of the process by the kernel's own high-water mark; with children, of all
    /// together as sampled, if that is more.
    pub(crate) peak_bytes: u64,
}

/// How often processes are looked at. The kernel keeps the high-water mark of each, so only growth in the last interval
/// is missed.
const POLL: Duration = Duration::from_millis(10);

/// Clock ticks per second in `/proc`; fixed at 100 for user space on Linux.
const TICKS_PER_SEC: f64 = 100.0;

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Outcome<Cost> {
    let before = children_cpu_secs()?;
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("{command:?} could not be started: {error}"))?;
    let mut tree = Tree::default();
    let status = loop {
        tree.look(child.id());
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
    // A child that nobody waited for (a JVM) is not in the kernel's sum, but it was seen.
    let cpu_secs = (children_cpu_secs()? - before).max(tree.cpu_secs());
    Ok(Cost { cpu_secs, busiest_secs: tree.busiest_secs, wall_secs, peak_bytes: tree.peak_bytes })
}

/// A process and its descendants over time.
#[derive(Default)]
struct Tree {
    /// Ticks of each, as last seen.
    ticks: HashMap<u32, f64>,
    busiest_secs: f64,
    peak_bytes: u64,
}

impl Tree {
    fn look(&mut self, root: u32) {
        let (mut waiting, mut resident) = (vec![root], 0);
        while let Some(pid) = waiting.pop() {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            self.ticks.insert(pid, fields_sum(&stat, 11));
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            resident += kib(&status, "VmRSS:");
            self.peak_bytes = self.peak_bytes.max(kib(&status, "VmHWM:") * 1024);
            // Children belong to the thread that started them.
            for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
                waiting.extend(read("children").split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
                let nanos = read("schedstat").split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok());
                self.busiest_secs = self.busiest_secs.max(nanos.unwrap_or(0.0) / 1e9);
            }
        }
        self.peak_bytes = self.peak_bytes.max(resident * 1024);
    }

    fn cpu_secs(&self) -> f64 {
        self.ticks.values().sum::<f64>() / TICKS_PER_SEC
    }
}

/// A line of a `status` file in `/proc`, in KiB.
pub(super) fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

/// The sum of two fields of a `stat` file, the first of them so many after the state; see proc(5).
fn fields_sum(stat: &str, from: usize) -> f64 {
    let after_name = stat.rsplit_once(')').map_or(stat, |(_, rest)| rest);
    after_name.split_whitespace().skip(from).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// CPU seconds so far of a process that runs.
pub(super) fn cpu_secs_of(pid: u32) -> Outcome<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(fields_sum(&stat, 11) / TICKS_PER_SEC)
}

/// CPU seconds of all children that were waited for.
fn children_cpu_secs() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    Ok(fields_sum(&stat, 13) / TICKS_PER_SEC)
}
