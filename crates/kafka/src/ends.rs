//! Where partitions end, asked every few seconds on a thread of its own: so that it is known how far behind a reader is that
//! stands still. Refuses to read a record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::client::offsets_in;
use crate::{Connection, Speaker, client_of, read_committed_only};

/// How often they are asked for.
const EVERY: Duration = Duration::from_secs(2);
/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// How many events of the client are heard in between.
const EVENTS_MAX: usize = 100;

/// A partition of a topic.
pub type TopicPartition = (String, i32);

#[derive(Default)]
struct Known {
    /// The partitions that are asked about.
    wanted: BTreeSet<TopicPartition>,
    ends: BTreeMap<TopicPartition, u64>,
}

/// What was heard. Clones hear the same, also after nobody asks any more.
#[derive(Clone, Default)]
pub struct Ends(Arc<Mutex<Known>>);

/// Asks, until it is dropped.
pub struct Asking {
    _stop: mpsc::Sender<()>,
}

impl Ends {
    /// These partitions are asked about, and no others.
    pub fn want(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.with(|known| {
            known.wanted = partitions.into_iter().collect();
            let Known { wanted, ends } = known;
            ends.retain(|partition, _| wanted.contains(partition));
        });
    }

    /// These too.
    pub fn want_more(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.with(|known| known.wanted.extend(partitions));
    }

    /// Behind which offset each of them had its last committed record when that was last heard. Never waits for brokers.
    pub fn known(&self) -> BTreeMap<TopicPartition, u64> {
        self.with(|known| known.ends.clone())
    }

    /// Begins to ask. What cannot be asked now is asked again later, and is not known meanwhile.
    ///
    /// # Errors
    /// `Config` when a setting is wrong, `Retry` when there is no thread to be had.
    pub fn ask(&self, connection: Connection<'_>) -> SeamResult<Asking> {
        let mut settings = connection.settings()?;
        read_committed_only(&mut settings, "weir-ends");
        let consumer: BaseConsumer<Speaker> = client_of(&settings, Speaker::default())?;
        let (sender, stop) = mpsc::channel();
        let ends = self.clone();
        let asking = move || {
            while stop.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                // The client says what troubles it, and wants its tokens, only when it is asked for events.
                (0..EVENTS_MAX).take_while(|_| consumer.poll(Duration::ZERO).is_some()).for_each(drop);
                ends.look(&consumer);
            }
        };
        let spawned = std::thread::Builder::new().name("kafka ends".to_owned()).spawn(asking);
        spawned.map_err(|error| SeamError::caused(ErrorKind::Retry, "no thread to ask Kafka with", error))?;
        Ok(Asking { _stop: sender })
    }

    fn look(&self, consumer: &BaseConsumer<Speaker>) {
        let wanted = self.with(|known| known.wanted.clone());
        if wanted.is_empty() {
            return;
        }
        let mut asked = TopicPartitionList::with_capacity(wanted.len());
        for (topic, partition) in &wanted {
            // In the place of a time: the end.
            let _ = asked.add_partition_offset(topic, *partition, Offset::End);
        }
        let answer = match consumer.offsets_for_times(asked, ANSWER_DEADLINE) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "the brokers do not say where partitions end");
                // The client goes on asking a leader that is gone, unless somebody asks for the leaders.
                let topics: BTreeSet<&String> = wanted.iter().map(|(topic, _)| topic).collect();
                topics.into_iter().all(|topic| consumer.fetch_metadata(Some(topic), ANSWER_DEADLINE).is_ok());
                return;
            }
        };
        let ends = offsets_in(&answer).into_iter().map(|(partition, (end, _))| (partition, end));
        self.with(|known| {
            let Known { wanted, ends: all } = known;
            all.extend(ends.filter(|(partition, _)| wanted.contains(partition)));
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
