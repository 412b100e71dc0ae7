//! A kill at every system call that writes, syncs, links, renames, cuts or removes, one life per call: strace ends the
//! unmodified binary as the k-th call of a kind begins. Counted per thread, as strace counts.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Server, count, post};
use super::{Options, Verdict, pipeline, row, write};
use crate::shell::Outcome;

/// The kinds of calls by which anything reaches the disk; each is counted by itself.
const KINDS: [&str; 5] =
    ["write,pwrite64", "fsync,fdatasync", "link,linkat,rename,renameat,renameat2", "ftruncate", "unlink,unlinkat"];
/// Rows of the file: enough for several epochs.
const FILE_ROWS: u64 = 30_000;
/// Requests that are posted one after the other, and rows in each.
const POSTS: u64 = 20;
const POST_ROWS: u64 = 100;
/// For how long stored rows are waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// What strace is told to send.
const SIGKILL: i32 = 9;
/// A script has fewer calls of a kind than this; more means that it never ends.
const CALLS_MAX: u32 = 20_000;

pub(super) fn run(options: &Options, scratch: &Path) -> Outcome {
    fs::create_dir_all(scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let began = Instant::now();
    let (mut verdict, mut kills) = (Verdict::default(), 0);
    for script in [Script::file(options, scratch)?, Script::posts(options, scratch)?] {
        for kind in KINDS {
            let mut k = 1;
            while k < CALLS_MAX && script.killed_at(kind, k)? {
                let found = script.finish()?;
                if found != Verdict::default() {
                    println!("{}: killed at {kind} number {k}: {found:?}", script.name);
                }
                verdict.add(&found);
                kills += 1;
                k += options.every;
            }
        }
    }
    let (every, took) = (options.every, began.elapsed().as_secs());
    verdict.judge(&format!(
        "{kills} kills, one at every {every}. system call that writes, syncs, links, cuts or removes, in {took} s"
    ))
}

/// Something that is always done in the same way.
struct Script {
    name: &'static str,
    weir: PathBuf,
    pipeline: PathBuf,
    data: PathBuf,
    rows: u64,
}

impl Script {
    /// A run over a file, with windows, in several epochs.
    fn file(options: &Options, scratch: &Path) -> Outcome<Self> {
        let (input, file) = (scratch.join("rows.ndjson"), scratch.join("file.yaml"));
        write(&input, &(0..FILE_ROWS).map(row).collect::<String>())?;
        let source = format!("file: {{ paths: [{:?}], follow: false }}", input.to_string_lossy());
        write(&file, &pipeline("rows", &source))?;
        Ok(Self { name: "run", weir: options.weir.clone(), pipeline: file, data: scratch.join("run"), rows: FILE_ROWS })
    }

    /// A server to which rows are posted.
    fn posts(options: &Options, scratch: &Path) -> Outcome<Self> {
        let file = scratch.join("posts.yaml");
        write(&file, &pipeline("rows", "http: { stream: rows }"))?;
        let rows = POSTS * POST_ROWS;
        Ok(Self { name: "up", weir: options.weir.clone(), pipeline: file, data: scratch.join("up"), rows })
    }

    fn command(&self) -> Command {
        match self.name {
            "run" => {
                let mut command = Command::new(&self.weir);
                command.args(["run", "--quiet", "--data"]).arg(&self.data).arg(&self.pipeline).stdin(Stdio::null());
                command
            }
            _ => Server::command(&self.weir, &self.data, &[&self.pipeline]),
        }
    }

    /// Begins anew and is killed as the `k`-th call of `kind` begins; `false` when it came to its end before.
    fn killed_at(&self, kind: &str, k: u32) -> Outcome<bool> {
        let _ = fs::remove_dir_all(&self.data);
        let command = self.command();
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={kind}")]);
        traced.args(["-e", &format!("inject={kind}:signal=SIGKILL:when={k}")]);
        traced.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        if self.name == "run" {
            let status = traced.stderr(Stdio::null()).status().map_err(|error| format!("strace: {error}"))?;
            // strace ends as what it traces does.
            return match (status.success(), status.signal()) {
                (true, _) => Ok(false),
                (false, Some(SIGKILL)) => Ok(true),
                _ => Err(format!("the run ended by itself: {status}")),
            };
        }
        let Some(server) = Server::start(traced)? else { return Ok(true) };
        let survived = (0..POSTS).all(|index| self.post(&server, index)) && self.is_stored(&server);
        // Told to stop, it may still be killed on its way; strace passes the signal on.
        let stopped = if survived { server.stop().is_ok() } else { false };
        Ok(!stopped)
    }

    fn post(&self, server: &Server, index: u64) -> bool {
        post(&server.address, "rows", index * POST_ROWS, (index + 1) * POST_ROWS)
    }

    /// Waits until all rows are stored; `false` when the server has died on the way, or does not get there.
    fn is_stored(&self, server: &Server) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match count(&server.address, "rows") {
                None => return false,
                Some(stored) if stored >= self.rows => return true,
                Some(_) => {}
            }
            // Each question makes the server write; asked without a pause it would never come to the end of its writes.
            #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
            std::thread::sleep(PAUSE);
        }
        false
    }

    /// Goes on without being killed, to the end, and looks at what there is.
    fn finish(&self) -> Outcome<Verdict> {
        if self.name == "run" {
            let output = self.command().output().map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(format!("the run after a kill: {}", String::from_utf8_lossy(&output.stderr)));
            }
        } else {
            let server = Server::start(self.command())?.ok_or("it does not start after a kill")?;
            if !(0..POSTS).all(|index| self.post(&server, index)) {
                return Err("a request after a kill was refused".to_owned());
            }
            // What is missing is counted by the verdict.
            self.is_stored(&server);
            server.stop()?;
        }
        Verdict::of(&self.weir, &self.data, "rows", self.rows)
    }
}
