//! What one epoch will write: rows become records of topics, and wait for the transaction. Sends nothing.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use weir_deliver::{
    DeadLetter, KafkaOutput, KafkaRecords, LetterKind, LettersOf, dead_letter_batch, rejected_made, rejected_result,
    rejected_row, with_row_ids,
};
use weir_engine::Effect;
use weir_model::{Clock, Epoch, ErrorKind, Raw, Rejected, RejectedRow, SeamError, SeamResult};
use weir_observe::PipelineHandle;

use crate::broker::Outgoing;
use crate::share::Share;

/// How many bytes wait for a transaction at most before it is made.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// How many records.
const WAITING_RECORDS_MAX: usize = 200_000;

/// Where rows come from, for dead letters.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) source: &'a str,
    pub(crate) format: &'static str,
    /// The records that the rows were, where they are at hand.
    pub(crate) raw: Option<&'a Raw>,
}

/// Records that wait.
pub(crate) struct Outputs {
    pipeline: String,
    /// The names of the steps.
    steps: Vec<String>,
    outputs: Vec<Target>,
    late: Option<Target>,
    dead_letters: Target,
    clock: Arc<dyn Clock>,
    handle: Arc<PipelineHandle>,
    waiting: Vec<Outgoing>,
    bytes: usize,
    letters: u64,
}

/// A topic, and how rows become its records.
struct Target {
    name: String,
    topic: Arc<str>,
    rows: KafkaRecords,
}

impl Target {
    fn of(name: &str, output: &KafkaOutput) -> SeamResult<Self> {
        Ok(Self { name: name.to_owned(), topic: output.topic.as_str().into(), rows: KafkaRecords::open(output)? })
    }

    /// The records of `rows`, and the rows that have none.
    fn records(&mut self, rows: &RecordBatch) -> SeamResult<(Vec<Outgoing>, Vec<RejectedRow>)> {
        let (records, rejected) = self.rows.of(rows)?;
        let record = |record: weir_deliver::KafkaRecord| Outgoing {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        Ok((records.into_iter().map(record).collect(), rejected))
    }
}

impl Outputs {
    pub(crate) fn new(share: &Share, clock: Arc<dyn Clock>, handle: Arc<PipelineHandle>) -> SeamResult<Self> {
        let outputs = share.plan.outputs.iter().zip(&share.outputs);
        Ok(Self {
            pipeline: share.plan.pipeline.clone(),
            steps: share.plan.nodes.iter().map(|node| node.name.clone()).collect(),
            outputs: outputs.map(|(plan, output)| Target::of(&plan.name, output)).collect::<SeamResult<_>>()?,
            late: share.late.as_ref().map(|late| Target::of("late", late)).transpose()?,
            dead_letters: Target::of("dead_letters", &share.dead_letters)?,
            clock,
            handle,
            waiting: Vec::new(),
            bytes: 0,
            letters: 0,
        })
    }

    /// Forgets everything: it will come again.
    pub(crate) fn clear(&mut self) {
        (self.bytes, self.letters) = (0, 0);
        self.waiting.clear();
    }

    /// What waits, which then does not any more.
    pub(crate) fn take(&mut self) -> Vec<Outgoing> {
        (self.bytes, self.letters) = (0, 0);
        std::mem::take(&mut self.waiting)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether so much waits that it has to go.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= WAITING_BYTES_MAX || self.waiting.len() >= WAITING_RECORDS_MAX
    }

    pub(crate) fn push(&mut self, record: Outgoing) {
        self.bytes += record.value.as_ref().map_or(0, Vec::len) + record.key.as_ref().map_or(0, Vec::len);
        self.waiting.push(record);
    }

    /// Takes what a machine wants done. Pauses are nobody's business here: plans that need them are not shared.
    pub(crate) fn effects(&mut self, effects: Vec<Effect>, from: From<'_>) -> SeamResult<()> {
        let mut rejected = Vec::new();
        for effect in effects {
            match effect {
                Effect::Emit { output, rows } => {
                    let target = &mut self.outputs[output];
                    self.handle.wrote(&target.name, rows.num_rows() as u64);
                    let (records, refused) = target.records(&rows)?;
                    if !refused.is_empty() {
                        self.handle.rejected(&target.name, refused.len() as u64);
                        let (name, epoch) = (target.name.clone(), self.moment());
                        rejected.extend(refused.into_iter().map(|row| rejected_result(&name, epoch, row)));
                    }
                    records.into_iter().for_each(|record| self.push(record));
                }
                Effect::Late { node, rows } => {
                    let rows = with_row_ids(&rows, &self.pipeline, &self.steps[node]);
                    self.handle.late(rows.num_rows() as u64);
                    let Some(late) = &mut self.late else { continue };
                    let (records, refused) = late.records(&rows)?;
                    let epoch = self.moment();
                    rejected.extend(refused.into_iter().map(|row| rejected_result("late", epoch, row)));
                    records.into_iter().for_each(|record| self.push(record));
                }
                Effect::Reject { partition, offset, reason } => {
                    let record = from.raw.and_then(|raw| Some((raw, raw.find(offset)?)));
                    let (origin, payload, original_bytes) = match record {
                        Some((raw, span)) => {
                            let payload = raw.bytes.slice(span.start as usize..span.end as usize);
                            (Arc::clone(&raw.origin), payload, span.original_bytes)
                        }
                        None => (partition.as_str().into(), Bytes::new(), 0),
                    };
                    let kind = if record.is_some() { LetterKind::Record } else { LetterKind::Row };
                    let record = Rejected { partition, origin, offset, reason, payload, original_bytes };
                    rejected.push(letter(record, kind, from));
                }
                Effect::RejectRow { partition, origin, offset, row, reason } => {
                    let row = rejected_row(partition, origin, offset, &row, reason);
                    rejected.push(DeadLetter { source: Some(from.source.to_owned()), ..row });
                }
                Effect::RejectResult { node, rows, reason } => {
                    rejected.extend(rejected_made(&self.steps[node], &rows, &reason));
                }
                // A machine of a worker holds all of its state in memory.
                Effect::Lost { error, .. } => return Err(error),
                Effect::Pause(_) | Effect::Resume(_) | Effect::Snapshot(_) => {}
            }
        }
        self.letters(&rejected)
    }

    /// Takes records that could not be decoded.
    pub(crate) fn rejected(&mut self, rejected: Vec<Rejected>, from: From<'_>) -> SeamResult<()> {
        let letters: Vec<_> = rejected.into_iter().map(|record| letter(record, LetterKind::Record, from)).collect();
        self.letters(&letters)
    }

    fn letters(&mut self, letters: &[DeadLetter]) -> SeamResult<()> {
        if letters.is_empty() {
            return Ok(());
        }
        self.handle.dead_letters(letters.len() as u64);
        let now = self.clock.now();
        let of = LettersOf { pipeline: &self.pipeline, now, epoch: self.moment(), before: self.letters };
        let rows = dead_letter_batch(letters, of);
        self.letters += letters.len() as u64;
        let (records, refused) = self.dead_letters.records(&rows)?;
        if let Some(row) = refused.first() {
            let message = format!("output dead_letters: a dead letter was rejected: {}", row.reason);
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        records.into_iter().for_each(|record| self.push(record));
        Ok(())
    }

    /// Workers count epochs each for itself: the moment tells their letters apart.
    fn moment(&self) -> Epoch {
        Epoch(self.clock.now().micros().unsigned_abs())
    }
}

fn letter(rejected: Rejected, kind: LetterKind, from: From<'_>) -> DeadLetter {
    DeadLetter { rejected, kind, source: Some(from.source.to_owned()), format: from.format }
}
