//! The transactional producer of a worker over the simulated brokers: the same steps and the same answers as that of
//! `weir-workers` over librdkafka.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use weir_model::{ErrorKind, SeamError, SeamResult, planted};
use weir_workers::{Committed, Outgoing, Place, Transaction};
use xxhash_rust::xxh3::xxh3_64;

use super::clockwork::Clockwork;
use super::cluster::group::Membership;
use super::cluster::transactions::Identity;
use super::cluster::{Answer, Heard, Refused, Request};

/// After so long the client takes a connection for dead, and sends once more what was sent, which may be done twice.
const SENT_AGAIN_AFTER: Duration = Duration::from_secs(4);
/// Brokers that need longer for the records of a transaction may have been away meanwhile.
const SLOW: Duration = Duration::from_secs(1);
/// A producer whose transaction took longer is made anew: less than that.
const PROMPT: Duration = Duration::from_secs(3);
/// How long it is waited before something is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How many records are sent at once.
const BATCH: usize = 16;

/// What the producers of one process remember over its lives: as in `weir-workers`, whether the last commit that had offsets
/// was granted. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Past(Arc<AtomicBool>);

/// Makes transactions.
pub(super) struct Producer {
    clockwork: Clockwork,
    process: usize,
    name: String,
    within: Duration,
    identity: Identity,
    batches: u64,
    past: Past,
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
        let mut own = Self { clockwork, process, name, within, identity: (0, 0), batches: 0, past };
        own.begin()?;
        Ok(own)
    }

    fn begin(&mut self) -> SeamResult<()> {
        match self.ask(&Request::Init) {
            Ok(Answer::Identity(identity)) => {
                (self.identity, self.batches) = (identity, 0);
                Ok(())
            }
            Ok(Answer::Done) | Err(_) => Err(SeamError::new(ErrorKind::Retry, "the brokers give no transaction")),
        }
    }

    pub(super) fn commit(&mut self, transaction: &Transaction, member: &Membership) -> SeamResult<()> {
        let (started, identity) = (self.now(), self.identity);
        let mut of = BTreeMap::<Place, Vec<Outgoing>>::new();
        for record in &transaction.records {
            of.entry(self.place(record)).or_default().push(record.clone());
        }
        self.produce(of)
            .map_err(|failed| indefinite("the brokers do not take the records of a transaction", &failed))?;
        let offsets = Arc::new(transaction.offsets.clone());
        if self.now() - started > SLOW && self.past.0.load(Ordering::Relaxed) && !self.is_settled(&offsets) {
            return Err(self.settle());
        }
        self.past.0.store(false, Ordering::Relaxed);
        if !planted!(OffsetsBeside) {
            let member = Membership { is_said: !planted!(MembershipNotSaid), ..member.clone() };
            let said = self
                .ask(&Request::Add { identity, places: Vec::new(), offsets: true })
                .and_then(|_| self.ask(&Request::Offsets { identity, member, offsets: Arc::clone(&offsets) }));
            if let Err(failed) = said {
                return Err(self.abort("the offsets are not part of the transaction", &failed));
            }
        }
        if let Err(failed) = self.ask(&Request::End { identity, is_commit: true }) {
            return Err(indefinite("a transaction was not committed", &failed));
        }
        self.past.0.store(true, Ordering::Relaxed);
        if planted!(OffsetsBeside) {
            self.clockwork.wait(self.process, ASKED_AGAIN_AFTER);
            self.clockwork.with(|cluster, _| cluster.group.offsets.extend(offsets.iter().cloned()));
        }
        if self.now() - started > PROMPT && !planted!(SlowProducerKept) {
            // It is committed; but without another producer nothing more can be.
            self.begin().map_err(|error| SeamError { kind: ErrorKind::Unknown, ..error })?;
        }
        Ok(())
    }

    /// Whether the offsets of the last transaction are decided.
    fn is_settled(&self, offsets: &[(Place, Committed)]) -> bool {
        let places: Vec<Place> = offsets.iter().map(|(place, _)| place.clone()).collect();
        planted!(CommitNotConfirmed)
            || self.clockwork.with(|cluster, agenda| {
                !cluster.is_down(agenda.now) && cluster.group.committed(&places, true).is_some()
            })
    }

    /// An abort with offsets in it would take back what is granted and not decided.
    fn settle(&mut self) -> SeamError {
        if let Err(failed) = self.ask(&Request::End { identity: self.identity, is_commit: false }) {
            return indefinite("a transaction after one that is not decided was not aborted", &failed);
        }
        let message = "the brokers had not decided the transaction before";
        self.confirm().err().unwrap_or_else(|| SeamError::new(ErrorKind::Retry, message))
    }

    /// Commits an offset that nobody reads, as nobody in particular: whatever the last commit has left undecided in the group
    /// is decided by its marker. Only where that commit was granted.
    pub(super) fn confirm(&mut self) -> SeamResult<()> {
        if !self.past.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        let identity = self.identity;
        let nobody = Membership { instance: String::new(), generation: -1, member: 0, is_said: false };
        let unread = Committed { offset: 0, metadata: String::new() };
        let offsets = Arc::new(vec![(Place::new(super::pipeline::OUT, 0), unread)]);
        self.ask(&Request::Add { identity, places: Vec::new(), offsets: true })
            .and_then(|_| self.ask(&Request::Offsets { identity, member: nobody, offsets }))
            .and_then(|_| self.ask(&Request::End { identity, is_commit: true }))
            .map_err(|failed| indefinite("what was granted may not be confirmed", &failed))?;
        Ok(())
    }

    /// Records in their partitions, some of each at a time.
    fn produce(&mut self, of: BTreeMap<Place, Vec<Outgoing>>) -> Result<(), Failed> {
        let identity = self.identity;
        if !of.is_empty() {
            self.ask(&Request::Add { identity, places: of.keys().cloned().collect(), offsets: false })?;
        }
        for (place, records) in of {
            for records in records.chunks(BATCH) {
                self.batches += 1;
                let (place, records) = (place.clone(), Arc::new(records.to_vec()));
                self.ask(&Request::Produce { identity, place, batch: self.batches, records })?;
            }
        }
        Ok(())
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
        let until = self.now() + self.within;
        loop {
            let mailbox =
                self.clockwork.with(|cluster, agenda| cluster.send(agenda, self.process, &self.name, request.clone()));
            let patience = until.min(self.now() + SENT_AGAIN_AFTER);
            let heard = loop {
                let heard = mailbox.lock().unwrap_or_else(PoisonError::into_inner).take();
                let left = patience.saturating_sub(self.now());
                match heard {
                    Some(heard) => break heard,
                    None if left.is_zero() => break Heard::Broken,
                    None => self.clockwork.wait(self.process, left),
                }
            };
            match heard {
                Heard::Answer(Ok(answer)) => return Ok(answer),
                Heard::Answer(Err(Refused::Later)) | Heard::Broken => {}
                Heard::Answer(Err(refused)) => return Err(Failed::Refused(refused)),
            }
            if self.now() >= until {
                return Err(Failed::TimedOut);
            }
            self.clockwork.wait(self.process, ASKED_AGAIN_AFTER);
        }
    }

    fn now(&self) -> Duration {
        self.clockwork.with(|_, agenda| agenda.now)
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
