//! Whoever posts: sends again what it heard no good answer to, and knows what was promised. Refuses to believe an answer
//! that contradicts an earlier one.

use std::collections::BTreeMap;

use bytes::Bytes;
use weir_log::{AppendAck, Log};
use weir_model::{ErrorKind, Offset, SeamError};

use crate::pipeline::source;
use crate::scenario::{Post, Record};

/// The client of all sources, in every life of the server.
#[derive(Debug)]
pub(crate) struct Client {
    /// What is still to be posted, the last first.
    waiting: Vec<Post>,
    /// Every record that was acknowledged, by source and offset.
    pub(crate) acknowledged: Vec<BTreeMap<u64, Record>>,
    /// Where the posts are that were acknowledged.
    first_offsets: BTreeMap<u64, u64>,
}

/// What became of a post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is safe.
    Acknowledged,
    /// There is no room just now.
    TryLater,
    /// Whether it was taken is not known.
    Closed,
}

impl Client {
    pub(crate) fn new(posts: &[Post], sources: usize) -> Self {
        let mut waiting: Vec<Post> = Vec::new();
        for post in posts.iter().rev() {
            if post.again {
                waiting.push(Post { again: false, pause_ms: 0, ..post.clone() });
            }
            waiting.push(post.clone());
        }
        Self { waiting, acknowledged: vec![BTreeMap::new(); sources], first_offsets: BTreeMap::new() }
    }

    /// What comes next.
    pub(crate) fn next(&self) -> Option<&Post> {
        self.waiting.last()
    }

    /// What is in a source, in its order, and after it what may be: a post whose answer was not heard.
    pub(crate) fn posted(&self, source: usize) -> impl Iterator<Item = &Record> {
        let unheard =
            self.next().filter(|post| post.source == source && !self.first_offsets.contains_key(&post.number));
        self.acknowledged[source].values().chain(unheard.into_iter().flat_map(|post| &post.records))
    }

    /// Posts what comes next. The thread waits for the log's own: nothing else happens meanwhile.
    pub(crate) fn post(&mut self, log: &Log) -> Result<Answer, String> {
        let Some(post) = self.waiting.last().cloned() else { return Ok(Answer::Acknowledged) };
        let (topic, key) = (source(post.source), format!("post-{}", post.number));
        let records = post.records.iter().map(|record| Bytes::from(record.text())).collect();
        match futures::executor::block_on(log.append_once(&topic, &key, records)) {
            Ok(ack) => {
                self.believe(&post, ack)?;
                self.waiting.pop();
                Ok(Answer::Acknowledged)
            }
            Err(SeamError { kind: ErrorKind::Retry, .. }) => Ok(Answer::TryLater),
            Err(SeamError { kind: ErrorKind::Config, message, .. }) => Err(format!("a post was refused: {message}")),
            Err(_) => Ok(Answer::Closed),
        }
    }

    fn believe(&mut self, post: &Post, ack: AppendAck) -> Result<(), String> {
        let (number, first) = (post.number, ack.first_offset.0);
        if ack.count != post.records.len() as u64 {
            return Err(format!("post {number} has {} records and {} were taken", post.records.len(), ack.count));
        }
        if let Some(known) = self.first_offsets.insert(number, first) {
            let is_same = known == first && ack.repeated;
            return if is_same { Ok(()) } else { Err(format!("post {number} was at {known} and now is at {first}")) };
        }
        for (offset, record) in (first..).zip(&post.records) {
            if let Some(other) = self.acknowledged[post.source].insert(offset, record.clone()) {
                return Err(format!("offset {offset} was given to record {} and now to {}", other.id, record.id));
            }
        }
        Ok(())
    }

    /// Whether the log still has every record that was acknowledged, from `needed` on in each topic: what lies before may
    /// have been deleted as configured.
    pub(crate) fn check(&self, log: &Log, needed: &[u64]) -> Result<(), String> {
        for (index, records) in self.acknowledged.iter().enumerate() {
            let topic = source(index);
            let (start, end) = (log.start(topic.as_str()).0.max(needed[index]), log.end(topic.as_str()).0);
            if let Some((last, record)) = records.last_key_value().filter(|(last, _)| **last >= end) {
                return Err(format!(
                    "record {} was acknowledged at offset {last} of {topic}, which ends at {end}",
                    record.id
                ));
            }
            let mut next = start;
            while next < end {
                let read = log.read(topic.as_str(), Offset(next), 1 << 20).map_err(|error| error.full())?;
                for (offset, bytes) in &read {
                    let Some(record) = records.get(&offset.0) else { continue };
                    if bytes != record.text().as_bytes() {
                        return Err(format!("record {} was acknowledged at {offset}, where another is now", record.id));
                    }
                }
                next = read.last().map_or(end, |(offset, _)| offset.0 + 1);
            }
        }
        Ok(())
    }
}
