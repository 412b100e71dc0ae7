//! A topic of the embedded log as a source. Refuses to write to it: that is a receiver's work.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_disk::{Blocking, blocking};
use weir_log::Log;
use weir_model::{
    ErrorKind, Offset, PartitionId, Position, Positions, Raw, RecordSpan, SeamError, SeamResult, Source, SourceEvent,
    planted,
};

use crate::cutter::{CHUNK_BYTES, RECORDS_MAX};

/// What is posted to `/api/v1/ingest/{stream}`; it is durable in the embedded log before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The name of the stream in the address: letters, digits and `_`, beginning with a letter. It is the name of the
    /// topic too.
    pub stream: String,
}

/// A topic of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The topic's name.
    pub topic: String,
    /// Whether to wait for more at the end of the topic. `false` reads what is there at the start and ends.
    #[serde(default = "yes")]
    pub follow: bool,
}

fn yes() -> bool {
    true
}

/// Records with where they begin.
type Records = Vec<(Offset, Bytes)>;

/// What is read of a topic.
#[async_trait]
trait Topic: Send + Sync {
    /// Blocks.
    fn read(&self, from: Offset, bytes_max: usize) -> SeamResult<Records>;
    async fn wait_for(&self, from: Offset) -> SeamResult<()>;
    fn start(&self) -> Offset;
    fn end(&self) -> Offset;
}

struct TopicOfLog {
    log: Arc<Log>,
    topic: String,
}

#[async_trait]
impl Topic for TopicOfLog {
    fn read(&self, from: Offset, bytes_max: usize) -> SeamResult<Records> {
        self.log.read(&self.topic, from, bytes_max)
    }

    async fn wait_for(&self, from: Offset) -> SeamResult<()> {
        self.log.wait_for(&self.topic, from).await
    }

    fn start(&self) -> Offset {
        self.log.start(&self.topic)
    }

    fn end(&self) -> Offset {
        self.log.end(&self.topic)
    }
}

/// A topic of the embedded log as one partition, `<source>:<topic>`, whose offsets count records.
pub struct LogSource {
    topic: Arc<dyn Topic>,
    partition: PartitionId,
    origin: Arc<str>,
    /// The offset of the next record.
    next: Offset,
    /// Where a source that is not followed ends: where the topic ended when it was opened.
    until: Option<Offset>,
    queue: VecDeque<SourceEvent>,
    /// A read that is under way where it may block.
    reading: Option<Blocking<SeamResult<Records>>>,
    paused: bool,
    caught_up: bool,
    ended: bool,
}

impl LogSource {
    /// Reads the topic of `config` as the source `name`; people know it by the topic's name.
    ///
    /// # Errors
    /// None today: a topic that does not exist yet is empty.
    pub fn open(name: &str, log: Arc<Log>, config: &LogConfig) -> SeamResult<Self> {
        let topic = config.topic.clone();
        let reader = Arc::new(TopicOfLog { log, topic: topic.clone() });
        Ok(Self::reading(name, &config.topic, topic, reader, config.follow))
    }

    /// Reads what is posted to the stream of `config` as the source `name`; people know it by `http:<stream>`.
    ///
    /// # Errors
    /// None today.
    pub fn http(name: &str, log: Arc<Log>, config: &HttpConfig) -> SeamResult<Self> {
        let topic = config.stream.clone();
        let origin = format!("http:{topic}");
        Ok(Self::reading(name, &config.stream, origin, Arc::new(TopicOfLog { log, topic }), true))
    }

    fn reading(name: &str, topic_name: &str, origin: String, topic: Arc<dyn Topic>, follow: bool) -> Self {
        let partition = PartitionId::new(format!("{name}:{topic_name}"));
        Self {
            until: (!follow).then(|| topic.end()),
            topic,
            queue: VecDeque::from([SourceEvent::PartitionAdded(partition.clone())]),
            partition,
            origin: origin.into(),
            next: Offset(0),
            reading: None,
            paused: false,
            caught_up: false,
            ended: false,
        }
    }

    /// Waits for records and reads them. Nothing changes before everything is there, so that the future may be dropped.
    async fn read(&mut self) -> SeamResult<()> {
        if self.until.is_some_and(|until| self.next >= until) {
            self.queue.extend([SourceEvent::PartitionFinished(self.partition.clone()), SourceEvent::End]);
            self.ended = true;
            return Ok(());
        }
        let (topic, from) = (&self.topic, self.next);
        let reading = self.reading.get_or_insert_with(|| {
            let topic = topic.clone();
            blocking(move || topic.read(from, CHUNK_BYTES))
        });
        let result = reading.await;
        self.reading = None;
        let result = result.map_err(|error| SeamError::caused(ErrorKind::Closed, "reading a log failed", error))?;
        let records = match result {
            Err(error) if error.kind == ErrorKind::Corrupt && self.topic.start() > self.next => {
                return self.skip_to_start();
            }
            result => result?,
        };
        if !records.is_empty() {
            self.caught_up = false;
            for records in records.chunks(RECORDS_MAX) {
                self.take(records);
            }
        } else if self.caught_up {
            self.topic.wait_for(self.next).await?;
            self.caught_up = false;
        } else {
            self.caught_up = true;
            self.queue.push_back(SourceEvent::CaughtUp(self.partition.clone()));
        }
        Ok(())
    }

    /// What was not read in time was deleted: says so, and goes on with what there is.
    fn skip_to_start(&mut self) -> SeamResult<()> {
        let start = self.topic.start();
        let message = format!(
            "{}: records {} to {} were deleted before they were read: let the log keep more, or read it sooner",
            self.origin,
            self.next,
            start.0 - 1
        );
        self.queue.push_back(SourceEvent::Trouble { message, partition: Some(self.partition.clone()) });
        self.next = start;
        Ok(())
    }

    fn take(&mut self, records: &[(Offset, Bytes)]) {
        let within = |offset: Offset| self.until.is_none_or(|until| offset < until);
        let records = &records[..records.iter().take_while(|(offset, _)| within(*offset)).count()];
        let mut bytes = BytesMut::with_capacity(records.iter().map(|(_, record)| record.len()).sum());
        let mut spans = Vec::with_capacity(records.len());
        for (offset, record) in records {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(record);
            let end = bytes.len() as u32;
            spans.push(RecordSpan { start, end, offset: *offset, original_bytes: record.len() as u64 });
        }
        let Some((last, _)) = records.last() else { return };
        self.next = Offset(last.0 + 1);
        self.queue.push_back(SourceEvent::Records(Raw {
            partition: self.partition.clone(),
            origin: self.origin.clone(),
            bytes: bytes.freeze(),
            records: spans,
            next: Position { offset: self.next, ..Position::default() },
            fallback_time: None,
        }));
    }
}

#[async_trait]
impl Source for LogSource {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        let Some(position) = positions.get(&self.partition) else { return Ok(()) };
        if position.offset > self.topic.end() {
            let message = format!(
                "{} was read up to record {}, but ends at record {}: the log is older than what was made of it, \
                 restore both from the same backup",
                self.origin,
                position.offset,
                self.topic.end()
            );
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        self.next = Offset(position.offset.0 + u64::from(planted!(ResumeOneFurther)));
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            let about_records = !matches!(self.queue.front(), None | Some(SourceEvent::PartitionAdded(_)));
            if self.paused && about_records {
                // Resuming takes `&mut self`: it can only happen after this future was dropped.
                std::future::pending::<()>().await;
            }
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            if self.ended {
                return Ok(SourceEvent::End);
            }
            self.read().await?;
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        self.paused |= *partition == self.partition;
    }

    fn resume(&mut self, partition: &PartitionId) {
        self.paused &= *partition != self.partition;
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}
