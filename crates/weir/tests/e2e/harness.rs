//! Starts the binary in a folder of its own and asks it questions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long an event that must come is awaited: longer than the slowest machine needs, so that only what never comes fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at something that tells nobody of its changes.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Looks again and again until there is what is awaited; a failure says what that is, and what was seen instead.
pub(crate) fn awaited<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {seen}"),
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    awaited(what, || if so() { Ok(()) } else { Err("it is not".to_owned()) });
}

/// The checkout.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// A Python with these packages of PyPI, installed once into a folder that is called `name` and after them.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    // Tests run side by side, and may want the same one.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let venv = cache().join("python").join(format!("{name} {}", packages.join(" ")));
    let (python, done) = (venv.join("bin/python"), venv.join("installed"));
    if !done.exists() {
        well(&Command::new("python3").args(["-m", "venv"]).arg(&venv).stdin(Stdio::null()).output().unwrap());
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        well(&Command::new(&python).args(install).args(packages).stdin(Stdio::null()).output().unwrap());
        fs::write(done, "").unwrap();
    }
    python
}

/// The jar `group:artifact:version` of Maven Central with this checksum, fetched once.
pub(crate) fn jar(artifact: &str, sha256: &str) -> PathBuf {
    let folder = cache().join("jars").join(artifact.replace(':', " "));
    let found = || fs::read_dir(&folder).ok()?.find_map(|file| Some(file.ok()?.path()));
    found().unwrap_or_else(|| {
        let parent = folder.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        let staging = tempfile::tempdir_in(parent).unwrap();
        let fetched = staging.path().join("jar");
        let mut fetch = Command::new("mvn");
        fetch.args(["--quiet", "--batch-mode", "--strict-checksums"]);
        fetch.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy").arg(format!("-Dartifact={artifact}"));
        fetch.arg(format!("-DoutputDirectory={}", fetched.display()));
        well(&fetch.stdin(Stdio::null()).output().expect("mvn is installed"));
        let only = fs::read_dir(&fetched).unwrap().next().expect("a jar").unwrap().path();
        let summed = Command::new("sha256sum").arg(&only).output().expect("sha256sum is installed");
        assert!(summed.stdout.starts_with(sha256.as_bytes()), "{artifact} is another one: {}", said(&summed));
        // Whoever fetched it meanwhile has the same.
        let _ = fs::rename(&fetched, &folder);
        found().expect("it was fetched")
    })
}

/// Builds the Go program in `sources` as the file `program`; its modules are those whose checksums `go.sum` has.
pub(crate) fn go_program(sources: &Path, program: &Path) -> PathBuf {
    let cache = cache().join("go");
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-buildvcs=false", "-o"]).arg(program).arg(".").current_dir(sources);
    build.env("GOMODCACHE", cache.join("mod")).env("GOCACHE", cache.join("build"));
    well(&build.stdin(Stdio::null()).output().expect("go is installed"));
    program.to_path_buf()
}

/// Where downloads for tests stay.
fn cache() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from).join(".cache/weir")
}

/// A folder with a data folder in it, gone at the end.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The binary, standing in this folder.
    pub(crate) fn weir(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WEIR") {
                command.env_remove(name);
            }
        }
        // A slow machine is no reason to leave the last commit out.
        command.env("WEIR_STOP_WITHIN", format!("{}s", PATIENCE.as_secs()));
        command
    }

    /// Runs a pipeline to its end and returns what the binary said.
    pub(crate) fn run(&self, pipeline: &Path, settings: &[String]) -> Output {
        self.run_command(pipeline, settings).output().unwrap()
    }

    pub(crate) fn run_command(&self, pipeline: &Path, settings: &[String]) -> Command {
        let mut command = self.weir(&["run"]);
        command.arg(pipeline).arg("--data").arg(self.data());
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        command
    }

    /// The rows of an answer, as JSON objects.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        let output = self.weir(&["query", "--format", "ndjson", "--data"]).arg(self.data()).arg(sql).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only value of an answer.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0].as_object().unwrap().values().next().unwrap().as_i64().unwrap()
    }
}

/// Makes `to` a copy of the folder `from`.
pub(crate) fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Asserts that a command went well.
pub(crate) fn well(output: &Output) {
    assert!(output.status.success(), "{:?}\n{}", output.status, said(output));
}

/// Everything a command said, for messages and for looking into.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `/proc` says of the memory of a process, in KiB.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// What a server is told that has to stop although an output or a client hangs.
pub(crate) const STOPS_SOON: [&str; 2] = ["--stop-within", "5s"];
/// How long such a stop takes at most on a machine that has much else to do; without a bound it would take minutes.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// A process that is gone at the end of the test, however it ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `--set` for a list of paths.
pub(crate) fn paths(key: &str, paths: &[&Path]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("{:?}", path.to_string_lossy())).collect();
    format!("{key}=[{}]", shown.join(", "))
}
