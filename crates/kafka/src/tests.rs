use std::collections::BTreeMap;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use weir_model::{ErrorKind, Secret};

use super::*;

fn settings(connection: Connection<'_>) -> Vec<(String, String)> {
    let settings = connection.settings().expect("right settings");
    let mut all: Vec<_> =
        settings.config_map().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.retain(|(name, _)| ["ssl.", "sasl.", "security."].iter().any(|word| name.starts_with(word)));
    all.sort();
    all
}

#[test]
fn encryption_and_authentication_choose_the_protocol() {
    let brokers = ["b:9092".to_owned()];
    let nothing = BTreeMap::new();
    let login = Login { username: "weir".into(), password: Secret::new("hunter2") };
    let sasl = SaslConfig::ScramSha512(login);
    let tls = TlsConfig { ca: Some("/ca.pem".into()), ..TlsConfig::default() };
    let plain = Connection { brokers: &brokers, tls: None, sasl: None, client: &nothing };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(settings(plain), [pair("security.protocol", "plaintext")]);
    assert_eq!(
        settings(Connection { tls: Some(&tls), sasl: Some(&sasl), ..plain }),
        [
            pair("sasl.mechanisms", "SCRAM-SHA-512"),
            pair("sasl.password", "[sanitized for safety]"),
            pair("sasl.username", "weir"),
            pair("security.protocol", "sasl_ssl"),
            pair("ssl.ca.location", "/ca.pem"),
        ]
    );
    assert!(!format!("{sasl:?}").contains("hunter2"));
}

#[test]
fn a_setting_that_would_break_a_promise_is_refused() {
    let brokers = ["b:9092".to_owned()];
    let client = BTreeMap::from([("enable.auto.commit".to_owned(), "true".to_owned())]);
    let connection = Connection { brokers: &brokers, tls: None, sasl: None, client: &client };
    let error = connection.settings().expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.message.contains("enable.auto.commit"), "{error}");
}

#[test]
fn an_error_says_whether_trying_again_can_help() {
    let kind = |code| kind_of(&KafkaError::MessageConsumption(code));
    assert_eq!(kind(RDKafkaErrorCode::AllBrokersDown), ErrorKind::Retry);
    assert_eq!(kind(RDKafkaErrorCode::SaslAuthenticationFailed), ErrorKind::Config);
    assert_eq!(kind(RDKafkaErrorCode::BadMessage), ErrorKind::Corrupt);
    assert_eq!(kind(RDKafkaErrorCode::Fenced), ErrorKind::Closed);
}
