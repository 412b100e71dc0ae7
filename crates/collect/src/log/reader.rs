//! One partition of a topic being read. Knows nothing of the others.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use weir_disk::{Blocking, blocking};
use weir_model::{
    ErrorKind, Offset, PartitionId, Position, Raw, RecordSpan, SeamError, SeamResult, SourceEvent, planted,
};

use super::{Records, Topic};
use crate::cutter::{CHUNK_BYTES, RECORDS_MAX};

/// What a reader does about records that are not there any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losses {
    /// Go on behind those that retention has deleted.
    pub(super) skip_deleted: bool,
    /// Go on behind those that are damaged.
    pub(super) skip_damaged: bool,
}

/// A partition on its way to its end.
pub(super) struct Reader {
    topic: Arc<dyn Topic>,
    number: u32,
    pub(super) partition: PartitionId,
    pub(super) origin: Arc<str>,
    /// How to say that losses are accepted.
    way_out: String,
    losses: Losses,
    /// The offset of the next record.
    pub(super) next: Offset,
    /// Where a source that is not followed ends: where the partition ended when it was opened.
    until: Option<Offset>,
    queue: VecDeque<SourceEvent>,
    /// A read that is under way where it may block.
    reading: Option<Blocking<SeamResult<Records>>>,
    pub(super) paused: bool,
    caught_up: bool,
    /// Nothing more will come of it.
    finished: bool,
}

impl Reader {
    /// Says where the partition ends, without the reader.
    pub(super) fn end(&self) -> impl Fn() -> Offset + Send + Sync + use<> {
        let (topic, number) = (Arc::clone(&self.topic), self.number);
        move || topic.end(number)
    }

    pub(super) fn new(
        topic: Arc<dyn Topic>,
        number: u32,
        (partition, origin): (PartitionId, String),
        (losses, way_out): (Losses, String),
        follow: bool,
    ) -> Self {
        Self {
            until: (!follow).then(|| topic.end(number)),
            next: topic.start(number),
            topic,
            number,
            queue: VecDeque::from([SourceEvent::PartitionAdded(partition.clone())]),
            partition,
            origin: origin.into(),
            way_out,
            losses,
            reading: None,
            paused: false,
            caught_up: false,
            finished: false,
        }
    }

    /// What has happened and may be told now.
    pub(super) fn pop(&mut self) -> Option<SourceEvent> {
        let about_records = !matches!(self.queue.front(), None | Some(SourceEvent::PartitionAdded(_)));
        if self.paused && about_records { None } else { self.queue.pop_front() }
    }

    /// Everything that will ever come has been told.
    pub(super) fn is_over(&self) -> bool {
        self.finished && self.queue.is_empty()
    }

    /// Goes to `offset`, before anything is read.
    pub(super) fn seek(&mut self, offset: Offset) -> SeamResult<()> {
        let end = self.topic.end(self.number);
        if offset > end {
            let message = format!(
                "{} was read up to record {offset}, but ends at record {end}: the log is older than what was made of it, \
                 bring both back from the same backup (weir restore FOLDER --data NEW)",
                self.origin,
            );
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        self.next = Offset(offset.0 + u64::from(planted!(ResumeOneFurther)));
        Ok(())
    }

    /// Does what can be done until there is something to tell; waits for ever where there never will be. Nothing changes
    /// before everything is there, so that the future may be dropped.
    pub(super) async fn advance(&mut self) -> SeamResult<()> {
        if self.finished || self.paused || !self.queue.is_empty() {
            // Resuming takes `&mut self`: it can only happen after this future was dropped.
            return std::future::pending().await;
        }
        if self.until.is_some_and(|until| self.next >= until) {
            self.queue.push_back(SourceEvent::PartitionFinished(self.partition.clone()));
            self.finished = true;
            return Ok(());
        }
        let (topic, number, from) = (&self.topic, self.number, self.next);
        let reading = self.reading.get_or_insert_with(|| {
            let topic = topic.clone();
            blocking(move || topic.read(number, from, CHUNK_BYTES))
        });
        let result = reading.await;
        self.reading = None;
        let result = result.map_err(|error| SeamError::caused(ErrorKind::Closed, "reading a log failed", error))?;
        let records = match result {
            Err(error) if error.kind == ErrorKind::Corrupt => return self.lost(error),
            result => result?,
        };
        if !records.is_empty() {
            self.caught_up = false;
            for records in records.chunks(RECORDS_MAX) {
                self.take(records);
            }
        } else if self.caught_up {
            self.topic.wait_for(self.number, self.next).await?;
            self.caught_up = false;
        } else {
            self.caught_up = true;
            self.queue.push_back(SourceEvent::CaughtUp(self.partition.clone()));
        }
        Ok(())
    }

    /// The next record cannot be read: goes on behind what is lost and says so, or stops.
    fn lost(&mut self, error: SeamError) -> SeamResult<()> {
        let start = self.topic.start(self.number);
        let (message, next) = if start > self.next {
            let message = format!(
                "{}: records {} to {} were deleted before they were read: let the log keep more, or read it sooner",
                self.origin,
                self.next,
                start.0 - 1
            );
            if !self.losses.skip_deleted {
                return Err(self.stop(message));
            }
            (message, start)
        } else {
            let message = format!("{}: {}", self.origin, error.full());
            let next = self.topic.readable_from(self.number, self.next)?;
            // A record that cannot be read and behind which nothing else can be is no loss that can be gone around.
            if !self.losses.skip_damaged || next <= self.next {
                return Err(self.stop(message));
            }
            (message, next)
        };
        self.queue.push_back(SourceEvent::Trouble { message, partition: Some(self.partition.clone()) });
        self.next = next;
        Ok(())
    }

    fn stop(&self, message: String) -> SeamError {
        SeamError::new(ErrorKind::Corrupt, format!("{message}; to go on without them: {}", self.way_out))
    }

    fn take(&mut self, records: &[(Offset, bytes::Bytes)]) {
        let within = |offset: Offset| self.until.is_none_or(|until| offset < until);
        let records = &records[..records.iter().take_while(|(offset, _)| within(*offset)).count()];
        let mut bytes = BytesMut::with_capacity(records.iter().map(|(_, record)| record.len()).sum());
        let mut spans = Vec::with_capacity(records.len());
        for (offset, record) in records {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(record);
            let end = bytes.len() as u32;
            spans.push(RecordSpan { start, end, offset: *offset, original_bytes: record.len() as u64 });
        }
        let Some((last, _)) = records.last() else { return };
        self.next = Offset(last.0 + 1);
        self.queue.push_back(SourceEvent::Records(Raw {
            partition: self.partition.clone(),
            origin: self.origin.clone(),
            bytes: bytes.freeze(),
            records: spans,
            next: Position { offset: self.next, ..Position::default() },
            fallback_time: None,
        }));
    }
}
