//! A producer and what has become of what it was given. Blocks. Refuses to forget a record that was not stored.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Header;
use rdkafka::producer::{BaseProducer, BaseRecord};
use weir_kafka::{Hearing, seam_error};
use weir_model::{SeamError, SeamResult};

use super::config::KafkaOutput;
use super::frame::{Frame, ROW_ID};

/// How long a record of a transaction may take until the brokers have it; so long any record is waited for at a time.
const STORED_WITHIN: Duration = Duration::from_secs(50);
/// How long a record outside of transactions waits in the client for brokers that are away.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// How long a transaction may take; longer than the records in it, or one would outlive it.
const TRANSACTION_WITHIN: Duration = Duration::from_secs(60);
/// How many bytes wait in the client at most.
const QUEUE_KIB_MAX: u64 = 64 << 10;

/// Sends records to one topic.
pub(super) struct Sending {
    topic: String,
    pub(super) producer: Arc<BaseProducer<Hearing>>,
    hearing: Hearing,
}

impl Sending {
    /// A producer; with a transactional id its records belong to transactions.
    pub(super) fn new(config: &KafkaOutput, transactional_id: Option<&str>) -> SeamResult<Self> {
        let mut settings: ClientConfig = config.connection().settings()?;
        let kept_for = if transactional_id.is_some() { STORED_WITHIN } else { KEPT_FOR };
        for (name, value) in [
            ("compression.type", config.compression.name().to_owned()),
            ("partitioner", config.partitioner.name().to_owned()),
            ("message.timeout.ms", kept_for.as_millis().to_string()),
            ("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string()),
        ]
        .into_iter()
        .chain(config.batch.settings())
        {
            // What the user says wins.
            if settings.get(name).is_none() {
                settings.set(name, value);
            }
        }
        settings.set("enable.idempotence", "true");
        if let Some(id) = transactional_id {
            settings
                .set("transactional.id", id)
                .set("transaction.timeout.ms", TRANSACTION_WITHIN.as_millis().to_string());
        }
        let hearing = Hearing::default();
        let producer: BaseProducer<Hearing> = settings
            .create_with_context(hearing.clone())
            .map_err(|error| seam_error("the Kafka client cannot be made", error))?;
        config.connection().introduce(|time| producer.poll(time));
        Ok(Self { topic: config.topic.clone(), producer: Arc::new(producer), hearing })
    }

    /// Gives the client a record; waits while its queue is full.
    pub(super) fn send(&self, frame: Frame<'_>) -> SeamResult<()> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic);
        next.key = frame.key;
        next.payload = frame.value;
        let id = frame.row_id.map(|id| (ROW_ID, id));
        for (key, value) in id.into_iter().chain(frame.headers()) {
            let headers = next.headers.take().unwrap_or_default();
            next.headers = Some(headers.insert(Header { key, value: Some(value) }));
        }
        loop {
            match self.producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.heard()?;
                    self.producer.poll(Duration::from_millis(100));
                    next = again;
                }
                Err((error, record)) => return Err(self.refused(error, record.payload)),
            }
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Waits until the brokers have everything.
    pub(super) fn flush(&self) -> SeamResult<()> {
        let flushed = weir_kafka::flush(&self.producer, STORED_WITHIN);
        self.heard()?;
        flushed.map_err(|error| self.seam_error(format!("the brokers do not take records for {}", self.topic), error))
    }

    /// Whether a broker was lost since this was asked last.
    pub(super) fn lost_a_broker(&self) -> bool {
        self.producer.poll(Duration::ZERO);
        self.hearing.lost_a_broker()
    }

    /// An error of the client, or why the brokers refuse it.
    pub(super) fn seam_error(&self, doing: impl Into<String>, error: KafkaError) -> SeamError {
        self.producer.poll(Duration::from_millis(100));
        self.hearing.seam_error(doing, error)
    }

    fn heard(&self) -> SeamResult<()> {
        self.hearing.stored(|| format!("a record for {} was not stored", self.topic))
    }

    fn refused(&self, error: KafkaError, value: Option<&[u8]>) -> SeamError {
        let bytes = value.map_or(0, <[u8]>::len);
        seam_error(format!("a record of {bytes} bytes for {} was refused", self.topic), error)
    }
}
