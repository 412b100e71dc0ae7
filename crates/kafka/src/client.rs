//! How a client of the brokers is made, of whichever kind. Connects to nothing: clients do that by themselves, later.

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use weir_model::SeamResult;

use crate::{TopicPartition, seam_error};

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
