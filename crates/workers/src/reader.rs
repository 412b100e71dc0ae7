//! A source partition at work: records are gathered, decoded and folded. Knows nothing of groups and transactions.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use weir_collect::{LastRecord, Tombstones};
use weir_engine::{Effect, Fold, Input, Partial, Snapshot};
use weir_model::{Decoder, Epoch, Offset, PartitionId, Position, ProcessingTime, Raw, RecordSpan, SeamResult};
use weir_observe::{PartitionState, PipelineHandle, Stage, Taken};

use crate::outputs::{From, Outputs};
use crate::schemas::Schemas;
use crate::share::SharedSource;

/// A batch is decoded with so many records or bytes.
const BATCH_RECORDS: usize = 8192;
const BATCH_BYTES: usize = 1 << 20;
/// How much of a record that is too long is kept, to be shown.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// A source partition at work.
pub(crate) struct Reader {
    pub(crate) id: PartitionId,
    /// How many partitions its topic had at the first start.
    pub(crate) known: i32,
    pub(crate) source: usize,
    origin: Arc<str>,
    decoder: Box<dyn Decoder>,
    fold: Fold,
    /// The offset after the last record that was taken.
    pub(crate) next: u64,
    /// That record, ever.
    pub(crate) last: Option<LastRecord>,
    bytes: BytesMut,
    records: Vec<RecordSpan>,
    record_bytes_max: usize,
    tombstones: Tombstones,
}

impl Reader {
    pub(crate) fn new(
        (source, of): (usize, &SharedSource),
        (id, origin): (PartitionId, Arc<str>),
        fold: Fold,
        (next, known, last): (u64, i32, Option<LastRecord>),
        carry: Option<&str>,
    ) -> SeamResult<Self> {
        let mut decoder = of.format.decoder(of.wanted.clone())?;
        if let Some(carry) = carry {
            decoder.restore(&id, carry);
        }
        let record_bytes_max = usize::try_from(of.kafka.max_record_bytes.0).unwrap_or(usize::MAX);
        Ok(Self {
            id,
            known,
            source,
            origin,
            decoder,
            fold,
            next,
            last,
            bytes: BytesMut::new(),
            records: Vec::new(),
            record_bytes_max: record_bytes_max.clamp(1, u32::MAX as usize / 4),
            tombstones: of.kafka.tombstones,
        })
    }

    /// Takes the record at `offset`. True when there is enough for a batch.
    pub(crate) fn take(&mut self, offset: u64, value: Option<&[u8]>, last: Option<LastRecord>) -> bool {
        (self.next, self.last) = (offset + 1, last);
        let value = match (value, self.tombstones) {
            (Some(value), _) => value,
            (None, Tombstones::Decode) => b"",
            (None, Tombstones::Skip) => return false,
        };
        let too_long = value.len() > self.record_bytes_max;
        let kept = if too_long { self.record_bytes_max.min(KEPT_BYTES_MAX) } else { value.len() };
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&value[..kept]);
        let end = self.bytes.len() as u32;
        self.records.push(RecordSpan { start, end, offset: Offset(offset), original_bytes: value.len() as u64 });
        self.records.len() >= BATCH_RECORDS || self.bytes.len() >= BATCH_BYTES
    }

    /// Decodes and folds what was gathered.
    pub(crate) fn flush(
        &mut self,
        of: &SharedSource,
        outputs: &mut Outputs,
        schemas: &Schemas,
        (handle, now): (&PipelineHandle, ProcessingTime),
    ) -> SeamResult<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let raw = Raw {
            partition: self.id.clone(),
            origin: Arc::clone(&self.origin),
            bytes: std::mem::take(&mut self.bytes).freeze(),
            records: std::mem::take(&mut self.records),
            next: Position { offset: Offset(self.next), ..Position::default() },
            fallback_time: None,
        };
        let started = Instant::now();
        let decoded = loop {
            let mut decoded = self.decoder.decode(&raw);
            if decoded.wanted_schemas.is_empty() {
                break decoded;
            }
            schemas.teach(self.source, self.decoder.as_mut(), std::mem::take(&mut decoded.wanted_schemas));
        };
        handle.busy(Stage::Decode, started.elapsed());
        let from = From { source: &of.name, format: of.format.kind(), raw: Some(&raw) };
        if !decoded.rejected.is_empty() {
            let (partition, rows) = (self.id.clone(), decoded.rejected.len() as u64);
            self.step(Input::Rejected { source: self.source, partition, rows }, outputs, from)?;
            outputs.rejected(decoded.rejected, from)?;
        }
        let started = Instant::now();
        for batch in decoded.batches {
            self.step(Input::Batch { source: self.source, batch }, outputs, from)?;
        }
        handle.busy(Stage::Engine, started.elapsed());
        let taken = Taken { records: raw.records.len() as u64, bytes: raw.bytes.len() as u64, next: raw.next.offset };
        handle.read(&self.id, &self.origin, taken, now);
        Ok(())
    }

    /// Everything that is there has been read. What was gathered is folded before.
    pub(crate) fn caught_up(
        &mut self,
        of: &SharedSource,
        outputs: &mut Outputs,
        handle: &PipelineHandle,
    ) -> SeamResult<()> {
        handle.set_partition_state(&self.id, &self.origin, PartitionState::CaughtUp);
        self.step(Input::CaughtUp(self.id.clone()), outputs, without_records(of))
    }

    pub(crate) fn tick(&mut self, now: ProcessingTime, of: &SharedSource, outputs: &mut Outputs) -> SeamResult<()> {
        self.step(Input::Tick(now), outputs, without_records(of))
    }

    pub(crate) fn hear(&mut self, held: &weir_engine::Held) {
        self.fold.hear(held);
    }

    /// What it remembers beside its position, and what it has for the owners of keys.
    pub(crate) fn seal(
        &mut self,
        epoch: Epoch,
        of: &SharedSource,
        outputs: &mut Outputs,
    ) -> SeamResult<(Snapshot, Option<String>, Vec<Partial>)> {
        let mut effects = Vec::new();
        self.fold.step(Input::Barrier(epoch), &mut effects);
        let mut snapshot = None;
        let mut others = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Snapshot(sealed) => snapshot = Some(sealed),
                other => others.push(other),
            }
        }
        outputs.effects(others, without_records(of))?;
        let snapshot = snapshot.expect("a barrier is answered by a snapshot");
        Ok((snapshot, self.decoder.carry(&self.id), self.fold.flush()))
    }

    pub(crate) fn show(&self, handle: &PipelineHandle) {
        let status = self.fold.status();
        handle.set_partition_watermark(&self.id, status.watermark);
        if status.state == weir_engine::PartitionState::Idle {
            handle.set_partition_state(&self.id, &self.origin, PartitionState::Idle);
        }
    }

    pub(crate) fn balances(&self) -> Vec<weir_model::Balance> {
        self.fold.balances()
    }

    pub(crate) fn state_bytes(&self) -> usize {
        self.fold.state_bytes()
    }

    pub(crate) fn has_gathered(&self) -> bool {
        !self.records.is_empty()
    }

    fn step(&mut self, input: Input, outputs: &mut Outputs, from: From<'_>) -> SeamResult<()> {
        let mut effects = Vec::new();
        self.fold.step(input, &mut effects);
        outputs.effects(effects, from)
    }
}

fn without_records(of: &SharedSource) -> From<'_> {
    From { source: &of.name, format: of.format.kind(), raw: None }
}
