//! `weir lag`: how far a pipeline is behind the topics of Kafka that it reads, partition by partition. It reads, and changes
//! nothing; the pipeline may be up or not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use comfy_table::{Table, presets};
use serde_json::{Value, json};
use weir_collect::{KafkaConfig, SourceConfig};
use weir_disk::Disk;
use weir_engine::PartitionInspection;
use weir_kafka::{Extent, extents, group_offsets};
use weir_model::{Committed, ErrorKind, EventTime, PartitionId, SeamError};
use weir_state::{Bucket, SnapshotStore};
use weir_store::Store;
use weir_workers::{Place, Share};

use super::load;
use crate::cli::{LagArgs, SummaryFormat};
use crate::exit::Failure;
use crate::snapshots::snapshot_of;

/// How often it is tried again when workers commit meanwhile and remove what was just found.
const TRIES: usize = 5;

/// What the partitions hold, by topic and number.
type Extents = BTreeMap<(String, i32), Extent>;
/// Where reading goes on, and the latest event time that was read, by topic and number.
type OfWorkers = (BTreeMap<(String, i32), u64>, BTreeMap<(String, i32), EventTime>);

/// Runs the command.
///
/// # Errors
/// When the pipeline is wrong or reads no topic of Kafka, or the brokers do not answer.
pub async fn run(args: &LagArgs) -> Result<(), Failure> {
    let job = load::job(&args.pipeline, &args.overrides)?;
    let kafka = |source: &'_ crate::plan::JobSource| match &source.source {
        SourceConfig::Kafka(kafka) => Some((source.name.clone(), kafka.clone())),
        SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Http(_) | SourceConfig::Log(_) => None,
    };
    let sources: Vec<(String, KafkaConfig)> = job.sources.iter().filter_map(kafka).collect();
    if sources.is_empty() {
        return Err(Failure::refused(format!("{} reads no topic of Kafka", job.plan.pipeline)));
    }
    let look = Look {
        pipeline: job.plan.pipeline.clone(),
        data: args.data.clone(),
        sources,
        bucket: job.snapshots.clone(),
        share: job.share.clone(),
    };
    let first = look.clone().taken().await?;
    let started = Instant::now();
    tokio::time::sleep(args.interval.std()).await;
    let rows = if args.interval.std().is_zero() {
        first.into_values().map(|row| row.shown(None)).collect()
    } else {
        let second = look.taken().await?;
        let seconds = started.elapsed().as_secs_f64();
        let before = |key: &(String, i32, String)| first.get(key).map(|row| (row, seconds));
        second.iter().map(|(key, row)| row.clone().shown(before(key))).collect::<Vec<_>>()
    };
    match args.format {
        SummaryFormat::Json => rows.iter().for_each(|row| println!("{}", row.json())),
        SummaryFormat::Text => print!("{}", text(&rows)),
    }
    Ok(())
}

/// What is looked at.
#[derive(Clone)]
struct Look {
    pipeline: String,
    data: std::path::PathBuf,
    sources: Vec<(String, KafkaConfig)>,
    /// Where its state lies, if that is a bucket.
    bucket: Option<Bucket>,
    /// How workers share it, who commit in Kafka what else lies in the data folder.
    share: Option<Share>,
}

/// One partition at one moment.
#[derive(Clone, Debug)]
struct Row {
    source: String,
    topic: String,
    partition: i32,
    /// Where reading goes on; `None` while it was never committed.
    next: Option<u64>,
    end: u64,
    latest: Option<EventTime>,
}

/// The same with how fast it goes.
#[derive(Clone, Debug)]
struct Shown {
    row: Row,
    read_per_second: Option<f64>,
    written_per_second: Option<f64>,
}

impl Look {
    async fn taken(self) -> Result<BTreeMap<(String, i32, String), Row>, Failure> {
        let look = tokio::task::spawn_blocking(move || self.blocking());
        look.await.map_err(|error| Failure::run(error.to_string()))?
    }

    fn blocking(&self) -> Result<BTreeMap<(String, i32, String), Row>, Failure> {
        let (commit, partitions) = match &self.share {
            None => self.committed()?,
            Some(_) => (None, Vec::new()),
        };
        let mut rows = BTreeMap::new();
        for (source, kafka) in &self.sources {
            let prefix = format!("{source}:");
            let place = |id: &PartitionId| {
                let (topic, partition) = id.as_str().strip_prefix(&prefix)?.rsplit_once('/')?;
                Some((topic.to_owned(), partition.parse::<i32>().ok()?))
            };
            let positions = commit.iter().filter_map(|commit| commit.positions.get(source)).flatten();
            let mut next: BTreeMap<(String, i32), u64> =
                positions.filter_map(|(id, position)| Some((place(id)?, position.offset.0))).collect();
            let topics = next.keys().map(|(topic, _)| topic.clone()).chain(kafka.topics.iter().cloned()).collect();
            let extents = extents(kafka.connection(), &topics)?;
            let mut latest: BTreeMap<(String, i32), EventTime> =
                partitions.iter().filter_map(|known| Some((place(&known.id)?, known.latest?))).collect();
            if let Some(share) = &self.share {
                (next, latest) = self.of_workers(share, kafka, &extents)?;
            }
            for ((topic, partition), (start, end)) in extents {
                let row = Row {
                    source: source.clone(),
                    next: next.get(&(topic.clone(), partition)).map(|next| (*next).max(start)),
                    end,
                    latest: latest.get(&(topic.clone(), partition)).copied(),
                    topic: topic.clone(),
                    partition,
                };
                rows.insert((topic, partition, source.clone()), row);
            }
        }
        Ok(rows)
    }

    /// The newest commit of the pipeline that is sound, and where event time stood in it; nothing when it never ran.
    fn committed(&self) -> Result<(Option<Committed>, Vec<PartitionInspection>), Failure> {
        if !self.data.exists() {
            return Ok((None, Vec::new()));
        }
        let store = Store::open_read_only(&self.data)?;
        let Some(commit) = store.commits(&self.pipeline)?.into_iter().find_map(|kept| kept.commit.ok()) else {
            return Ok((None, Vec::new()));
        };
        let snapshots = SnapshotStore::new(Arc::new(Disk), &self.data.join("state"));
        if let Some(bucket) = &self.bucket {
            snapshots.look_into(&self.pipeline, bucket)?;
        }
        // A snapshot that is gone meanwhile, or damaged, costs the times and nothing else.
        let snapshot = snapshot_of(&snapshots, &self.pipeline, &commit).map_err(times_unknown).ok();
        let partitions = snapshot.and_then(|snapshot| Some(snapshot.inspect().ok()?.partitions));
        Ok((Some(commit), partitions.unwrap_or_default()))
    }

    /// Where workers go on in each partition, and the latest event time of what they have read of it, if they have state.
    fn of_workers(&self, share: &Share, kafka: &KafkaConfig, extents: &Extents) -> Result<OfWorkers, Failure> {
        let cache = self.data.join("workers").join(&self.pipeline).join("cache");
        let bundles = share.bundles_looked_at(Arc::new(Disk), &cache)?;
        let mut tries = 1..=TRIES;
        loop {
            let offsets = group_offsets(kafka.connection(), &share.sharing.group, extents.keys())?;
            let next = offsets.iter().map(|(place, (next, _))| (place.clone(), *next)).collect();
            let Some(bundles) = &bundles else { return Ok((next, BTreeMap::new())) };
            let committed = offsets.into_iter().map(|((topic, partition), (offset, metadata))| {
                (Place::new(topic, partition), weir_workers::Committed { offset, metadata })
            });
            match weir_workers::inspect(bundles, &committed.collect()) {
                Ok(found) => {
                    let latest = found.into_iter().filter_map(|(Place { topic, partition }, known)| {
                        Some(((topic.to_string(), partition), known.latest?))
                    });
                    return Ok((next, latest.collect()));
                }
                // They commit meanwhile, and remove what was just named.
                Err(error) if error.kind == ErrorKind::Corrupt && tries.next().is_some() => {}
                Err(error) => {
                    times_unknown(error);
                    return Ok((next, BTreeMap::new()));
                }
            }
        }
    }
}

fn times_unknown(error: SeamError) {
    tracing::warn!(error = error.full(), "the state cannot be read, and so the latest event times are not known");
}

impl Row {
    /// With what it was `before`, so many seconds ago.
    fn shown(self, before: Option<(&Self, f64)>) -> Shown {
        let rate = |now: Option<u64>, then: Option<u64>, seconds: f64| {
            Some(now?.saturating_sub(then?) as f64 / seconds.max(f64::MIN_POSITIVE))
        };
        Shown {
            read_per_second: before.and_then(|(then, seconds)| rate(self.next, then.next, seconds)),
            written_per_second: before.and_then(|(then, seconds)| rate(Some(self.end), Some(then.end), seconds)),
            row: self,
        }
    }

    /// How many records are still to be read.
    fn lag(&self) -> Option<u64> {
        self.next.map(|next| self.end.saturating_sub(next))
    }
}

impl Shown {
    fn json(&self) -> Value {
        let row = &self.row;
        json!({
            "source": row.source, "topic": row.topic, "partition": row.partition, "next": row.next, "end": row.end,
            "lag": row.lag(), "latest": row.latest.map(|time| time.to_string()),
            "read_per_second": self.read_per_second, "written_per_second": self.written_per_second,
        })
    }
}

fn text(rows: &[Shown]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["source", "topic", "partition", "next", "end", "lag", "latest event", "read/s", "written/s"]);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rate = |rate: Option<f64>| or_none(rate.map(|rate| format!("{rate:.1}")));
    for Shown { row, read_per_second, written_per_second } in rows {
        table.add_row([
            row.source.clone(),
            row.topic.clone(),
            row.partition.to_string(),
            or_none(row.next.map(|next| next.to_string())),
            row.end.to_string(),
            or_none(row.lag().map(|lag| lag.to_string())),
            or_none(row.latest.map(|time| time.to_string())),
            rate(*read_per_second),
            rate(*written_per_second),
        ]);
    }
    let lag: u64 = rows.iter().filter_map(|shown| shown.row.lag()).sum();
    format!("{}\nin all {lag} records behind\n", table.trim_fmt())
}
