//! Several `weir run` share a pipeline over a real Kafka: they come, are killed, freeze and go on, and every record counts
//! once.

use crate::harness::{Place, said, until, well};
use crate::team::{COUNTS, LOOKS_SELDOM, PATIENT, THROUGH, Team, Telling, Worker};
use crate::team::{every_id_once, expected, fill, kafka, kafka_with, last_words, windows};

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_frozen_and_new_pass_every_record_through_once_and_in_order() {
    const IDS: i64 = 12_000;
    let kafka = kafka().await;
    let team = Team::new(&kafka, THROUGH, "through").await;
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&kafka, 0..IDS / 2));
        let (mut first, mut second) = (team.worker(), team.worker());
        team.until(1000, &mut [&mut first, &mut second]);
        first.kill();
        team.until(IDS as usize / 2, &mut [&mut second]);
        // The one that is left freezes in the middle of its work; another one takes over what it had.
        scope.spawn(|| fill(&kafka, IDS / 2..IDS));
        let half = IDS as usize / 2;
        team.until(half + 200, &mut [&mut second]);
        second.signal("-STOP");
        team.start(&mut first);
        team.until(half + 2000, &mut [&mut first]);
        second.signal("-CONT");
        let mut third = team.worker();
        team.until(IDS as usize, &mut [&mut first, &mut second, &mut third]);
    });
    kafka.settled(&team.out).expect("every transaction is decided");
    every_id_once(&team.rows(), IDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_the_same_however_many_workers_there_are() {
    const IDS: i64 = 6_000;
    let kafka = kafka().await;
    fill(&kafka, 0..IDS);
    kafka.put("in", &last_words()).expect("stored");
    let expected = expected(IDS);
    for count in [1, 2, 4] {
        let team = Team::new(&kafka, COUNTS, &format!("counts-{count}")).await;
        let mut workers: Vec<Worker> = (0..count).map(|_| team.worker()).collect();
        team.until(expected.len(), &mut workers.iter_mut().collect::<Vec<_>>());
        drop(workers);
        kafka.settled(&team.out).expect("every transaction is decided");
        assert!(
            windows(&team.rows()) == expected,
            "{count} workers: {} windows of {}",
            team.rows().len(),
            expected.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_count_every_record_once_although_workers_are_killed_and_frozen() {
    const IDS: i64 = 12_000;
    let kafka = kafka().await;
    let team = Team::new(&kafka, COUNTS, "counts").await;
    let expected = expected(IDS);
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| fill(&kafka, 0..IDS / 2));
        let (mut first, mut second) = (team.worker(), team.worker());
        team.until(40, &mut [&mut first, &mut second]);
        first.kill();
        team.start(&mut first);
        team.until(200, &mut [&mut first, &mut second]);
        second.signal("-STOP");
        // Else what is older would come after what is younger, and be late.
        filling.join().expect("every record is stored");
        let filling = scope.spawn(|| fill(&kafka, IDS / 2..IDS));
        team.until(expected.len() * 2 / 3, &mut [&mut first]);
        second.signal("-CONT");
        second.kill();
        let mut third = team.worker();
        filling.join().expect("every record is stored");
        kafka.put("in", &last_words()).expect("stored");
        team.until(expected.len(), &mut [&mut first, &mut third]);
    });
    kafka.settled(&team.out).expect("every transaction is decided");
    assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
}

/// Workers that are killed at some moment of their work, again and again; with every tenth the broker dies, and once one of them
/// freezes until the others have taken over. After every blow there is more to do.
async fn storm(pipeline: &'static str, ids: i64, kills: i64) {
    const WORKERS: usize = 3;
    let kafka = kafka_with(&[LOOKS_SELDOM]).await;
    let team = Team::new(&kafka, pipeline, "storm").await.with_transactions_of(PATIENT);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| team.worker()).collect();
    let freezes = kills / 3;
    let written = || kafka.ends(&team.out).expect("the broker says them").iter().sum::<i64>();
    let progress = |before: i64| {
        until(&format!("something is written after the {before} records of before"), || written() > before);
    };
    let chunk = |at: i64| at * ids / (kills + 1);
    for kill in 0..kills {
        let before = written();
        let at = usize::try_from(kill).unwrap() % WORKERS;
        fill(&kafka, chunk(kill)..chunk(kill + 1));
        // Some die before they have written anything of it, some after.
        if kill % 3 != 2 {
            progress(before);
        }
        if kill % 10 == 5 {
            kafka.node(1).kill();
            kafka.node(1).start().expect("it starts again");
        }
        if kill == freezes {
            workers[at].signal("-STOP");
            until("others have taken over what the frozen one had", || {
                kafka.committed("in", &team.group).expect("said") == kafka.ends("in").expect("said")
            });
            workers[at].signal("-CONT");
        }
        workers[at].kill();
        team.start(&mut workers[at]);
    }
    fill(&kafka, chunk(kills)..ids);
    let rows = if pipeline == COUNTS {
        kafka.put("in", &last_words()).expect("stored");
        expected(ids).len()
    } else {
        usize::try_from(ids).unwrap()
    };
    team.until(rows, &mut workers.iter_mut().collect::<Vec<_>>());
    kafka.settled(&team.out).expect("every transaction is decided");
    let _said = Telling(&workers);
    if pipeline == COUNTS {
        assert!(windows(&team.rows()) == expected(ids), "{} windows of {rows}", team.rows().len());
    } else {
        every_id_once(&team.rows(), ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_the_middle_of_commits_doubles_and_loses_nothing() {
    const ROUND: i64 = 91;
    const ROUNDS: i64 = 4;
    let kafka = kafka_with(&[LOOKS_SELDOM]).await;
    let team = Team::new(&kafka, THROUGH, "restarts").await.with_transactions_of(PATIENT);
    let mut workers: Vec<Worker> = (0..3).map(|_| team.worker()).collect();
    fill(&kafka, 0..ROUND);
    team.until(ROUND as usize, &mut workers.iter_mut().collect::<Vec<_>>());
    for round in 1..=ROUNDS {
        fill(&kafka, round * ROUND..(round + 1) * ROUND);
        kafka.node(1).kill();
        kafka.node(1).start().expect("it starts again");
        team.until((ROUND * (round + 1)) as usize, &mut workers.iter_mut().collect::<Vec<_>>());
    }
    kafka.settled(&team.out).expect("every transaction is decided");
    let _said = Telling(&workers);
    every_id_once(&team.rows(), ROUND * (ROUNDS + 1));
    // What only clients that read know is not said to those that write.
    assert!(workers.iter().all(|worker| worker.times("CONFWARN") == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_double_and_lose_no_record_that_passes_through() {
    storm(THROUGH, 100_000, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_double_and_lose_no_record_that_is_counted() {
    storm(COUNTS, 100_000, 10).await;
}

/// A number that the environment says, or else this one.
fn told(name: &str, otherwise: i64) -> i64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: cargo xtask nightly kafka"]
async fn a_hundred_kills_double_and_lose_no_record_that_passes_through() {
    storm(THROUGH, told("STORM_IDS", 1_000_000), told("STORM_KILLS", 100)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: cargo xtask nightly kafka"]
async fn a_hundred_kills_double_and_lose_no_record_that_is_counted() {
    storm(COUNTS, told("STORM_IDS", 1_000_000), told("STORM_KILLS", 100)).await;
}

#[test]
fn what_cannot_be_shared_is_refused_with_the_reason_and_the_line() {
    let place = Place::new();
    let refused = |pipeline: String, reasons: &[&str]| {
        let pipeline = place.write("refused.yaml", pipeline);
        let output = place.weir(&["check"]).arg(&pipeline).output().unwrap();
        assert!(!output.status.success());
        for reason in reasons {
            assert!(said(&output).contains(reason), "{reason}:\n{}", said(&output));
        }
    };
    let table = THROUGH.replace("dead_letters: { kafka: { brokers: [\"localhost:9092\"], topic: letters } }\n", "");
    refused(table, &["one transaction of Kafka, which can only hold topics"]);
    refused(THROUGH.replace("topics: [in],", "topics: [in], follow: false,"), &["who would know", "refused.yaml:5"]);
    refused(COUNTS.replace("state: { snapshots: { url: \"file:///nowhere\" } }\n", ""), &["remember rows"]);
    refused(THROUGH.replace("[\"localhost:9092\"], topic: out", "[\"other:9092\"], topic: out"), &["covers one Kafka"]);
    refused(THROUGH.replace("session: 3s", "sesion: 3s"), &["session"]);
    refused(COUNTS.replace("key_groups: 8", "key_groups: 0"), &["0 key groups are not possible"]);
}

#[test]
fn explain_says_what_workers_share() {
    let place = Place::new();
    let pipeline = place.write("counts.yaml", COUNTS);
    let output = place.weir(&["explain"]).arg(&pipeline).output().unwrap();
    well(&output);
    for line in ["workers of the group weir-counts", "weir-counts-", "in 8 parts", "one transaction of Kafka"] {
        assert!(said(&output).contains(line), "{line}:\n{}", said(&output));
    }
}
