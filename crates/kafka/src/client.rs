//! How a client of the brokers is made, of whichever kind. Connects to nothing: clients do that by themselves, later.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use weir_model::{ErrorKind, SeamResult};

use crate::{TopicPartition, kind_of, seam_error};

/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Brokers that could not answer are left alone for so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A client with these settings, which tells `context` what happens to it.
///
/// # Errors
/// `Config` when a setting is wrong.
pub fn client_of<C: ClientContext, T: FromClientConfigAndContext<C>>(
    settings: &ClientConfig,
    context: C,
) -> SeamResult<T> {
    settings.create_with_context(context).map_err(|error| seam_error("the Kafka client cannot be made", error))
}

/// What the group of `consumer` has committed in each of these partitions. Asks again for as long as `within` while brokers come
/// up, nobody speaks for the group or transactions are undecided, and calls `wait` in between. Blocks.
///
/// # Errors
/// What the brokers said last, of all partitions or of one.
pub fn committed_within<'a>(
    consumer: &BaseConsumer<impl ConsumerContext>,
    partitions: impl IntoIterator<Item = (&'a str, i32)>,
    within: Duration,
    wait: impl Fn(Duration),
) -> Result<TopicPartitionList, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in partitions {
        asked.add_partition(topic, partition);
    }
    let started = Instant::now();
    loop {
        let answer = consumer.committed_offsets(asked.clone(), within.min(ANSWER_DEADLINE)).and_then(|answer| {
            let refused = answer.elements().iter().find_map(|place| place.error().err());
            refused.map_or(Ok(answer), Err)
        });
        match answer {
            Err(error) if kind_of(&error) == ErrorKind::Retry && started.elapsed() < within => wait(ASK_AGAIN_AFTER),
            answer => return answer,
        }
    }
}

/// The offsets that brokers have answered with, and the text beside each; not those of partitions for which they know none.
pub(crate) fn offsets_in(answer: &TopicPartitionList) -> Vec<(TopicPartition, (u64, String))> {
    let known = answer.elements().into_iter().filter_map(|place| match place.offset() {
        Offset::Offset(offset) => {
            let known = (u64::try_from(offset).ok()?, place.metadata().to_owned());
            Some(((place.topic().to_owned(), place.partition()), known))
        }
        _ => None,
    });
    known.collect()
}
