//! A source that is read up to given positions and no further. Refuses to wait for records that are not there: whoever
//! read them once could read them again, or they are gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use weir_model::{KnownEnds, Offset, PartitionId, Position, Positions, Raw, SeamResult, Source, SourceEvent};

use crate::rerun::Found;

/// A source with an end.
pub(super) struct Bounded {
    source: Box<dyn Source>,
    /// Where each partition ends that is still read.
    open: BTreeMap<PartitionId, Offset>,
    /// Those of them that have shown themselves.
    seen: BTreeSet<PartitionId>,
    /// Those of which records have come.
    begun: BTreeSet<PartitionId>,
    queue: VecDeque<SourceEvent>,
    found: Arc<Found>,
}

impl Bounded {
    /// `source` up to `until`.
    pub(super) fn new(source: Box<dyn Source>, until: &Positions, found: Arc<Found>) -> Self {
        let open = until.iter().filter(|(_, position)| position.offset.0 > 0);
        let open = open.map(|(id, position)| (id.clone(), position.offset)).collect();
        Self { source, open, seen: BTreeSet::new(), begun: BTreeSet::new(), queue: VecDeque::new(), found }
    }

    /// Nothing more is read of a partition.
    fn close(&mut self, partition: &PartitionId) {
        self.source.pause(partition);
        self.open.remove(partition);
        self.queue.push_back(SourceEvent::PartitionFinished(partition.clone()));
    }

    /// A partition ends before its end.
    fn miss(&mut self, partition: &PartitionId) {
        self.found.miss(partition.clone());
        self.close(partition);
    }

    /// What of the records lies before the end.
    fn cut(&mut self, mut raw: Raw) -> Option<SourceEvent> {
        let until = *self.open.get(&raw.partition)?;
        raw.records.retain(|record| record.offset < until);
        if raw.next.offset >= until {
            raw.next = Position { offset: until, ..raw.next };
            let partition = raw.partition.clone();
            self.close(&partition);
        }
        Some(SourceEvent::Records(self.first_alone(raw)))
    }

    /// The first record of a partition whose beginning is gone comes alone: the watermark after it is what is known of those
    /// that were before it.
    fn first_alone(&mut self, mut raw: Raw) -> Raw {
        let Some(first) = raw.records.first().copied() else { return raw };
        let is_first = self.begun.insert(raw.partition.clone());
        // A file is there from its first byte on, or not at all.
        let is_file = || raw.next.token.as_deref().is_some_and(weir_collect::names_file);
        if is_first && first.offset.0 > 0 && !is_file() && raw.records.len() > 1 {
            let mut rest = raw.clone();
            rest.records.remove(0);
            // Before the end of its partition, which may be told already.
            self.queue.push_front(SourceEvent::Records(rest));
            raw.records.truncate(1);
            raw.next = Position { offset: Offset(first.offset.0 + 1), ..Position::default() };
        }
        raw
    }

    /// What an event of the source means here.
    fn take(&mut self, event: SourceEvent) -> Option<SourceEvent> {
        match event {
            SourceEvent::PartitionAdded(partition) => {
                if !self.open.contains_key(&partition) {
                    self.source.pause(&partition);
                    return None;
                }
                self.seen.insert(partition.clone());
                Some(SourceEvent::PartitionAdded(partition))
            }
            SourceEvent::Records(raw) => self.cut(raw),
            SourceEvent::CaughtUp(partition) | SourceEvent::PartitionFinished(partition) => {
                if self.open.contains_key(&partition) {
                    self.miss(&partition);
                }
                None
            }
            SourceEvent::Trouble { partition: Some(partition), .. } if self.open.contains_key(&partition) => {
                self.miss(&partition);
                None
            }
            trouble @ SourceEvent::Trouble { .. } => Some(trouble),
            SourceEvent::End => {
                for partition in self.open.keys().cloned().collect::<Vec<_>>() {
                    self.miss(&partition);
                }
                None
            }
        }
    }
}

#[async_trait]
impl Source for Bounded {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        self.source.seek(positions).await
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            // What was read before comes before the end of its partition.
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            if self.open.is_empty() {
                return Ok(SourceEvent::End);
            }
            // Partitions that are there show themselves before the first record of any.
            if !self.seen.is_empty() && !self.open.keys().any(|partition| self.seen.contains(partition)) {
                let _ = self.take(SourceEvent::End);
                continue;
            }
            let event = self.source.next().await?;
            // Ends that it brings about are queued behind it.
            if let Some(event) = self.take(event) {
                return Ok(event);
            }
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        self.source.pause(partition);
    }

    fn resume(&mut self, partition: &PartitionId) {
        if self.open.contains_key(partition) {
            self.source.resume(partition);
        }
    }

    fn bytes_total(&self) -> Option<u64> {
        self.source.bytes_total()
    }

    fn ends(&self) -> Option<KnownEnds> {
        self.source.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::RecordSpan;

    /// A source that tells what it was given.
    struct Told(VecDeque<SourceEvent>);

    #[async_trait]
    impl Source for Told {
        async fn seek(&mut self, _: &Positions) -> SeamResult<()> {
            Ok(())
        }

        async fn next(&mut self) -> SeamResult<SourceEvent> {
            Ok(self.0.pop_front().unwrap_or(SourceEvent::End))
        }

        fn pause(&mut self, _: &PartitionId) {}

        fn resume(&mut self, _: &PartitionId) {}

        fn bytes_total(&self) -> Option<u64> {
            None
        }
    }

    fn id(name: &str) -> PartitionId {
        PartitionId::new(name)
    }

    fn records(partition: &str, offsets: std::ops::Range<u64>) -> SourceEvent {
        let span = |offset| RecordSpan { start: 0, end: 0, offset: Offset(offset), original_bytes: 0 };
        SourceEvent::Records(Raw {
            partition: id(partition),
            origin: partition.into(),
            bytes: bytes::Bytes::new(),
            records: offsets.clone().map(span).collect(),
            next: Position { offset: Offset(offsets.end), ..Position::default() },
            fallback_time: None,
        })
    }

    /// What comes of a source that tells `events` and is read until `until`, as text; and what is missing.
    fn told(events: Vec<SourceEvent>, until: &[(&str, u64)]) -> (Vec<String>, Vec<String>) {
        let position = |offset| Position { offset: Offset(offset), ..Position::default() };
        let until: Positions = until.iter().map(|(name, offset)| (id(name), position(*offset))).collect();
        let found = Arc::new(Found::default());
        let mut source = Bounded::new(Box::new(Told(events.into())), &until, Arc::clone(&found));
        let mut lines = Vec::new();
        loop {
            let event = futures::executor::block_on(source.next()).expect("nothing fails");
            lines.push(match event {
                SourceEvent::End => break,
                SourceEvent::Records(raw) => {
                    let offsets: Vec<String> = raw.records.iter().map(|span| span.offset.to_string()).collect();
                    format!("{} {} then {}", raw.partition, offsets.join(" "), raw.next.offset)
                }
                SourceEvent::PartitionAdded(partition) => format!("{partition} is there"),
                SourceEvent::PartitionFinished(partition) => format!("{partition} ends"),
                SourceEvent::CaughtUp(partition) => format!("{partition} is caught up"),
                SourceEvent::Trouble { message, .. } => message,
            });
        }
        (lines, found.missing().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_ends_where_it_is_told_to_although_there_is_more() {
        let events = vec![
            SourceEvent::PartitionAdded(id("a")),
            SourceEvent::PartitionAdded(id("b")),
            SourceEvent::PartitionAdded(id("new")),
            records("new", 0..5),
            records("a", 0..2),
            records("a", 2..9),
            records("a", 9..12),
            records("b", 0..1),
        ];
        let (lines, missing) = told(events, &[("a", 4), ("b", 1), ("never read", 0)]);
        let expected = ["a is there", "b is there", "a 0 1 then 2", "a 2 3 then 4", "a ends", "b 0 then 1", "b ends"];
        assert_eq!(lines, expected);
        assert!(missing.is_empty());
    }

    #[test]
    fn the_first_record_of_what_lost_its_beginning_comes_alone() {
        let events = vec![
            SourceEvent::PartitionAdded(id("a")),
            SourceEvent::PartitionAdded(id("b")),
            records("a", 5..9),
            records("b", 7..8),
            records("b", 8..12),
        ];
        let (lines, missing) = told(events, &[("a", 8), ("b", 10)]);
        let expected = [
            "a is there",
            "b is there",
            "a 5 then 6",
            "a 6 7 then 8",
            "a ends",
            "b 7 then 8",
            "b 8 9 then 10",
            "b ends",
        ];
        assert_eq!(lines, expected);
        assert!(missing.is_empty());
    }

    #[test]
    fn what_is_gone_or_ends_too_early_is_missing() {
        let events = vec![
            SourceEvent::PartitionAdded(id("a")),
            SourceEvent::PartitionAdded(id("b")),
            records("a", 0..2),
            SourceEvent::CaughtUp(id("a")),
            records("b", 0..1),
            // It would wait for ever now.
        ];
        let (lines, missing) = told(events, &[("a", 4), ("b", 1), ("gone", 7)]);
        let expected = ["a is there", "b is there", "a 0 1 then 2", "a ends", "b 0 then 1", "b ends", "gone ends"];
        assert_eq!(lines, expected);
        assert_eq!(missing, ["a", "gone"]);
    }
}
