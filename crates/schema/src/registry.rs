//! Where a schema registry is, as people write it. Refuses to talk to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{DurationText, Secret};

/// A schema registry with the API of the Confluent Schema Registry: Confluent's own, Karapace, Apicurio (its `/apis/ccompat`),
/// Redpanda's, or the one within Weir (`weir registry`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Where it is, such as `http://registry:8081`; several are tried one after the other.
    pub urls: Vec<String>,
    /// How Weir proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<RegistryAuth>,
    /// A file with certificates (PEM) to trust beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// How long one request may take.
    #[serde(default = "request_timeout")]
    pub timeout: DurationText,
    /// How long a record waits for a schema that the registry does not have, or while the registry cannot be reached. Then it
    /// goes to the dead letters, and so do others of that schema until it is found: it is asked for again after as long.
    #[serde(default = "wait")]
    pub wait: DurationText,
}

/// How Weir proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryAuth {
    /// A name and a password.
    Basic(BasicAuth),
    /// A token.
    Bearer(BearerAuth),
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerAuth {
    /// The token.
    pub token: Secret,
}

fn request_timeout() -> DurationText {
    DurationText::secs(10)
}

fn wait() -> DurationText {
    DurationText::secs(30)
}

impl RegistryConfig {
    /// The registry at `url`, with the defaults.
    pub fn at(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], auth: None, ca_file: None, timeout: request_timeout(), wait: wait() }
    }
}
