//! The one transactional producer of a worker. Refuses to use a producer again after anything whose outcome is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use weir_kafka::{
    Hearing, Introduction, Progress, Speaker, Transactional, client_of, for_reading, for_writing, seam_error,
};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::is_namesake;
use super::past::Past;
use crate::broker::{Outgoing, Place, Transaction};
use crate::share::Share;
use crate::transact::{self, Transacting};

/// How many bytes wait in the client at most.
const QUEUE_KIB_MAX: u64 = 64 << 10;
/// A commit that takes longer may have been sent twice by the client, and the second one can hit a later transaction: such a
/// producer is not used again.
const PROMPT: Duration = Duration::from_secs(10);

/// Makes transactions.
pub(super) struct Sender {
    within: Duration,
    transactional: Transactional,
    past: Past,
    /// How somebody speaks who has the group and is no member.
    bystander: ClientConfig,
    /// A topic of which the group reads nothing.
    unread: String,
}

impl Sender {
    /// The producer of this name; what an earlier one had begun is ended when this returns, as far as brokers remember it.
    pub(super) fn open(
        settings: &ClientConfig,
        introduction: Introduction,
        id: &str,
        (share, past): (&Share, Past),
    ) -> SeamResult<Self> {
        let within = share.sharing.transaction;
        let mut bystander = for_reading(settings);
        bystander.set("group.id", &share.sharing.group);
        let mut settings = settings.clone();
        // All outputs have one producer. What only one of them can say, they say alike; else the first one says it.
        let first = share.outputs.first().unwrap_or(&share.dead_letters);
        let mut all = share.outputs.iter().chain(&share.late).chain([&share.dead_letters]);
        let keyed = all.find(|output| output.key.is_some()).unwrap_or(first);
        first.client.iter().for_each(|(name, value)| _ = settings.set(name, value));
        let own = [
            ("compression.type", first.compression.name().to_owned()),
            ("partitioner", keyed.partitioner.name().to_owned()),
            ("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string()),
        ];
        for (name, value) in own.into_iter().chain(first.batch.settings()) {
            if settings.get(name).is_none() {
                settings.set(name, value);
            }
        }
        settings
            .set("enable.idempotence", "true")
            .set("transactional.id", id)
            .set("transaction.timeout.ms", within.as_millis().to_string())
            .set("message.timeout.ms", (within * 9 / 10).as_millis().to_string());
        let unread = first.topic.clone();
        let transactional = Transactional::open(for_writing(&settings), introduction, &unread, within)?;
        Ok(Self { within, transactional, past, bystander, unread })
    }

    /// Makes a transaction true, as the member; `is_settled` asks the brokers whether what was committed of these partitions is
    /// decided.
    pub(super) fn commit(
        &mut self,
        transaction: &Transaction,
        member: &Arc<ConsumerGroupMetadata>,
        is_settled: &dyn Fn(&[Place]) -> Option<bool>,
    ) -> SeamResult<()> {
        transact::commit(&mut AsMember { sender: self, member, is_settled, began: Instant::now() }, transaction)
    }

    fn client(&self) -> &Arc<BaseProducer<Hearing>> {
        self.transactional.producer()
    }

    /// Another producer of the name, which aborts what this one has begun and nobody was asked to commit.
    fn begin_anew(&mut self) -> SeamResult<()> {
        self.transactional.anew().map_err(|error| match error.kind {
            ErrorKind::Retry => SeamError { kind: ErrorKind::Unknown, ..error },
            _ => error,
        })
    }

    /// Ends what transactions that were given up may have left.
    pub(super) fn end_leftovers(&self) -> SeamResult<()> {
        let unknown =
            |error| SeamError::caused(ErrorKind::Unknown, "a transaction that was given up is not ended", error);
        self.past.leftovers.end(self.client(), self.within).map_err(unknown)
    }

    /// The partitions of which the last transaction of this process had offsets.
    pub(super) fn last_places(&self) -> Option<Arc<[Place]>> {
        self.past.last().map(|last| last.places)
    }

    /// Decides what the last transaction has left undecided in the offsets of the group and where it has written, by what is known
    /// of it; whether anything is.
    ///
    /// A broker that dies while it writes the markers of a transaction may forget some (ADR 0018). The marker of the producer's
    /// next one does for them, whatever that holds: here an offset that nobody reads, as nobody in particular, so that it is never
    /// refused. What partitions hold that have moved meanwhile is not touched: whoever has them waits for the same.
    ///
    /// # Errors
    /// `Unknown` when the brokers do not do it: the producer is not to be used any more.
    pub(super) fn decide(&mut self) -> SeamResult<bool> {
        let Some(last) = self.past.last() else { return Ok(false) };
        let Some(is_commit) = last.progress.is_committed() else { return Ok(false) };
        let failed = |doing: &str, error| SeamError::caused(ErrorKind::Unknown, doing, error);
        let nobody: BaseConsumer<Speaker> = client_of(&self.bystander, Speaker::default())?;
        let nobody = nobody.group_metadata().map(Arc::new).ok_or_else(|| {
            SeamError::new(ErrorKind::Unknown, "a client that belongs to no group has no group to speak of")
        })?;
        let mut unread = TopicPartitionList::new();
        let added = unread.add_partition_offset(&self.unread, 0, Offset::Offset(0));
        added.map_err(|error| failed("an offset that nobody reads was not said", error))?;
        weir_kafka::decide(self.client(), (unread, nobody), &last.stored_in, (is_commit, self.within))
            .map_err(|error| failed("what the brokers had left undecided may still be so", error))?;
        tracing::info!(is_commit, "what the brokers had left undecided is decided");
        Ok(true)
    }

    fn send(&self, record: &Outgoing) -> SeamResult<()> {
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic);
        next.partition = record.partition;
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            let headers = record
                .headers
                .iter()
                .fold(empty, |headers, (name, value)| headers.insert(Header { key: name, value: Some(value) }));
            next.headers = Some(headers);
        }
        loop {
            match self.client().send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(Code::QueueFull), again)) => {
                    self.stored()?;
                    self.client().poll(Duration::from_millis(50));
                    next = again;
                }
                Err((error, _)) => {
                    let bytes = record.value.as_ref().map_or(0, Vec::len);
                    let doing = format!("a record of {bytes} bytes for {} was refused", record.topic);
                    return Err(seam_error(doing, error));
                }
            }
        }
        self.client().poll(Duration::ZERO);
        Ok(())
    }

    /// Whether every record that is known of was stored.
    fn stored(&self) -> SeamResult<()> {
        self.transactional.hearing().stored(|| "a record of a transaction was not stored".to_owned())
    }

    /// Aborts where the client says that it can; everything else is not known, and its producer finished.
    fn abort(&self, doing: &str, error: KafkaError) -> SeamError {
        let abortable =
            matches!(&error, KafkaError::Transaction(inner) if inner.txn_requires_abort() && !inner.is_fatal());
        if !abortable {
            return self.indefinite(doing, error);
        }
        match self.client().abort_transaction(self.within) {
            Ok(()) => {
                self.past.leftovers.none();
                SeamError::caused(ErrorKind::Retry, doing, error)
            }
            Err(failed) => self.indefinite(&format!("{doing} ({error}), and could not be aborted"), failed),
        }
    }

    fn indefinite(&self, doing: &str, error: KafkaError) -> SeamError {
        let kind = if is_namesake(&error) { ErrorKind::Closed } else { ErrorKind::Unknown };
        SeamError::caused(kind, doing, error)
    }
}

/// The producer while it makes a transaction.
struct AsMember<'a> {
    sender: &'a mut Sender,
    member: &'a Arc<ConsumerGroupMetadata>,
    is_settled: &'a dyn Fn(&[Place]) -> Option<bool>,
    began: Instant,
}

impl Transacting for AsMember<'_> {
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn prompt(&self) -> Duration {
        PROMPT
    }

    fn lost_a_broker(&self) -> bool {
        self.sender.transactional.lost_a_broker()
    }

    fn fill(&mut self, transaction: &Transaction) -> SeamResult<bool> {
        let sender = &self.sender;
        let begun = sender.client().begin_transaction();
        begun.map_err(|error| sender.indefinite("no transaction was begun", error))?;
        sender.transactional.hearing().begin();
        sender.past.leftovers.expect(transaction.records.iter().map(|record| &record.topic));
        transaction.records.iter().try_for_each(|record| sender.send(record))?;
        let flushed = sender.transactional.flush(sender.within);
        let flushed = flushed
            .map_err(|error| sender.indefinite("the brokers do not take the records of a transaction", error))?;
        sender.stored()?;
        Ok(flushed)
    }

    fn remember(&mut self, progress: Progress, of: &Transaction) {
        match progress {
            Progress::Begun => self.sender.past.begins(of, self.sender.transactional.hearing().stored_in()),
            Progress::Asked | Progress::Granted => self.sender.past.has_come(progress),
        }
    }

    fn is_settled(&mut self) -> Option<bool> {
        self.sender.past.last().map_or(Some(true), |last| (self.is_settled)(&last.places))
    }

    fn end_leftovers(&mut self) -> SeamResult<()> {
        self.sender.end_leftovers()
    }

    fn settle(&mut self) -> SeamResult<bool> {
        self.sender.decide()
    }

    fn offsets(&mut self, transaction: &Transaction) -> SeamResult<bool> {
        let sender = &self.sender;
        let offsets = offsets(transaction)?;
        match sender.past.offsets.send(sender.client(), offsets, Arc::clone(self.member), sender.within) {
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => Err(sender.abort("the offsets are not part of the transaction", error)),
            None => Ok(false),
        }
    }

    fn end(&mut self) -> SeamResult<()> {
        let sender = &self.sender;
        // From now on nobody may abort anything of it.
        sender.past.leftovers.none();
        let committed = sender.client().commit_transaction(sender.within);
        committed.map_err(|error| sender.indefinite("a transaction was not committed", error))
    }

    fn begin_anew(&mut self) -> SeamResult<()> {
        self.sender.begin_anew()
    }
}

fn offsets(transaction: &Transaction) -> SeamResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (place, committed) in &transaction.offsets {
        let mut at = list.add_partition(&place.topic, place.partition);
        let offset = Offset::Offset(i64::try_from(committed.offset).unwrap_or(i64::MAX));
        at.set_offset(offset).map_err(|error| seam_error(format!("{} is no offset", committed.offset), error))?;
        at.set_metadata(&committed.metadata);
    }
    Ok(list)
}
