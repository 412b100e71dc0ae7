//! The owner of some key groups: takes partials in the order of their topic, and answers readers. Knows nothing of groups
//! and transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_engine::{Effect, Held, KeyGroup, Merge, Partial, PartialError, Snapshot};
use weir_model::{ErrorKind, EventTime, PartitionId, ProcessingTime, SeamError, SeamResult, Watermark};

use crate::broker::{Outgoing, Place};
use crate::outputs::{From, Outputs};

/// What results are from, for dead letters: no source.
const RESULTS: From<'static> = From { source: "results", format: "json", raw: None };

/// Key groups at work.
pub(crate) struct Owner {
    merge: Merge,
    /// Where the reading of each key group's partials goes on.
    pub(crate) next: BTreeMap<u16, u64>,
    answers: Arc<str>,
}

/// An answer as it travels.
#[derive(Serialize, Deserialize)]
struct Answer {
    key_group: u16,
    partition: PartitionId,
    generation: u64,
    watermark: i64,
}

impl Owner {
    pub(crate) fn new(merge: Merge, next: BTreeMap<u16, u64>, answers: &str) -> Self {
        Self { merge, next, answers: answers.into() }
    }

    /// These partitions are known: until their readers say otherwise they hold event time back.
    pub(crate) fn expect<'a>(
        &mut self,
        partitions: impl Iterator<Item = &'a (usize, PartitionId)>,
        outputs: &mut Outputs,
    ) -> SeamResult<()> {
        let mut effects = Vec::new();
        partitions.for_each(|(source, partition)| self.merge.expect(*source, partition, &mut effects));
        outputs.effects(effects, RESULTS)
    }

    /// Takes the record at `offset` of the partials of `place`.
    ///
    /// # Errors
    /// `Retry` when one that was sent before it is missing: go back to the last commit. `Corrupt` when it is damaged or of
    /// somebody who must not send any more.
    pub(crate) fn take(
        &mut self,
        place: &Place,
        (offset, value): (u64, Option<&[u8]>),
        outputs: &mut Outputs,
    ) -> SeamResult<()> {
        let wrong = |error: PartialError| {
            let kind = match &error {
                PartialError::Missing { .. } => ErrorKind::Unknown,
                PartialError::OtherPlan { .. }
                | PartialError::Damaged { .. }
                | PartialError::NotOwned { .. }
                | PartialError::Outdated { .. } => ErrorKind::Corrupt,
            };
            SeamError::caused(kind, format!("record {offset} of {place}"), error)
        };
        let group = u16::try_from(place.partition).unwrap_or(u16::MAX);
        let Some(value) = value else {
            // It was there to have a transaction decided.
            self.next.insert(group, offset + 1);
            return Ok(());
        };
        let partial = Partial::from_bytes(value).map_err(wrong)?;
        let mut effects = Vec::new();
        let held = self.merge.take(partial, &mut effects).map_err(wrong)?;
        self.next.insert(group, offset + 1);
        outputs.effects(effects, RESULTS)?;
        if let Some(held) = held {
            outputs.push(self.answer(&held));
        }
        Ok(())
    }

    /// Where the reading of the partials of `place` goes on.
    pub(crate) fn next_of(&self, place: &Place) -> u64 {
        u16::try_from(place.partition).ok().and_then(|group| self.next.get(&group)).copied().unwrap_or(0)
    }

    pub(crate) fn tick(&mut self, now: ProcessingTime, outputs: &mut Outputs) -> SeamResult<()> {
        let mut effects: Vec<Effect> = Vec::new();
        self.merge.tick(now, &mut effects);
        outputs.effects(effects, RESULTS)
    }

    pub(crate) fn seal(&mut self) -> Vec<(KeyGroup, Snapshot)> {
        self.merge.snapshot()
    }

    pub(crate) fn balances(&self) -> Vec<weir_model::Balance> {
        self.merge.balances()
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.merge.watermark()
    }

    pub(crate) fn state_bytes(&self) -> usize {
        self.merge.state_bytes()
    }

    fn answer(&self, held: &Held) -> Outgoing {
        let answer = Answer {
            key_group: held.key_group.0,
            partition: held.partition.clone(),
            generation: held.generation,
            watermark: held.watermark.time().micros(),
        };
        let value = serde_json::to_vec(&answer).expect("numbers and names are JSON");
        Outgoing {
            topic: Arc::clone(&self.answers),
            partition: Some(0),
            key: None,
            value: Some(value),
            headers: Vec::new(),
        }
    }
}

/// What an owner has answered; nothing when it cannot be read, as an answer may be missed.
pub(crate) fn heard(value: Option<&[u8]>) -> Option<Held> {
    let answer: Answer = serde_json::from_slice(value?).ok()?;
    Some(Held {
        key_group: KeyGroup(answer.key_group),
        partition: answer.partition,
        generation: answer.generation,
        watermark: Watermark::at(EventTime::from_micros(answer.watermark)),
    })
}
