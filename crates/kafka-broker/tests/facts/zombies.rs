//! A process that was frozen while its partitions moved can no longer make anything visible, if it keeps to the rules.

use crate::kafka;
use crate::process::{Seen, Start, Transact, seen, topics};

const EPOCH_RECORDS: usize = 5;
/// Who is not frozen is heard of within this time also on a machine that does other things beside.
const SESSION_MS: u32 = 6_000;

/// Freezes one process at `stage`, lets another take its partitions over and commit, continues the first. Returns what that
/// one says then, and what is visible in the end.
async fn zombie(first: Start<'_>, second: Start<'_>, stage: &str) -> (Vec<String>, Seen) {
    topics(kafka(), first.group, 2 * EPOCH_RECORDS).await;
    let mut zombie = Transact::start(kafka(), first);
    zombie.until(stage);
    zombie.freeze();
    let mut heir = Transact::start(kafka(), second);
    assert_eq!(heir.until("took"), "took 0", "nothing of the frozen one is committed");
    heir.proceed();
    heir.until("committed");
    zombie.thaw();
    zombie.proceed();
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.starts_with("failed") || line == "committed") {
        said.push(zombie.says());
        zombie.proceed();
    }
    if said.iter().all(|line| line != "committed") {
        said.push(zombie.says());
    }
    (said, seen(kafka(), first.group))
}

fn member<'a>(group: &'a str, instance: &'a str) -> Start<'a> {
    Start { group, instance, session_ms: SESSION_MS, transaction_ms: 60_000, careless: false }
}

fn once(seen: &Seen) {
    let expected: Vec<String> = (0..EPOCH_RECORDS).map(|number| number.to_string()).collect();
    assert_eq!(seen.numbers, expected, "every number once");
    assert_eq!(seen.offset, EPOCH_RECORDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_whose_partitions_moved_cannot_send_its_offsets_and_can_abort() {
    let (said, seen) = zombie(member("moved", "a"), member("moved", "b"), "flushed").await;
    once(&seen);
    assert!(said[0].starts_with("failed offsets abortable"), "{said:?}");
    assert_eq!(said[1], "aborted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_that_had_sent_its_offsets_holds_the_heir_until_its_transaction_times_out_and_is_fenced() {
    let short = |instance| Start { transaction_ms: 10_000, ..member("timed-out", instance) };
    let (said, seen) = zombie(short("a"), short("b"), "sent").await;
    once(&seen);
    assert_eq!(said[0], "committing");
    assert!(said[1].starts_with("failed commit fatal"), "{said:?}");
    assert!(said[2].starts_with("failed abort fatal"), "a fatal error is final for this producer: {said:?}");
}

/// A member with a name is compared with the group's members even when the client has forgotten everything else about
/// itself; one without is compared only by what it still remembers.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_with_a_name_is_fenced_even_if_it_asks_for_its_membership_too_late() {
    let careless = Start { careless: true, ..member("named", "a") };
    let (said, seen) = zombie(careless, member("named", "b"), "flushed").await;
    once(&seen);
    assert_eq!(said[0], "lost");
    assert!(said[1].starts_with("failed offsets abortable"), "{said:?}");
}
