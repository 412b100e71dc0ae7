//! The coordinator of transactions, as clients that speak the protocol before KIP-890 find it: the epoch of a producer stays
//! the same from one transaction to the next. A decision is answered before its markers are written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir_workers::{Outgoing, Place};

use super::{Answer, Cluster, Refused};
use crate::workers::clockwork::Agenda;

/// How long a marker is on its way, in milliseconds: mostly, and sometimes.
const MARKER: (i64, i64) = (1, 20);
const LATE_MARKER: (i64, i64) = (100, 3000);
/// Whoever has asked for a decision has heard of it by then: earlier markers are not forgotten.
const HEARD_AFTER: Duration = Duration::from_millis(50);
/// How often it is looked for transactions that are open for too long.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whom a producer says it is: the number that belongs to its name, and its epoch.
pub(in super::super) type Identity = (u64, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Empty,
    Ongoing { since: Duration },
    Deciding { is_commit: bool, markers: usize },
    Decided { is_commit: bool },
}

#[derive(Debug)]
struct Transactor {
    identity: Identity,
    stage: Stage,
    places: BTreeSet<Place>,
    has_offsets: bool,
}

/// Producers by their names.
#[derive(Debug)]
pub(in super::super) struct Transactions {
    /// For how long one may be open.
    pub(in super::super) timeout: Duration,
    of: BTreeMap<String, Transactor>,
}

impl Transactions {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, of: BTreeMap::new() }
    }

    /// The transaction of a producer, if it is who it says.
    fn own(&mut self, name: &str, identity: Identity) -> Result<&mut Transactor, Refused> {
        match self.of.get_mut(name) {
            Some(own) if own.identity == identity => Ok(own),
            _ => Err(Refused::Fenced),
        }
    }
}

impl Cluster {
    /// A producer of this name begins; what an earlier one left undecided is aborted first.
    pub(super) fn init(&mut self, agenda: &mut Agenda, name: &str) -> Result<Answer, Refused> {
        let count = self.transactions.of.len() as u64 + 1;
        let own = self.transactions.of.entry(name.to_owned()).or_insert_with(|| Transactor {
            identity: (count, 0),
            stage: Stage::Empty,
            places: BTreeSet::new(),
            has_offsets: false,
        });
        match own.stage {
            Stage::Ongoing { .. } => {
                own.identity.1 += 1;
                self.decide(agenda, name, false);
                Err(Refused::Later)
            }
            Stage::Deciding { .. } => Err(Refused::Later),
            Stage::Empty | Stage::Decided { .. } => {
                own.identity.1 += 1;
                own.stage = Stage::Empty;
                Ok(Answer::Identity(own.identity))
            }
        }
    }

    pub(super) fn add(
        &mut self,
        agenda: &Agenda,
        (name, identity): (&str, Identity),
        places: &[Place],
        offsets: bool,
    ) -> Result<Answer, Refused> {
        let own = self.transactions.own(name, identity)?;
        match own.stage {
            Stage::Deciding { .. } => return Err(Refused::Later),
            Stage::Ongoing { .. } => {}
            Stage::Empty | Stage::Decided { .. } => {
                own.stage = Stage::Ongoing { since: agenda.now };
                own.places.clear();
                own.has_offsets = false;
            }
        }
        own.places.extend(places.iter().cloned());
        own.has_offsets |= offsets;
        Ok(Answer::Done)
    }

    /// Whether the transaction is open and knows the place: brokers since 4.0 ask that of old clients too.
    fn verified(&mut self, name: &str, identity: Identity, place: Option<&Place>) -> Result<(), Refused> {
        let own = self.transactions.own(name, identity)?;
        let knows = place.map_or(own.has_offsets, |place| own.places.contains(place));
        if matches!(own.stage, Stage::Ongoing { .. }) && knows { Ok(()) } else { Err(Refused::State) }
    }

    pub(super) fn produce(
        &mut self,
        (name, identity): (&str, Identity),
        place: &Place,
        batch: u64,
        records: &[Outgoing],
    ) -> Result<Answer, Refused> {
        self.verified(name, identity, Some(place))?;
        let log = self.log_mut(place).ok_or(Refused::State)?;
        log.append(identity, batch, records).map(|()| Answer::Done)
    }

    pub(super) fn commit_offsets(
        &mut self,
        (name, identity): (&str, Identity),
        member: &super::group::Membership,
        offsets: &[(Place, weir_workers::Committed)],
    ) -> Result<Answer, Refused> {
        self.verified(name, identity, None)?;
        self.group.pend(identity.0, member, offsets).map(|()| Answer::Done)
    }

    pub(super) fn end(
        &mut self,
        agenda: &mut Agenda,
        (name, identity): (&str, Identity),
        is_commit: bool,
    ) -> Result<Answer, Refused> {
        match self.transactions.own(name, identity)?.stage {
            Stage::Ongoing { .. } => {
                self.decide(agenda, name, is_commit);
                Ok(Answer::Done)
            }
            Stage::Deciding { is_commit: decided, .. } if decided == is_commit => Err(Refused::Later),
            Stage::Decided { is_commit: decided } if decided == is_commit => Ok(Answer::Done),
            Stage::Empty | Stage::Deciding { .. } | Stage::Decided { .. } => Err(Refused::State),
        }
    }

    /// Writes the decision down; the markers follow.
    fn decide(&mut self, agenda: &mut Agenda, name: &str, is_commit: bool) {
        let own = self.transactions.of.get_mut(name).expect("it was looked up");
        let mut marked: Vec<Option<Place>> = own.places.iter().cloned().map(Some).collect();
        if own.has_offsets {
            marked.push(None);
        }
        own.stage = Stage::Deciding { is_commit, markers: marked.len() };
        let identity = own.identity;
        agenda.trace("decided", identity.0 << 1 | u64::from(is_commit));
        let decided = agenda.now;
        for place in marked {
            marker(agenda, Marker { name: name.to_owned(), identity, place, is_commit, decided });
        }
    }

    fn marked(&mut self, marker: &Marker) {
        match &marker.place {
            None => self.group.decide(marker.identity.0, marker.is_commit),
            Some(place) => {
                if let Some(log) = self.log_mut(place) {
                    log.mark(marker.identity, marker.is_commit);
                }
            }
        }
        self.is_done(&marker.name);
    }

    /// A marker less is waited for.
    fn is_done(&mut self, name: &str) {
        let own = self.transactions.of.get_mut(name).expect("nobody is forgotten");
        if let Stage::Deciding { is_commit, markers } = own.stage {
            let markers = markers - 1;
            own.stage =
                if markers == 0 { Stage::Decided { is_commit } } else { Stage::Deciding { is_commit, markers } };
        }
    }
}

/// A marker on its way.
struct Marker {
    name: String,
    identity: Identity,
    /// Nothing: the offsets of the group.
    place: Option<Place>,
    is_commit: bool,
    decided: Duration,
}

/// Sends it; brokers that are down get it when they are back, or forget it.
fn marker(agenda: &mut Agenda, marker: Marker) {
    let (from, to) = if agenda.random.percent(5) { LATE_MARKER } else { MARKER };
    let pause = agenda.millis(from, to);
    agenda.after(pause, move |cluster, agenda| send_or_forget(cluster, agenda, marker));
}

fn send_or_forget(cluster: &mut Cluster, agenda: &mut Agenda, sent: Marker) {
    if !cluster.is_down(agenda.now) {
        return cluster.marked(&sent);
    }
    let is_heard = agenda.now - sent.decided > HEARD_AFTER;
    if cluster.forgets && sent.place.is_none() && is_heard {
        agenda.tell(format!("the brokers forget that the offsets of {} are decided", sent.name));
        cluster.forgotten += 1;
        return cluster.is_done(&sent.name);
    }
    marker(agenda, sent);
}

/// Aborts what is open for too long, for ever.
pub(super) fn watch(agenda: &mut Agenda) {
    agenda.after(LOOK_EVERY, |cluster, agenda| {
        if !cluster.is_down(agenda.now) {
            let (now, timeout) = (agenda.now, cluster.transactions.timeout);
            let is_over =
                |own: &Transactor| matches!(own.stage, Stage::Ongoing { since } if now.saturating_sub(since) > timeout);
            let over = cluster.transactions.of.iter_mut().filter(|(_, own)| is_over(own));
            let over: Vec<String> = over
                .map(|(name, own)| {
                    own.identity.1 += 1;
                    name.clone()
                })
                .collect();
            for name in over {
                agenda.tell(format!("the transaction of {name} is open for too long"));
                cluster.decide(agenda, &name, false);
            }
        }
        watch(agenda);
    });
}
