//! What the brokers themselves survive, so that the tests above know what they stand on; and what
//! becomes of a commit when the broker is the one that dies.

use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::atomic::agreed;
use crate::process::{Start, Transact, topics};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_that_is_started_again_has_all_it_acknowledged() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("kept", 2).await.expect("a topic");
    let records: Vec<Record> = (0..100).map(|number| Record::new(number % 2, number.to_string())).collect();
    kafka.put("kept", &records).expect("the broker stores them");
    kafka.node(1).kill();
    kafka.node(1).start().expect("it starts again");
    assert_eq!(kafka.read("kept", Isolation::Uncommitted).expect("the broker yields them").len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_on_when_one_is_killed() {
    let kafka = Cluster::start(3).expect("three brokers");
    kafka.topic("kept", 3).await.expect("a topic");
    kafka.put("kept", &[Record::new(0, "before"), Record::new(1, "before"), Record::new(2, "before")]).expect("stored");
    kafka.node(2).kill();
    kafka.put("kept", &[Record::new(0, "after"), Record::new(1, "after"), Record::new(2, "after")]).expect("stored");
    assert_eq!(kafka.read("kept", Isolation::Committed).expect("the brokers yield them").len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_whole_or_missing_when_the_broker_dies_too() {
    let kafka = Cluster::start(1).expect("a broker");
    let start = Start { group: "both", instance: "a", session_ms: 6_000, transaction_ms: 60_000, careless: false };
    topics(&kafka, start.group, 100).await;
    let committing = || {
        let mut process = Transact::start(&kafka, start);
        process.until("sent");
        kafka.node(1).freeze();
        process.proceed();
        process.until("committing");
        process
    };
    // The broker may find the commit of a dead client in its socket.
    committing().kill();
    kafka.node(1).thaw();
    let heard = agreed(&kafka, start, 0..=1, "the client was killed while the broker was frozen");
    // Client and broker die with the commit on its way.
    let process = committing();
    kafka.node(1).kill();
    process.kill();
    kafka.node(1).start().expect("it starts again");
    let after = agreed(&kafka, start, heard..=heard, "both were killed");
    // Only the broker dies: the client goes on until it has an answer.
    let mut process = committing();
    kafka.node(1).kill();
    kafka.node(1).start().expect("it starts again");
    process.until("committed");
    process.kill();
    agreed(&kafka, start, after + 1..=after + 1, "the broker was killed");
}
