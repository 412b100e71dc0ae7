//! The coordinator of the consumer group: classic protocol, eager, static members, offsets that are undecided as long as their
//! transaction is.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_workers::{Committed, Place};

use super::{Cluster, Refused};
use crate::workers::clockwork::Agenda;

/// How often the coordinator looks who is not heard of any more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a member says of itself. One that has lost its place says -1 and 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Membership {
    pub(in super::super) instance: String,
    pub(in super::super) generation: i64,
    pub(in super::super) member: u64,
    /// Whether it says so at all.
    pub(in super::super) is_said: bool,
}

#[derive(Debug)]
struct Member {
    id: u64,
    /// The client that has joined last under this name.
    client: u64,
    heard: Duration,
    has_joined: bool,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    Preparing,
    Stable,
}

/// The group.
#[derive(Debug)]
pub(in super::super) struct Group {
    pub(in super::super) session: Duration,
    generation: i64,
    phase: Phase,
    /// By their static names.
    members: BTreeMap<String, Member>,
    members_ever: u64,
    pub(in super::super) offsets: BTreeMap<Place, Committed>,
    /// What transactions that are undecided will have committed, by producer.
    pending: BTreeMap<u64, Vec<(Place, Committed)>>,
    /// How often a member that must not commit any more has tried.
    pub(in super::super) fenced: u64,
}

/// What a member is told that joins.
#[derive(Debug)]
pub(super) enum Joined {
    /// What it had: nothing changes for anybody.
    AsBefore(Given),
    /// When all have joined.
    Later { member: u64 },
}

/// What a member gets.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) client: u64,
    pub(super) member: u64,
    pub(super) generation: i64,
    pub(super) places: Vec<Place>,
}

/// What a heartbeat is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Fine,
    Rejoin,
    Unknown,
    Fenced,
}

impl Group {
    pub(super) fn new(session: Duration) -> Self {
        Self {
            session,
            generation: 0,
            phase: Phase::Empty,
            members: BTreeMap::new(),
            members_ever: 0,
            offsets: BTreeMap::new(),
            pending: BTreeMap::new(),
            fenced: 0,
        }
    }

    pub(super) fn join(&mut self, instance: &str, client: u64, member: Option<u64>, now: Duration) -> Joined {
        let before = self.members.get(instance);
        // A member of the same name that is known already: what it said last is answered again.
        let replaced = before.is_some_and(|before| member != Some(before.id));
        let places = before.map(|before| before.places.clone());
        let id = match before {
            Some(before) if !replaced => before.id,
            _ => {
                self.members_ever += 1;
                self.members_ever
            }
        };
        let has_joined = self.phase != Phase::Stable || !replaced;
        let of = Member { id, client, heard: now, has_joined, places: places.clone().unwrap_or_default() };
        self.members.insert(instance.to_owned(), of);
        match places {
            Some(places) if replaced && self.phase == Phase::Stable => {
                Joined::AsBefore(Given { client, member: id, generation: self.generation, places })
            }
            _ => {
                self.prepare();
                self.members.get_mut(instance).expect("it is there").has_joined = true;
                Joined::Later { member: id }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn generation(&self) -> i64 {
        self.generation
    }

    /// Whether that is the member of this name.
    pub(super) fn knows(&self, instance: &str, member: u64) -> bool {
        self.members.get(instance).is_some_and(|own| own.id == member)
    }

    /// Everybody has to join anew.
    pub(super) fn prepare(&mut self) {
        if self.phase != Phase::Preparing {
            self.phase = Phase::Preparing;
            self.members.values_mut().for_each(|member| member.has_joined = false);
        }
    }

    pub(super) fn beat(&mut self, instance: &str, member: u64, generation: i64, now: Duration) -> Beat {
        let Some(own) = self.members.get_mut(instance) else { return Beat::Unknown };
        if own.id != member {
            return Beat::Fenced;
        }
        own.heard = now;
        match self.phase {
            _ if generation != self.generation => Beat::Unknown,
            Phase::Preparing => Beat::Rejoin,
            Phase::Empty | Phase::Stable => Beat::Fine,
        }
    }

    /// Drops who is not heard of any more. With all that are left having joined, a new generation begins: who gets what.
    fn look(&mut self, now: Duration, topics: &BTreeMap<std::sync::Arc<str>, i32>) -> Vec<Given> {
        let session = self.session;
        let before = self.members.len();
        self.members.retain(|_, member| now.saturating_sub(member.heard) <= session);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
        } else if self.members.len() < before {
            self.prepare();
        }
        if self.phase != Phase::Preparing || !self.members.values().all(|member| member.has_joined) {
            return Vec::new();
        }
        self.generation += 1;
        self.phase = Phase::Stable;
        let count = self.members.len() as i32;
        let generation = self.generation;
        self.members
            .values_mut()
            .zip(0..)
            .map(|(member, at)| {
                member.places = topics
                    .iter()
                    .flat_map(|(topic, partitions)| {
                        range(*partitions, count, at).map(|own| Place::new(topic.clone(), own))
                    })
                    .collect();
                Given { client: member.client, member: member.id, generation, places: member.places.clone() }
            })
            .collect()
    }

    /// The check of `ClassicGroup.validateOffsetCommit`, holes and all.
    fn may_commit(&self, who: &Membership) -> bool {
        if !who.is_said || who.generation < 0 && self.phase == Phase::Empty {
            return true;
        }
        let own = self.members.get(&who.instance);
        own.is_some_and(|own| own.id == who.member) && who.generation == self.generation
    }

    pub(super) fn pend(
        &mut self,
        producer: u64,
        who: &Membership,
        offsets: &[(Place, Committed)],
    ) -> Result<(), Refused> {
        if !self.may_commit(who) {
            self.fenced += 1;
            return Err(Refused::Membership);
        }
        self.pending.entry(producer).or_default().extend(offsets.iter().cloned());
        Ok(())
    }

    pub(super) fn decide(&mut self, producer: u64, is_commit: bool) {
        let pending = self.pending.remove(&producer).unwrap_or_default();
        if is_commit {
            self.offsets.extend(pending);
        }
    }

    /// What is committed of these; nothing when a transaction is about to change it.
    pub(in super::super) fn committed(
        &self,
        places: &[Place],
        only_stable: bool,
    ) -> Option<BTreeMap<Place, Committed>> {
        let is_pending = |place: &Place| self.pending.values().flatten().any(|(pending, _)| pending == place);
        if only_stable && places.iter().any(is_pending) {
            return None;
        }
        Some(places.iter().filter_map(|place| Some((place.clone(), self.offsets.get(place)?.clone()))).collect())
    }

    /// After a restart everybody has a whole session to be heard again.
    pub(super) fn restarted(&mut self, now: Duration) {
        self.members.values_mut().for_each(|member| member.heard = now);
    }
}

/// The partitions that the member with number `at` of `count` gets of a topic.
fn range(partitions: i32, count: i32, at: i32) -> std::ops::Range<i32> {
    let (each, more) = (partitions / count, partitions % count);
    let from = at * each + at.min(more);
    from..from + each + i32::from(at < more)
}

/// Looks after the members, for ever.
pub(super) fn watch(agenda: &mut Agenda) {
    agenda.after(LOOK_EVERY, |cluster: &mut Cluster, agenda| {
        if !cluster.is_down(agenda.now) {
            let topics = cluster.subscribed();
            for given in cluster.group.look(agenda.now, &topics) {
                let places: Vec<String> = given.places.iter().map(Place::to_string).collect();
                agenda.tell(format!(
                    "client {} gets {} in generation {}",
                    given.client,
                    places.join(" "),
                    given.generation
                ));
                cluster.give(agenda, given);
            }
        }
        watch(agenda);
    });
}
