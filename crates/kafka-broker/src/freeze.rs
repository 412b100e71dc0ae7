//! Processes whose time stands still. Knows nothing of what they are.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// How long it is waited between two looks.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Stops the time of a process and returns when it stands still: until one of its threads has had a processor to take the signal,
/// all of them go on. Does nothing to one that is gone.
///
/// # Panics
/// If it goes on for minutes all the same.
pub fn freeze(process: Pid) {
    if kill_process(process, Signal::STOP).is_err() {
        return;
    }
    let since = Instant::now();
    while !stands_still(process) {
        assert!(since.elapsed() < PATIENCE, "process {process:?} was told to stop and goes on");
        std::thread::park_timeout(LOOK_AGAIN_AFTER);
    }
}

/// Whether no thread of it runs, or will before it is told to go on.
fn stands_still(process: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())) else { return true };
    threads.flatten().all(|thread| has_stopped(&thread.path()))
}

/// Whether a thread has stopped or ended, by the letter behind its name in `stat` (proc_pid_stat(5)).
fn has_stopped(thread: &Path) -> bool {
    let Ok(stat) = fs::read_to_string(thread.join("stat")) else { return true };
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['T', 't', 'Z', 'X']))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_is_frozen_does_not_answer_and_goes_on_where_it_was() {
        let mut echo = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
        let (mut to, from) = echo.stdin.take().zip(echo.stdout.take()).expect("both are piped");
        let process = i32::try_from(echo.id()).ok().and_then(Pid::from_raw).expect("a process id");
        assert!(!stands_still(process));
        freeze(process);
        assert!(stands_still(process));
        writeln!(to, "still there").expect("the pipe has room");
        assert!(stands_still(process), "what is sent to it does not wake it");
        kill_process(process, Signal::CONT).expect("it is there");
        let mut line = String::new();
        BufReader::new(from).read_line(&mut line).expect("an answer");
        assert_eq!(line, "still there\n");
        drop(to);
        echo.wait().expect("it ends");
        freeze(process);
    }
}
