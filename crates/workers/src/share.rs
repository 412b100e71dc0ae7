//! What workers share: a plan between topics of one Kafka. Refuses, with reasons, what one transaction of Kafka cannot hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir_collect::{KafkaConfig, SourceConfig};
use weir_decode::FormatConfig;
use weir_deliver::{Delivery, KafkaOutput, OutputConfig};
use weir_engine::Plan;
use weir_model::{SeamResult, Vfs, Wanted};
use weir_state::{Bucket, Bundles};
use xxhash_rust::xxh3::xxh3_64;

/// How a pipeline is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The consumer group.
    pub group: String,
    /// The name of this worker in it, if its data folder does not have one: no two have the same.
    pub instance: Option<String>,
    /// Into how many parts keys are divided, and so how many workers can own some; for the life of a pipeline.
    pub key_groups: u16,
    /// A worker that is not heard of for so long has lost its partitions.
    pub session: Duration,
    /// A transaction that is open for so long is aborted by the brokers.
    pub transaction: Duration,
}

/// Where the state of partitions lies, for every worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// A folder that all of them see.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Bucket),
}

/// A source that is shared.
#[derive(Clone, Debug)]
pub struct SharedSource {
    /// Its name.
    pub name: String,
    /// Its topics.
    pub kafka: KafkaConfig,
    /// How their records become columns.
    pub format: FormatConfig,
    /// Which columns the plan needs.
    pub wanted: Wanted,
}

/// A pipeline that is shared.
#[derive(Clone, Debug)]
pub struct Share {
    /// What is computed.
    pub plan: Plan,
    /// The sources, in the order of the plan.
    pub sources: Vec<SharedSource>,
    /// The outputs, in the order of the plan.
    pub outputs: Vec<KafkaOutput>,
    /// Where late rows go; nothing where a plan has none.
    pub late: Option<KafkaOutput>,
    /// Where rejected records go.
    pub dead_letters: KafkaOutput,
    /// How often everything is committed.
    pub epoch: Duration,
    /// How it is shared.
    pub sharing: Sharing,
    /// Where state lies; nothing where a plan has none.
    pub state: Option<StatePlace>,
}

/// Why a pipeline cannot be shared: the key of its file that says so, and the reason.
pub type Refusal = (String, String);

/// What is looked at before a pipeline is shared.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What is computed.
    pub plan: &'a Plan,
    /// The sources: name, where from, format.
    pub sources: &'a [(&'a str, &'a SourceConfig, &'a FormatConfig)],
    /// The outputs.
    pub outputs: &'a [&'a OutputConfig],
    /// Where late rows go.
    pub late: &'a OutputConfig,
    /// Where rejected records go.
    pub dead_letters: &'a OutputConfig,
    /// Whether steps look rows up somewhere.
    pub looks_up: bool,
    /// Whether a place for state is named.
    pub has_state_place: bool,
}

impl Candidate<'_> {
    /// Everything that stands against sharing it.
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut no = |key: String, why: &str| refusals.push((key, why.to_owned()));
        let mut brokers = None;
        for (name, source, format) in self.sources {
            let key = format!("sources.{name}");
            let SourceConfig::Kafka(kafka) = source else {
                no(key, "workers share topics of Kafka; this source cannot be read by several processes");
                continue;
            };
            if !kafka.follow {
                no(format!("{key}.kafka.follow"), "workers read for ever: who would know that all of them have ended?");
            }
            match &brokers {
                None => brokers = Some((kafka.brokers.clone(), kafka.tls.clone(), kafka.sasl.clone())),
                Some(first) if *first != (kafka.brokers.clone(), kafka.tls.clone(), kafka.sasl.clone()) => {
                    no(
                        format!("{key}.kafka.brokers"),
                        "workers read from one Kafka, as one transaction covers no other",
                    );
                }
                Some(_) => {}
            }
            if matches!(format, FormatConfig::SparkLog(_)) && !self.has_state_place {
                no(
                    "state.snapshots".into(),
                    "spark_log remembers which application a partition is from: name a folder or bucket that all workers reach, `state: { snapshots: { url: ... } }`",
                );
            }
        }
        let mut partitioner = None;
        let mut output = |key: String, output: &OutputConfig, no: &mut dyn FnMut(String, &str)| {
            let OutputConfig::Kafka(kafka) = output else {
                return no(
                    key,
                    "workers commit in one transaction of Kafka, which can only hold topics: use `kafka` here",
                );
            };
            if kafka.delivery != Delivery::ExactlyOnce {
                no(format!("{key}.kafka.delivery"), "what workers write is in their transaction: exactly_once");
            }
            if kafka.key.is_some() && *partitioner.get_or_insert(kafka.partitioner) != kafka.partitioner {
                no(
                    format!("{key}.kafka.partitioner"),
                    "all outputs of a worker have one producer, which places keys in one way",
                );
            }
            if brokers
                .as_ref()
                .is_some_and(|first| *first != (kafka.brokers.clone(), kafka.tls.clone(), kafka.sasl.clone()))
            {
                no(
                    format!("{key}.kafka.brokers"),
                    "a transaction covers one Kafka: the brokers, `tls` and `sasl` of the sources",
                );
            }
        };
        for (at, each) in self.outputs.iter().enumerate() {
            output(format!("outputs[{at}]"), each, &mut no);
        }
        output("dead_letters".into(), self.dead_letters, &mut no);
        if self.plan.is_keyed() {
            output("late".into(), self.late, &mut no);
        }
        if self.looks_up {
            no("steps".into(), "enrich is not for workers yet: its tables have no versions that all of them agree on");
        }
        if self.plan.is_keyed() && self.plan.time.as_ref().is_some_and(|time| time.max_drift.is_some()) {
            no("time.max_drift".into(), "workers do not hear yet who is too far ahead: leave it out");
        }
        if self.plan.remembers().contains(&true) && !self.has_state_place {
            no(
                "state.snapshots".into(),
                "its steps remember rows, and partitions move between workers: name a folder or bucket that all of them reach, `state: { snapshots: { url: ... } }`",
            );
        }
        refusals
    }
}

impl Share {
    /// Whether partials travel between workers.
    pub fn is_keyed(&self) -> bool {
        self.plan.is_keyed()
    }

    /// Into how many parts keys are divided.
    pub fn key_groups(&self) -> u16 {
        self.plan.key_groups(self.sharing.key_groups)
    }

    /// The topic between reading and owning, a partition per key group.
    pub fn partials_topic(&self) -> String {
        format!("{}-partials", self.topic_prefix())
    }

    /// The topic in which owners tell readers how far event time was.
    pub fn answers_topic(&self) -> String {
        format!("{}-answers", self.topic_prefix())
    }

    /// Where the state of all workers lies; nothing where a plan has none. `cache` is a folder of this process alone.
    ///
    /// # Errors
    /// `Config` when a bucket makes no sense.
    pub fn bundles(&self, vfs: Arc<dyn Vfs>, cache: &Path) -> SeamResult<Option<Bundles>> {
        self.bundles_by(vfs, cache, Bundles::in_bucket)
    }

    /// The same for somebody who is no worker, and only looks.
    ///
    /// # Errors
    /// As [`Share::bundles`].
    pub fn bundles_looked_at(&self, vfs: Arc<dyn Vfs>, cache: &Path) -> SeamResult<Option<Bundles>> {
        self.bundles_by(vfs, cache, Bundles::looked_at)
    }

    fn bundles_by(
        &self,
        vfs: Arc<dyn Vfs>,
        cache: &Path,
        in_bucket: fn(Arc<dyn Vfs>, &Bucket, &str, &Path) -> SeamResult<Bundles>,
    ) -> SeamResult<Option<Bundles>> {
        let (pipeline, group) = (&self.plan.pipeline, &self.sharing.group);
        let bundles = match &self.state {
            None => return Ok(None),
            Some(StatePlace::Folder(folder)) => Bundles::in_folder(vfs, &folder.join(pipeline).join(group)),
            Some(StatePlace::Bucket(bucket)) => in_bucket(vfs, bucket, &format!("{pipeline}/{group}"), cache)?,
        };
        Ok(Some(bundles))
    }

    fn topic_prefix(&self) -> String {
        let plan = xxh3_64(format!("{} {}", self.plan.fingerprint(), self.key_groups()).as_bytes());
        format!("weir-{}-{plan:016x}", self.plan.pipeline)
    }
}
