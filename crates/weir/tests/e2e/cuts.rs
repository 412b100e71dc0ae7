//! Workers that cannot be reached for longer than their sessions and transactions, and workers that come and go all the time:
//! every id arrives once, and who comes back too late can write nothing.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use weir_kafka_broker::{Cluster, Detour};

use crate::harness::{awaited, until};
use crate::team::{COUNTS, GIVEN, THROUGH, Team, Telling, Worker, every_id_once, expected, kafka_of, last_words};
use crate::team::{while_fed, windows};

/// How often a worker is cut off.
const CUTS: usize = 3;
/// Longer than the transactions of a team (5 s), which are longer than its sessions.
const CUT_FOR: Duration = Duration::from_secs(8);
/// Cuts the way, waits until the heir has taken over and read what was there and everything that the one beyond had open has run
/// out, and joins it again. How often the one beyond had been given partitions by then.
fn cut(kafka: &Cluster, group: &str, detour: &Detour, [beyond, heir]: [&Worker; 2]) -> usize {
    detour.cut();
    let (started, ends) = (Instant::now(), kafka.ends("in").expect("the straight way is open"));
    let is_read = || {
        let committed = kafka.committed("in", group).expect("the straight way is open");
        committed.iter().zip(&ends).all(|(committed, end)| committed >= end)
    };
    // Perhaps it has had all since before the cut: a rebalance may have gone by without the other.
    awaited("the heir has everything", || if heir.has_all() { Ok(()) } else { Err(heir.said()) });
    until("others have taken over what the one beyond the cut had", || started.elapsed() >= CUT_FOR && is_read());
    let given = beyond.times(GIVEN);
    detour.join();
    given
}

/// Two workers, one of them behind a way that is cut again and again.
async fn cut_off(pipeline: &'static str) {
    let (kafka, detour) = Cluster::start_with_detour(1).expect("a broker");
    let kafka = kafka_of(kafka).await;
    let team = Team::new(&kafka, pipeline, "cut").await;
    let mut workers = [team.worker_by(&detour.bootstrap(), &[]), team.worker()];
    let telling = Telling(&workers);
    let ids = while_fed(&kafka, |_| {
        for _ in 0..CUTS {
            workers.iter().for_each(|worker| worker.says(GIVEN, 1));
            let given = cut(&kafka, &team.group, &detour, [&workers[0], &workers[1]]);
            workers[0].says(GIVEN, given + 1);
        }
    });
    let beyond = workers[0].all_said();
    let lost = beyond.matches(r#""lost":true"#).count() + beyond.matches("beginning anew").count();
    assert!(lost > 0, "it never noticed that it had lost its partitions:\n{beyond}");
    drop(telling);
    if pipeline == COUNTS {
        kafka.put("in", &last_words()).expect("stored");
        let expected = expected(ids);
        team.until(expected.len(), &mut workers.iter_mut().collect::<Vec<_>>());
        kafka.settled(&team.out).expect("every transaction is decided");
        assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
    } else {
        team.until(usize::try_from(ids).unwrap(), &mut workers.iter_mut().collect::<Vec<_>>());
        kafka.settled(&team.out).expect("every transaction is decided");
        every_id_once(&team.rows(), ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_past_its_transactions_and_comes_back_passes_nothing_on_twice() {
    cut_off(THROUGH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_past_its_transactions_and_comes_back_counts_nothing_twice() {
    cut_off(COUNTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_another_one_took_its_name_is_told_so_and_writes_nothing() {
    let (kafka, detour) = Cluster::start_with_detour(1).expect("a broker");
    let kafka = kafka_of(kafka).await;
    let team = Team::new(&kafka, THROUGH, "namesake").await;
    let name = "workers.instance=the-one";
    let mut first = team.worker_by(&detour.bootstrap(), &[name]);
    let mut second = None;
    let ids = while_fed(&kafka, |fed| {
        team.until(500, &mut [&mut first]);
        detour.cut();
        // What started it believes that it is dead.
        let heir = second.insert(team.worker_with(&[name]));
        let before = usize::try_from(fed.load(Ordering::Relaxed)).unwrap();
        team.until(before + 500, &mut [&mut *heir]);
        detour.join();
        awaited("it knows that it has an heir", || {
            let knows = first.times("has this one's name") + first.times("beginning anew") > 0;
            if knows { Ok(()) } else { Err(first.said()) }
        });
        first.kill();
    });
    let mut heir = second.expect("it was started");
    team.until(usize::try_from(ids).unwrap(), &mut [&mut heir]);
    kafka.settled(&team.out).expect("every transaction is decided");
    every_id_once(&team.rows(), ids);
}

/// Two workers beside a third one, each there for moments only: some are told to stop, some killed, and some of both before they
/// were given anything.
async fn come_and_go(pipeline: &'static str) {
    const ROUNDS: usize = 12;
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    let team = Team::new(&kafka, pipeline, "storm").await;
    let mut steady = team.worker();
    let ids = while_fed(&kafka, |_| {
        let mut guests = [team.worker(), team.worker()];
        for round in 0..ROUNDS {
            let guest = &mut guests[round % 2];
            let given = guest.times(GIVEN);
            if round % 3 != 0 {
                guest.says(GIVEN, given.max(1));
            }
            if round % 4 < 2 {
                guest.kill()
            } else {
                guest.stop()
            }
            team.start(guest);
        }
        guests.iter_mut().for_each(Worker::kill);
    });
    if pipeline == COUNTS {
        kafka.put("in", &last_words()).expect("stored");
        let expected = expected(ids);
        team.until(expected.len(), &mut [&mut steady]);
        kafka.settled(&team.out).expect("every transaction is decided");
        assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
    } else {
        team.until(usize::try_from(ids).unwrap(), &mut [&mut steady]);
        kafka.settled(&team.out).expect("every transaction is decided");
        every_id_once(&team.rows(), ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_all_the_time_pass_every_id_on_once() {
    come_and_go(THROUGH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_all_the_time_count_every_id_once() {
    come_and_go(COUNTS).await;
}
