//! A producer and what has become of what it was given. Blocks. Refuses to forget a record that was not stored.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Header;
use rdkafka::producer::{BaseProducer, BaseRecord};
use weir_kafka::{Hearing, Transactional, client_of, for_writing, seam_error};
use weir_model::{SeamError, SeamResult};

use super::config::KafkaOutput;
use super::frame::{Frame, ROW_ID};

/// How long a record of a transaction may take until the brokers have it; so long any record is waited for at a time.
const STORED_WITHIN: Duration = Duration::from_secs(50);
/// How long a record outside of transactions waits in the client for brokers that are away.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// How long a transaction may take; longer than the records in it, or one would outlive it.
pub(super) const TRANSACTION_WITHIN: Duration = Duration::from_secs(60);
/// How many bytes wait in the client at most.
const QUEUE_KIB_MAX: u64 = 64 << 10;

/// Sends records to one topic.
pub(super) struct Sending {
    topic: String,
    way: Way,
}

enum Way {
    AtOnce(Arc<BaseProducer<Hearing>>, Hearing),
    InTransactions(Transactional),
}

impl Sending {
    /// Sends records as they come.
    pub(super) fn at_once(config: &KafkaOutput) -> SeamResult<Self> {
        let hearing = Hearing::default();
        let producer: BaseProducer<Hearing> = client_of(&settings(config, KEPT_FOR)?, hearing.clone())?;
        config.connection().introduce(|time| producer.poll(time));
        Ok(Self { topic: config.topic.clone(), way: Way::AtOnce(Arc::new(producer), hearing) })
    }

    /// Its records belong to transactions of the name `id`. What an earlier one of that name left undecided is decided when this
    /// returns; the brokers may take `within` for that.
    pub(super) fn in_transactions(config: &KafkaOutput, id: &str, within: Duration) -> SeamResult<Self> {
        let mut settings = settings(config, STORED_WITHIN)?;
        settings.set("transactional.id", id).set("transaction.timeout.ms", TRANSACTION_WITHIN.as_millis().to_string());
        let transactional = Transactional::open(settings, config.connection().introduction(), &config.topic, within)?;
        Ok(Self { topic: config.topic.clone(), way: Way::InTransactions(transactional) })
    }

    /// The client.
    pub(super) fn producer(&self) -> &Arc<BaseProducer<Hearing>> {
        match &self.way {
            Way::AtOnce(producer, _) => producer,
            Way::InTransactions(transactional) => transactional.producer(),
        }
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
            match self.producer().send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.heard()?;
                    self.producer().poll(Duration::from_millis(100));
                    next = again;
                }
                Err((error, record)) => return Err(self.refused(error, record.payload)),
            }
        }
        self.producer().poll(Duration::ZERO);
        Ok(())
    }

    /// Waits until the brokers have everything; in a transaction not when one of them is lost meanwhile. Whether they have it.
    pub(super) fn flush(&self) -> SeamResult<bool> {
        let flushed = match &self.way {
            Way::AtOnce(producer, _) => weir_kafka::flush(producer, STORED_WITHIN, || false),
            Way::InTransactions(transactional) => transactional.flush(STORED_WITHIN),
        };
        self.heard()?;
        flushed.map_err(|error| self.seam_error(format!("the brokers do not take records for {}", self.topic), error))
    }

    /// Whether a broker was lost since the client was made.
    pub(super) fn lost_a_broker(&self) -> bool {
        match &self.way {
            // Its client looks for others itself.
            Way::AtOnce(..) => false,
            Way::InTransactions(transactional) => transactional.lost_a_broker(),
        }
    }

    /// As [`Transactional::anew`].
    pub(super) fn anew(&mut self) -> SeamResult<()> {
        match &mut self.way {
            Way::AtOnce(..) => Ok(()),
            Way::InTransactions(transactional) => transactional.anew(),
        }
    }

    /// An error of the client, or why the brokers refuse it.
    fn seam_error(&self, doing: impl Into<String>, error: KafkaError) -> SeamError {
        self.producer().poll(Duration::from_millis(100));
        self.hearing().seam_error(doing, error)
    }

    /// What the client hears.
    pub(super) fn hearing(&self) -> &Hearing {
        match &self.way {
            Way::AtOnce(_, hearing) => hearing,
            Way::InTransactions(transactional) => transactional.hearing(),
        }
    }

    fn heard(&self) -> SeamResult<()> {
        self.hearing().stored(|| format!("a record for {} was not stored", self.topic))
    }

    fn refused(&self, error: KafkaError, value: Option<&[u8]>) -> SeamError {
        let bytes = value.map_or(0, <[u8]>::len);
        seam_error(format!("a record of {bytes} bytes for {} was refused", self.topic), error)
    }
}

/// What a producer is told whose records wait for brokers that are away for so long.
fn settings(config: &KafkaOutput, kept_for: Duration) -> SeamResult<ClientConfig> {
    let mut settings = for_writing(&config.connection().settings()?);
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
    Ok(settings)
}
