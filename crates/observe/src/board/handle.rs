//! What a running pipeline writes down about itself: counters without a lock, the rest behind one that is held for
//! moments. It computes nothing that the engine does not know better, but for the rates.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use weir_model::{Balance, BreakerState, Epoch, Guarantee, KnownEnds, Offset, PartitionId, ProcessingTime, Watermark};

use super::breaker::{BreakerCounts, Guarded};
use super::locked;
use super::partition::PartitionCounts;
use super::rate::Rate;
use super::status::{
    BusySeconds, OutputStatus, OutputWaiting, PARTITIONS_SHOWN_MAX, PartitionState, PipelineState, PipelineStatus,
    StepStatus, TROUBLE_KEPT_MAX, Trouble,
};

/// A part of the path of the data that is timed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Bytes become columns.
    Decode,
    /// Operators, windows, watermarks.
    Engine,
    /// Results are written.
    Sink,
}

impl Stage {
    /// Every stage, in the order of the data.
    pub const ALL: [Self; 3] = [Self::Decode, Self::Engine, Self::Sink];

    /// The stage as it is written in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Engine => "engine",
            Self::Sink => "sink",
        }
    }
}

/// An output as the pipeline's plan knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutput {
    /// Its name.
    pub name: String,
    /// What it is: `table`, `file`, `stdout`.
    pub kind: String,
    /// What it promises.
    pub guarantee: Guarantee,
}

/// Records that were taken from a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub records: u64,
    /// How long they are together, decompressed.
    pub bytes: u64,
    /// Where reading goes on.
    pub next: Offset,
}

/// A checkpoint that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The epoch it ended.
    pub epoch: Epoch,
    /// When the commit was done.
    pub at: ProcessingTime,
    /// How long sealing, the snapshot, preparing and the commit took together.
    pub took: Duration,
    /// How long the snapshot is.
    pub snapshot_bytes: u64,
}

/// What is counted at one output.
#[derive(Clone, Debug)]
pub(crate) struct OutputCounts {
    pub(crate) output: NewOutput,
    pub(crate) balance: Balance,
    pub(crate) rows_written: u64,
    pub(crate) rows_rejected: u64,
}

#[derive(Debug)]
struct Rest {
    state: PipelineState,
    error: Option<String>,
    rate: Rate,
    bytes_total: Option<u64>,
    epoch: Epoch,
    last_commit_at: Option<ProcessingTime>,
    watermark: Watermark,
    watermark_holder: Option<PartitionId>,
    steps: Vec<StepStatus>,
    partitions: BTreeMap<PartitionId, PartitionCounts>,
    outputs: Vec<OutputCounts>,
    waiting: BTreeMap<String, OutputWaiting>,
    /// Tries that have failed, by output.
    retries: BTreeMap<String, u64>,
    breakers: BTreeMap<Guarded, BreakerCounts>,
    trouble: VecDeque<Trouble>,
}

/// One pipeline on the board. Its tasks share it and write; everyone else takes copies.
#[derive(Debug)]
pub struct PipelineHandle {
    name: String,
    started_at: ProcessingTime,
    records: AtomicU64,
    bytes: AtomicU64,
    late: AtomicU64,
    dead_letters: AtomicU64,
    lookups_failed: AtomicU64,
    troubles: AtomicU64,
    state_bytes: AtomicU64,
    snapshot_bytes: AtomicU64,
    checkpoints_failed: AtomicU64,
    fallbacks: AtomicU64,
    busy_nanos: [AtomicU64; Stage::ALL.len()],
    backpressure_nanos: AtomicU64,
    checkpoint_seconds: Histogram,
    batch_seconds: Histogram,
    ends: Mutex<Watch>,
    rest: Mutex<Rest>,
}

/// Who says where partitions end.
#[derive(Default)]
struct Watch(Vec<KnownEnds>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sources", self.0.len())
    }
}

/// 1 ms to 65 s: a checkpoint of a small pipeline is one fsync, of a big one an upload.
const CHECKPOINT_BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];
/// 100 µs to 10 s, from the arrival of a batch to its rows at the sinks.
const BATCH_BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

impl PipelineHandle {
    pub(super) fn new(name: &str, outputs: Vec<NewOutput>, now: ProcessingTime) -> Self {
        let count = |output| OutputCounts { output, balance: Balance::default(), rows_written: 0, rows_rejected: 0 };
        Self {
            name: name.to_owned(),
            started_at: now,
            records: AtomicU64::default(),
            bytes: AtomicU64::default(),
            late: AtomicU64::default(),
            dead_letters: AtomicU64::default(),
            lookups_failed: AtomicU64::default(),
            troubles: AtomicU64::default(),
            state_bytes: AtomicU64::default(),
            snapshot_bytes: AtomicU64::default(),
            checkpoints_failed: AtomicU64::default(),
            fallbacks: AtomicU64::default(),
            busy_nanos: Default::default(),
            backpressure_nanos: AtomicU64::default(),
            checkpoint_seconds: Histogram::new(CHECKPOINT_BUCKETS),
            batch_seconds: Histogram::new(BATCH_BUCKETS),
            ends: Mutex::default(),
            rest: Mutex::new(Rest {
                state: PipelineState::Starting,
                error: None,
                rate: Rate::starting(now),
                bytes_total: None,
                epoch: Epoch::default(),
                last_commit_at: None,
                watermark: Watermark::UNKNOWN,
                watermark_holder: None,
                steps: Vec::new(),
                partitions: BTreeMap::new(),
                outputs: outputs.into_iter().map(count).collect(),
                waiting: BTreeMap::new(),
                retries: BTreeMap::new(),
                breakers: BTreeMap::new(),
                trouble: VecDeque::new(),
            }),
        }
    }

    /// The pipeline's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It is in another state now. A failure is told with [`PipelineHandle::failed`].
    pub fn set_state(&self, state: PipelineState) {
        locked(&self.rest).state = state;
    }

    /// What the pipeline as a whole is doing.
    pub fn state(&self) -> PipelineState {
        locked(&self.rest).state
    }

    /// It gave up because of `error`.
    pub fn failed(&self, error: impl Into<String>) {
        let mut rest = locked(&self.rest);
        rest.state = PipelineState::Failed;
        rest.error = Some(error.into());
    }

    /// How many bytes there are to read in all, where the sources know it.
    pub fn set_bytes_total(&self, bytes: Option<u64>) {
        locked(&self.rest).bytes_total = bytes;
    }

    /// Records were taken from a partition. One that was not known is from now on, as being read; a paused one stays so.
    pub fn read(&self, partition: &PartitionId, origin: &str, taken: Taken, now: ProcessingTime) {
        self.records.fetch_add(taken.records, Relaxed);
        self.bytes.fetch_add(taken.bytes, Relaxed);
        let mut rest = locked(&self.rest);
        rest.rate.add(now, taken.records, taken.bytes);
        rest.partition(partition, origin).took(taken.records, taken.next, now);
    }

    /// Who says where partitions end, in the place of those that were named before. They are asked whenever somebody looks, so
    /// that it is known how far behind a pipeline is that stands still.
    pub fn watch_ends(&self, known: Vec<KnownEnds>) {
        *locked(&self.ends) = Watch(known);
    }

    fn ends(&self) -> BTreeMap<PartitionId, Offset> {
        let known = locked(&self.ends).0.clone();
        known.iter().flat_map(|known| known()).collect()
    }

    /// A partition is in another state now; one that was not known is from now on.
    pub fn set_partition_state(&self, partition: &PartitionId, origin: &str, state: PartitionState) {
        locked(&self.rest).partition(partition, origin).state = state;
    }

    /// A partition's own watermark has moved; an unknown partition is ignored.
    pub fn set_partition_watermark(&self, partition: &PartitionId, watermark: Watermark) {
        if let Some(entry) = locked(&self.rest).partitions.get_mut(partition) {
            entry.watermark = watermark;
        }
    }

    /// A partition went away (its file was removed, the topic shrank).
    pub fn forget_partition(&self, partition: &PartitionId) {
        locked(&self.rest).partitions.remove(partition);
    }

    /// The pipeline's watermark, and the partition that holds it back.
    pub fn set_watermark(&self, watermark: Watermark, holder: Option<PartitionId>) {
        let mut rest = locked(&self.rest);
        rest.watermark = watermark;
        rest.watermark_holder = holder;
    }

    /// The engine's count of what became of the rows on the way to `output`; an unknown output is ignored.
    pub fn set_balance(&self, output: &str, balance: Balance) {
        if let Some(counts) = locked(&self.rest).output(output) {
            counts.balance = balance;
        }
    }

    /// `rows` were given to `output`; an unknown output is ignored.
    pub fn wrote(&self, output: &str, rows: u64) {
        if let Some(counts) = locked(&self.rest).output(output) {
            counts.rows_written += rows;
        }
    }

    /// `output` will never take `rows` of those that it was given; an unknown output is ignored.
    pub fn rejected(&self, output: &str, rows: u64) {
        if let Some(counts) = locked(&self.rest).output(output) {
            counts.rows_rejected += rows;
        }
    }

    /// An output takes no rows now. Each failure more than before counts as a retry.
    pub fn waits(&self, waiting: OutputWaiting) {
        let mut rest = locked(&self.rest);
        let before = rest.waiting.get(&waiting.output).map_or(0, |before| before.failures);
        *rest.retries.entry(waiting.output.clone()).or_default() += u64::from(waiting.failures.saturating_sub(before));
        rest.waiting.insert(waiting.output.clone(), waiting);
    }

    /// `output` takes rows again.
    pub fn goes_on(&self, output: &str) {
        locked(&self.rest).waiting.remove(output);
    }

    /// The circuit breaker before `guarded` is in this state now.
    pub fn breaker(&self, guarded: &Guarded, state: BreakerState) {
        let mut rest = locked(&self.rest);
        rest.breakers.entry(guarded.clone()).or_default().turns(state);
    }

    /// `rows` went to the late output.
    pub fn late(&self, rows: u64) {
        self.late.fetch_add(rows, Relaxed);
    }

    /// `records` went to the dead letters.
    pub fn dead_letters(&self, records: u64) {
        self.dead_letters.fetch_add(records, Relaxed);
    }

    /// So many tables to look up in, or rows of one, were asked for and not given.
    pub fn lookups_failed(&self, lookups: u64) {
        self.lookups_failed.fetch_add(lookups, Relaxed);
    }

    /// Something went wrong that does not stop the pipeline. The same message again only counts up.
    pub fn trouble(&self, message: &str, now: ProcessingTime) {
        self.troubles.fetch_add(1, Relaxed);
        let mut rest = locked(&self.rest);
        let known = rest.trouble.iter().position(|trouble| trouble.message == message);
        let times = known.and_then(|at| rest.trouble.remove(at)).map_or(0, |trouble| trouble.times);
        rest.trouble.push_front(Trouble { at: now, message: message.to_owned(), times: times + 1 });
        rest.trouble.truncate(TROUBLE_KEPT_MAX);
    }

    /// An epoch was committed.
    pub fn committed(&self, checkpoint: Checkpoint) {
        self.checkpoint_seconds.observe(checkpoint.took.as_secs_f64());
        self.snapshot_bytes.store(checkpoint.snapshot_bytes, Relaxed);
        let mut rest = locked(&self.rest);
        rest.epoch = checkpoint.epoch;
        rest.last_commit_at = Some(checkpoint.at);
    }

    /// The epoch that the pipeline starts from, and when it was committed if that is known; not a checkpoint of ours.
    pub fn restored(&self, epoch: Epoch, at: Option<ProcessingTime>) {
        let mut rest = locked(&self.rest);
        rest.epoch = epoch;
        rest.last_commit_at = at;
    }

    /// An epoch could not be committed; say why with [`PipelineHandle::trouble`] or [`PipelineHandle::failed`].
    pub fn checkpoint_failed(&self) {
        self.checkpoints_failed.fetch_add(1, Relaxed);
    }

    /// Recovery had to go back to an older commit than the newest, because of what `message` says.
    pub fn fell_back(&self, message: &str, now: ProcessingTime) {
        self.fallbacks.fetch_add(1, Relaxed);
        self.trouble(message, now);
    }

    /// How many bytes the state holds in memory.
    pub fn set_state_bytes(&self, bytes: u64) {
        self.state_bytes.store(bytes, Relaxed);
    }

    /// Where it is with its steps.
    pub fn set_steps(&self, steps: Vec<StepStatus>) {
        locked(&self.rest).steps = steps;
    }

    /// A thread worked for `time` in `stage`.
    pub fn busy(&self, stage: Stage, time: Duration) {
        self.busy_nanos[stage as usize].fetch_add(nanos(time), Relaxed);
    }

    /// Reading stood still for `time` because what comes after it was full.
    pub fn backpressure(&self, time: Duration) {
        self.backpressure_nanos.fetch_add(nanos(time), Relaxed);
    }

    /// A batch took `time` from its arrival to its rows at the sinks.
    pub fn batch_done(&self, time: Duration) {
        self.batch_seconds.observe(time.as_secs_f64());
    }

    /// A copy of all that, with the rates as of `now`.
    pub fn status(&self, now: ProcessingTime) -> PipelineStatus {
        let ends = self.ends();
        let rest = locked(&self.rest);
        let (rows_per_second, bytes_per_second) = rest.rate.per_second(now);
        PipelineStatus {
            name: self.name.clone(),
            state: rest.state,
            error: rest.error.clone(),
            started_at: self.started_at,
            rows_per_second,
            bytes_per_second,
            rows_read: self.records.load(Relaxed),
            bytes_read: self.bytes.load(Relaxed),
            bytes_total: rest.bytes_total,
            epoch: rest.epoch,
            last_commit_at: rest.last_commit_at,
            watermark: rest.watermark,
            watermark_holder: rest.watermark_holder.clone(),
            state_bytes: self.state_bytes.load(Relaxed),
            busy_seconds: self.busy_seconds(),
            steps: rest.steps.clone(),
            partitions_total: rest.partitions.len(),
            partitions: shown(&rest).map(|partition| partition.status(now, ends.get(&partition.id).copied())).collect(),
            outputs: rest.outputs.iter().map(OutputCounts::status).collect(),
            waiting: rest.waiting.values().cloned().collect(),
            trouble: rest.trouble.iter().cloned().collect(),
        }
    }

    fn busy_seconds(&self) -> BusySeconds {
        let [decode, engine, sink] = Stage::ALL.map(|stage| seconds(&self.busy_nanos[stage as usize]));
        BusySeconds { decode, engine, sink }
    }

    pub(crate) fn measure(&self) -> Measured {
        let ends = self.ends();
        let rest = locked(&self.rest);
        let mut partitions = [0; PartitionState::ALL.len()];
        for partition in rest.partitions.values() {
            partitions[partition.state as usize] += 1;
        }
        Measured {
            name: self.name.clone(),
            state: rest.state,
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            late: self.late.load(Relaxed),
            dead_letters: self.dead_letters.load(Relaxed),
            lookups_failed: self.lookups_failed.load(Relaxed),
            troubles: self.troubles.load(Relaxed),
            state_bytes: self.state_bytes.load(Relaxed),
            snapshot_bytes: self.snapshot_bytes.load(Relaxed),
            checkpoints_failed: self.checkpoints_failed.load(Relaxed),
            fallbacks: self.fallbacks.load(Relaxed),
            busy_seconds: std::array::from_fn(|stage| seconds(&self.busy_nanos[stage])),
            backpressure_seconds: seconds(&self.backpressure_nanos),
            epoch: rest.epoch,
            watermark: rest.watermark,
            partitions,
            behind: shown(&rest)
                .filter_map(|partition| Some(Behind::of(partition, *ends.get(&partition.id)?)))
                .collect(),
            outputs: rest.outputs.clone(),
            waiting: rest.waiting.clone(),
            retries: rest.retries.clone(),
            breakers: rest.breakers.clone(),
            checkpoint_seconds: self.checkpoint_seconds.clone(),
            batch_seconds: self.batch_seconds.clone(),
        }
    }
}

/// What a scrape shows of one pipeline.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) state: PipelineState,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) late: u64,
    pub(crate) dead_letters: u64,
    pub(crate) lookups_failed: u64,
    pub(crate) troubles: u64,
    pub(crate) state_bytes: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) checkpoints_failed: u64,
    pub(crate) fallbacks: u64,
    pub(crate) busy_seconds: [f64; Stage::ALL.len()],
    pub(crate) backpressure_seconds: f64,
    pub(crate) epoch: Epoch,
    pub(crate) watermark: Watermark,
    pub(crate) partitions: [u64; PartitionState::ALL.len()],
    /// The partitions whose ends are known.
    pub(crate) behind: Vec<Behind>,
    pub(crate) outputs: Vec<OutputCounts>,
    pub(crate) waiting: BTreeMap<String, OutputWaiting>,
    pub(crate) retries: BTreeMap<String, u64>,
    pub(crate) breakers: BTreeMap<Guarded, BreakerCounts>,
    pub(crate) checkpoint_seconds: Histogram,
    pub(crate) batch_seconds: Histogram,
}

/// How far a pipeline is behind a partition.
pub(crate) struct Behind {
    pub(crate) partition: String,
    pub(crate) lag: u64,
    pub(crate) records: u64,
    pub(crate) watermark: Watermark,
}

impl Behind {
    fn of(partition: &PartitionCounts, end: Offset) -> Self {
        let (records, watermark) = (partition.rows, partition.watermark);
        Self { partition: partition.id.to_string(), lag: partition.lag(end), records, watermark }
    }
}

impl OutputCounts {
    fn status(&self) -> OutputStatus {
        OutputStatus {
            name: self.output.name.clone(),
            kind: self.output.kind.clone(),
            guarantee: self.output.guarantee,
            rows_written: self.rows_written,
            balance: self.balance,
            holds: self.balance.holds(),
            rows_rejected: self.rows_rejected,
        }
    }
}

impl Rest {
    fn partition(&mut self, id: &PartitionId, origin: &str) -> &mut PartitionCounts {
        self.partitions.entry(id.clone()).or_insert_with(|| PartitionCounts::new(id, origin))
    }

    fn output(&mut self, name: &str) -> Option<&mut OutputCounts> {
        self.outputs.iter_mut().find(|counts| counts.output.name == name)
    }
}

/// The partitions that are shown one by one.
fn shown(rest: &Rest) -> impl Iterator<Item = &PartitionCounts> {
    rest.partitions.values().take(PARTITIONS_SHOWN_MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn seconds(nanos: &AtomicU64) -> f64 {
    nanos.load(Relaxed) as f64 / 1e9
}
