//! What a producer hears of the records that it was given. It sends none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::outage::broker_in;
use crate::{Speaker, kind_of, seam_error};

/// How many brokers that were lost are remembered by their addresses.
const LOST_MAX: usize = 16;

/// Partitions by their topics.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// Hears what has become of every record, and why the brokers refuse the client. Clones hear the same.
#[derive(Clone, Default)]
pub struct Hearing {
    speaker: Speaker,
    /// The first record that was not stored.
    failed: Arc<Mutex<Option<KafkaError>>>,
    stored_in: Arc<Mutex<Partitions>>,
    lost: Arc<Mutex<Lost>>,
}

/// Brokers that the client cannot reach.
#[derive(Default)]
struct Lost {
    any: bool,
    /// `host:port` of those of whom that is known.
    brokers: BTreeSet<String>,
}

impl Hearing {
    /// Whether every record that something was heard of was stored; `unstored` says what was not.
    ///
    /// # Errors
    /// Never `Retry`: a record that failed is gone from the client, and so may be others, so that only everything that was
    /// not committed can be tried again.
    pub fn stored(&self, unstored: impl FnOnce() -> String) -> SeamResult<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = &*failed else { return Ok(()) };
        let error = seam_error(unstored(), error.clone());
        let kind = if error.kind == ErrorKind::Retry { ErrorKind::Unknown } else { error.kind };
        Err(SeamError { kind, ..error })
    }

    /// A transaction begins.
    pub fn begin(&self) {
        self.stored_in.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Where records were stored since the last [`Hearing::begin`].
    pub fn stored_in(&self) -> Partitions {
        self.stored_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the client has lost a broker. It may go on asking it for what others do by now.
    pub fn lost_a_broker(&self) -> bool {
        self.lost().any
    }

    /// Those that it has lost, `host:port`, as far as it says who they are.
    pub fn lost_brokers(&self) -> BTreeSet<String> {
        self.lost().brokers.clone()
    }

    /// These are lost too, `host:port`, though the client has not said so.
    pub(crate) fn lose(&self, brokers: BTreeSet<String>) {
        let mut lost = self.lost();
        lost.any |= !brokers.is_empty();
        lost.brokers.extend(brokers);
    }

    /// Those that were lost until now do not matter any more.
    pub fn forget_lost(&self) {
        *self.lost() = Lost::default();
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Speaker::seam_error`].
    pub fn seam_error(&self, doing: impl Into<String>, error: KafkaError) -> SeamError {
        self.speaker.seam_error(doing, error)
    }
}

impl ClientContext for Hearing {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.speaker.generate_oauth_token(token_file)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.speaker.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if kind_of(&error) == ErrorKind::Retry {
            let mut lost = self.lost();
            lost.any = true;
            if let Some(broker) = broker_in(reason).filter(|_| lost.brokers.len() < LOST_MAX) {
                lost.brokers.insert(broker);
            }
        }
        self.speaker.error(error, reason);
    }
}

impl ProducerContext for Hearing {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) => {
                let mut topics = self.stored_in.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(partitions) = topics.get_mut(record.topic()) {
                    partitions.insert(record.partition());
                } else {
                    topics.insert(record.topic().to_owned(), BTreeSet::from([record.partition()]));
                }
            }
            Err((error, _)) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
            }
        }
    }
}
