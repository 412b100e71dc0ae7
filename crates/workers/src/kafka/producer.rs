//! The one transactional producer of a worker. Refuses to use a producer again after anything whose outcome is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use weir_kafka::{Hearing, Introduction, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::is_namesake;
use super::leftovers::Leftovers;
use crate::broker::{Outgoing, Transaction};
use crate::share::Share;

/// How many bytes wait in the client at most.
const QUEUE_KIB_MAX: u64 = 64 << 10;
/// A commit that takes longer may have been sent twice by the client, and the second one can hit a later transaction: such a
/// producer is not used again.
const PROMPT: Duration = Duration::from_secs(10);

/// Makes transactions.
pub(super) struct Sender {
    settings: ClientConfig,
    introduction: Introduction,
    within: Duration,
    client: BaseProducer<Hearing>,
    hearing: Hearing,
    leftovers: Leftovers,
}

impl Sender {
    /// The producer of this name; whatever an earlier one left undecided is decided when this returns, and what it left
    /// behind is ended.
    pub(super) fn open(
        settings: &ClientConfig,
        introduction: Introduction,
        id: &str,
        (share, leftovers): (&Share, Leftovers),
    ) -> SeamResult<Self> {
        let within = share.sharing.transaction;
        let mut settings = settings.clone();
        // All outputs have one producer. What only one of them can say, they say alike; else the first one says it.
        let first = share.outputs.first().unwrap_or(&share.dead_letters);
        let mut all = share.outputs.iter().chain(&share.late).chain([&share.dead_letters]);
        let keyed = all.find(|output| output.key.is_some()).unwrap_or(first);
        first.client.iter().for_each(|(name, value)| _ = settings.set(name, value));
        let own = [
            ("compression.type", first.compression.name().to_owned()),
            ("partitioner", keyed.partitioner.name().to_owned()),
            ("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string()),
        ];
        for (name, value) in own.into_iter().chain(first.batch.settings()) {
            if settings.get(name).is_none() {
                settings.set(name, value);
            }
        }
        settings
            .set("enable.idempotence", "true")
            .set("transactional.id", id)
            .set("transaction.timeout.ms", within.as_millis().to_string())
            .set("message.timeout.ms", (within * 9 / 10).as_millis().to_string());
        let (client, hearing) = begin(&settings, introduction, within)?;
        leftovers.end(&client, within)?;
        Ok(Self { settings, introduction, within, client, hearing, leftovers })
    }

    pub(super) fn commit(&mut self, transaction: &Transaction, member: Arc<ConsumerGroupMetadata>) -> SeamResult<()> {
        let started = Instant::now();
        self.client.begin_transaction().map_err(|error| self.indefinite("no transaction was begun", error))?;
        self.leftovers.expect(transaction.records.iter().map(|record| &record.topic));
        for record in &transaction.records {
            self.send(record)?;
        }
        if let Err(error) = weir_kafka::flush(&self.client, self.within) {
            return Err(self.indefinite("the brokers do not take the records of a transaction", error));
        }
        self.stored()?;
        let offsets = offsets(transaction)?;
        if let Err(error) = self.client.send_offsets_to_transaction(&offsets, &member, self.within) {
            return Err(self.abort("the offsets are not part of the transaction", error));
        }
        self.leftovers.none();
        if let Err(error) = self.client.commit_transaction(self.within) {
            // Even where the client would abort: its word may have been heard, and only the answer lost.
            return Err(self.indefinite("a transaction was not committed", error));
        }
        if started.elapsed() > PROMPT {
            tracing::warn!(took = ?started.elapsed(), "a transaction took long: its producer is made anew");
            // It is committed; but without another producer nothing more can be.
            let begun = begin(&self.settings, self.introduction, self.within);
            (self.client, self.hearing) = begun.map_err(|error| match error.kind {
                ErrorKind::Retry => SeamError { kind: ErrorKind::Unknown, ..error },
                _ => error,
            })?;
        }
        Ok(())
    }

    fn send(&self, record: &Outgoing) -> SeamResult<()> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic);
        next.partition = record.partition;
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            let headers = record
                .headers
                .iter()
                .fold(empty, |headers, (name, value)| headers.insert(Header { key: name, value: Some(value) }));
            next.headers = Some(headers);
        }
        loop {
            match self.client.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(Code::QueueFull), again)) => {
                    self.stored()?;
                    self.client.poll(Duration::from_millis(50));
                    next = again;
                }
                Err((error, _)) => {
                    let bytes = record.value.as_ref().map_or(0, Vec::len);
                    let doing = format!("a record of {bytes} bytes for {} was refused", record.topic);
                    return Err(seam_error(doing, error));
                }
            }
        }
        self.client.poll(Duration::ZERO);
        Ok(())
    }

    /// Whether every record that is known of was stored.
    fn stored(&self) -> SeamResult<()> {
        self.hearing.stored(|| "a record of a transaction was not stored".to_owned())
    }

    /// Aborts where the client says that it can; everything else is not known, and its producer finished.
    fn abort(&self, doing: &str, error: KafkaError) -> SeamError {
        let abortable =
            matches!(&error, KafkaError::Transaction(inner) if inner.txn_requires_abort() && !inner.is_fatal());
        if !abortable {
            return self.indefinite(doing, error);
        }
        match self.client.abort_transaction(self.within) {
            Ok(()) => {
                self.leftovers.none();
                SeamError::caused(ErrorKind::Retry, doing, error)
            }
            Err(failed) => self.indefinite(&format!("{doing} ({error}), and could not be aborted"), failed),
        }
    }

    fn indefinite(&self, doing: &str, error: KafkaError) -> SeamError {
        let kind = if is_namesake(&error) { ErrorKind::Closed } else { ErrorKind::Unknown };
        SeamError::caused(kind, doing, error)
    }
}

fn begin(
    settings: &ClientConfig,
    introduction: Introduction,
    within: Duration,
) -> SeamResult<(BaseProducer<Hearing>, Hearing)> {
    let hearing = Hearing::default();
    let client: BaseProducer<Hearing> = settings
        .create_with_context(hearing.clone())
        .map_err(|error| seam_error("the Kafka client cannot be made", error))?;
    introduction.of(|time| client.poll(time));
    client.init_transactions(within).map_err(|error| hearing.seam_error("the brokers give no transaction", error))?;
    Ok((client, hearing))
}

fn offsets(transaction: &Transaction) -> SeamResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (place, committed) in &transaction.offsets {
        let mut at = list.add_partition(&place.topic, place.partition);
        let offset = Offset::Offset(i64::try_from(committed.offset).unwrap_or(i64::MAX));
        at.set_offset(offset).map_err(|error| seam_error(format!("{} is no offset", committed.offset), error))?;
        at.set_metadata(&committed.metadata);
    }
    Ok(list)
}
