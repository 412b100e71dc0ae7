//! A partition's log as readers and producers see it: records, markers, what is undecided. Keeps everything, also what
//! retention has made unreadable.

use std::collections::BTreeMap;

use weir_workers::Outgoing;

use super::Refused;

/// What a reader of committed records makes of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Fate {
    Undecided,
    Committed,
    Aborted,
    /// It is none, but says what becomes of others.
    Marker,
}

/// A record in its place.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub(in super::super) record: Outgoing,
    pub(in super::super) fate: Fate,
    producer: Option<u64>,
}

/// A partition.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Log {
    /// How often the topic was made anew.
    pub(in super::super) incarnation: u64,
    /// What is before it was deleted.
    pub(in super::super) start: u64,
    pub(in super::super) entries: Vec<Entry>,
    /// The first record of each transaction that is undecided here.
    open: BTreeMap<u64, u64>,
    /// Of each producer the last epoch and the last batch.
    producers: BTreeMap<u64, (u32, u64)>,
}

impl Log {
    pub(in super::super) fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Where a reader of committed records comes to the end.
    pub(in super::super) fn stable_end(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.end())
    }

    /// The next record from there on that a reader may see.
    pub(in super::super) fn visible(&self, from: u64, end: u64) -> Option<(u64, &Entry)> {
        let rest = (from..end).zip(&self.entries[from.min(self.end()) as usize..]);
        rest.into_iter().find(|(_, entry)| matches!(entry.fate, Fate::Committed | Fate::Undecided))
    }

    /// The topic was deleted and made anew.
    pub(in super::super) fn begin_anew(&mut self) {
        *self = Self { incarnation: self.incarnation + 1, ..Self::default() };
    }

    /// A record outside of any transaction.
    pub(in super::super) fn put(&mut self, record: Outgoing) {
        self.entries.push(Entry { record, fate: Fate::Committed, producer: None });
    }

    /// A batch of a transaction; one that is there already is not stored again.
    pub(super) fn append(&mut self, (id, epoch): (u64, u32), batch: u64, records: &[Outgoing]) -> Result<(), Refused> {
        let last = self.producers.entry(id).or_insert((epoch, 0));
        if epoch < last.0 {
            return Err(Refused::Fenced);
        }
        if last.0 == epoch && batch <= last.1 {
            return Ok(());
        }
        *last = (epoch, batch);
        if !records.is_empty() {
            self.open.entry(id).or_insert(self.entries.len() as u64);
        }
        let entry = |record: &Outgoing| Entry { record: record.clone(), fate: Fate::Undecided, producer: Some(id) };
        self.entries.extend(records.iter().map(entry));
        Ok(())
    }

    /// A transaction is decided here.
    pub(super) fn mark(&mut self, (id, epoch): (u64, u32), is_commit: bool) {
        let fate = if is_commit { Fate::Committed } else { Fate::Aborted };
        let own = |entry: &&mut Entry| entry.producer == Some(id) && entry.fate == Fate::Undecided;
        self.entries.iter_mut().filter(own).for_each(|entry| entry.fate = fate);
        self.open.remove(&id);
        self.entries.push(Entry { record: Outgoing::default(), fate: Fate::Marker, producer: Some(id) });
        let last = self.producers.entry(id).or_insert((epoch, 0));
        if epoch > last.0 {
            *last = (epoch, 0);
        }
    }
}
