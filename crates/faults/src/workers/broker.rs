//! A worker's clients over the simulated brokers. They do what those of `weir-workers` do over librdkafka: a member that reads
//! nothing, readers that are made anew for every assignment, one producer whose name is the member's. Decide nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_collect::LastRecord;
use weir_model::{ErrorKind, SeamError, SeamResult, planted};
use weir_workers::{Broker, Committed, Event, Extent, Place, Share, Transaction};

use super::clockwork::Clockwork;
use super::cluster::group::Membership;
use super::producer::{Past, Producer};

/// How long brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Offsets that are undecided for longer may be those whose markers were forgotten.
const DECIDED_AFTER: Duration = Duration::from_secs(5);
/// After so long it is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// So many percent of records have to be waited for, and how long at most, in milliseconds.
const FETCHED: (u64, i64) = (6, 25);

/// A worker's clients.
pub(super) struct SimBroker {
    clockwork: Clockwork,
    process: usize,
    /// The member's client.
    client: u64,
    producer: Producer,
    /// The membership as it was when partitions were given.
    member: Option<Membership>,
    sources: Vec<Arc<str>>,
    reading: Vec<Reading>,
    turn: usize,
    undecided_within: Duration,
}

/// A partition that is read.
struct Reading {
    place: Place,
    first: u64,
    next: u64,
    /// The end of which the worker was told.
    told: Option<u64>,
    incarnation: u64,
    leaders: u64,
}

/// What a reader comes upon.
enum Found {
    Event(Event),
    Nothing,
    Gone(String),
}

impl SimBroker {
    /// As `KafkaBroker::open`: the producer first, so that nothing of an earlier life is undecided.
    pub(super) fn open(
        clockwork: &Clockwork,
        process: usize,
        (share, instance): (&Share, &str),
        past: &Past,
    ) -> SeamResult<Self> {
        let name = format!("{}/{instance}", share.sharing.group);
        let within = share.sharing.transaction;
        let producer = Producer::open(clockwork, process, &name, (within, past.clone()))?;
        let client = clockwork.with(|cluster, agenda| cluster.enter(agenda, process, instance));
        Ok(Self {
            clockwork: clockwork.clone(),
            process,
            client,
            producer,
            member: None,
            sources: share
                .sources
                .iter()
                .flat_map(|source| &source.kafka.topics)
                .map(|name| name.as_str().into())
                .collect(),
            reading: Vec::new(),
            turn: 0,
            undecided_within: share.sharing.transaction * 2 + ANSWER_DEADLINE,
        })
    }

    fn now(&self) -> Duration {
        self.clockwork.with(|_, agenda| agenda.now)
    }

    fn wait(&self, pause: Duration) {
        self.clockwork.wait(self.process, pause);
    }

    /// Waits for brokers that serve.
    fn served(&self) -> SeamResult<()> {
        let pause = self.clockwork.with(|_, agenda| agenda.millis(0, 3));
        self.wait(pause);
        let since = self.now();
        while self.clockwork.with(|cluster, agenda| cluster.is_down(agenda.now)) {
            if self.now() - since > ANSWER_DEADLINE {
                return Err(SeamError::new(ErrorKind::Retry, "no broker answers"));
            }
            self.wait(ASKED_AGAIN_AFTER);
        }
        Ok(())
    }

    /// What the group says.
    fn hear(&mut self) -> SeamResult<Option<Event>> {
        let number = self.client;
        let (event, member, is_fenced) = self.clockwork.with(|cluster, _| {
            let client = cluster.clients.get_mut(&number).expect("it is there as long as its worker is");
            (client.events.pop_front(), client.membership(), client.is_fenced)
        });
        if is_fenced {
            return Err(SeamError::new(ErrorKind::Closed, "another worker has this one's name, or had it once"));
        }
        if let Some(Event::Assigned(_)) = &event {
            self.member = Some(member);
        }
        Ok(event)
    }

    /// What comes next of any partition.
    fn find(&mut self) -> SeamResult<Option<Event>> {
        for _ in 0..self.reading.len() {
            self.turn = (self.turn + 1) % self.reading.len();
            let reading = &mut self.reading[self.turn];
            match self.clockwork.with(|cluster, agenda| reading.find(cluster, agenda)) {
                Found::Event(event) => return Ok(Some(event)),
                Found::Nothing => {}
                Found::Gone(what) => return Err(SeamError::new(ErrorKind::Unknown, what)),
            }
        }
        Ok(None)
    }
}

impl Reading {
    fn find(&mut self, cluster: &super::cluster::Cluster, agenda: &mut super::clockwork::Agenda) -> Found {
        if cluster.is_down(agenda.now) {
            return Found::Nothing;
        }
        let Some(log) = cluster.log(&self.place) else { return Found::Gone(format!("nobody knows {}", self.place)) };
        if self.leaders != cluster.leaders {
            self.leaders = cluster.leaders;
            if agenda.random.percent(cluster.weather.redelivered) {
                self.next = self.next.saturating_sub(1 + agenda.random.below(4)).max(self.first);
            }
        }
        if self.next < log.start || self.next > log.end() || self.incarnation != log.incarnation {
            return Found::Gone(format!("{} has no more the records at which it is to be read on", self.place));
        }
        let end = if planted!(UndecidedRead) { log.end() } else { log.stable_end() };
        if let Some((offset, entry)) = log.visible(self.next, end) {
            self.next = offset + 1;
            let value = entry.record.value.clone();
            let last = Some(known_by(log, offset, value.as_deref()));
            return Found::Event(Event::Record { place: self.place.clone(), offset, value, last });
        }
        self.next = self.next.max(end);
        if self.told == Some(end) {
            return Found::Nothing;
        }
        self.told = Some(end);
        Found::Event(Event::End(self.place.clone()))
    }
}

impl Broker for SimBroker {
    fn topics(&mut self) -> SeamResult<BTreeMap<Arc<str>, i32>> {
        self.served()?;
        let sources = self.sources.clone();
        let count = |name: &Arc<str>| {
            let count = self.clockwork.with(|cluster, _| cluster.topics.get(name).map_or(0, Vec::len));
            (Arc::clone(name), i32::try_from(count).unwrap_or(i32::MAX))
        };
        Ok(sources.iter().map(count).collect())
    }

    fn extent(&mut self, place: &Place) -> SeamResult<Extent> {
        self.served()?;
        let extent = self.clockwork.with(|cluster, _| {
            let log = cluster.log(place)?;
            Some(Extent { start: log.start, end: log.stable_end() })
        });
        extent.ok_or_else(|| SeamError::new(ErrorKind::Retry, format!("nobody knows {place}")))
    }

    fn offset_at(&mut self, _: &Place, _: i64) -> SeamResult<Option<u64>> {
        Ok(None)
    }

    fn committed(&mut self, group: Option<&str>, places: &[Place]) -> SeamResult<BTreeMap<Place, Committed>> {
        if group.is_some() {
            return Ok(BTreeMap::new());
        }
        let (since, is_stable) = (self.now(), !planted!(StableNotRequired));
        let mut is_decided = planted!(CommitNotConfirmed);
        loop {
            self.served()?;
            if let Some(committed) = self.clockwork.with(|cluster, _| cluster.group.committed(places, is_stable)) {
                return Ok(committed);
            }
            if !is_decided && self.now() - since >= DECIDED_AFTER {
                is_decided = true;
                self.producer.decide()?;
                continue;
            }
            if self.now() - since >= self.undecided_within {
                let message = "the brokers did not say what the group has committed";
                return Err(SeamError::new(ErrorKind::Retry, message));
            }
            self.wait(ASKED_AGAIN_AFTER);
        }
    }

    fn differing(&mut self, last: &BTreeMap<Place, LastRecord>) -> SeamResult<BTreeSet<Place>> {
        self.served()?;
        let differs = |cluster: &super::cluster::Cluster, place: &Place, last: LastRecord| {
            let log = cluster.log(place)?;
            let there = log.entries.get(usize::try_from(last.offset()).ok()?)?;
            Some(known_by(log, last.offset(), there.record.value.as_deref()) != last)
        };
        let others = last
            .iter()
            .filter(|(place, last)| self.clockwork.with(|cluster, _| differs(cluster, place, **last)).unwrap_or(false));
        Ok(others.map(|(place, _)| place.clone()).collect())
    }

    fn read(&mut self, from: &[(Place, u64)], watched: Option<&Place>) -> SeamResult<()> {
        self.reading = self.clockwork.with(|cluster, _| {
            let reading = |place: &Place, first: Option<u64>| {
                let log = cluster.log(place);
                let first = first.or(log.map(super::cluster::log::Log::stable_end)).unwrap_or(0);
                Reading {
                    place: place.clone(),
                    first,
                    next: first,
                    told: None,
                    incarnation: log.map_or(0, |log| log.incarnation),
                    leaders: cluster.leaders,
                }
            };
            let from = from.iter().map(|(place, next)| reading(place, Some(*next)));
            from.chain(watched.map(|place| reading(place, None))).collect()
        });
        self.turn = 0;
        Ok(())
    }

    fn let_go(&mut self) -> SeamResult<()> {
        self.reading.clear();
        self.member = None;
        let number = self.client;
        self.clockwork.with(|cluster, agenda| cluster.lets_go(agenda, number));
        Ok(())
    }

    fn next(&mut self, wait: Duration) -> SeamResult<Option<Event>> {
        let until = self.now() + wait;
        if let Some(pause) = self.clockwork.with(|_, agenda| {
            let waits = agenda.random.percent(FETCHED.0);
            waits.then(|| agenda.millis(0, FETCHED.1))
        }) {
            self.wait(pause);
        }
        loop {
            if let Some(event) = self.hear()? {
                return Ok(Some(event));
            }
            if let Some(event) = self.find()? {
                return Ok(Some(event));
            }
            let left = until.saturating_sub(self.now());
            if left.is_zero() {
                return Ok(None);
            }
            self.wait(left);
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> SeamResult<()> {
        let member = self.member.clone().ok_or_else(|| {
            SeamError::new(ErrorKind::Retry, "the group has given nothing yet, so that nothing can be committed")
        })?;
        self.producer.commit(transaction, &member)
    }

    fn delete_before(&mut self, offsets: &[(Place, u64)]) {
        self.clockwork.with(|cluster, _| {
            for (place, offset) in offsets {
                if let Some(log) = cluster.log_mut(place) {
                    log.start = log.start.max(*offset);
                }
            }
        });
    }
}

/// By what a record is known again: that its topic was made anew so often stands for when it was written.
fn known_by(log: &super::cluster::log::Log, offset: u64, value: Option<&[u8]>) -> LastRecord {
    let incarnation = i64::try_from(log.incarnation).unwrap_or(i64::MAX);
    LastRecord::new(offset, incarnation, value.map_or(0, <[u8]>::len) as u64)
}

impl Drop for SimBroker {
    /// Whoever has a static name does not leave.
    fn drop(&mut self) {
        let number = self.client;
        self.clockwork.with(|cluster, _| _ = cluster.clients.remove(&number));
    }
}
