//! What a transaction may have left in partitions although it was never committed: remembered over the lives of a worker, and
//! ended by an aborted transaction of the same producer. Refuses to touch what may have been committed.
//!
//! The brokers end an aborted transaction themselves, with a marker per partition. A broker that comes up can forget some
//! markers (ADR 0018); then the next marker of that producer ends what was left open too. If it is one that aborts, nothing of
//! it is ever seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use weir_kafka::{Hearing, seam_error};
use weir_model::SeamResult;

use super::ANSWER_DEADLINE;

/// The topics in which something may lie. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Leftovers(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl Leftovers {
    /// A transaction begins that writes into these topics.
    pub(super) fn expect<'a>(&self, topics: impl Iterator<Item = &'a Arc<str>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(topics.cloned());
    }

    /// It is aborted, as the brokers say, or about to be committed: from now on nobody may abort anything of it.
    pub(super) fn none(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ends everything that `client` left open.
    ///
    /// # Errors
    /// When the brokers do not do it in time; it is still remembered then.
    pub(super) fn end(&self, client: &BaseProducer<Hearing>, within: Duration) -> SeamResult<()> {
        let topics: Vec<Arc<str>> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        if topics.is_empty() {
            return Ok(());
        }
        let failed = |error| seam_error("what an earlier transaction may have left was not ended", error);
        client.begin_transaction().map_err(failed)?;
        for topic in &topics {
            let metadata = client.client().fetch_metadata(Some(topic), ANSWER_DEADLINE).map_err(failed)?;
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                let nothing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition.id());
                client.send(nothing).map_err(|(error, _)| failed(error))?;
            }
        }
        weir_kafka::flush(client, within, || false).map_err(failed)?;
        client.abort_transaction(within).map_err(failed)?;
        tracing::info!(topics = topics.join(" "), "what an earlier transaction may have left is ended");
        self.none();
        Ok(())
    }
}
