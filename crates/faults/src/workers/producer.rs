//! The transactional producer of a worker over the simulated brokers: how a transaction is made is the workers' own code; here
//! are the steps of it, with the same answers as librdkafka gives.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weir_model::{ErrorKind, SeamError, SeamResult, planted};
use weir_workers::{Committed, Outgoing, Place, Progress, Transacting, Transaction};
use xxhash_rust::xxh3::xxh3_64;

use super::clockwork::Clockwork;
use super::cluster::group::Membership;
use super::cluster::transactions::Identity;
use super::cluster::{Answer, Heard, Refused, Request};

/// After so long the client takes a connection for dead, and sends once more what was sent, which may be done twice.
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(4);
/// A producer whose transaction took longer is made anew: less than that.
const PROMPT: Duration = Duration::from_secs(3);
/// How long it is waited before something is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How long the brokers may take to say in the middle of a transaction what the one before has committed.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// How many records are sent at once.
const BATCH: usize = 16;

/// How long it is waited first until offsets are part of a transaction; and, if a broker is lost, which part of that.
const OFFSETS_FIRST: Duration = Duration::from_millis(1200);
const WITHOUT_BROKER: u32 = 6;
/// So many percent of broken connections are seen by the producer before its client has mended them.
const SEEN: u64 = 50;

/// What the producers of one process remember over its lives, as in `weir-workers`. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Past(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    /// How far the last transaction with offsets has come, and of which partitions it had some.
    last: Option<(Progress, Arc<[Place]>)>,
    /// How often in a row nobody said whether offsets are part of a transaction.
    unanswered: u32,
}

impl Past {
    fn with<T>(&self, act: impl FnOnce(&mut Remembered) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes transactions.
pub(super) struct Producer {
    clockwork: Clockwork,
    process: usize,
    name: String,
    within: Duration,
    identity: Identity,
    batches: u64,
    past: Past,
    /// Whether it has lost a broker since it has its identity.
    lost: AtomicBool,
}

/// Why something was not done.
enum Failed {
    Refused(Refused),
    TimedOut,
}

impl Producer {
    pub(super) fn open(
        clockwork: &Clockwork,
        process: usize,
        name: &str,
        (within, past): (Duration, Past),
    ) -> SeamResult<Self> {
        let (clockwork, name) = (clockwork.clone(), name.to_owned());
        let mut own =
            Self { clockwork, process, name, within, identity: (0, 0), batches: 0, past, lost: AtomicBool::default() };
        own.begin()?;
        Ok(own)
    }

    fn begin(&mut self) -> SeamResult<()> {
        match self.ask(&Request::Init) {
            Ok(Answer::Identity(identity)) => {
                (self.identity, self.batches) = (identity, 0);
                self.lost.store(false, Ordering::Relaxed);
                Ok(())
            }
            Ok(Answer::Done) | Err(_) => Err(SeamError::new(ErrorKind::Retry, "the brokers give no transaction")),
        }
    }

    pub(super) fn commit(&mut self, transaction: &Transaction, member: &Membership) -> SeamResult<()> {
        weir_workers::commit(&mut AsMember { producer: self, member }, transaction)?;
        if planted!(OffsetsBeside) {
            self.clockwork.wait(self.process, ASKED_AGAIN_AFTER);
            self.clockwork.with(|cluster, _| cluster.group.offsets.extend(transaction.offsets.iter().cloned()));
        }
        Ok(())
    }

    /// Commits, or aborts, an offset that nobody reads, as nobody in particular: whatever the last transaction has left undecided in
    /// the group is decided by its marker. Only where it is known what became of that one.
    pub(super) fn decide(&mut self) -> SeamResult<bool> {
        let last = self.past.with(|past| past.last.as_ref().map(|(progress, _)| *progress));
        let Some(is_commit) = last.and_then(Progress::is_committed) else { return Ok(false) };
        let identity = self.identity;
        let nobody = Membership { instance: String::new(), generation: -1, member: 0, is_said: false };
        let unread = Committed { offset: 0, metadata: String::new() };
        let offsets = Arc::new(vec![(Place::new(super::pipeline::OUT, 0), unread)]);
        self.ask(&Request::Add { identity, places: Vec::new(), offsets: true })
            .and_then(|_| self.ask(&Request::Offsets { identity, member: nobody, offsets }))
            .and_then(|_| self.ask(&Request::End { identity, is_commit }))
            .map_err(|failed| indefinite("what the brokers had left undecided may still be so", &failed))?;
        Ok(true)
    }

    /// Records in their partitions, some of each at a time. Whether the brokers have them; not, when one of those is seen to be lost.
    fn produce(&mut self, of: BTreeMap<Place, Vec<Outgoing>>) -> Result<bool, Failed> {
        let (identity, until) = (self.identity, self.now() + self.within);
        if !of.is_empty() {
            let places = of.keys().cloned().collect();
            if self.ask_while(&Request::Add { identity, places, offsets: false }, until, true)?.is_none() {
                return Ok(false);
            }
        }
        for (place, records) in of {
            for records in records.chunks(BATCH) {
                self.batches += 1;
                let (place, records) = (place.clone(), Arc::new(records.to_vec()));
                let request = Request::Produce { identity, place, batch: self.batches, records };
                if self.ask_while(&request, until, true)?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn place(&self, record: &Outgoing) -> Place {
        let partition = record.partition.unwrap_or_else(|| {
            let count = self.clockwork.with(|cluster, _| cluster.topics.get(&record.topic).map_or(1, Vec::len));
            let key = xxh3_64(record.key.as_deref().unwrap_or_default());
            i32::try_from(key % count.max(1) as u64).unwrap_or(0)
        });
        Place { topic: Arc::clone(&record.topic), partition }
    }

    /// Aborts where the brokers say that it can.
    fn abort(&self, doing: &str, failed: &Failed) -> SeamError {
        if !matches!(failed, Failed::Refused(Refused::Membership)) {
            return indefinite(doing, failed);
        }
        let refused = || SeamError::new(ErrorKind::Retry, format!("{doing}: not as this member"));
        if planted!(NotAborted) {
            return refused();
        }
        match self.ask(&Request::End { identity: self.identity, is_commit: false }) {
            Ok(_) => refused(),
            Err(failed) => indefinite(&format!("{doing}, and could not be aborted"), &failed),
        }
    }

    /// Asks until there is an answer or no time left.
    fn ask(&self, request: &Request) -> Result<Answer, Failed> {
        self.ask_while(request, self.now() + self.within, false)?.ok_or(Failed::TimedOut)
    }

    /// The same until then; nothing, when a broker is seen to be lost, if that is a reason to leave it. What was sent may be done
    /// all the same.
    fn ask_while(&self, request: &Request, until: Duration, leaves: bool) -> Result<Option<Answer>, Failed> {
        loop {
            let mailbox =
                self.clockwork.with(|cluster, agenda| cluster.send(agenda, self.process, &self.name, request.clone()));
            let patience = until.min(self.now() + SENT_AGAIN_AFTER);
            let heard = loop {
                let heard = mailbox.lock().unwrap_or_else(PoisonError::into_inner).take();
                let left = patience.saturating_sub(self.now());
                match heard {
                    Some(heard) => break Some(heard),
                    None if left.is_zero() => break None,
                    None => self.clockwork.wait(self.process, left),
                }
            };
            match heard {
                Some(Heard::Answer(Ok(answer))) => return Ok(Some(answer)),
                // It is sent once more on another connection, and what was sent first may be done later.
                Some(Heard::Answer(Err(Refused::Later))) | None => {}
                Some(Heard::Broken) => {
                    if self.clockwork.with(|_, agenda| agenda.random.percent(SEEN)) {
                        self.lost.store(true, Ordering::Relaxed);
                    }
                    if leaves && self.lost.load(Ordering::Relaxed) {
                        return Ok(None);
                    }
                }
                Some(Heard::Answer(Err(refused))) => return Err(Failed::Refused(refused)),
            }
            if self.now() >= until {
                return Err(Failed::TimedOut);
            }
            self.clockwork.wait(self.process, ASKED_AGAIN_AFTER);
        }
    }

    /// Whether what was committed of these partitions is decided, or will be soon.
    fn are_decided(&self, places: &[Place]) -> bool {
        let until = self.now() + SETTLED_WITHIN;
        loop {
            let is_said = self.clockwork.with(|cluster, agenda| {
                !cluster.is_down(agenda.now) && cluster.group.committed(places, true).is_some()
            });
            if is_said || self.now() >= until {
                return is_said;
            }
            self.clockwork.wait(self.process, ASKED_AGAIN_AFTER);
        }
    }

    fn now(&self) -> Duration {
        self.clockwork.with(|_, agenda| agenda.now)
    }
}

/// The producer while it makes a transaction.
struct AsMember<'a> {
    producer: &'a mut Producer,
    member: &'a Membership,
}

impl Transacting for AsMember<'_> {
    fn elapsed(&self) -> Duration {
        self.producer.now()
    }

    fn prompt(&self) -> Duration {
        PROMPT
    }

    fn lost_a_broker(&self) -> bool {
        self.producer.lost.load(Ordering::Relaxed)
    }

    fn fill(&mut self, transaction: &Transaction) -> SeamResult<bool> {
        let mut of = BTreeMap::<Place, Vec<Outgoing>>::new();
        for record in &transaction.records {
            of.entry(self.producer.place(record)).or_default().push(record.clone());
        }
        let failed = |failed| indefinite("the brokers do not take the records of a transaction", &failed);
        self.producer.produce(of).map_err(failed)
    }

    fn remember(&mut self, progress: Progress, of: &Transaction) {
        let places = of.offsets.iter().map(|(place, _)| place.clone()).collect();
        self.producer.past.with(|past| past.last = Some((progress, places)));
    }

    fn is_settled(&mut self) -> Option<bool> {
        let last = self.producer.past.with(|past| past.last.clone());
        Some(planted!(CommitNotConfirmed) || last.is_none_or(|(_, places)| self.producer.are_decided(&places)))
    }

    /// Markers of records are not forgotten here.
    fn end_leftovers(&mut self) -> SeamResult<()> {
        Ok(())
    }

    fn settle(&mut self) -> SeamResult<bool> {
        self.producer.decide()
    }

    fn offsets(&mut self, transaction: &Transaction) -> SeamResult<bool> {
        if planted!(OffsetsBeside) {
            return Ok(true);
        }
        let (producer, offsets) = (&*self.producer, Arc::new(transaction.offsets.clone()));
        let identity = producer.identity;
        let waits = OFFSETS_FIRST.saturating_mul(1 << producer.past.with(|past| past.unanswered).min(8));
        let waits = waits.min(producer.within);
        let member = Membership { is_said: !planted!(MembershipNotSaid), ..self.member.clone() };
        let requests = [
            Request::Add { identity, places: Vec::new(), offsets: true },
            Request::Offsets { identity, member, offsets },
        ];
        let mut until = producer.now() + waits;
        for request in requests {
            let said = loop {
                match producer.ask_while(&request, until, true) {
                    // It is probably the one that is waited for.
                    Ok(None) if until > producer.now() + waits / WITHOUT_BROKER => {
                        until = producer.now() + waits / WITHOUT_BROKER;
                    }
                    Ok(None) | Err(Failed::TimedOut) => break Ok(false),
                    Ok(Some(_)) => break Ok(true),
                    Err(refused) => break Err(refused),
                }
            };
            match said {
                Ok(true) => {}
                Ok(false) => {
                    producer.past.with(|past| past.unanswered += 1);
                    return Ok(false);
                }
                Err(refused) => return Err(producer.abort("the offsets are not part of the transaction", &refused)),
            }
        }
        producer.past.with(|past| past.unanswered = 0);
        Ok(true)
    }

    fn end(&mut self) -> SeamResult<()> {
        let producer = &*self.producer;
        let asked = producer.ask(&Request::End { identity: producer.identity, is_commit: true });
        asked.map(drop).map_err(|failed| indefinite("a transaction was not committed", &failed))
    }

    fn begin_anew(&mut self) -> SeamResult<()> {
        self.producer.begin().map_err(|error| SeamError { kind: ErrorKind::Unknown, ..error })
    }
}

/// Nobody knows what came of it.
fn indefinite(doing: &str, failed: &Failed) -> SeamError {
    match failed {
        Failed::Refused(Refused::Fenced) => {
            SeamError::new(ErrorKind::Closed, format!("{doing}: the producer is fenced"))
        }
        Failed::Refused(refused) => SeamError::new(ErrorKind::Unknown, format!("{doing}: {refused:?}")),
        Failed::TimedOut => SeamError::new(ErrorKind::Unknown, format!("{doing}: no answer in time")),
    }
}
