//! What becomes of workers whose offsets, topics or state somebody else has touched: each case gives the decision that the
//! guide names, and never silence.

use std::path::Path;

use weir_kafka_broker::Cluster;

use crate::harness::{Place, awaited, said, until, well};
use crate::team::{COUNTS, THROUGH, Team, Worker, fill, kafka_of, last_words, rows_in};

const IDS: i64 = 4_000;
/// Windows that are over before the last words.
const WINDOWS: usize = 100;

/// A worker that has worked and was told to stop.
async fn worked<'a>(kafka: &'a Cluster, pipeline: &'static str, group: &str) -> (Team<'a>, Worker) {
    let team = Team::new(kafka, pipeline, group).await;
    let mut worker = team.worker();
    team.until(if pipeline == COUNTS { WINDOWS } else { IDS as usize }, &mut [&mut worker]);
    worker.stop();
    (team, worker)
}

/// Starts a worker that is to refuse, and gives what it said.
fn refused(team: &Team<'_>, worker: &mut Worker) -> String {
    team.start(worker);
    let status = awaited("it refuses", || worker.ended().ok_or_else(|| format!("it went on:\n{}", worker.said())));
    assert!(!status.success(), "it ended well:\n{}", worker.said());
    worker.said()
}

fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "`{word}` is missing:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_remember_rows_ask_when_offsets_state_or_topics_are_not_what_they_were() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    fill(&kafka, 0..IDS);

    let (team, mut worker) = worked(&kafka, COUNTS, "reset").await;
    kafka.set_offset("reset", "in", 1, 0).expect("set");
    says(
        &refused(&team, &mut worker),
        &["the offset 0 of in/1 in the group reset is not Weir's", "another workers.group"],
    );

    let (team, mut worker) = worked(&kafka, COUNTS, "expired").await;
    kafka.delete_group("expired").await.expect("deleted");
    says(
        &refused(&team, &mut worker),
        &["the group expired has no offsets, but there is state of it", "Remove the state and choose `start`"],
    );

    let (team, mut worker) = worked(&kafka, COUNTS, "deleted").await;
    std::fs::remove_dir_all(team.common.path("state")).unwrap();
    says(&refused(&team, &mut worker), &["another workers.group"]);

    let (team, mut worker) = worked(&kafka, COUNTS, "anew").await;
    made_anew(&kafka, &team.group).await;
    fill(&kafka, 0..IDS / 10);
    says(
        &refused(&team, &mut worker),
        &["the group anew has no offset of in/", "the topic was made anew", "another workers.group"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_remember_nothing_follow_offsets_that_were_set_and_say_which_records_are_gone() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    fill(&kafka, 0..IDS);
    let of_partition = IDS / 4;

    // Somebody goes back: what follows is passed on again, and said.
    let (team, mut worker) = worked(&kafka, THROUGH, "reset").await;
    kafka.set_offset("reset", "in", 1, of_partition - 10).expect("set");
    team.start(&mut worker);
    team.until(IDS as usize + 10, &mut [&mut worker]);
    says(&worker.said(), &["the offset 990 of in/1 in the group reset was set by somebody else: going on there"]);
    worker.stop();

    // Its offsets expire: there is nothing that could be at odds with them, and it begins as at first.
    let (team, mut worker) = worked(&kafka, THROUGH, "expired").await;
    kafka.settled(&team.out).expect("every transaction is decided");
    let before = rows_in(&kafka, &team.out).len();
    kafka.delete_group("expired").await.expect("deleted");
    let begins = "the group expired has committed nothing of in/0: beginning at record 0";
    // More than once, if its first commits came too late for the group.
    let begun = worker.times(begins);
    assert!(begun > 0, "it began: {}", worker.said());
    team.start(&mut worker);
    team.until(before + 1, &mut [&mut worker]);
    assert!(worker.times(begins) > begun, "it began as at first: {}", worker.said());
    worker.stop();

    // The topic is made anew: its offsets are gone with it, and it is read as at first.
    let (team, mut worker) = worked(&kafka, THROUGH, "anew").await;
    made_anew(&kafka, &team.group).await;
    fill(&kafka, 0..IDS / 10);
    team.start(&mut worker);
    team.until((IDS + IDS / 10) as usize, &mut [&mut worker]);
    says(&worker.said(), &["the group anew has committed nothing of in/0: beginning at record 0"]);
    worker.stop();

    // Records that nobody has read are deleted.
    kafka.put("in", &last_words()).expect("stored");
    let unread = kafka.ends("in").expect("said");
    kafka.delete_records("in", 2, unread[2]).await.expect("deleted");
    team.start(&mut worker);
    team.until((IDS + IDS / 10) as usize + 3, &mut [&mut worker]);
    let lost = format!("in/2: records {} to {} were deleted before they were read", IDS / 40, unread[2] - 1);
    says(&worker.said(), &[&lost]);
    worker.stop();
}

/// Has the topic made anew while nobody reads it. Its offsets go with it, soon.
async fn made_anew(kafka: &Cluster, group: &str) {
    kafka.delete_topic("in").await.expect("deleted");
    kafka.topic("in", 4).await.expect("made anew");
    until(&format!("the group {group} has no offsets of the topic that is gone"), || {
        kafka.committed("in", group).expect("said").iter().all(|offset| *offset < 0)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_a_worker_has_committed_once_more_after_its_topic_was_made_anew_count_for_nothing() {
    const MORE: i64 = 400;
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    fill(&kafka, 0..IDS);
    let mut ids = IDS;
    for (pipeline, group) in [(THROUGH, "late-through"), (COUNTS, "late-counts")] {
        let team = Team::new(&kafka, pipeline, group).await;
        let mut worker = team.worker();
        team.until(if pipeline == COUNTS { WINDOWS } else { ids as usize }, &mut [&mut worker]);
        worker.stop();
        let before = kafka.committed_with_text("in", group).expect("said");
        made_anew(&kafka, group).await;
        // More than the one before: each of its offsets is one of the new one, too.
        ids += MORE;
        fill(&kafka, 0..ids);
        let late = (0..).zip(&before).map(|(partition, (offset, text))| (partition, *offset, text.as_str()));
        kafka.set_offsets(group, "in", &late.collect::<Vec<_>>()).expect("set");
        if pipeline == COUNTS {
            says(&refused(&team, &mut worker), &["is not the one that was read", "made anew", "another workers.group"]);
        } else {
            team.start(&mut worker);
            team.until((ids - MORE + ids) as usize, &mut [&mut worker]);
            says(&worker.said(), &["is not the one that was read: the topic was made anew, and is read as at first"]);
            worker.stop();
        }
    }
}

/// Has the topic of a worker made anew while that worker reads it.
async fn replaced(kafka: &Cluster) {
    kafka.delete_topic("in").await.expect("deleted");
    kafka.topic("in", 4).await.expect("made anew");
    fill(kafka, IDS..2 * IDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_state_whose_topic_is_made_anew_while_it_reads_takes_all_of_the_new_one() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    // Fewer than the new one has: the place where it stands is one of the new topic too.
    fill(&kafka, 0..IDS / 2);
    let team = Team::new(&kafka, THROUGH, "replaced").await;
    let mut worker = team.worker();
    team.until(IDS as usize / 2, &mut [&mut worker]);
    replaced(&kafka).await;
    let wanted = IDS as usize / 2 + IDS as usize;
    awaited("all of the new topic is there", || {
        // A worker that looks in the moment in which there is no topic says so and ends.
        if worker.ended().is_some() {
            says(&worker.said(), &["the topic in cannot be read: create it first"]);
            team.start(&mut worker);
        }
        let there = team.rows().len();
        if there >= wanted { Ok(()) } else { Err(format!("{there} rows of {wanted}:\n{}", worker.said())) }
    });
    worker.stop();
    kafka.settled(&team.out).expect("every transaction is decided");
    let ids: Vec<i64> = team.rows().iter().map(|(_, row)| row["id"].as_i64().unwrap()).collect();
    let distinct: std::collections::BTreeSet<i64> = ids.iter().copied().collect();
    assert!(ids.len() == wanted && distinct.len() == wanted, "{} rows, {} ids of {wanted}", ids.len(), distinct.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_state_whose_topic_is_made_anew_while_it_reads_asks() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    fill(&kafka, 0..IDS / 2);
    let team = Team::new(&kafka, COUNTS, "replaced").await;
    let mut worker = team.worker();
    // It is at work, and commits once more while the topic is made anew, or not.
    team.until(40, &mut [&mut worker]);
    replaced(&kafka).await;
    // It may look in the moment in which there is no topic; whoever starts it again is asked.
    awaited("it asks", || {
        let Some(status) = worker.ended() else { return Err(format!("it went on:\n{}", worker.said())) };
        assert!(!status.success());
        if worker.said().contains("the topic was made anew") {
            return Ok(());
        }
        says(&worker.said(), &["the topic in cannot be read: create it first"]);
        team.start(&mut worker);
        Err("there was no topic in the moment in which it looked".to_owned())
    });
}

/// One process that keeps its positions itself, and sends each row once.
const ALONE: &str = r#"
name: alone
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in], follow: false }
    format: json
steps:
  - where: id >= 0
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: alone, key: key }
epoch: 200ms
"#;

/// The group of its output, whose offset says what was sent.
fn identity(folder: &Path) -> Option<String> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(name) = identity(&path) {
                return Some(name);
            }
        } else if path.ends_with("identity") {
            return std::fs::read_to_string(path).ok();
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_says_which_records_are_gone_and_refuses_what_it_cannot_explain() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    kafka.topic("alone", 1).await.expect("a topic");
    let place = Place::new();
    let pipeline = place.write("alone.yaml", ALONE.replace("localhost:9092", kafka.bootstrap()));
    let run = || place.run(&pipeline, &[]);
    fill(&kafka, 0..400);
    well(&run());
    kafka.settled("alone").expect("every transaction is decided");
    assert_eq!(rows_in(&kafka, "alone").len(), 400);

    // Records that were never read are deleted: said, with a failure, and what follows is there.
    fill(&kafka, 400..800);
    kafka.delete_records("in", 1, 150).await.expect("deleted");
    let output = run();
    assert!(!output.status.success(), "{}", said(&output));
    says(&said(&output), &["in:in/1: records 100 to 149 were deleted before they were read"]);
    kafka.settled("alone").expect("every transaction is decided");
    assert_eq!(rows_in(&kafka, "alone").len(), 750);

    // What its output has sent is known to Kafka alone. Without that nothing is sent twice by a guess.
    let group = identity(&place.data()).expect("an output that sends each row once has a name");
    kafka.delete_group(&group).await.expect("deleted");
    fill(&kafka, 800..1200);
    let output = run();
    assert!(!output.status.success(), "{}", said(&output));
    says(&said(&output), &["the brokers say that nothing was sent to alone last", "were changed or have expired"]);
    kafka.settled("alone").expect("every transaction is decided");
    assert_eq!(rows_in(&kafka, "alone").len(), 750);

    // The same offsets name other records now.
    let place = Place::new();
    let pipeline = place.write("alone.yaml", ALONE.replace("localhost:9092", kafka.bootstrap()));
    let run = || place.run(&pipeline, &[]);
    well(&run());
    kafka.delete_topic("in").await.expect("deleted");
    kafka.topic("in", 4).await.expect("made anew");
    let output = run();
    assert!(!output.status.success(), "{}", said(&output));
    says(&said(&output), &["the topic was made anew, or lost records", "give the source another name"]);
    // Also when it has more of them than the old one had.
    fill(&kafka, 0..2000);
    let output = run();
    assert!(!output.status.success(), "{}", said(&output));
    says(&said(&output), &["is not the one that was read", "the topic was made anew", "give the source another name"]);
}
