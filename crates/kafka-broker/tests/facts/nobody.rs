//! Offsets that nobody in particular sends in a transaction: by such a commit a worker decides what brokers have left undecided.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka;

const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_particular_commits_an_offset_although_the_group_has_members_and_theirs_stay() {
    let kafka = kafka();
    kafka.topic("members-in", 1).await.expect("a topic");
    kafka.topic("members-out", 1).await.expect("a topic");
    let client = || -> BaseConsumer { kafka.client().set("group.id", "members").create().expect("a consumer") };
    let (member, nobody) = (client(), client());
    member.subscribe(&["members-in"]).expect("it is there");
    let started = Instant::now();
    while member.assignment().expect("a list").count() == 0 {
        let _ = member.poll(Duration::from_millis(100));
        assert!(started.elapsed() < WITHIN, "the group gives nothing");
    }
    let producer: BaseProducer = kafka.client().set("transactional.id", "members").create().expect("a producer");
    producer.init_transactions(WITHIN).expect("the broker is well");
    let commit = |who: &BaseConsumer, topic: &str, offset: i64| {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
        let group = who.group_metadata().expect("it has a group");
        producer.begin_transaction().expect("nothing is open");
        producer.send_offsets_to_transaction(&offsets, &group, WITHIN).expect("taken");
        producer.commit_transaction(WITHIN).expect("granted");
    };
    commit(&member, "members-in", 7);
    commit(&nobody, "members-out", 0);
    assert_eq!(kafka.committed("members-in", "members").expect("said"), [7]);
    assert_eq!(kafka.committed("members-out", "members").expect("said"), [0]);
}
