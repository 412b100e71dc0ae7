//! The metrics of this process, read from `/proc` at every scrape; elsewhere than on Linux only the uptime and the
//! build are known. Nothing here can fail a scrape: what cannot be read is left out.

use std::fmt::{self, Error};
use std::fs;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use weir_model::{Clock, ProcessingTime};

use super::write::{counter, gauge};

/// Which build this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version.
    pub version: String,
    /// The commit it was built from, or `unknown`.
    pub commit: String,
}

/// The unit of CPU times in `/proc/self/stat`. The kernel shows them to every program in this one, whatever its own
/// timer does (`USER_HZ`, fixed at 100 on every architecture Rust has std for, but alpha and ia64).
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Process {
    build: BuildInfo,
    clock: Arc<dyn Clock>,
    started_at: ProcessingTime,
    memory_limit: Arc<OnceLock<u64>>,
}

impl Process {
    pub(super) fn new(build: BuildInfo, clock: Arc<dyn Clock>, memory_limit: Arc<OnceLock<u64>>) -> Self {
        let started_at = clock.now();
        Self { build, clock, started_at, memory_limit }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("build", &self.build).finish_non_exhaustive()
    }
}

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let to = &mut to;
        let one = |value: Option<f64>| value.map(|value| (Vec::new(), value));
        let memory = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = one(kib_line(&memory, "VmRSS:"));
        gauge(to, "process_resident_memory_bytes", "Memory of this process that is in RAM", resident)?;
        let peak = one(kib_line(&memory, "VmHWM:"));
        gauge(to, "process_resident_memory_peak_bytes", "The most that was ever in RAM", peak)?;
        let limit = one(self.memory_limit.get().map(|bytes| *bytes as f64));
        gauge(to, "process_memory_limit_bytes", "The most memory that this process may take", limit)?;
        let cpu = one(fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)));
        counter(to, "process_cpu_seconds", "CPU time of this process, user and system", cpu)?;
        let fds = one(fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64));
        gauge(to, "process_open_fds", "Open file descriptors", fds)?;
        let uptime = (self.clock.now() - self.started_at).micros() as f64 / 1e6;
        gauge(to, "process_uptime_seconds", "Time since this process started", one(Some(uptime)))?;
        let started = self.started_at.micros() as f64 / 1e6;
        gauge(to, "process_start_time_seconds", "When this process started, since 1970", one(Some(started)))?;
        let build = vec![("version", self.build.version.as_str()), ("commit", self.build.commit.as_str())];
        gauge(to, "build_info", "Always 1; the labels say which build this is", Some((build, 1.0)))
    }
}

/// How much memory of this process is in RAM, in bytes; `None` where `/proc` does not say. Quick enough to ask a hundred times
/// a second.
pub fn resident_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kib_line(&status, "VmRSS:").map(|bytes| bytes as u64)
}

/// The bytes of a line like `VmRSS:     1234 kB`.
fn kib_line(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// User and system time: the 14th and 15th field, counted behind the program's name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<f64>().ok()?, fields.next()?.parse::<f64>().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_program_name() {
        let stat = "7 (we) ir 1 2) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    fn memory_is_found_in_kib() {
        assert_eq!(kib_line("Name:\tweir\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2_097_152.0));
        assert_eq!(kib_line("Name:\tweir\n", "VmRSS:"), None);
    }
}
