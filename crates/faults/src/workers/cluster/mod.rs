//! Apache Kafka as far as workers see it: topics, transactions, a group, and requests that are late, lost or answered by nobody.
//! Takes nothing from the code that it tries.

pub(super) mod group;
pub(super) mod log;
pub(super) mod members;
mod requests;
#[cfg(test)]
mod tests;
pub(super) mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_workers::Place;

use self::group::Group;
use self::log::Log;
use self::members::Client;
use self::transactions::{Identity, Transactions};
use super::clockwork::Agenda;

pub(super) use self::requests::{Heard, Request};

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another producer has its name.
    Fenced,
    /// Not before what was decided is written: ask again.
    Later,
    /// The transaction is not where the producer thinks.
    State,
    /// Not as that member, or not any more.
    Membership,
}

/// What a request is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Identity(Identity),
}

/// The brokers.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) topics: BTreeMap<Arc<str>, Vec<Log>>,
    /// What the group reads.
    pub(super) read: Vec<Arc<str>>,
    pub(super) transactions: Transactions,
    pub(super) group: Group,
    pub(super) clients: BTreeMap<u64, Client>,
    clients_ever: u64,
    down_until: Duration,
    /// How often partitions have got another leader.
    pub(super) leaders: u64,
    pub(super) weather: Weather,
    /// Whether those that die forget markers of granted commits, and how many they have.
    pub(super) forgets: bool,
    pub(super) forgotten: u64,
}

/// How requests fare, in percent of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// How many milliseconds a request or an answer is on its way at most.
    pub way_ms: i64,
    /// Done late, up to many seconds.
    pub late: u64,
    /// Never done: the connection breaks before.
    pub lost: u64,
    /// Done, and the connection breaks before the answer is there.
    pub unanswered: u64,
    /// How often a client yields some records once more after a change of leaders.
    pub redelivered: u64,
}

impl Cluster {
    pub(super) fn new(session: Duration, transaction: Duration, weather: Weather) -> Self {
        Self {
            topics: BTreeMap::new(),
            read: Vec::new(),
            transactions: Transactions::new(transaction),
            group: Group::new(session),
            clients: BTreeMap::new(),
            clients_ever: 0,
            down_until: Duration::ZERO,
            leaders: 0,
            weather,
            forgets: false,
            forgotten: 0,
        }
    }

    /// Begins to look after what is open for too long.
    pub(super) fn begin(agenda: &mut Agenda) {
        transactions::watch(agenda);
        group::watch(agenda);
    }

    pub(super) fn topic(&mut self, name: &str, partitions: i32) {
        let logs = self.topics.entry(name.into()).or_default();
        logs.resize(logs.len().max(usize::try_from(partitions).unwrap_or(0)), Log::default());
    }

    /// What the group shares, with how many partitions each has.
    fn subscribed(&self) -> BTreeMap<Arc<str>, i32> {
        let of = |name: &Arc<str>| Some((Arc::clone(name), i32::try_from(self.topics.get(name)?.len()).ok()?));
        self.read.iter().filter_map(of).collect()
    }

    pub(super) fn log(&self, place: &Place) -> Option<&Log> {
        self.topics.get(&place.topic)?.get(usize::try_from(place.partition).ok()?)
    }

    pub(super) fn log_mut(&mut self, place: &Place) -> Option<&mut Log> {
        self.topics.get_mut(&place.topic)?.get_mut(usize::try_from(place.partition).ok()?)
    }

    pub(super) fn is_down(&self, now: Duration) -> bool {
        now < self.down_until
    }

    /// The brokers die and come back: what was on its way to them is lost, what they have stored is not.
    pub(super) fn restart(&mut self, agenda: &mut Agenda, pause: Duration) {
        self.down_until = agenda.now + pause;
        agenda.after(pause, |cluster, agenda| {
            cluster.leaders += 1;
            cluster.group.restarted(agenda.now);
        });
    }

    /// A topic has more partitions, which the members soon see.
    pub(super) fn grow(&mut self, name: &str) {
        if let Some(logs) = self.topics.get_mut(name) {
            logs.push(Log::default());
            self.group.prepare();
        }
    }
}
