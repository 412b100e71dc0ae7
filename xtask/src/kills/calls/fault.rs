//! What is done to a life at a call, and how strace is told to. It cannot tell two calls of a thread on one file apart but by
//! how many came before.

use std::fs;
use std::path::Path;

use super::script::{End, Life};
use super::trace::Call;

/// What strace has done is written there, inside the folder of the life.
const SAID: &str = "strace.txt";

/// What is done to a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is killed as the call begins.
    Kill,
    /// The sync fails, once: what of the file is on disk is unknown from then on, also if the next one says that all is well.
    SyncFails,
    /// There is no room for the write, once.
    NoRoom,
}

impl Fault {
    /// What is done at a call, each in a life of its own.
    pub(super) fn at(call: &Call) -> &'static [Self] {
        match call.name.as_str() {
            "fsync" | "fdatasync" => &[Self::Kill, Self::SyncFails],
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "copy_file_range" | "sendfile" | "fallocate" => {
                &[Self::Kill, Self::NoRoom]
            }
            _ => &[Self::Kill],
        }
    }

    /// What strace is told to do to a life in `place` at `call`.
    pub(super) fn strace(self, place: &Path, call: &Call) -> Vec<String> {
        let (what, name) = (self.injected(), &call.name);
        // Not with `--seccomp-bpf`: a signal that is to be sent at a stop of that kind is lost.
        let mut words = ["-f", "-qq", "-o"].map(String::from).to_vec();
        words.extend([place.join(SAID).display().to_string(), "-P".to_owned()]);
        words.extend([place.join(&call.path).display().to_string(), "-e".to_owned(), format!("trace={name}")]);
        words.extend(["-e".to_owned(), format!("inject={name}:{what}:when={}", call.nth)]);
        words
    }

    fn injected(self) -> &'static str {
        match self {
            Self::Kill => "signal=SIGKILL",
            Self::SyncFails => "error=EIO",
            Self::NoRoom => "error=ENOSPC",
        }
    }

    /// Whether going on is right although the sync has failed. SQLite moves what is in the log of the catalog to the catalog
    /// when it closes it, syncs both, and leaves the log as it is when that fails; a commit that follows would sync the log.
    /// It passes over a failed sync of the folder of its files.
    pub(super) fn may_go_on(place: &Path, call: &Call) -> bool {
        let name = call.path.file_name().unwrap_or_default();
        let is_last = || {
            let said = fs::read_to_string(place.join(SAID)).unwrap_or_default();
            said.lines().rfind(|line| line.contains("sync(")).is_some_and(|line| line.contains("(INJECTED)"))
        };
        // What a backup holds while it is made goes with it.
        let is_held = call.path.starts_with("data/backup-pins");
        is_held || name == "data" || name == "catalog.sqlite" || name == "catalog.sqlite-wal" && is_last()
    }

    /// Whether the life came to the call.
    pub(super) fn has_happened(self, place: &Path, life: &Life) -> bool {
        match self {
            Self::Kill => life.end == End::Killed,
            Self::SyncFails | Self::NoRoom => {
                fs::read_to_string(place.join(SAID)).is_ok_and(|said| said.contains("(INJECTED)"))
            }
        }
    }
}
