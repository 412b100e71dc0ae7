//! Brokers that want to know who asks, by encrypted ways: one process by a connection that is said once, and workers.

use base64::Engine;
use weir_kafka_broker::{PASSWORD, Record, Secured, USER};

use crate::harness::{Place, repository, said, well};
use crate::team::{COUNTS, THROUGH, Team, every_id_once, expected, fill, last_words, rows_in, windows};

/// Where a team's file says how brokers are reached.
const EVERYWHERE: [&str; 3] = ["sources.in.kafka", "outputs.0.kafka", "dead_letters.kafka"];

/// A broker with the topics of every story.
async fn secured() -> Secured {
    let secured = Secured::start().expect("a broker");
    secured.cluster.topic("in", 4).await.expect("a topic");
    secured.cluster.topic("letters", 1).await.expect("a topic");
    secured.cluster.topic("late", 1).await.expect("a topic");
    secured
}

/// The settings that say `key: value` everywhere.
fn everywhere(key: &str, value: &str) -> Vec<String> {
    EVERYWHERE.iter().map(|path| format!("{path}.{key}={value}")).collect()
}

fn login(mechanism: &str) -> String {
    format!("{{ {mechanism}: {{ username: {USER}, password: {PASSWORD} }} }}")
}

/// A token of `name` that nobody signed, good for an hour.
fn token(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let part = |json: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"sub":"{name}","iat":{now},"exp":{}}}"#, now + 3_600);
    format!("{}.{}.\n", part(r#"{"alg":"none"}"#.to_owned()), part(claims))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_said_once_is_how_every_source_and_output_is_let_in() {
    let secured = Secured::start().expect("a broker");
    for topic in ["orders", "returns", "ledger", "ledger-dead-letters"] {
        secured.cluster.topic(topic, 1).await.expect("a topic");
    }
    let order = |id: i64| Record::new(0, format!(r#"{{"account":"a{id}","amount":{id}.25}}"#));
    secured.cluster.put("orders", &[order(1), Record::new(0, "no order at all")]).expect("stored");
    secured.cluster.put("returns", &[order(2)]).expect("stored");
    let place = Place::new();
    let example = repository().join("examples/kafka-connection.yaml");
    let settings = [
        format!("connections.shop.kafka.brokers=[{:?}]", secured.sasl_tls),
        format!("connections.shop.kafka.tls={{ ca: {:?} }}", secured.certificate.display().to_string()),
        format!("connections.shop.kafka.sasl={}", login("scram_sha_512")),
        "sources.orders.kafka.follow=false".to_owned(),
        "sources.returns.kafka.follow=false".to_owned(),
    ];
    let output = place.run(&example, &settings);
    well(&output);
    assert!(!said(&output).contains(PASSWORD));
    secured.cluster.settled("ledger").expect("every transaction is decided");
    secured.cluster.settled("ledger-dead-letters").expect("every transaction is decided");
    let mut cents: Vec<_> =
        rows_in(&secured.cluster, "ledger").into_iter().map(|(_, row)| row["cents"].as_i64()).collect();
    cents.sort_unstable();
    assert_eq!(cents, [Some(125), Some(225)]);
    assert_eq!(rows_in(&secured.cluster, "ledger-dead-letters").len(), 1);
    let mut lag = place.weir(&["lag", "--format", "json", "--interval", "0s", "--data"]);
    lag.arg(place.data()).arg(&example);
    for setting in &settings {
        lag.arg("--set").arg(setting);
    }
    let lag = lag.output().unwrap();
    well(&lag);
    assert_eq!(said(&lag).matches(r#""lag":0"#).count(), 2, "{}", said(&lag));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_let_in_by_name_and_password_and_by_token_with_encryption_and_without() {
    const IDS: i64 = 2_000;
    let secured = secured().await;
    let kafka = &secured.cluster;
    fill(kafka, 0..IDS);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token("weir")).unwrap();
    let by_token = format!("{{ oauthbearer: {{ token_file: {:?} }} }}", file.display().to_string());
    let trusting = format!("{{ ca: {:?} }}", secured.certificate.display().to_string());
    let ways = [
        ("plain", &secured.sasl, login("plain"), false),
        ("scram-tls", &secured.sasl_tls, login("scram_sha_512"), true),
        ("token", &secured.sasl, by_token.clone(), false),
        ("token-tls", &secured.sasl_tls, by_token, true),
    ];
    for (name, brokers, sasl, is_encrypted) in ways {
        let team = Team::new(kafka, THROUGH, name).await;
        let mut settings = everywhere("sasl", &sasl);
        if is_encrypted {
            settings.extend(everywhere("tls", &trusting));
        }
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let (mut first, mut second) = (team.worker_by(brokers, &settings), team.worker_by(brokers, &settings));
        team.until(IDS as usize, &mut [&mut first, &mut second]);
        first.stop();
        second.stop();
        kafka.settled(&team.out).expect("every transaction is decided");
        every_id_once(&team.rows(), IDS);
        assert!(!first.all_said().contains(PASSWORD), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_count_make_their_topics_at_brokers_that_know_them() {
    const IDS: i64 = 2_000;
    let secured = secured().await;
    let kafka = &secured.cluster;
    fill(kafka, 0..IDS);
    kafka.put("in", &last_words()).expect("stored");
    let team = Team::new(kafka, COUNTS, "counts").await;
    let mut settings = everywhere("sasl", &login("scram_sha_512"));
    settings.extend(everywhere("tls", &format!("{{ ca: {:?} }}", secured.certificate.display().to_string())));
    settings.push(format!("late.kafka.sasl={}", login("scram_sha_512")));
    settings.push(format!("late.kafka.tls={{ ca: {:?} }}", secured.certificate.display().to_string()));
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let brokers = &secured.sasl_tls;
    let mut workers = [team.worker_by(brokers, &settings), team.worker_by(brokers, &settings)];
    let expected = expected(IDS);
    team.until(expected.len(), &mut workers.iter_mut().collect::<Vec<_>>());
    workers.iter_mut().for_each(|worker| worker.stop());
    kafka.settled(&team.out).expect("every transaction is decided");
    assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
}
