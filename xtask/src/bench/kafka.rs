//! Workloads over a real Kafka on this machine, whose own work is not counted: how much processor time rows cost from topic to
//! topic, and how long they take. Refuses to be a client: `feed` of `weir-kafka-broker` is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use weir_kafka_broker::Cluster;

use super::Running;
use super::meter;
use super::options::Options;
use super::truth;
use crate::shell::{Outcome, command, root, step, target};

/// Partitions of every topic that the brokers make.
const PARTITIONS: &str = "4";
/// Records per second of `delays`, unless told otherwise.
const RATE: u64 = 50_000;

/// One broker that makes topics by itself, and a client.
struct Kafka {
    cluster: Cluster,
    feed: PathBuf,
}

impl Kafka {
    /// The client is the one beside the binary that was named, or one that is built.
    fn start(options: &Options) -> Outcome<Self> {
        let beside = options.weir.as_deref().and_then(Path::parent).map(|folder| folder.join("feed"));
        let feed = match beside.filter(|feed| feed.exists()) {
            Some(feed) => fs::canonicalize(&feed).map_err(|error| format!("{}: {error}", feed.display()))?,
            None => {
                let build = ["build", "--release", "--quiet", "-p", "weir-kafka-broker", "--bin", "feed"];
                step("build", "cargo", &build, &[])?;
                target().join("release/feed")
            }
        };
        let settings = [("auto.create.topics.enable", "true"), ("num.partitions", PARTITIONS)];
        let cluster = Cluster::start_with(1, &settings).map_err(|error| error.to_string())?;
        Ok(Self { cluster, feed })
    }

    fn feed(&self, work: &str, words: &[&str]) -> Outcome {
        let all = [&[work, self.cluster.bootstrap()], words].concat();
        step("feed", &self.feed.to_string_lossy(), &all, &[])
    }

    /// The settings that make a pipeline read from and write to it.
    fn brokers(&self, source: &str) -> [String; 2] {
        let brokers = format!("[{:?}]", self.cluster.bootstrap());
        [format!("sources.{source}.kafka.brokers={brokers}"), format!("outputs.0.kafka.brokers={brokers}")]
    }
}

/// Workload A from topic to topic, exactly once: the rows of the generator in four partitions, the results in a topic.
pub(super) fn ak(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let scratch = super::scratch()?;
    let input = super::input(options, &weir, &scratch)?;
    let folder = emptied(&scratch.join("ak"))?;
    let kafka = Kafka::start(options)?;
    kafka.feed("put", &["logs", PARTITIONS, &input.to_string_lossy()])?;
    let rows = super::count_lines(&input)? as f64;
    let mut best = f64::INFINITY;
    for run in 0..options.runs {
        let results = format!("results-{run}");
        kafka.feed("topic", &[&results])?;
        let data = folder.join(format!("data-{run}"));
        let mut command = command(&weir.to_string_lossy(), &["run", "--quiet"]);
        command.arg(root().join("examples/bench-ak.yaml")).arg("--data").arg(data);
        let settings = kafka
            .brokers("logs")
            .into_iter()
            .chain([format!("outputs.0.kafka.topic={results}"), format!("epoch={}", options.epoch)]);
        for setting in settings.chain(options.tasks.map(|tasks| format!("tasks={tasks}"))) {
            command.arg("--set").arg(setting);
        }
        let cost = meter::run(&mut command)?;
        let per_million = cost.cpu_secs / rows * 1e6;
        best = best.min(per_million);
        let (wall, peak) = (rows / cost.wall_secs, cost.peak_bytes as f64 / f64::from(1 << 20));
        println!("run {run}: {per_million:.3} CPU seconds per million rows, {wall:.0} rows/s, peak {peak:.1} MiB");
        let result = folder.join(format!("{results}.ndjson"));
        kafka.feed("read", &[&results, &result.to_string_lossy()])?;
        let verdict = truth::workload_a(&input, &result)?;
        println!("       {}", verdict.words());
        if !verdict.is_right() {
            return Err("the result is wrong".to_owned());
        }
    }
    println!("workload AK, {rows} rows, a checkpoint every {}: {best:.3} CPU seconds per million rows", options.epoch);
    Ok(())
}

/// How long records take from topic to topic, at least once and exactly once.
pub(super) fn delays(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let folder = emptied(&super::scratch()?.join("delays"))?;
    let kafka = Kafka::start(options)?;
    kafka.feed("topic", &["requests"])?;
    let (rate, seconds) = (options.rate.unwrap_or(RATE).to_string(), options.seconds.to_string());
    for delivery in ["at_least_once", "exactly_once"] {
        let answered = format!("answered-{delivery}");
        kafka.feed("topic", &[&answered])?;
        let mut command = command(&weir.to_string_lossy(), &["run", "--quiet"]);
        command.arg(root().join("examples/bench-delays.yaml")).arg("--data").arg(folder.join(delivery));
        let settings = kafka
            .brokers("requests")
            .into_iter()
            .chain([format!("outputs.0.kafka.topic={answered}"), format!("outputs.0.kafka.delivery={delivery}")]);
        settings.for_each(|setting| _ = command.arg("--set").arg(setting));
        let child = command.stdout(Stdio::null()).spawn();
        let _weir = Running(child.map_err(|error| format!("weir could not be started: {error}"))?);
        println!("{delivery}, {rate} records/s for {seconds} s, epochs of 1 s:");
        kafka.feed("delays", &["requests", &answered, &rate, &seconds])?;
    }
    Ok(())
}

fn emptied(folder: &Path) -> Outcome<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.to_path_buf())
}
