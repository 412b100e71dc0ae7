//! A pipeline in virtual time: the decoders and the engine of the binary, with what a story says in the place of sources,
//! clock and disk. What comes out is kept. It judges nothing, and starts and opens nothing.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use bytes::Bytes;
use weir_collect::SourceConfig;
use weir_deliver::{DeadLetter, LetterKind, LettersOf, dead_letter_batch};
use weir_engine::{Effect, Engine, Input, RunRows, Snapshot, Table};
use weir_model::{
    Balance, Decoder, Epoch, EventTime, Framed, Offset, PartitionId, Position, ProcessingTime, Raw, RecordSpan,
    Rejected, TimeDelta, Watermark,
};
use weir_sql::SqlCompiler;

use super::rows::Row;
use crate::plan::Job;
use crate::running::read_table;

/// How often the engine is told the time, as in a running pipeline.
const TICK_MICROS: i64 = 100_000;
/// How often at most while a story waits once: a longer wait has longer steps.
const TICKS_PER_WAIT_MAX: i64 = 10_000;

/// Something that happens to a pipeline.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Records of a partition, one text of whole records.
    Records { source: usize, partition: PartitionId, bytes: Bytes },
    /// A partition appears.
    Added { source: usize, partition: PartitionId },
    /// This partition, or every one there is, was read to its present end.
    CaughtUp(Option<PartitionId>),
    /// Nothing more comes from this partition, or from any there is.
    Finished(Option<PartitionId>),
    /// Processing time goes on.
    Wait(TimeDelta),
    /// An epoch is committed.
    Checkpoint,
    /// The process dies and goes on from the last checkpoint.
    Crash,
    /// All sources have ended.
    End,
}

/// How records are given to the decoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// All of an act at once.
    AsWritten,
    /// One by one.
    Single,
}

/// A row that came out.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) row: Row,
    /// Whether an expectation has looked at it.
    pub(super) told: bool,
}

/// A pipeline at work in a story.
pub(super) struct Stage<'j> {
    job: &'j Job,
    compiler: Arc<SqlCompiler>,
    cut: Cut,
    clock: ProcessingTime,
    engine: Engine,
    decoders: Vec<Box<dyn Decoder>>,
    reading: Reading,
    /// What was read since the last checkpoint, in its order.
    since: Vec<Raw>,
    last: Option<Checkpoint>,
    /// The outputs in the order of the plan, then the late rows, then the dead letters.
    shown: Vec<Vec<Shown>>,
    /// Of each output what was told and then taken back by a crash; it is not told again when it comes again.
    taken_back: Vec<Vec<String>>,
    troubles: Vec<String>,
    /// What steps look rows up in, by the index of the step: the files as they are.
    tables: Vec<(usize, Arc<Table>)>,
}

/// What the sources know.
#[derive(Clone, Debug, Default)]
struct Reading {
    partitions: BTreeMap<PartitionId, Partition>,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Partition {
    source: usize,
    offset: u64,
    caught_up: bool,
    finished: bool,
}

/// What a restart goes on from.
struct Checkpoint {
    snapshot: Snapshot,
    reading: Reading,
    carried: Vec<(usize, PartitionId, String)>,
    /// How many rows of each output were committed.
    shown: Vec<usize>,
}

impl<'j> Stage<'j> {
    /// A pipeline that has not begun. The message of an error says what it cannot do.
    pub(super) fn new(
        job: &'j Job,
        compiler: &Arc<SqlCompiler>,
        clock: ProcessingTime,
        cut: Cut,
    ) -> Result<Self, String> {
        let engine = Engine::new(job.plan.clone(), compiler.clone()).map_err(|error| error.to_string())?;
        let outputs = job.outputs.len() + 2;
        let mut stage = Self {
            job,
            compiler: Arc::clone(compiler),
            cut,
            clock,
            engine,
            decoders: decoders(job)?,
            reading: Reading::default(),
            since: Vec::new(),
            last: None,
            shown: vec![Vec::new(); outputs],
            taken_back: vec![Vec::new(); outputs],
            troubles: Vec::new(),
            tables: tables(job)?,
        };
        stage.give_tables();
        stage.step(Input::Tick(clock), None);
        Ok(stage)
    }

    /// Lets something happen.
    pub(super) fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Records { source, partition, bytes } => self.read(*source, partition, bytes),
            Act::Added { source, partition } => self.add(*source, partition),
            Act::CaughtUp(which) => self.each(which.as_ref(), |partition| partition.caught_up = true, Input::CaughtUp),
            Act::Finished(which) => {
                self.each(which.as_ref(), |partition| partition.finished = true, Input::PartitionFinished);
            }
            Act::Wait(delta) => self.wait(*delta),
            Act::Checkpoint => {
                self.last = Some(self.checkpoint()?);
                self.since.clear();
            }
            Act::Crash => self.crash()?,
            Act::End => {
                self.reading.ended = true;
                self.reading.partitions.values_mut().for_each(|partition| partition.finished = true);
                self.step(Input::End, None);
            }
        }
        Ok(())
    }

    /// What came out of each output, then the late rows, then the dead letters.
    pub(super) fn shown(&self) -> &[Vec<Shown>] {
        &self.shown
    }

    /// The rows of an output that nobody has looked at; they are told now.
    pub(super) fn tell(&mut self, output: usize) -> Vec<Row> {
        let news = self.shown[output].iter_mut().filter(|shown| !shown.told);
        news.map(|shown| {
            shown.told = true;
            shown.row.clone()
        })
        .collect()
    }

    /// What became of the rows on the way to each output.
    pub(super) fn balances(&self) -> Vec<Balance> {
        self.engine.balances()
    }

    /// The event time that was reached.
    pub(super) fn watermark(&self) -> Watermark {
        self.engine.watermark()
    }

    /// Results that a later step could not process, since the last time.
    pub(super) fn troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.troubles)
    }

    /// Goes through everything that a process keeps over a restart, and on as if nothing had happened.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let checkpoint = self.checkpoint()?;
        self.restore(&checkpoint)
    }

    fn read(&mut self, source: usize, partition: &PartitionId, bytes: &Bytes) {
        self.add(source, partition);
        let raw = self.raw(source, partition, bytes);
        for raw in pieces(raw, self.cut) {
            self.take(source, &raw);
            self.since.push(raw);
        }
        if let Some(known) = self.reading.partitions.get_mut(partition) {
            (known.caught_up, known.finished) = (false, false);
        }
        self.reading.ended = false;
    }

    fn add(&mut self, source: usize, partition: &PartitionId) {
        if !self.reading.partitions.contains_key(partition) {
            let new = Partition { source, offset: 0, caught_up: false, finished: false };
            self.reading.partitions.insert(partition.clone(), new);
            self.step(Input::PartitionAdded { source, partition: partition.clone() }, None);
        }
    }

    /// Notes something of a partition, or of all that are not finished, and says it.
    fn each(
        &mut self,
        which: Option<&PartitionId>,
        note: impl Fn(&mut Partition),
        input: impl Fn(PartitionId) -> Input,
    ) {
        let meant = |(id, partition): (&PartitionId, &Partition)| {
            which.map_or(!partition.finished, |which| which == id).then(|| id.clone())
        };
        let partitions: Vec<PartitionId> = self.reading.partitions.iter().filter_map(meant).collect();
        for id in partitions {
            self.reading.partitions.get_mut(&id).into_iter().for_each(&note);
            self.step(input(id), None);
        }
    }

    fn wait(&mut self, delta: TimeDelta) {
        let until = self.clock + delta;
        let tick = TimeDelta::from_micros(TICK_MICROS.max(delta.micros() / TICKS_PER_WAIT_MAX));
        while self.clock < until {
            self.clock = (self.clock + tick).min(until);
            self.step(Input::Tick(self.clock), None);
        }
    }

    /// Cuts a text into records that lie behind what was read of the partition before.
    fn raw(&mut self, source: usize, partition: &PartitionId, bytes: &Bytes) -> Raw {
        let config = &self.job.sources[source];
        let framer = config.format.framer();
        let in_bytes = matches!(config.source, SourceConfig::File(_) | SourceConfig::Stdin(_));
        let known = self.reading.partitions.get_mut(partition).expect("it was added before it is read");
        let (mut records, mut at) = (Vec::new(), 0);
        while let Framed::Record { record, next } = framer.frame(&bytes[at..], 0, true) {
            let offset = Offset(known.offset + if in_bytes { at as u64 } else { records.len() as u64 });
            let (start, end) = (at as u32, (at + record) as u32);
            records.push(RecordSpan { start, end, offset, original_bytes: record as u64 });
            at += next;
        }
        known.offset += if in_bytes { bytes.len() as u64 } else { records.len() as u64 };
        Raw {
            partition: partition.clone(),
            origin: partition.as_str().into(),
            bytes: bytes.clone(),
            records,
            next: Position { offset: Offset(known.offset), ..Position::default() },
            fallback_time: Some(EventTime::from_micros(self.clock.micros())),
        }
    }

    /// As a running pipeline takes what a source yields.
    fn take(&mut self, source: usize, raw: &Raw) {
        let decoded = self.decoders[source].decode(raw);
        if !decoded.rejected.is_empty() {
            let rows = decoded.rejected.len() as u64;
            self.step(Input::Rejected { source, partition: raw.partition.clone(), rows }, None);
            let letters: Vec<DeadLetter> = decoded.rejected.into_iter().map(as_letter).collect();
            self.reject(&letters);
        }
        for batch in decoded.batches {
            self.step(Input::Batch { source, batch }, Some(raw));
        }
    }

    fn step(&mut self, input: Input, raw: Option<&Raw>) {
        let mut effects = Vec::new();
        self.engine.step(input, &mut effects);
        self.carry_out(effects, raw);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, raw: Option<&Raw>) -> Option<Snapshot> {
        let late = self.job.outputs.len();
        let (mut snapshot, mut rejected) = (None, Vec::new());
        for effect in effects {
            match effect {
                Effect::Emit { output, rows } => self.write(output, &rows),
                Effect::Late { rows, .. } => self.write(late, &rows),
                Effect::Reject { partition, offset, reason } => {
                    let span = raw.and_then(|raw| Some((raw, raw.find(offset)?)));
                    let payload = span.map_or_else(Bytes::new, |(raw, span)| Bytes::copy_from_slice(raw.record(span)));
                    let (origin, original_bytes) = (partition.as_str().into(), payload.len() as u64);
                    let record = Rejected { partition, origin, offset, reason, payload, original_bytes };
                    rejected.push(as_letter(record));
                }
                Effect::RejectRow { partition, origin, offset, row, reason } => {
                    rejected.push(weir_deliver::rejected_row(partition, origin, offset, &row, reason));
                }
                Effect::RejectResult { node, reason, .. } => {
                    let step = &self.job.plan.nodes[node].name;
                    self.troubles.push(format!("the step {step} cannot process a result: {reason}"));
                }
                // A story gives its records when it says so.
                Effect::Pause(_) | Effect::Resume(_) => {}
                Effect::Snapshot(taken) => snapshot = Some(taken),
                Effect::Lost { .. } => unreachable!("a story has all its state in memory"),
            }
        }
        self.reject(&rejected);
        snapshot
    }

    fn reject(&mut self, rejected: &[DeadLetter]) {
        if !rejected.is_empty() {
            let pipeline = &self.job.plan.pipeline;
            let of = LettersOf { pipeline, now: self.clock, epoch: Epoch::default(), before: 0 };
            let mut letters = dead_letter_batch(rejected, of);
            // The id depends on where epochs end, which a story does not say.
            letters.remove_column(0);
            self.write(self.job.outputs.len() + 1, &letters);
        }
    }

    fn write(&mut self, output: usize, rows: &RecordBatch) {
        for row in Row::all(rows) {
            let again = match self.taken_back[output].is_empty() {
                true => None,
                false => {
                    let meaning = row.meaning(self.clock_column(output));
                    self.taken_back[output].iter().position(|gone| *gone == meaning)
                }
            };
            again.map(|index| self.taken_back[output].swap_remove(index));
            self.shown[output].push(Shown { row, told: again.is_some() });
        }
    }

    /// The column that says when a row came out, which may differ when it comes again.
    fn clock_column(&self, output: usize) -> Option<&'static str> {
        (output == self.job.outputs.len() + 1).then_some("time")
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, String> {
        let mut effects = Vec::new();
        self.engine.step(Input::Barrier(Epoch::default()), &mut effects);
        let snapshot = self.carry_out(effects, None).ok_or("the engine does not answer a barrier")?;
        let runs = snapshot.runs.into_iter().map(|mut run| {
            run.rows = RunRows::Held(through_bytes(run.batch()).map_err(|error| error.to_string())?);
            Ok(run)
        });
        let snapshot = Snapshot { runs: runs.collect::<Result<_, String>>()?, ..snapshot };
        let carried = self.reading.partitions.iter().filter_map(|(id, partition)| {
            Some((partition.source, id.clone(), self.decoders[partition.source].carry(id)?))
        });
        let carried = carried.collect();
        Ok(Checkpoint {
            snapshot,
            reading: self.reading.clone(),
            carried,
            shown: self.shown.iter().map(Vec::len).collect(),
        })
    }

    fn crash(&mut self) -> Result<(), String> {
        let (since, now) = (std::mem::take(&mut self.since), self.reading.clone());
        let last = self.last.take();
        for output in 0..self.shown.len() {
            let kept = last.as_ref().map_or(0, |last| last.shown[output]);
            let clock_column = self.clock_column(output);
            let gone = self.shown[output].drain(kept..).filter(|shown| shown.told);
            self.taken_back[output].extend(gone.map(|shown| shown.row.meaning(clock_column)));
        }
        match &last {
            Some(checkpoint) => self.restore(checkpoint)?,
            None => {
                let new = Self::new(self.job, &self.compiler, self.clock, self.cut)?;
                (self.engine, self.decoders, self.reading) = (new.engine, new.decoders, new.reading);
            }
        }
        self.last = last;
        self.step(Input::Tick(self.clock), None);
        self.read_again(since, now);
        Ok(())
    }

    /// The sources are found as they are now, and read from where the checkpoint says.
    fn read_again(&mut self, since: Vec<Raw>, now: Reading) {
        for (id, partition) in &now.partitions {
            self.add(partition.source, id);
        }
        for raw in since {
            let Some(source) = now.partitions.get(&raw.partition).map(|partition| partition.source) else { continue };
            self.take(source, &raw);
            self.since.push(raw);
        }
        self.reading = now;
        self.say_again();
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        let snapshot = checkpoint.snapshot.clone();
        let restored = Engine::restore(self.job.plan.clone(), self.compiler.clone(), snapshot);
        self.engine = restored.map_err(|error| error.to_string())?;
        self.give_tables();
        self.decoders = decoders(self.job)?;
        for (source, partition, carried) in &checkpoint.carried {
            self.decoders[*source].restore(partition, carried);
        }
        self.reading = checkpoint.reading.clone();
        for (id, partition) in self.reading.partitions.clone() {
            self.step(Input::PartitionAdded { source: partition.source, partition: id }, None);
        }
        self.say_again();
        Ok(())
    }

    fn give_tables(&mut self) {
        for (node, table) in self.tables.clone() {
            self.step(Input::Table { node, table }, None);
        }
    }

    /// What the sources say of partitions besides their records.
    fn say_again(&mut self) {
        for (id, partition) in self.reading.partitions.clone() {
            if partition.caught_up {
                self.step(Input::CaughtUp(id.clone()), None);
            }
            if partition.finished {
                self.step(Input::PartitionFinished(id), None);
            }
        }
        if self.reading.ended {
            self.step(Input::End, None);
        }
    }
}

/// The tables that steps look rows up in.
fn tables(job: &Job) -> Result<Vec<(usize, Arc<Table>)>, String> {
    if let Some(lookup) = job.lookups.first() {
        return Err(format!(
            "{}: its rows are asked for over HTTP, which a story does not do: let `set` say which file stands for the table",
            lookup.step
        ));
    }
    job.tables.iter().map(|table| Ok((table.node, Arc::new(read_table(table)?)))).collect()
}

/// The latest event time among the records of `acts`; `None` when they have none.
pub(super) fn latest_time(
    job: &Job,
    compiler: &Arc<SqlCompiler>,
    acts: &[Act],
) -> Result<Option<ProcessingTime>, String> {
    let mut stage = Stage::new(job, compiler, ProcessingTime::from_micros(0), Cut::AsWritten)?;
    let mut latest = None;
    for act in acts {
        let Act::Records { source, partition, bytes } = act else { continue };
        let known = Partition { source: *source, offset: 0, caught_up: false, finished: false };
        stage.reading.partitions.entry(partition.clone()).or_insert(known);
        let raw = Raw { fallback_time: None, ..stage.raw(*source, partition, bytes) };
        let batches = stage.decoders[*source].decode(&raw).batches;
        latest = latest.max(batches.iter().flat_map(|batch| batch.times.iter().copied()).max());
    }
    Ok(latest.map(ProcessingTime::from_micros))
}

fn decoders(job: &Job) -> Result<Vec<Box<dyn Decoder>>, String> {
    if let Some(source) = job.sources.iter().find(|source| source.format.registry().is_some()) {
        return Err(format!(
            "source \"{}\" has its schemas from a registry, which a story cannot ask; give it a schema with --set",
            source.name
        ));
    }
    let decoders = job.sources.iter().map(|source| source.format.decoder(source.wanted.clone()));
    decoders.collect::<Result<_, _>>().map_err(|error| error.full())
}

fn pieces(raw: Raw, cut: Cut) -> Vec<Raw> {
    match cut {
        Cut::AsWritten => vec![raw],
        Cut::Single => {
            let nexts = raw.records.iter().skip(1).map(|span| span.offset).chain([raw.next.offset]);
            let single = |(span, offset): (&RecordSpan, Offset)| Raw {
                records: vec![*span],
                next: Position { offset, ..Position::default() },
                ..raw.clone()
            };
            raw.records.iter().zip(nexts).map(single).collect()
        }
    }
}

/// The columns as they come back from where snapshots are kept.
fn through_bytes(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    let bytes = writer.into_inner()?;
    StreamReader::try_new(Cursor::new(bytes), None)?.next().expect("one batch was written")
}

/// A record as a dead letter; of which source is of no account in a story.
fn as_letter(rejected: Rejected) -> DeadLetter {
    DeadLetter { rejected, kind: LetterKind::Record, source: None, format: "" }
}
