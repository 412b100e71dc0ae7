//! One broker process: started, killed, frozen, started again over the same files. Refuses to outlive whoever started it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::freeze::freeze;
use crate::jars::tail;
use crate::{BrokerError, PATIENCE};

/// What the broker says once it serves.
const UP: &str = "Kafka Server started";
/// A small heap, and a compiler that starts fast rather than running fast.
const JVM: [&str; 4] = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// Runs its arguments, says their process id, and ends them when it is told a word or when its standard input ends. The
/// latter means that the process that holds the other end is gone, in whatever way: then nobody wants the cluster's files
/// (the folder above $0).
const KEEPER: &str =
    r#""$@" & echo "pid $!"; read -r word; kill -9 $!; wait $! 2>/dev/null; [ -n "$word" ] || rm -rf "${0%/*}""#;

/// One broker of a [`crate::Cluster`].
pub struct Node {
    id: usize,
    jars: PathBuf,
    /// Its `server.properties`, its log and, in `data`, its files.
    folder: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    keeper: Child,
    /// Closing it ends the broker and removes its files.
    lifeline: ChildStdin,
    broker: Pid,
}

impl Node {
    pub(crate) fn new(id: usize, jars: &Path, folder: PathBuf) -> Self {
        Self { id, jars: jars.to_path_buf(), folder, running: Mutex::new(None) }
    }

    /// Prepares the folder for a broker's files, once.
    pub(crate) fn format(&self, cluster_id: &str, more: &[&str]) -> Result<(), BrokerError> {
        let output = self
            .java()
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config"])
            .arg(self.folder.join("server.properties"))
            .args(more)
            .stdin(Stdio::null())
            .output()
            .map_err(no_java)?;
        if output.status.success() {
            return Ok(());
        }
        Err(BrokerError::Start { id: self.id, waited_s: 0, log: tail(&[output.stdout, output.stderr].concat()) })
    }

    /// Where its topics lie.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the broker over its files and waits until it serves. Does nothing when it runs.
    ///
    /// # Errors
    /// `Start` with the end of its log, `Program` when there is no Java, `File`.
    pub fn start(&self) -> Result<(), BrokerError> {
        let up = self.launch()?;
        self.wait(&up)
    }

    /// Starts the process without waiting; the broker is up when the channel says so.
    pub(crate) fn launch(&self) -> Result<mpsc::Receiver<()>, BrokerError> {
        let (sender, up) = mpsc::channel();
        let mut running = self.lock();
        if running.is_some() {
            let _ = sender.send(());
            return Ok(up);
        }
        let java = self.java();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .arg(&self.folder)
            .arg(java.get_program())
            .args(java.get_args())
            .arg("kafka.Kafka")
            .arg(self.folder.join("server.properties"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(no_java)?;
        let (lifeline, output) = keeper.stdin.take().zip(keeper.stdout.take()).expect("both are piped");
        let mut said = BufReader::new(output);
        let mut first = String::new();
        said.read_line(&mut first).map_err(BrokerError::file("sh"))?;
        let broker = first.trim().strip_prefix("pid ").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        let broker = broker.expect("the keeper says the process id first");
        let mut log = File::options()
            .append(true)
            .create(true)
            .open(self.log_path())
            .map_err(BrokerError::file(self.log_path()))?;
        std::thread::spawn(move || keep_log(said, &mut log, &sender));
        *running = Some(Running { keeper, lifeline, broker });
        Ok(up)
    }

    pub(crate) fn wait(&self, up: &mpsc::Receiver<()>) -> Result<(), BrokerError> {
        up.recv_timeout(PATIENCE).map_err(|error| {
            let waited_s = if error == RecvTimeoutError::Timeout { PATIENCE.as_secs() } else { 0 };
            self.kill();
            BrokerError::Start { id: self.id, waited_s, log: self.log_tail() }
        })
    }

    /// Ends the broker at once, as a power cut would (its files stay). Does nothing when it does not run.
    pub fn kill(&self) {
        if let Some(mut running) = self.lock().take() {
            // A broker that ended by itself has nobody else's id yet: its keeper has not waited for it.
            let _ = kill_process(running.broker, Signal::KILL);
            let _ = writeln!(running.lifeline, "keep");
            let _ = running.keeper.wait();
        }
    }

    /// Stops the broker's time: it keeps its connections and answers nothing, until [`Node::thaw`].
    pub fn freeze(&self) {
        if let Some(running) = self.lock().as_ref() {
            freeze(running.broker);
        }
    }

    /// Undoes [`Node::freeze`].
    pub fn thaw(&self) {
        if let Some(running) = self.lock().as_ref() {
            let _ = kill_process(running.broker, Signal::CONT);
        }
    }

    /// The broker's own log.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    /// The end of the broker's own log, for the message of a failed test.
    pub fn log_tail(&self) -> String {
        std::fs::read(self.log_path()).map_or_else(|error| error.to_string(), |bytes| tail(&bytes))
    }

    /// The last lines of its log in which it complains, or skips markers of transactions (ADR 0018).
    fn troubles(&self) -> String {
        const LINES: usize = 60;
        let log = std::fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let is_trouble =
            |line: &&str| [" WARN ", " ERROR ", " FATAL ", "can be skipped"].iter().any(|it| line.contains(it));
        let mut last: Vec<&str> = log.lines().filter(is_trouble).rev().take(LINES).collect();
        last.reverse();
        last.join("\n")
    }

    /// The start of a program of Kafka, whose name and arguments follow.
    pub(crate) fn java(&self) -> Command {
        let mut java = Command::new("java");
        java.args(JVM)
            .arg(format!("-Dlog4j2.configurationFile={}", self.folder.join("log4j2.xml").display()))
            .arg("-cp")
            .arg(self.jars.join("*"));
        java
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        // Its files are gone when the failure of a test is read.
        if std::thread::panicking() {
            eprintln!("-- broker {}\n{}", self.id, self.troubles());
        }
    }
}

fn no_java(error: std::io::Error) -> BrokerError {
    BrokerError::Program { program: "java", package: "openjdk-17-jre-headless", error }
}

/// Writes down what the broker says, so that it never waits for a reader, and tells once that it is up.
fn keep_log(said: BufReader<ChildStdout>, log: &mut File, up: &mpsc::Sender<()>) {
    for line in said.lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        if line.ends_with(UP) {
            let _ = up.send(());
        }
    }
}
