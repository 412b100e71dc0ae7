//! A topic of the embedded log as a source. Refuses to write to it: that is a receiver's work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is posted to `/api/v1/ingest/{stream}`; it is durable in the embedded log before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The name of the stream in the address: letters, digits and `_`, beginning with a letter.
    pub stream: String,
}

/// A topic of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The topic's name.
    pub topic: String,
    /// Whether to wait for more at the end of the topic. `false` reads what is there at the start and ends.
    #[serde(default = "yes")]
    pub follow: bool,
}

fn yes() -> bool {
    true
}

/// A topic of the embedded log.
#[derive(Debug)]
pub struct LogSource {}
