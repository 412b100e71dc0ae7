//! What the tests over a real Kafka have shown of it (ADR 0005), shown of the model.

use std::sync::Arc;
use std::time::Duration;

use weir_workers::{Committed, Outgoing, Place};

use super::group::{Joined, Membership};
use super::transactions::Identity;
use super::{Answer, Cluster, Refused, Request, Weather};
use crate::workers::clockwork::{Clockwork, DIRECTOR};

const NAME: &str = "team/one";

/// Brokers with a topic, and somebody who looks at them.
struct Look(Clockwork);

impl Look {
    fn new() -> Self {
        let mut cluster = Cluster::new(Duration::from_secs(3), Duration::from_secs(5), Weather::default());
        cluster.topic("out", 1);
        let clockwork = Clockwork::new(cluster, 1);
        clockwork.with(|_, agenda| Cluster::begin(agenda));
        Self(clockwork)
    }

    fn ask(&self, request: Request) -> Result<Answer, Refused> {
        self.0.with(|cluster, agenda| cluster.serve(agenda, NAME, &request))
    }

    fn pass(&self, millis: u64) {
        self.0.wait(DIRECTOR, Duration::from_millis(millis));
    }

    /// The producer of the name, anew.
    fn producer(&self) -> Identity {
        loop {
            match self.ask(Request::Init) {
                Ok(Answer::Identity(identity)) => return identity,
                Err(Refused::Later) => self.pass(50),
                other => panic!("{other:?}"),
            }
        }
    }

    fn produce(&self, identity: Identity, batch: u64) -> Result<Answer, Refused> {
        self.ask(Request::Add { identity, places: vec![out()], offsets: false })?;
        let records = Arc::new(vec![Outgoing { value: Some(b"row".to_vec()), ..Outgoing::default() }]);
        self.ask(Request::Produce { identity, place: out(), batch, records })
    }

    fn offsets(&self, identity: Identity, member: &Membership, offset: u64) -> Result<Answer, Refused> {
        self.ask(Request::Add { identity, places: Vec::new(), offsets: true })?;
        let offsets = Arc::new(vec![(place(), Committed { offset, metadata: String::new() })]);
        self.ask(Request::Offsets { identity, member: member.clone(), offsets })
    }

    fn end(&self, identity: Identity, is_commit: bool) -> Result<Answer, Refused> {
        self.ask(Request::End { identity, is_commit })
    }

    /// How many records a reader of committed ones sees, once everything is decided.
    fn seen(&self) -> usize {
        self.pass(4_000);
        self.0.with(|cluster, _| {
            let log = cluster.log(&out()).expect("it is there");
            let (mut from, mut count) = (0, 0);
            while let Some((offset, entry)) = log.visible(from, log.stable_end()) {
                assert_ne!(entry.fate, super::log::Fate::Undecided);
                (from, count) = (offset + 1, count + 1);
            }
            count
        })
    }

    /// What is committed, if nobody is about to change it.
    fn committed(&self) -> Option<u64> {
        self.0.with(|cluster, _| {
            let committed = cluster.group.committed(&[place()], true)?;
            Some(committed.get(&place()).map_or(0, |committed| committed.offset))
        })
    }

    /// The only member of the group.
    fn member(&self, instance: &str) -> Membership {
        let member = self.0.with(|cluster, agenda| match cluster.group.join(instance, 1, None, agenda.now) {
            Joined::Later { member } => member,
            Joined::AsBefore(given) => given.member,
        });
        self.pass(150);
        let generation = self.0.with(|cluster, _| cluster.group.generation());
        Membership { instance: instance.to_owned(), generation, member, is_said: true }
    }
}

fn out() -> Place {
    Place::new("out", 0)
}

fn place() -> Place {
    Place::new("in", 0)
}

#[test]
fn records_and_offsets_of_a_transaction_become_true_together_or_not_at_all() {
    for is_commit in [false, true] {
        let look = Look::new();
        let (identity, member) = (look.producer(), look.member("one"));
        look.produce(identity, 1).expect("stored");
        look.offsets(identity, &member, 7).expect("noted");
        assert_eq!(look.committed(), None, "nobody begins where an open transaction may say something else");
        look.end(identity, is_commit).expect("decided");
        assert_eq!(look.seen(), usize::from(is_commit));
        assert_eq!(look.committed(), Some(if is_commit { 7 } else { 0 }));
    }
}

#[test]
fn a_producer_that_is_made_anew_fences_what_is_late_of_the_one_before() {
    let look = Look::new();
    let before = look.producer();
    look.produce(before, 1).expect("stored");
    let now = look.producer();
    look.produce(now, 1).expect("stored");
    assert_eq!(look.end(before, true), Err(Refused::Fenced));
    assert_eq!(look.produce(before, 2), Err(Refused::Fenced));
    look.end(now, true).expect("decided");
    assert_eq!(look.seen(), 1);
}

/// Why a producer is not used again after a commit of which nobody knows: KIP-890 is for newer clients.
#[test]
fn a_late_end_hits_the_next_transaction_of_the_same_producer() {
    let look = Look::new();
    let identity = look.producer();
    look.produce(identity, 1).expect("stored");
    look.end(identity, true).expect("decided");
    look.pass(4_000);
    look.produce(identity, 2).expect("stored");
    look.end(identity, true).expect("the second copy of the first one's end");
    assert_eq!(look.seen(), 2, "what nobody has committed is there");
}

#[test]
fn a_batch_that_is_sent_twice_is_stored_once() {
    let look = Look::new();
    let identity = look.producer();
    look.produce(identity, 1).expect("stored");
    look.produce(identity, 1).expect("known");
    look.end(identity, true).expect("decided");
    assert_eq!(look.seen(), 1);
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_producer_fenced() {
    let look = Look::new();
    let identity = look.producer();
    look.produce(identity, 1).expect("stored");
    look.pass(6_000);
    assert_eq!(look.end(identity, true), Err(Refused::Fenced));
    assert_eq!(look.seen(), 0);
}

#[test]
fn only_the_member_of_this_generation_commits_offsets() {
    let look = Look::new();
    let (identity, first) = (look.producer(), look.member("one"));
    let second = look.member("one");
    assert_ne!(first.member, second.member, "the name has a new owner");
    assert_eq!(look.offsets(identity, &first, 1), Err(Refused::Membership));
    let old = Membership { generation: second.generation - 1, ..second.clone() };
    assert_eq!(look.offsets(identity, &old, 1), Err(Refused::Membership));
    look.offsets(identity, &second, 1).expect("noted");
    look.pass(4_000);
    assert_eq!(look.offsets(identity, &second, 2), Err(Refused::Membership), "nobody has heard of it for a session");
}
