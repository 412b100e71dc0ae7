//! A run over records that a pipeline has read before: how far it reads, what it keeps of the results, and where it really
//! could begin. Decides nothing about what the results are good for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_model::{Offset, PartitionId, Position, Positions, Watermark};
use weir_store::TimeSpan;

/// A run over records that were read before.
#[derive(Clone, Debug, Default)]
pub struct Rerun {
    /// Where reading ends, per source: a commit's positions. Partitions that are not named are not read.
    pub until: BTreeMap<String, Positions>,
    /// Sources that are something else than they were, and are read to their end.
    pub whole: BTreeSet<String>,
    /// Of results outside of it nothing is kept.
    pub span: Option<TimeSpan>,
    /// What was found.
    pub found: Arc<Found>,
}

/// What a rerun has found of the records.
#[derive(Debug, Default)]
pub struct Found(Mutex<Facts>);

#[derive(Debug, Default)]
struct Facts {
    begun: BTreeMap<PartitionId, Begun>,
    missing: BTreeSet<PartitionId>,
}

/// Where reading a partition began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The first record that was there.
    pub offset: Offset,
    /// The partition's watermark after the first record, or after the first records that came together where nothing is
    /// gone before them.
    pub watermark: Watermark,
}

impl Found {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where reading each partition began.
    pub fn begun(&self) -> BTreeMap<PartitionId, Begun> {
        self.facts().begun.clone()
    }

    /// Partitions that are not there any more, or end too early.
    pub fn missing(&self) -> BTreeSet<PartitionId> {
        self.facts().missing.clone()
    }

    /// Whether the first records of the partition are still to be noted.
    pub(crate) fn is_new(&self, partition: &PartitionId) -> bool {
        !self.facts().begun.contains_key(partition)
    }

    pub(crate) fn note(&self, partition: &PartitionId, begun: Begun) {
        self.facts().begun.entry(partition.clone()).or_insert(begun);
    }

    pub(crate) fn miss(&self, partition: PartitionId) {
        self.facts().missing.insert(partition);
    }
}

impl Rerun {
    /// Where the source of this name begins: at the beginning of what it then read, with what it needs to recognise that.
    pub(crate) fn beginnings(&self, source: &str) -> Positions {
        let known = self.until.get(source).into_iter().flatten();
        // Only files have to be recognised; everything else begins at its oldest record.
        let begin = |(id, position): (&PartitionId, &Position)| {
            let token = position.token.clone().filter(|token| weir_collect::names_file(token))?;
            Some((id.clone(), Position { token: Some(token), ..Position::default() }))
        };
        known.filter_map(begin).collect()
    }
}
