//! What a client's error means to a pipeline. Refuses to guess: what is not known is worth another try.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use weir_model::{ErrorKind, SeamError};

/// What the caller does about an error of the client.
pub fn kind_of(error: &KafkaError) -> ErrorKind {
    if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_)) {
        return ErrorKind::Config;
    }
    match error.rdkafka_error_code() {
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism
            | Code::InvalidTopic
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::SSL,
        ) => ErrorKind::Config,
        Some(Code::BadMessage | Code::InvalidMessage) => ErrorKind::Corrupt,
        Some(Code::Fatal | Code::Fenced | Code::ProducerFenced) => ErrorKind::Closed,
        _ => ErrorKind::Retry,
    }
}

/// An error of the client at a seam; `doing` says what was being done, and to what.
pub fn seam_error(doing: impl Into<String>, error: KafkaError) -> SeamError {
    SeamError::caused(kind_of(&error), doing, error)
}
