//! The Kafka of the tests, for people who want to try things by hand. Refuses to be anything but that same broker.

use std::io::BufRead;

use weir_kafka_broker::Cluster;

use crate::shell::{Outcome, step};

/// Puts the jars into the cache, where tests find them without a network.
pub(crate) fn fetch() -> Outcome {
    eprintln!("\n== kafka: the jars");
    let jars = weir_kafka_broker::fetch().map_err(|error| error.to_string())?;
    eprintln!("kafka: {}", jars.display());
    Ok(())
}

/// Runs `nodes` brokers until Enter is pressed.
pub(crate) fn up(nodes: usize) -> Outcome {
    let kafka = Cluster::start(nodes).map_err(|error| error.to_string())?;
    println!("{}", kafka.bootstrap());
    eprintln!("Kafka is up; its files are temporary. Enter ends it.");
    let _ = std::io::stdin().lock().read_line(&mut String::new());
    Ok(())
}

/// Workers that share a pipeline over a real Kafka, killed a hundred times.
pub(crate) fn nightly() -> Outcome {
    let test =
        ["test", "-p", "weir", "--test", "e2e", "--", "--ignored", "--test-threads=1", "workers::a_hundred_kills"];
    step("workers over Kafka", "cargo", &test, &[])
}
