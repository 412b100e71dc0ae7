//! Dead letters that are given to their pipeline again: a topic of the log beside each source, read as one more partition
//! of it. Where reading goes on is part of the pipeline's commit, so that each is taken exactly once.
//!
//! The partition is there only while there is something to read: it holds event time back no longer than that.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use weir_log::Log;
use weir_model::{
    ErrorKind, KnownEnds, Offset, PartitionId, Position, Positions, Raw, RecordSpan, SeamError, SeamResult, Source,
    SourceEvent,
};
use xxhash_rust::xxh3::xxh3_64;

/// How often it is looked whether there is something.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How much is read at a time.
const READ_BYTES: usize = 1 << 20;

/// How the names of these topics begin; no stream can be called so.
const PREFIX: &str = "replay-";

/// Whether dead letters come again through the topic of this name.
pub fn is_replay_topic(topic: &str) -> bool {
    topic.starts_with(PREFIX)
}

/// The topic of the log from which `source` of `pipeline` takes dead letters again. Both names may be longer than that of a
/// topic, so it is named after their XXH3-64.
pub fn replay_topic(pipeline: &str, source: &str) -> String {
    format!("{PREFIX}{:016x}", xxh3_64(format!("{pipeline}\0{source}").as_bytes()))
}

/// The partition of `source` through which they come.
pub fn letters_partition(source: &str) -> PartitionId {
    PartitionId::new(format!("{source}:dead_letters"))
}

/// A source, and the dead letters that it is given again.
pub(super) struct WithReplays {
    source: Box<dyn Source>,
    log: Arc<Log>,
    topic: String,
    partition: PartitionId,
    next: Offset,
    /// The partition is there.
    added: bool,
    /// The source has ended.
    ended: bool,
}

impl WithReplays {
    /// `source`, whose name in `pipeline` is `name`.
    pub(super) fn new(source: Box<dyn Source>, pipeline: &str, name: &str, log: Arc<Log>) -> Self {
        let partition = letters_partition(name);
        let topic = replay_topic(pipeline, name);
        Self { source, log, topic, partition, next: Offset(0), added: false, ended: false }
    }

    fn is_something(&self) -> bool {
        self.log.end(self.topic.as_str()) > self.next
    }

    /// What comes next of the dead letters, if anything. Blocks for as long as it takes to read a MiB at most.
    fn letters(&mut self) -> SeamResult<Option<SourceEvent>> {
        match (self.is_something(), self.added) {
            (false, false) => Ok(None),
            (false, true) => {
                self.added = false;
                Ok(Some(SourceEvent::PartitionFinished(self.partition.clone())))
            }
            (true, false) => {
                self.added = true;
                Ok(Some(SourceEvent::PartitionAdded(self.partition.clone())))
            }
            (true, true) => self.read().map(Some),
        }
    }

    fn read(&mut self) -> SeamResult<SourceEvent> {
        let records = self.log.read(self.topic.as_str(), self.next, READ_BYTES)?;
        let mut bytes = BytesMut::new();
        let mut spans = Vec::with_capacity(records.len());
        for (offset, record) in &records {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(record);
            let end = bytes.len() as u32;
            spans.push(RecordSpan { start, end, offset: *offset, original_bytes: record.len() as u64 });
            self.next = Offset(offset.0 + 1);
        }
        Ok(SourceEvent::Records(Raw {
            partition: self.partition.clone(),
            origin: "dead letters".into(),
            bytes: bytes.freeze(),
            records: spans,
            next: Position { offset: self.next, ..Position::default() },
            fallback_time: None,
        }))
    }
}

#[async_trait]
impl Source for WithReplays {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        let mut positions = positions.clone();
        if let Some(position) = positions.remove(&self.partition) {
            self.next = position.offset;
        }
        if self.next > self.log.end(self.topic.as_str()) {
            let message = format!(
                "{} was read up to record {}, but ends at record {}: the log is older than what was made of it, restore \
                 both from the same backup",
                self.topic,
                self.next,
                self.log.end(self.topic.as_str())
            );
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        self.source.seek(&positions).await
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            if let Some(event) = self.letters()? {
                return Ok(event);
            }
            if self.ended {
                return Ok(SourceEvent::End);
            }
            let Self { source, .. } = self;
            let event = tokio::select! {
                biased;
                event = source.next() => event?,
                () = something(&self.log, &self.topic, self.next) => continue,
            };
            if !matches!(event, SourceEvent::End) {
                return Ok(event);
            }
            self.ended = true;
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        self.source.pause(partition);
    }

    fn resume(&mut self, partition: &PartitionId) {
        self.source.resume(partition);
    }

    fn bytes_total(&self) -> Option<u64> {
        self.source.bytes_total()
    }

    fn ends(&self) -> Option<KnownEnds> {
        self.source.ends()
    }
}

/// Waits until the topic has something at `next` or later. Cancel-safe.
async fn something(log: &Log, topic: &str, next: Offset) {
    while log.end(topic) <= next {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
