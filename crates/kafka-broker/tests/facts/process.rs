//! The process that is killed, frozen and continued, and what an outsider sees of its work.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use weir_kafka_broker::{Cluster, Isolation, Record, freeze};

/// A wedged process is a failed test, not a test that never ends.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

/// How a [`Transact`] is started.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) group: &'a str,
    pub(crate) instance: &'a str,
    pub(crate) session_ms: u32,
    pub(crate) transaction_ms: u32,
    pub(crate) careless: bool,
}

/// A `transact` process.
pub(crate) struct Transact {
    process: Child,
    go: ChildStdin,
    lines: Receiver<String>,
}

impl Transact {
    pub(crate) fn start(kafka: &Cluster, start: Start<'_>) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_transact"))
            .args([kafka.bootstrap(), &input(start.group), &output(start.group), start.group, start.instance])
            .args([start.session_ms.to_string(), start.transaction_ms.to_string()])
            .arg(if start.careless { "careless" } else { "careful" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program of this crate");
        let (go, said) = process.stdin.take().zip(process.stdout.take()).expect("both are piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(said).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, go, lines }
    }

    /// The next line it says.
    pub(crate) fn says(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("the process speaks before the deadline")
    }

    /// Lets it go on, step by step, until it says something that begins with `line`.
    pub(crate) fn until(&mut self, line: &str) -> String {
        loop {
            let said = self.says();
            if said.starts_with(line) {
                return said;
            }
            assert!(!said.starts_with("failed"), "{said}");
            self.proceed();
        }
    }

    /// Lets it take the next step. It does not mind being told so while it is not waiting.
    pub(crate) fn proceed(&mut self) {
        let _ = writeln!(self.go, "go");
    }

    /// Lets it take the next step and kills it so much later; returns when it is gone.
    pub(crate) fn die(mut self, later: Duration) {
        writeln!(self.go, "die {}", later.as_micros()).expect("it waits");
        self.process.wait().expect("it ends");
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    pub(crate) fn freeze(&self) {
        freeze(self.id());
    }

    pub(crate) fn thaw(&self) {
        kill_process(self.id(), Signal::CONT).expect("it runs");
    }

    fn id(&self) -> Pid {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id")
    }
}

impl Drop for Transact {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn input(group: &str) -> String {
    format!("{group}-in")
}

pub(crate) fn output(group: &str) -> String {
    format!("{group}-out")
}

/// Creates the topics of a group and puts `records` numbers into its input.
pub(crate) async fn topics(kafka: &Cluster, group: &str, records: usize) {
    kafka.topic(&input(group), 1).await.expect("a topic");
    kafka.topic(&output(group), 1).await.expect("a topic");
    let numbers: Vec<Record> = (0..records).map(|number| Record::new(0, number.to_string())).collect();
    kafka.put(&input(group), &numbers).expect("the broker stores them");
}

/// Ends whatever transaction an instance left behind, as the first step of every recovery does.
pub(crate) fn fence(kafka: &Cluster, start: Start<'_>) {
    let producer: BaseProducer = kafka
        .client()
        .set("transactional.id", format!("{}/{}", start.group, start.instance))
        .create()
        .expect("a producer");
    producer.init_transactions(DEADLINE).expect("the broker ends the transaction of the one before");
}

/// What is visible of a group's work: numbers and the snapshot each names, the committed offset, the string beside it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) numbers: Vec<String>,
    pub(crate) snapshots: Vec<String>,
    pub(crate) offset: usize,
    pub(crate) metadata: String,
}

pub(crate) fn seen(kafka: &Cluster, group: &str) -> Seen {
    kafka.settled(&output(group)).expect("every transaction is decided");
    let records = kafka.read(&output(group), Isolation::Committed).expect("the broker yields them");
    let snapshots = records.iter().map(|record| record.headers[0].1.clone()).collect();
    let numbers = records.into_iter().map(|record| record.value.expect("a number")).collect();
    let (offset, metadata) = committed(kafka, group, DEADLINE).expect("the broker says it");
    Seen { numbers, snapshots, offset, metadata }
}

/// What is committed for the input of a group: the offset, and the string beside it.
pub(crate) fn committed(kafka: &Cluster, group: &str, within: Duration) -> Result<(usize, String), String> {
    let consumer: BaseConsumer =
        kafka.client().set("group.id", group).set("isolation.level", "read_committed").create().expect("a consumer");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&input(group), 0);
    let answer = consumer.committed_offsets(asked, within).map_err(|error| error.to_string())?;
    let place = answer.elements().into_iter().next().expect("the partition that was asked for");
    let offset = match place.offset() {
        Offset::Offset(offset) => usize::try_from(offset).expect("an offset"),
        _ => 0,
    };
    Ok((offset, place.metadata().to_owned()))
}
