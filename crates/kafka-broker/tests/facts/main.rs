//! What our protocol rests on, shown on a real broker through librdkafka. What was found is written up in
//! `docs/adr/0005-what-exactly-once-on-kafka-rests-on.md`.

mod atomic;
mod brokers;
mod nobody;
mod process;
mod zombies;

use std::sync::OnceLock;

use weir_kafka_broker::Cluster;

/// The one broker of all tests that leave it alone. It ends with this process.
fn kafka() -> &'static Cluster {
    static KAFKA: OnceLock<Cluster> = OnceLock::new();
    KAFKA.get_or_init(|| Cluster::start(1).expect("a broker"))
}
