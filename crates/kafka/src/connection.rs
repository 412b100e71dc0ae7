//! What a pipeline file says about reaching a Kafka, and the client's settings that follow. Refuses settings that would
//! break a promise.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult, Secret};

use crate::direction::for_reading;
use crate::error::{kind_of, seam_error};
use crate::token::{TokenLogin, token_in};

/// An encrypted connection (TLS).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// A file with the certificates (PEM) of the authorities that are trusted. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// A file with the client's own certificate (PEM), where the brokers want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// A file with the key (PEM) of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The password of the key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password: Option<Secret>,
}

/// How Weir says who it is (SASL).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslConfig {
    /// Name and password as they are; only sensible with `tls`.
    #[serde(rename = "plain")]
    Plain(Login),
    /// Name and password, of which only a proof is sent.
    #[serde(rename = "scram_sha_256")]
    ScramSha256(Login),
    /// The same with a longer hash.
    #[serde(rename = "scram_sha_512")]
    ScramSha512(Login),
    /// A token (OAUTHBEARER), for those who run an identity provider.
    #[serde(rename = "oauthbearer")]
    OauthBearer(TokenLogin),
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password, best as `${env:NAME}`.
    pub password: Secret,
}

/// How brokers are reached, said once under a name for all sources and outputs that go there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConnection {
    /// Some of the brokers, `host:port`; the others are found through them.
    #[schemars(extend("examples" = [["broker-1:9092", "broker-2:9092"]]))]
    pub brokers: Vec<String>,
    /// Encrypts the connection; `tls: {}` trusts the authorities that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Says who Weir is: `plain`, `scram_sha_256`, `scram_sha_512` or `oauthbearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{ "scram_sha_512": { "username": "weir", "password": "${env:KAFKA_PASSWORD}" } }]))]
    pub sasl: Option<SaslConfig>,
    /// Further settings of the client library, librdkafka, by their names there. What a source or an output says itself in its
    /// `client` counts more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "client.rack": "a" }], "x-map-of" = "text"))]
    pub client: BTreeMap<String, String>,
}

impl KafkaConnection {
    /// To these brokers, without encryption and without saying who asks.
    pub fn to(brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let brokers = brokers.into_iter().map(Into::into).collect();
        Self { brokers, tls: None, sasl: None, client: BTreeMap::new() }
    }

    /// The same, encrypted.
    #[must_use]
    pub fn with_tls(self, tls: TlsConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The same, saying who asks.
    #[must_use]
    pub fn with_sasl(self, sasl: SaslConfig) -> Self {
        Self { sasl: Some(sasl), ..self }
    }

    /// What makes no sense: the key it is about, and what is wrong. Nothing is asked of the brokers.
    pub fn problems(&self) -> Vec<(String, String)> {
        self.connection().problems()
    }

    fn connection(&self) -> Connection<'_> {
        Connection { brokers: &self.brokers, tls: self.tls.as_ref(), sasl: self.sasl.as_ref(), client: &self.client }
    }
}

/// Settings of the client that Weir answers for: another value would lose or double records, or is said elsewhere.
const OURS: [&str; 24] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.config",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "check.crcs",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "transactional.id",
];

/// What a source or a sink says about its connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// `host:port` of some brokers.
    pub brokers: &'a [String],
    /// Encryption, if any.
    pub tls: Option<&'a TlsConfig>,
    /// Authentication, if any.
    pub sasl: Option<&'a SaslConfig>,
    /// Further settings of librdkafka.
    pub client: &'a BTreeMap<String, String>,
}

impl Connection<'_> {
    /// What makes no sense: the key it is about, and what is wrong. Nothing is asked of the brokers.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.brokers.is_empty() {
            let message = "there is no broker; expected brokers: [\"host:port\"], or the connection that has them";
            problems.push(("brokers".to_owned(), message.to_owned()));
        }
        for (at, broker) in self.brokers.iter().enumerate().filter(|(_, broker)| !is_broker(broker)) {
            problems.push((format!("brokers[{at}]"), format!("`{broker}` is not a broker's host:port")));
        }
        problems.extend(self.settings().err().map(|error| ("client".to_owned(), error.message)));
        problems
    }

    /// The client's settings; among what the user says may be some that only one direction knows, see [`crate::for_reading`].
    ///
    /// # Errors
    /// `Config` when a further setting is one that Weir answers for.
    pub fn settings(&self) -> SeamResult<ClientConfig> {
        let mut settings = ClientConfig::new();
        settings
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "weir")
            .set("security.protocol", self.protocol())
            .set("socket.keepalive.enable", "true")
            // How soon it is seen that a broker is back, and that another one does what a dead one has done.
            .set("reconnect.backoff.max.ms", "250");
        if let Some(tls) = self.tls {
            let password = tls.key_password.as_ref().map(Secret::expose);
            for (name, value) in [
                ("ssl.ca.location", tls.ca.as_deref()),
                ("ssl.certificate.location", tls.certificate.as_deref()),
                ("ssl.key.location", tls.key.as_deref()),
                ("ssl.key.password", password),
            ] {
                value.map(|value| settings.set(name, value));
            }
        }
        let login = match self.sasl {
            None => None,
            Some(SaslConfig::Plain(login)) => Some(("PLAIN", login)),
            Some(SaslConfig::ScramSha256(login)) => Some(("SCRAM-SHA-256", login)),
            Some(SaslConfig::ScramSha512(login)) => Some(("SCRAM-SHA-512", login)),
            Some(SaslConfig::OauthBearer(token)) => {
                settings
                    .set("sasl.mechanisms", "OAUTHBEARER")
                    // The client gives this back when it wants a token.
                    .set("sasl.oauthbearer.config", &token.token_file);
                None
            }
        };
        if let Some((mechanism, login)) = login {
            settings
                .set("sasl.mechanisms", mechanism)
                .set("sasl.username", &login.username)
                .set("sasl.password", login.password.expose());
        }
        for (name, value) in self.client {
            if let Some(ours) = OURS.iter().find(|ours| *ours == name) {
                let message = format!("the client's setting {ours} is Weir's own: another value could lose records");
                return Err(SeamError::new(ErrorKind::Config, message));
            }
            settings.set(name, value);
        }
        Ok(settings)
    }

    /// A client that was just made and says by a token who it is has to be asked for its events once, by `poll`, before it is
    /// let in: that is when it wants the token.
    pub fn introduce(&self, poll: impl FnOnce(Duration)) {
        self.introduction().of(poll);
    }

    /// The same for clients that are made when the connection is not at hand any more.
    pub fn introduction(&self) -> Introduction {
        Introduction { by_token: matches!(self.sasl, Some(SaslConfig::OauthBearer(_))) }
    }

    fn protocol(&self) -> &'static str {
        match (self.tls.is_some(), self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }
}

/// How every reader of ours reads as the group `group`: what is committed and only that, checked, from where it is told to;
/// where it is remembered is not the client's business, and the end of a partition is told. What the client says about its
/// topics is listened to, see [`Speaker::has_another_topic`].
pub fn read_committed_only(settings: &mut ClientConfig, group: &str) {
    *settings = for_reading(settings);
    let said = settings.get("debug").map_or_else(|| "metadata".to_owned(), |debug| format!("{debug},metadata"));
    settings.set("debug", said).set_log_level(RDKafkaLogLevel::Debug);
    for (name, value) in [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("isolation.level", "read_committed"),
        ("enable.partition.eof", "true"),
        ("check.crcs", "true"),
        ("fetch.wait.max.ms", "100"),
    ] {
        settings.set(name, value);
    }
}

/// How clients are let in, see [`Connection::introduce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// By a token, which they want when they are asked for their events.
    pub by_token: bool,
}

impl Introduction {
    /// Asks a client for its events once, by `poll`, if it needs that.
    pub fn of(self, poll: impl FnOnce(Duration)) {
        const WITHIN: Duration = Duration::from_millis(300);
        if self.by_token {
            poll(WITHIN);
        }
    }
}

/// Passes on what the client says about itself to Weir's own log, and remembers why no broker lets it in.
#[derive(Clone, Debug, Default)]
pub struct Speaker {
    refusal: Arc<Mutex<Option<(KafkaError, String)>>>,
    has_another_topic: Arc<AtomicBool>,
}

impl Speaker {
    /// Whether a topic of the client was deleted and made anew. The client reads the new one where it was in the old one: its
    /// own source has a note that it should not, and the only way to know is a line for debugging, which comes before the first
    /// record of the new topic.
    pub fn has_another_topic(&self) -> bool {
        self.has_another_topic.load(Ordering::Relaxed)
    }

    /// An error of the client at a seam; `doing` says what was being done. Where the brokers refuse the client, that is the
    /// error: what the call itself says is that nobody answered in time.
    pub fn seam_error(&self, doing: impl Into<String>, error: KafkaError) -> SeamError {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
        match refusal {
            Some((refused, reason)) if kind_of(&error) == ErrorKind::Retry => {
                let message = format!("{}: the brokers refuse the connection: {reason}", doing.into());
                SeamError::new(kind_of(&refused), message)
            }
            _ => seam_error(doing, error),
        }
    }
}

impl ClientContext for Speaker {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        token_in(token_file)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if says_another_topic(message) {
            self.has_another_topic.store(true, Ordering::Relaxed);
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(facility, "kafka: {message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, "kafka: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Whoever reads is told so too, and waits for it.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        tracing::warn!("kafka: {error}: {reason}");
        if kind_of(&error) == ErrorKind::Config {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((error, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Speaker {}

/// Whether the client says that a topic has another id than before (KIP-516): not when it hears of one for the first time.
fn says_another_topic(message: &str) -> bool {
    const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
    message.split_once(" changed id from ").is_some_and(|(_, ids)| !ids.starts_with(NO_ID))
}

/// Whether a text is a broker's `host:port`.
pub fn is_broker(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Whether Kafka takes a text as a topic's name.
pub fn is_topic_name(text: &str) -> bool {
    const BYTES_MAX: usize = 249;
    (1..=BYTES_MAX).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}
