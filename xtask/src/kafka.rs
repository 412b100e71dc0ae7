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

/// Workers that share a pipeline over a real Kafka, killed a hundred times, and brokers that die; or with `--ids` and `--kills` as
/// many as are said.
pub(crate) fn nightly(words: &[&str]) -> Outcome {
    let mut environment = Vec::new();
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let name = match word {
            "--ids" => "STORM_IDS",
            "--kills" => "STORM_KILLS",
            _ => return Err(format!("nightly kafka: unknown option {word}")),
        };
        let value = words.next().copied().ok_or_else(|| format!("{word} needs a value"))?;
        environment.push((name, value));
    }
    let test = ["test", "-p", "weir", "--test", "e2e", "--", "--ignored", "--test-threads=1", "--nocapture"];
    step(
        "workers over Kafka",
        "cargo",
        &[&test[..], &["workers::a_hundred_kills", "failover::"]].concat(),
        &environment,
    )
}

/// The story of a real Spark, which is large.
pub(crate) fn spark() -> Outcome {
    let test = ["test", "-p", "weir", "--test", "e2e", "--", "--ignored", "--nocapture", "spark::"];
    step("Spark over Kafka", "cargo", &test, &[])
}
