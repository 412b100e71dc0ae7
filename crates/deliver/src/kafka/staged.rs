//! Exactly-once delivery to Kafka from a pipeline whose commit is Weir's own. Refuses to send what may have been sent.
//!
//! The rows of an epoch wait in a file until the epoch is committed; the commit's note names the file. Then one Kafka
//! transaction holds all of them, and beside them, as the offset of a consumer group that is this output's own, the number of
//! the epoch. Whoever does not know what became of a transaction (a crash, a timeout) asks for that offset: it says which
//! epoch was sent last. So the commit can be repeated at will, and a reader of committed records sees every epoch once.
//!
//! ```text
//! <folder>/identity               the name of the group and of the producer, for ever
//! <folder>/<ulid>.staged          rows of an epoch that is prepared or committed and not sent yet
//! <folder>/<ulid>.staged.tmp      rows of the epoch that is being built
//! ```

use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use weir_disk::{ChecksummedWriter, checksum_of, disk_error, publish, read_file, remove_leftovers};
use weir_kafka::{
    Leftovers, Partitions, Progress, Speaker, TransactionOffsets, client_of, for_reading, kind_of, let_go, seam_error,
};
use weir_model::{Epoch, ErrorKind, Prepared, RejectedRow, SeamError, SeamResult, Vfs};

use super::config::KafkaOutput;
use super::frame::{Frame, frames};
use super::sending::{Sending, TRANSACTION_WITHIN};
use super::values::Values;

/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// Offsets that are undecided for longer may be those whose markers were forgotten (ADR 0018).
const DECIDED_AFTER: Duration = Duration::from_secs(5);
/// How long brokers that answer others may take to say it after all.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// How long the client is left alone before it is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How often a transaction is made until one is not given up because a broker is lost in the middle of it.
const TRANSACTIONS_MAX: usize = 5;
/// What ends in this is rows that wait.
const STAGED: &str = "staged";

/// What a commit holds for this output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The rows of the epoch, if it has any.
    rows: Option<Rows>,
    /// The epoch with rows before this one.
    after: Option<Epoch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rows {
    file: String,
    bytes: u64,
    checksum: u64,
}

/// What the brokers say was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Nothing,
    UpTo(Epoch),
}

/// An output whose rows wait for their commit.
pub(super) struct Staged {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    config: KafkaOutput,
    values: Values,
    /// The name of the group and of the producer.
    name: String,
    /// The rows of the epoch that is being built.
    building: Option<(String, ChecksummedWriter)>,
    /// What was prepared last, should it be asked for again.
    prepared: Option<(Epoch, Prepared)>,
    /// The last epoch that had rows, as far as is committed or prepared.
    last_with_rows: Option<Epoch>,
    /// The file that the last commit names.
    committed: Option<String>,
    contact: Option<Contact>,
    offsets: TransactionOffsets,
    /// The last epoch of which a transaction had the number in it, and how far that has come; and where its rows were stored.
    last: Option<(Epoch, Progress)>,
    stored_in: Partitions,
    /// What may lie in the topic although it was never committed.
    leftovers: Leftovers,
    /// Rows of the epoch that is being built are gone: it can only begin anew.
    lost: bool,
}

/// A producer that is the only one of its name, and what it knows to be sent.
struct Contact {
    sending: Sending,
    group: BaseConsumer<Speaker>,
    sent: Sent,
}

impl Staged {
    pub(super) fn open(
        vfs: Arc<dyn Vfs>,
        folder: &Path,
        config: &KafkaOutput,
        committed: Option<&Prepared>,
    ) -> SeamResult<Self> {
        vfs.create_folder(folder).map_err(|error| disk_error("create", folder, error))?;
        let note = committed.map(note).transpose()?;
        let name = identity(&*vfs, folder, note.as_ref())?;
        Ok(Self {
            vfs,
            folder: folder.to_owned(),
            config: config.clone(),
            values: Values::open(config)?,
            name,
            building: None,
            prepared: None,
            last_with_rows: None,
            committed: note.and_then(|note| note.rows).map(|rows| rows.file),
            contact: None,
            offsets: TransactionOffsets::default(),
            last: None,
            stored_in: Partitions::default(),
            leftovers: Leftovers::default(),
            lost: false,
        })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> SeamResult<Vec<RejectedRow>> {
        self.whole()?;
        let mut bytes = Vec::new();
        let values = self.values.encode(rows)?;
        let rejected = frames(rows, &self.config, values, &mut bytes)?;
        if bytes.is_empty() {
            return Ok(rejected);
        }
        if self.building.is_none() {
            let file = format!("{}.{STAGED}", self.vfs.unused_name());
            let writer = ChecksummedWriter::create(&*self.vfs, &self.folder.join(&file))?;
            self.building = Some((file, writer));
        }
        let (file, writer) = self.building.as_mut().expect("it was just begun");
        // Half a batch would be doubled by another try.
        self.lost = true;
        writer.write_all(&bytes).map_err(|error| disk_error("write", &self.folder.join(file.as_str()), error))?;
        self.lost = false;
        Ok(rejected)
    }

    /// # Errors
    /// `Unknown` when rows are gone: the epoch has to begin anew.
    fn whole(&self) -> SeamResult<()> {
        if self.lost {
            let message = format!("rows for {} could not be written down: the epoch begins anew", self.config.topic);
            return Err(SeamError::new(ErrorKind::Unknown, message));
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        if let Some((of, prepared)) = &self.prepared
            && *of == epoch
        {
            return Ok(prepared.clone());
        }
        self.whole()?;
        let after = self.last_with_rows;
        let rows = match self.building.take() {
            None => None,
            Some((file, writer)) => {
                self.lost = true;
                let published = writer.publish(&*self.vfs)?;
                self.lost = false;
                self.last_with_rows = Some(epoch);
                Some(Rows { file, bytes: published.bytes, checksum: published.checksum })
            }
        };
        let prepared = prepared_of(&Note { rows, after })?;
        self.prepared = Some((epoch, prepared.clone()));
        Ok(prepared)
    }

    pub(super) fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<()> {
        let note = note(prepared)?;
        let Some(rows) = note.rows else {
            self.last_with_rows = self.last_with_rows.or(note.after);
            return Ok(());
        };
        let path = self.folder.join(&rows.file);
        self.last_with_rows = Some(epoch);
        match self.contact()?.sent {
            Sent::UpTo(sent) if sent >= epoch => {}
            Sent::Nothing if note.after.is_none() => self.send(epoch, &rows)?,
            Sent::UpTo(sent) if note.after == Some(sent) => self.send(epoch, &rows)?,
            sent => return Err(self.unexplained(epoch, note.after, sent)),
        }
        match self.vfs.remove(&path) {
            Err(error) if error.kind() != IoErrorKind::NotFound => Err(disk_error("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// Removes every file that no commit names, and makes sure that the topic does not know more than the commit.
    pub(super) fn abort(&mut self, last: Epoch) -> SeamResult<()> {
        self.building = None;
        self.prepared = None;
        self.lost = false;
        remove_leftovers(&*self.vfs, &self.folder)?;
        for (path, _) in self.vfs.list(&self.folder).map_err(|error| disk_error("list", &self.folder, error))? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with(STAGED) && self.committed.as_ref() != Some(&name) {
                self.vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
            }
        }
        match self.contact()?.sent {
            Sent::UpTo(sent) if sent > last => {
                let message = format!(
                    "{} has the results of epoch {sent}, but the data folder knows only {last}: it is older than what was \
                     sent; restore a newer one, or write to another topic",
                    self.config.topic
                );
                Err(SeamError::new(ErrorKind::Corrupt, message))
            }
            Sent::UpTo(_) | Sent::Nothing => Ok(()),
        }
    }

    /// What a commit has to hold when what was sent stays and other rows follow.
    pub(super) fn let_stand(&mut self) -> SeamResult<Prepared> {
        let after = match self.contact()?.sent {
            Sent::UpTo(epoch) => Some(epoch),
            Sent::Nothing => None,
        };
        prepared_of(&Note { rows: None, after })
    }

    /// The one producer of this name. Whatever an earlier one left undecided is decided before this returns.
    fn contact(&mut self) -> SeamResult<&Contact> {
        if self.contact.is_none() {
            let sending = Sending::in_transactions(&self.config, &self.name, ANSWER_DEADLINE)?;
            let group = group(&self.config, &self.name, "read_committed")?;
            let sent = self.sent(&sending, &group)?;
            self.contact = Some(Contact { sending, group, sent });
        }
        Ok(self.contact.as_ref().expect("it was just made"))
    }

    /// Sends the rows of an epoch in one transaction. After an error nothing is known, and the next try asks the brokers.
    fn send(&mut self, epoch: Epoch, rows: &Rows) -> SeamResult<()> {
        let path = self.folder.join(&rows.file);
        let bytes = read_file(&*self.vfs, &path)?;
        if bytes.len() as u64 != rows.bytes || checksum_of(&bytes) != rows.checksum {
            let message = format!("{} is damaged: its rows were not sent to {}", path.display(), self.config.topic);
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        let mut contact = self.contact.take().expect("the brokers were asked before");
        // The next contact asks the brokers what became of it, and the rows are still here.
        if let Err(error) = self.committed(&mut contact, epoch, &bytes) {
            let_go(contact);
            return Err(match error.kind {
                ErrorKind::Unknown => SeamError { kind: ErrorKind::Retry, ..error },
                ErrorKind::Retry | ErrorKind::Config | ErrorKind::Corrupt | ErrorKind::Closed => error,
            });
        }
        contact.sent = Sent::UpTo(epoch);
        self.contact = Some(contact);
        Ok(())
    }

    /// Makes a transaction, again with another producer of the name when a broker is lost in the middle of it.
    fn committed(&mut self, contact: &mut Contact, epoch: Epoch, bytes: &[u8]) -> SeamResult<()> {
        if contact.sending.lost_a_broker() {
            self.renew(contact)?;
        }
        let mut given_up = "";
        for _ in 0..TRANSACTIONS_MAX {
            match self.transaction(contact, epoch, bytes)? {
                Outcome::Committed => return Ok(()),
                Outcome::GivenUp(why) => {
                    tracing::info!(topic = self.config.topic, why, "a transaction is given up and made again");
                    given_up = why;
                    self.renew(contact)?;
                }
            }
        }
        let topic = &self.config.topic;
        let message = format!("{TRANSACTIONS_MAX} transactions for {topic} were given up; of the last one {given_up}");
        Err(SeamError::new(ErrorKind::Retry, message))
    }

    /// Another producer of the name takes the place of one that has lost a broker. Nobody else can have had the name
    /// meanwhile: then something was sent that is not known here.
    fn renew(&self, contact: &mut Contact) -> SeamResult<()> {
        contact.sending.anew()?;
        // One of its own: the other one may still look for a broker that is gone.
        let_go(std::mem::replace(&mut contact.group, group(&self.config, &self.name, "read_committed")?));
        let sent = self.sent(&contact.sending, &contact.group)?;
        if sent == contact.sent {
            return Ok(());
        }
        let message = format!("somebody else has sent to {} under the name of this output", self.config.topic);
        Err(SeamError::new(ErrorKind::Retry, message))
    }

    /// The epoch that was sent last, once nothing of the last transaction is undecided, nor left of what was given up.
    fn sent(&self, sending: &Sending, group: &BaseConsumer<Speaker>) -> SeamResult<Sent> {
        let sent = self.decided(sending, group)?;
        self.leftovers.end(sending.producer(), ANSWER_DEADLINE)?;
        Ok(sent)
    }

    /// The same, as soon as the last transaction is decided: if the brokers do not, and it is known what became of it, by us.
    fn decided(&self, sending: &Sending, group: &BaseConsumer<Speaker>) -> SeamResult<Sent> {
        let topic = &self.config.topic;
        let known = self.last.and_then(|(epoch, progress)| Some((epoch, progress.is_committed()?)));
        let Some((epoch, is_commit)) = known else { return sent(group, topic, ANSWER_DEADLINE) };
        match sent(group, topic, DECIDED_AFTER) {
            Err(error) if error.kind == ErrorKind::Retry => {}
            answer => return answer,
        }
        // Who does not mind that it may be taken back is told what was sent: brokers that are only slow say nothing.
        let whoever = self::group(&self.config, &self.name, "read_uncommitted")?;
        sent(&whoever, topic, ANSWER_DEADLINE)?;
        if let Ok(answer) = sent(group, topic, SETTLED_WITHIN) {
            return Ok(answer);
        }
        let failed = |error| seam_error(format!("nobody decides what was sent to {topic} last"), error);
        let own =
            (epoch_offset(topic, epoch).map_err(failed)?, Arc::new(group.group_metadata().expect("it has a group")));
        weir_kafka::decide(sending.producer(), own, &self.stored_in, (is_commit, TRANSACTION_WITHIN))
            .map_err(failed)?;
        tracing::info!(topic, is_commit, "what the brokers had left undecided is decided");
        sent(group, topic, ANSWER_DEADLINE)
    }

    fn transaction(&mut self, contact: &Contact, epoch: Epoch, bytes: &[u8]) -> SeamResult<Outcome> {
        let topic = self.config.topic.clone();
        let failed = |doing: &str| {
            let doing = format!("{doing} for {topic}");
            // A producer that may not go on is made anew, and asks the brokers what became of the transaction.
            move |error: KafkaError| SeamError::caused(ErrorKind::Retry, doing, error)
        };
        let producer = contact.sending.producer();
        producer.begin_transaction().map_err(failed("no transaction was begun"))?;
        self.leftovers.expect([&Arc::from(topic.as_str())].into_iter());
        contact.sending.hearing().begin();
        let mut rest = bytes;
        while let Some((frame, after)) = Frame::read(rest) {
            contact.sending.send(frame)?;
            rest = after;
        }
        if !contact.sending.flush()? || contact.sending.lost_a_broker() {
            // It may go on asking that one who answers for the group.
            return Ok(Outcome::GivenUp("a broker was lost in the middle"));
        }
        let offsets = epoch_offset(&topic, epoch).map_err(failed("the epoch cannot be an offset"))?;
        let group = contact.group.group_metadata().expect("the client has a group");
        (self.last, self.stored_in) = (Some((epoch, Progress::Begun)), contact.sending.hearing().stored_in());
        match self.offsets.send(producer, offsets, Arc::new(group), ANSWER_DEADLINE) {
            Some(outcome) => outcome.map_err(failed("the epoch is not part of the transaction"))?,
            None => return Ok(Outcome::GivenUp("nobody says whether the epoch is part of it")),
        }
        // From now on nobody may abort anything of it.
        self.leftovers.none();
        self.last = Some((epoch, Progress::Asked));
        producer.commit_transaction(ANSWER_DEADLINE).map_err(failed("a transaction was not committed"))?;
        self.last = Some((epoch, Progress::Granted));
        Ok(Outcome::Committed)
    }

    fn unexplained(&self, epoch: Epoch, after: Option<Epoch>, sent: Sent) -> SeamError {
        let after = after.map_or_else(|| "nothing".to_owned(), |after| format!("epoch {after}"));
        let sent = match sent {
            Sent::Nothing => "nothing".to_owned(),
            Sent::UpTo(epoch) => format!("epoch {epoch}"),
        };
        let message = format!(
            "epoch {epoch} follows {after}, but the brokers say that {sent} was sent to {} last: the offsets of the group \
             {} were changed or have expired; whether its rows are in the topic is not known",
            self.config.topic, self.name
        );
        SeamError::new(ErrorKind::Corrupt, message)
    }
}

/// What became of a transaction.
enum Outcome {
    Committed,
    /// It is given up, before anybody was asked to commit it.
    GivenUp(&'static str),
}

/// The epoch as the offset of the group.
fn epoch_offset(topic: &str, epoch: Epoch) -> KafkaResult<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    let offset = Offset::Offset(i64::try_from(epoch.0).unwrap_or(i64::MAX));
    offsets.add_partition_offset(topic, 0, offset)?;
    Ok(offsets)
}

/// Who asks for the epoch that was sent last.
fn group(config: &KafkaOutput, name: &str, isolation: &str) -> SeamResult<BaseConsumer<Speaker>> {
    let mut settings = for_reading(&config.connection().settings()?);
    settings.set("group.id", name).set("isolation.level", isolation).set("enable.auto.commit", "false");
    let group: BaseConsumer<Speaker> = client_of(&settings, Speaker::default())?;
    config.connection().introduce(|time| drop(group.poll(time)));
    // A client that is not connected yet asks for who answers for the group only after a while.
    let _ = group.fetch_metadata(Some(&config.topic), ASKED_AGAIN_AFTER * 10);
    Ok(group)
}

/// The epoch that was sent last. Brokers that have just started do not know at once who answers for a group.
fn sent(group: &BaseConsumer<Speaker>, topic: &str, within: Duration) -> SeamResult<Sent> {
    let started = Instant::now();
    loop {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        let error = match group.committed_offsets(asked, within) {
            Ok(answer) => {
                return Ok(match answer.elements().first().map(|place| place.offset()) {
                    Some(Offset::Offset(epoch)) => Sent::UpTo(Epoch(u64::try_from(epoch).unwrap_or(0))),
                    _ => Sent::Nothing,
                });
            }
            Err(error) => error,
        };
        if kind_of(&error) != ErrorKind::Retry || started.elapsed() >= within {
            return Err(seam_error(format!("the brokers did not say what was sent to {topic} last"), error));
        }
        group.poll(ASKED_AGAIN_AFTER);
    }
}

/// What a commit that goes back behind `undone` has to hold; `None` when these sent rows, which nobody can take back.
pub(super) fn take_back(undone: &[Prepared]) -> SeamResult<Option<Prepared>> {
    let notes = undone.iter().map(note).collect::<SeamResult<Vec<_>>>()?;
    match notes.last() {
        Some(newest) if notes.iter().all(|note| note.rows.is_none()) => prepared_of(newest).map(Some),
        _ => Ok(None),
    }
}

fn prepared_of(note: &Note) -> SeamResult<Prepared> {
    let text = serde_json::to_string(note)
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "a note cannot be written", error))?;
    Ok(Prepared { segments: Vec::new(), roll_forward: Some(text) })
}

fn note(prepared: &Prepared) -> SeamResult<Note> {
    let Some(text) = &prepared.roll_forward else { return Ok(Note { rows: None, after: None }) };
    serde_json::from_str(text)
        .map_err(|error| SeamError::caused(ErrorKind::Corrupt, format!("a note cannot be read: {text}"), error))
}

/// The name of the group and of the producer: made once, kept with the data.
fn identity(vfs: &dyn Vfs, folder: &Path, note: Option<&Note>) -> SeamResult<String> {
    let path = folder.join("identity");
    match vfs.len(&path) {
        Ok(_) => {
            let bytes = read_file(vfs, &path)?;
            String::from_utf8(bytes)
                .map_err(|error| SeamError::caused(ErrorKind::Corrupt, format!("{} is damaged", path.display()), error))
        }
        Err(error) if error.kind() == IoErrorKind::NotFound => {
            if note.is_some_and(|note| note.rows.is_some() || note.after.is_some()) {
                let message = format!("{} is missing: what was sent cannot be known without it", path.display());
                return Err(SeamError::new(ErrorKind::Corrupt, message));
            }
            let name = format!("weir-{}", vfs.unused_name());
            publish(vfs, &path, name.as_bytes())?;
            Ok(name)
        }
        Err(error) => Err(disk_error("look at", &path, error)),
    }
}
