//! What is done in the same way in every life that is killed: a run over a file, a server to which rows are posted, rows of a
//! replay swapped in, by a command and by a server, and taken back, a backup, and a restore. It says what must be there after
//! the next life, and never looks at files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::trace::{CALLS, Call, calls};
use crate::kills::client::{Server, count, post, swap_in};
use crate::kills::{ROWS_PER_WINDOW, Verdict, ask, pipeline, row, write};
use crate::shell::Outcome;

/// Rows of a file; each window has as many as another one.
const FILE_ROWS: u64 = 20_000;
/// Requests that are posted, each when the one before is stored, so that an epoch is a request and there are more of them
/// than commits are kept; and rows in each.
const POSTS: u64 = 12;
/// A record that no step can take; there is one behind the rows of every window.
const LETTER: &str = "{\"ts\":\"never\",\"n\":-1}\n";
/// For how long stored rows are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// What strace is told to send.
const SIGKILL: i32 = 9;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Killed,
    /// By itself, with an error.
    Failed,
    Done,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        // strace ends as what it traces does.
        match status.signal() {
            Some(SIGKILL) => Self::Killed,
            _ if status.success() => Self::Done,
            _ => Self::Failed,
        }
    }
}

/// What is known of a life.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) end: End,
    /// Requests that it acknowledged: posts of rows, or one to swap in.
    acknowledged: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Run,
    Up,
    Swap,
    Undo,
    /// The swap, by a server that is up.
    UpSwap,
    Backup,
    Restore,
}

/// Something that is always done in the same way, in a folder.
pub(super) struct Script<'a> {
    kind: Kind,
    weir: &'a Path,
    scratch: &'a Path,
    /// The rows of the file.
    input: PathBuf,
    /// The folder as it is before, if something was done before.
    golden: Option<PathBuf>,
    /// The replay that was made in it.
    replay: String,
}

impl<'a> Script<'a> {
    /// All of them, or the only one that is called so.
    pub(super) fn all(weir: &'a Path, scratch: &'a Path, only: Option<&str>) -> Outcome<Vec<Self>> {
        let _ = fs::remove_dir_all(scratch);
        create(scratch)?;
        let input = scratch.join("rows.ndjson");
        write(&input, &(0..FILE_ROWS / ROWS_PER_WINDOW).map(rows_of_window).collect::<String>())?;
        let kinds = [Kind::Run, Kind::Up, Kind::Swap, Kind::Undo, Kind::UpSwap, Kind::Backup, Kind::Restore];
        let scripts =
            kinds.map(|kind| Self { kind, weir, scratch, input: input.clone(), golden: None, replay: String::new() });
        scripts.into_iter().filter(|script| only.is_none_or(|only| only == script.name())).map(Self::begun).collect()
    }

    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Run => "run",
            Kind::Up => "up",
            Kind::Swap => "replay --apply",
            Kind::Undo => "replay --undo",
            Kind::UpSwap => "replay --apply at a server",
            Kind::Backup => "backup",
            Kind::Restore => "restore",
        }
    }

    /// Where the lives of a job are lived.
    pub(super) fn place(&self, job: usize) -> PathBuf {
        self.scratch.join(format!("{:?}-{job}", self.kind).to_lowercase())
    }

    /// Does what comes before, once.
    fn begun(mut self) -> Outcome<Self> {
        if matches!(self.kind, Kind::Run | Kind::Up) {
            return Ok(self);
        }
        let golden = self.scratch.join(format!("{:?}-golden", self.kind).to_lowercase());
        self.prepare(&golden)?;
        self.well(&["run", "--quiet", "--data", "data", "rows.yaml"], &golden)?;
        match self.kind {
            Kind::Swap | Kind::Undo | Kind::UpSwap => {
                let file = golden.join("rows.yaml");
                let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                // A server goes on with what it was started with.
                write(&golden.join("live.yaml"), &text)?;
                write(&file, &mended(&text))?;
                let made = self.said(&["replay", "--format", "json", "--data", "data", "rows.yaml"], &golden)?;
                let id = made.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next());
                self.replay = id.ok_or_else(|| format!("a replay without an id: {made}"))?.to_owned();
                if self.kind == Kind::Undo {
                    self.well(&["replay", "--apply", "--data", "data", "rows.yaml"], &golden)?;
                }
            }
            Kind::Restore => self.well(&["backup", "saved", "--data", "data"], &golden)?,
            Kind::Run | Kind::Up | Kind::Backup => {}
        }
        self.golden = Some(golden);
        Ok(self)
    }

    /// Makes the folder as it is before every life.
    pub(super) fn prepare(&self, place: &Path) -> Outcome {
        let _ = fs::remove_dir_all(place);
        if let Some(golden) = &self.golden {
            return copy(golden, place);
        }
        create(place)?;
        let source = match self.kind {
            Kind::Up => "http: { stream: rows }".to_owned(),
            _ => format!("file: {{ paths: [{:?}], follow: false }}", self.input.to_string_lossy()),
        };
        let text = pipeline("rows", &source);
        if self.kind == Kind::UpSwap {
            // Its copies would all write to the same file.
            return write(&place.join("rows.yaml"), &text);
        }
        // A file beside the tables, whose rows have to come exactly once too.
        let windows = place.join("windows.ndjson");
        let file = format!("\n  - file: {{ path: {:?} }}\n    from: per_window\nepoch:", windows.to_string_lossy());
        let text = text.replace("\nepoch:", &file);
        write(&place.join("rows.yaml"), &text)
    }

    /// The calls of a life that is not killed, and how many there were in all.
    pub(super) fn calls(&self) -> Outcome<(Vec<Call>, u64)> {
        let (place, trace) = (self.place(0), self.scratch.join("trace"));
        self.prepare(&place)?;
        let mut strace =
            ["-f", "-qq", "--seccomp-bpf", "-y", "-s", "0", "-e", "signal=none", "-o"].map(String::from).to_vec();
        strace.extend([trace.display().to_string(), "-e".to_owned(), format!("trace={CALLS}")]);
        let life = self.live(&place, &strace)?;
        if life.end != End::Done {
            return Err(format!("{}: undisturbed it ends as {:?}", self.name(), life.end));
        }
        let text = fs::read_to_string(&trace).map_err(|error| format!("{}: {error}", trace.display()))?;
        let (calls, all) = calls(&text, &place);
        if calls.is_empty() {
            return Err(format!("{}: no call was seen in {}", self.name(), place.display()));
        }
        Ok((calls, all))
    }

    /// A life in `place` under strace.
    pub(super) fn live(&self, place: &Path, strace: &[String]) -> Outcome<Life> {
        let command = self.command(place);
        let mut traced = Command::new("strace");
        traced.args(strace).arg(command.get_program()).args(command.get_args());
        traced.current_dir(place).stdin(Stdio::null());
        match self.kind {
            Kind::Up => return self.posted(traced),
            Kind::UpSwap => return self.swapped_by_server(traced),
            Kind::Run | Kind::Swap | Kind::Undo | Kind::Backup | Kind::Restore => {}
        }
        let output = traced.output().map_err(|error| format!("strace: {error}"))?;
        Ok(Life { end: End::of(output.status), acknowledged: 0 })
    }

    fn command(&self, place: &Path) -> Command {
        let words: &[&str] = match self.kind {
            // Paths are whole, so that strace finds them in the calls.
            Kind::Up => return Server::command(self.weir, &place.join("data"), &[&place.join("rows.yaml")]),
            Kind::UpSwap => return Server::command(self.weir, &place.join("data"), &[&place.join("live.yaml")]),
            Kind::Run => &["run", "--quiet", "rows.yaml", "--data"],
            Kind::Swap => &["replay", "--apply", "rows.yaml", "--data"],
            Kind::Undo => &["replay", "--undo", "rows.yaml", "--data"],
            Kind::Backup => &["backup", "saved", "--data"],
            Kind::Restore => &["restore", "saved", "--data"],
        };
        let mut command = Command::new(self.weir);
        command.args(words.iter().map(|word| match *word {
            "saved" => place.join("saved").into_os_string(),
            "rows.yaml" => place.join("rows.yaml").into_os_string(),
            word => word.into(),
        }));
        command.arg(place.join(if self.kind == Kind::Restore { "restored" } else { "data" }));
        command.current_dir(place).stdin(Stdio::null());
        command
    }

    /// A server's life: rows are posted, one request after the other is stored; then it is told to stop.
    fn posted(&self, traced: Command) -> Outcome<Life> {
        let mut acknowledged = 0;
        let mut server = match Server::start(traced)? {
            Ok(server) => server,
            Err(status) => return Ok(Life { end: End::of(status), acknowledged }),
        };
        while acknowledged < POSTS && post_until_taken(&mut server, acknowledged) {
            acknowledged += 1;
            if !is_stored(&server, acknowledged * ROWS_PER_WINDOW) {
                break;
            }
        }
        let status = match acknowledged {
            POSTS => server.stop_traced()?,
            _ => server.ended_within(PATIENCE)?,
        };
        match End::of(status) {
            End::Done if acknowledged < POSTS => Err(format!("after {acknowledged} requests it ended as if told to")),
            end => Ok(Life { end, acknowledged }),
        }
    }

    /// A server's life: it is asked to swap in what was replayed, while its pipeline comes back; then it is told to stop.
    fn swapped_by_server(&self, traced: Command) -> Outcome<Life> {
        let mut server = match Server::start(traced)? {
            Ok(server) => server,
            Err(status) => return Ok(Life { end: End::of(status), acknowledged: 0 }),
        };
        let acknowledged = u64::from(self.swap_until_done(&mut server));
        // Nothing is what a server answers that is killed meanwhile.
        let shown = count(&server.address, "rows").filter(|rows| *rows > 0);
        if acknowledged == 1 && shown.is_some_and(|rows| rows != FILE_ROWS / 2) {
            return Err("it was swapped in, and is not what is shown".to_owned());
        }
        let status = match acknowledged {
            1 => server.stop_traced()?,
            _ => server.ended_within(PATIENCE)?,
        };
        match End::of(status) {
            End::Done if acknowledged == 0 => Err("nothing was swapped in, and it ended as if told to".to_owned()),
            end => Ok(Life { end, acknowledged }),
        }
    }

    /// Asks until it is swapped in; `false` when the server has ended, or never does it. Whoever is told that it is in
    /// already has not heard the answer before.
    fn swap_until_done(&self, server: &mut Server) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if swap_in(&server.address, "rows", &self.replay) {
                return true;
            }
            if server.has_ended() {
                return false;
            }
            pause();
        }
        false
    }

    /// Goes on without being killed, to the end, and looks at what there is.
    pub(super) fn finish(&self, place: &Path, life: &Life) -> Outcome<Verdict> {
        let data = place.join("data");
        match self.kind {
            Kind::Run => {
                self.again(place)?;
                let mut verdict = self.verdict(&data, FILE_ROWS / ROWS_PER_WINDOW)?;
                verdict.add(&file_of_windows(&place.join("windows.ndjson"), FILE_ROWS / ROWS_PER_WINDOW)?);
                Ok(verdict)
            }
            Kind::Up => {
                let started = Server::start(self.command(place))?;
                let mut server = started.map_err(|status| format!("then it does not start: {status}"))?;
                // What was acknowledged is not posted again: it must be there.
                for index in life.acknowledged..POSTS {
                    if !post_until_taken(&mut server, index) {
                        return Err(format!("then request {index} was refused"));
                    }
                }
                // What is missing is counted by the verdict.
                is_stored(&server, POSTS * ROWS_PER_WINDOW);
                server.stop()?;
                self.verdict(&data, POSTS)
            }
            Kind::Swap | Kind::Undo | Kind::UpSwap => self.swapped(place, life),
            Kind::Backup => {
                self.again(place)?;
                self.well(&["restore", "saved", "--data", "restored"], place)?;
                self.verdict(&place.join("restored"), FILE_ROWS / ROWS_PER_WINDOW)
            }
            Kind::Restore => {
                // What is half there is refused, and goes.
                if self.again(place).is_err() {
                    let restored = place.join("restored");
                    fs::remove_dir_all(&restored).map_err(|error| format!("{}: {error}", restored.display()))?;
                    self.again(place)?;
                }
                self.verdict(&place.join("restored"), FILE_ROWS / ROWS_PER_WINDOW)
            }
        }
    }

    /// What is wrong with the tables and the dead letters of a data folder into which so many windows of rows were put.
    fn verdict(&self, data: &Path, windows: u64) -> Outcome<Verdict> {
        let mut verdict = Verdict::of(self.weir, data, "rows", windows * ROWS_PER_WINDOW)?;
        let letters = ask(self.weir, data, "SELECT count(*) FROM dead_letters")?;
        let letters: u64 = letters.first().and_then(|count| count.parse().ok()).unwrap_or(0);
        verdict.add(&Verdict {
            lost: windows.saturating_sub(letters),
            doubled: letters.saturating_sub(windows),
            unexplained: 0,
        });
        Ok(verdict)
    }

    /// After a kill everything or nothing is swapped in, and what is said of it is so; in the end it is in, or out if that
    /// was asked for.
    fn swapped(&self, place: &Path, life: &Life) -> Outcome<Verdict> {
        let data = place.join("data");
        let standing = |when: &str| -> Outcome<bool> {
            let rows = ask(self.weir, &data, "SELECT count(*), count(DISTINCT n) FROM rows")?;
            let windows = ask(self.weir, &data, "SELECT DISTINCT events, count(*) OVER () FROM rows_windows")?;
            let number = |n: u64| vec![format!("{n},{n}")];
            let is_in = match (rows, windows.len()) {
                (rows, 1) if rows == number(FILE_ROWS) && windows[0].starts_with(&format!("{ROWS_PER_WINDOW},")) => {
                    false
                }
                (rows, 1)
                    if rows == number(FILE_ROWS / 2)
                        && windows[0].starts_with(&format!("{},", ROWS_PER_WINDOW / 2)) =>
                {
                    true
                }
                (rows, _) => return Err(format!("{when} a part is swapped in: {rows:?}, {windows:?}")),
            };
            let status = self.said(&["replay", "--status", "--data", "data", "rows.yaml"], place)?;
            if status.contains("(swapped in)") != is_in {
                return Err(format!("{when} swapped in is {is_in}, and it says {status}"));
            }
            Ok(is_in)
        };
        let wanted = self.kind != Kind::Undo;
        let stands = standing("afterwards")?;
        if stands != wanted && (life.acknowledged > 0 || life.end == End::Done) {
            return Err(format!("it was told that it is done, and swapped in is {stands}"));
        }
        if stands != wanted {
            self.again(place)?;
        }
        if standing("at the end")? != wanted {
            return Err(format!("in the end swapped in is {}", !wanted));
        }
        Ok(Verdict::default())
    }

    /// The same command, not killed.
    fn again(&self, place: &Path) -> Outcome {
        if self.kind == Kind::UpSwap {
            let started = Server::start(self.command(place))?;
            let mut server = started.map_err(|status| format!("then it does not start: {status}"))?;
            return match self.swap_until_done(&mut server) {
                true => server.stop(),
                false => Err("then nothing is swapped in".to_owned()),
            };
        }
        let output = self.command(place).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("then it says: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }

    fn well(&self, words: &[&str], place: &Path) -> Outcome {
        self.said(words, place).map(drop)
    }

    fn said(&self, words: &[&str], place: &Path) -> Outcome<String> {
        let output = Command::new(self.weir).args(words).current_dir(place).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", self.weir.display()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Keeps the folder of a job for whoever looks into it, and says where.
    pub(super) fn keep(&self, job: usize, number: usize) -> String {
        let kept = self.scratch.join(format!("finding-{:?}-{number}", self.kind).to_lowercase());
        match fs::rename(self.place(job), &kept) {
            Ok(()) => format!("kept in {}", kept.display()),
            Err(error) => format!("not kept: {error}"),
        }
    }
}

/// The pipeline after a mistake was found: every other row should not have counted.
fn mended(text: &str) -> String {
    let text = text.replace("steps:\n", "steps:\n  - name: even\n    from: rows\n    where: n % 2 = 0\n");
    let text = text.replace("  - name: per_window\n", "  - name: per_window\n    from: even\n");
    text.replace("table: rows\n    from: rows", "table: rows\n    from: even")
}

/// The rows of one window, and what is no row.
fn rows_of_window(window: u64) -> String {
    let rows: String = (window * ROWS_PER_WINDOW..(window + 1) * ROWS_PER_WINDOW).map(row).collect();
    rows + LETTER
}

/// Posts a window's rows until they are taken; `false` when the server has ended, or never takes them.
fn post_until_taken(server: &mut Server, index: u64) -> bool {
    let (began, rows) = (Instant::now(), rows_of_window(index));
    while began.elapsed() < PATIENCE {
        if post(&server.address, "rows", index, &rows) {
            return true;
        }
        if server.has_ended() {
            return false;
        }
        pause();
    }
    false
}

/// Waits until so many rows are stored; `false` when the server has died on the way, or does not get there.
fn is_stored(server: &Server, rows: u64) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        match count(&server.address, "rows") {
            None => return false,
            Some(stored) if stored >= rows => return true,
            Some(_) => pause(),
        }
    }
    false
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// What is wrong with a file that has a line for each of so many windows.
fn file_of_windows(path: &Path, windows: u64) -> Outcome<Verdict> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let low = |line: &str| -> Option<u64> {
        let (_, rest) = line.split_once("\"low\":")?;
        rest.split([',', '}']).next()?.parse().ok()
    };
    let lows: Vec<Option<u64>> = text.lines().map(low).collect();
    let expected: BTreeSet<u64> = (0..windows).map(|window| window * ROWS_PER_WINDOW).collect();
    let there: BTreeSet<u64> = lows.iter().flatten().copied().filter(|low| expected.contains(low)).collect();
    let known = lows.iter().flatten().filter(|low| expected.contains(low)).count();
    Ok(Verdict {
        lost: (expected.len() - there.len()) as u64,
        doubled: (known - there.len()) as u64,
        unexplained: (lows.len() - known) as u64,
    })
}

fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    create(to)?;
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let to = to.join(entry.file_name());
        match entry.file_type().map_err(failed)?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(fs::copy(entry.path(), to).map_err(failed)?),
        }
    }
    Ok(())
}
