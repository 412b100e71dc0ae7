//! What a producer hears of the records that it was given. It sends none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::{Speaker, kind_of, seam_error};

/// Hears what has become of every record, and why the brokers refuse the client. Clones hear the same.
#[derive(Clone, Default)]
pub struct Hearing {
    speaker: Speaker,
    /// The first record that was not stored.
    failed: Arc<Mutex<Option<KafkaError>>>,
    troubled: Arc<AtomicBool>,
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

    /// Whether the client has lost a broker since this was asked last. It may go on asking it for what others do by now.
    pub fn lost_a_broker(&self) -> bool {
        self.troubled.swap(false, Ordering::Relaxed)
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
            self.troubled.store(true, Ordering::Relaxed);
        }
        self.speaker.error(error, reason);
    }
}

impl ProducerContext for Hearing {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}
