//! A topic of the embedded log as a source. Refuses to write to it: that is a receiver's work.

mod config;
mod reader;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::select_all;
use weir_log::Log;
use weir_model::{KnownEnds, Offset, PartitionId, Positions, SeamResult, Source, SourceEvent};

pub use config::{Acknowledge, HttpConfig, LogConfig, Lost, RetainConfig, Unread};
use reader::{Losses, Reader};

/// Records with where they begin.
type Records = Vec<(Offset, Bytes)>;

/// What is read of a topic, by partition.
#[async_trait]
trait Topic: Send + Sync {
    /// Blocks.
    fn read(&self, partition: u32, from: Offset, bytes_max: usize) -> SeamResult<Records>;
    /// Blocks.
    fn readable_from(&self, partition: u32, from: Offset) -> SeamResult<Offset>;
    async fn wait_for(&self, partition: u32, from: Offset) -> SeamResult<()>;
    fn start(&self, partition: u32) -> Offset;
    fn end(&self, partition: u32) -> Offset;
    fn partitions(&self) -> u32;
}

struct TopicOfLog {
    log: Arc<Log>,
    topic: String,
}

#[async_trait]
impl Topic for TopicOfLog {
    fn read(&self, partition: u32, from: Offset, bytes_max: usize) -> SeamResult<Records> {
        self.log.read((self.topic.as_str(), partition), from, bytes_max)
    }

    fn readable_from(&self, partition: u32, from: Offset) -> SeamResult<Offset> {
        self.log.readable_from((self.topic.as_str(), partition), from)
    }

    async fn wait_for(&self, partition: u32, from: Offset) -> SeamResult<()> {
        self.log.wait_for((self.topic.as_str(), partition), from).await
    }

    fn start(&self, partition: u32) -> Offset {
        self.log.start((self.topic.as_str(), partition))
    }

    fn end(&self, partition: u32) -> Offset {
        self.log.end((self.topic.as_str(), partition))
    }

    fn partitions(&self) -> u32 {
        self.log.partitions(&self.topic)
    }
}

/// A topic of the embedded log. Its partitions are `<source>:<topic>`, `<source>:<topic>/1` and so on; their offsets count
/// records. Without a position a partition is read from its oldest record on.
pub struct LogSource {
    readers: Vec<Reader>,
    /// Which reader is asked first, so that none waits for long behind a busy one.
    turn: usize,
}

/// The partition of a topic as the source `name` calls it.
pub fn log_partition(name: &str, topic: &str, number: u32) -> PartitionId {
    PartitionId::new(numbered(format!("{name}:{topic}"), number))
}

fn numbered(name: String, number: u32) -> String {
    if number == 0 { name } else { format!("{name}/{number}") }
}

impl LogSource {
    /// Reads the topic of `config` as the source `name`; people know it by the topic's name.
    ///
    /// # Errors
    /// None today: a topic that does not exist yet is empty.
    pub fn open(name: &str, log: Arc<Log>, config: &LogConfig) -> SeamResult<Self> {
        let topic = config.topic.clone();
        let reader = Arc::new(TopicOfLog { log, topic: topic.clone() });
        let skip = config.lost == Lost::Skip;
        let losses = Losses { skip_deleted: skip, skip_damaged: skip };
        let way_out = format!("--set sources.{name}.log.lost=skip");
        Ok(Self::reading((name, &config.topic), &topic, reader, (losses, &way_out), config.follow))
    }

    /// Reads what is posted to the stream of `config` as the source `name`; people know it by `http:<stream>`.
    ///
    /// # Errors
    /// None today.
    pub fn http(name: &str, log: Arc<Log>, config: &HttpConfig) -> SeamResult<Self> {
        let topic = config.stream.clone();
        let origin = format!("http:{topic}");
        let skip = config.lost == Lost::Skip;
        let losses = Losses { skip_deleted: skip || config.retain.unread == Unread::Drop, skip_damaged: skip };
        let way_out = format!("--set sources.{name}.http.lost=skip");
        let topic = Arc::new(TopicOfLog { log, topic });
        Ok(Self::reading((name, &config.stream), &origin, topic, (losses, &way_out), true))
    }

    fn reading(
        (name, topic_name): (&str, &str),
        origin: &str,
        topic: Arc<dyn Topic>,
        (losses, way_out): (Losses, &str),
        follow: bool,
    ) -> Self {
        let reader = |number| {
            let names = (log_partition(name, topic_name, number), numbered(origin.to_owned(), number));
            Reader::new(Arc::clone(&topic), number, names, (losses, way_out.to_owned()), follow)
        };
        Self { readers: (0..topic.partitions()).map(reader).collect(), turn: 0 }
    }

    fn of(&mut self, partition: &PartitionId) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.partition == *partition)
    }
}

#[async_trait]
impl Source for LogSource {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        for (partition, position) in positions {
            if let Some(reader) = self.of(partition) {
                reader.seek(position.offset)?;
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            let count = self.readers.len();
            for index in (0..count).map(|step| (self.turn + step) % count) {
                if let Some(event) = self.readers[index].pop() {
                    self.turn = index + 1;
                    return Ok(event);
                }
            }
            if self.readers.iter().all(Reader::is_over) {
                return Ok(SourceEvent::End);
            }
            let any = select_all(self.readers.iter_mut().map(|reader| Box::pin(reader.advance())));
            let (advanced, _, _) = any.await;
            advanced?;
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        if let Some(reader) = self.of(partition) {
            reader.paused = true;
        }
    }

    fn resume(&mut self, partition: &PartitionId) {
        if let Some(reader) = self.of(partition) {
            reader.paused = false;
        }
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }

    fn ends(&self) -> Option<KnownEnds> {
        let ends: Vec<_> = self.readers.iter().map(|reader| (reader.partition.clone(), reader.end())).collect();
        Some(Arc::new(move || ends.iter().map(|(partition, end)| (partition.clone(), end())).collect()))
    }
}
