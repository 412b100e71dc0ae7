//! The choice of a source as a pipeline file writes it. Refuses to hold anything that is not configuration.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FileConfig, HttpConfig, KafkaConfig, LogConfig, StdinConfig};

/// Where a source's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a few of them")]
pub enum SourceConfig {
    /// Files found by patterns; plain, gzip or zstd; read once or followed.
    File(FileConfig),
    /// What is piped into the process.
    Stdin(StdinConfig),
    /// What is posted to `/api/v1/ingest/{stream}`.
    Http(HttpConfig),
    /// A topic of the embedded log.
    Log(LogConfig),
    /// Topics of Apache Kafka.
    Kafka(KafkaConfig),
}

impl SourceConfig {
    /// The word that chooses it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Stdin(_) => "stdin",
            Self::Http(_) => "http",
            Self::Log(_) => "log",
            Self::Kafka(_) => "kafka",
        }
    }

    /// Whether it ends by itself. A log topic is read to where it ends at the start only when it is not followed.
    pub fn is_bounded(&self) -> bool {
        match self {
            Self::File(file) => !file.follow,
            Self::Stdin(_) => true,
            Self::Http(_) => false,
            Self::Log(log) => !log.follow,
            Self::Kafka(kafka) => !kafka.follow,
        }
    }
}
