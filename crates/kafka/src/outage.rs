//! What is done while a broker is away, so that everything goes on the moment the others have its work. Refuses to wait for the
//! client, which looks who leads what once in a second, and for a broker that is only slow.

use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataBroker;

/// How long the brokers are asked at most: 9 s, unless they are told otherwise, until they give one up that is dead, and a while
/// for those of them that have to choose a new controller before.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(15);
/// How often they are asked.
const ASKED_EVERY: Duration = Duration::from_millis(50);
/// How long they may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// How long a broker may take to accept a connection. One that does not is away as far as we are concerned.
const REACHED_WITHIN: Duration = Duration::from_millis(250);

/// The brokers that an error of the client is about, by the `host:port` in its words: `127.0.0.1:9092/1: Disconnected ...`,
/// `sasl_ssl://kafka:9093/bootstrap: ...`, `TxnCoordinator: kafka:9092: ...`.
pub(crate) fn broker_in(reason: &str) -> Option<String> {
    let address = |word: &str| {
        let word = word.split_once("://").map_or(word, |(_, rest)| rest);
        let word = word.split_once('/').map_or(word, |(address, _)| address);
        crate::is_broker(word).then(|| word.to_owned())
    };
    reason.split(": ").take(2).find_map(address)
}

/// Waits until the brokers have given up all of `lost`, `host:port`, so that others do their work; those that can be reached
/// are not waited for, and nobody for longer than `within`. Asks about `topic`, of which the client knows the leaders then.
/// Whether there was anybody to be waited for.
pub(crate) fn until_given_up<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    (lost, within): (&BTreeSet<String>, Duration),
) -> bool {
    let (started, mut waited) = (Instant::now(), false);
    while !lost.is_empty() && started.elapsed() < GIVEN_UP_WITHIN.min(within) {
        let known = client.fetch_metadata(Some(topic), ANSWER_DEADLINE);
        let away = |broker: &MetadataBroker| {
            let (host, port) = (broker.host(), broker.port());
            lost.contains(&format!("{host}:{port}")) && !is_reached(host, port)
        };
        if known.is_ok_and(|known| !known.brokers().iter().any(away)) {
            break;
        }
        waited = true;
        std::thread::park_timeout(ASKED_EVERY);
    }
    if waited {
        tracing::info!(brokers = ?lost, waited = ?started.elapsed(), "brokers that were lost are waited for no longer");
    }
    waited
}

/// The brokers, `host:port`, that lead partitions of `topic` and cannot be reached. A client that has nothing under way with a
/// broker does not say that it is gone, and waits without a word for what others can only do when they have given that one up.
pub(crate) fn leaders_away<C: ClientContext>(client: &Client<C>, topic: &str) -> BTreeSet<String> {
    let Ok(known) = client.fetch_metadata(Some(topic), REACHED_WITHIN) else { return BTreeSet::new() };
    let leads = |broker: &&MetadataBroker| {
        let mut partitions = known.topics().iter().flat_map(|topic| topic.partitions());
        partitions.any(|partition| partition.leader() == broker.id())
    };
    let away = known.brokers().iter().filter(leads).filter(|broker| !is_reached(broker.host(), broker.port()));
    away.map(|broker| format!("{}:{}", broker.host(), broker.port())).collect()
}

fn is_reached(host: &str, port: i32) -> bool {
    let Some(addresses) = u16::try_from(port).ok().and_then(|port| (host, port).to_socket_addrs().ok()) else {
        return false;
    };
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, REACHED_WITHIN).is_ok())
}

/// Keeps a client that reads up to date about who leads what, after it has lost a broker. Itself it looks once in a second.
#[derive(Debug, Default)]
pub struct Leaders {
    /// Until when, and when next.
    asked: Option<(Instant, Instant)>,
}

impl Leaders {
    /// How often they are asked for.
    const EVERY: Duration = Duration::from_millis(100);
    /// How long one who reads waits for the answer. One that comes later is heard by the client too.
    const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

    /// The client says this instead of a record. Only where it has lost a broker the leaders are asked for: about a topic that is
    /// not there for a moment the client has to say so, before it hears of another one of that name.
    pub fn hear(&mut self, error: &KafkaError) {
        if matches!(error.rdkafka_error_code(), Some(Code::BrokerTransportFailure | Code::AllBrokersDown)) {
            let now = Instant::now();
            self.asked = Some((now + GIVEN_UP_WITHIN, now));
        }
    }

    /// Asks who leads the partitions of `topic`, if it is time to. The client hears the answer too.
    pub fn look<C: ClientContext>(&mut self, client: &Client<C>, topic: &str) {
        let Some((until, next)) = self.asked else { return };
        let now = Instant::now();
        if now < next {
            return;
        }
        let answer = client.fetch_metadata(Some(topic), Self::ANSWERED_WITHIN);
        tracing::debug!(topic, answered = answer.is_ok(), "asked who leads what while a broker is away");
        self.asked = (now < until).then(|| (until, Instant::now() + Self::EVERY));
    }
}
