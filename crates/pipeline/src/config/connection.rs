//! Connections that sources and outputs share. Refuses to decide who uses them: that is [`crate::connections`]'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_kafka::KafkaConnection;

/// A connection that sources and outputs share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionConfig {
    /// To brokers of Kafka.
    Kafka(KafkaConnection),
}
