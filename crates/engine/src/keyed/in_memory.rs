//! Keys in memory and nowhere else, as simply as can be: what the others must say, they must say as this does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::SeamResult;

use super::{KeyedMeta, KeyedState, expires_at};
use crate::keys::Digest;
use crate::run::{Run, RunStore};

/// Keys in memory.
#[derive(Clone, Debug)]
pub(crate) struct InMemory {
    length: i64,
    times: BTreeMap<Digest, BTreeSet<i64>>,
}

impl InMemory {
    pub(crate) fn new(length: i64) -> Self {
        Self { length, times: BTreeMap::new() }
    }
}

impl KeyedState for InMemory {
    fn len(&self) -> usize {
        self.times.values().map(BTreeSet::len).sum()
    }

    fn fetch(&mut self, _: &[(Digest, i64)]) -> SeamResult<()> {
        Ok(())
    }

    fn get(&self, key: Digest, time: i64) -> Option<i64> {
        let near = time.saturating_sub(self.length - 1)..=time.saturating_add(self.length - 1);
        self.times.get(&key)?.range(near).next().copied()
    }

    fn put(&mut self, key: Digest, time: i64) {
        self.times.entry(key).or_default().insert(time);
    }

    fn next_expiry(&self) -> Option<i64> {
        let first = self.times.values().flatten().min()?;
        Some(expires_at(first.div_euclid(self.length) * self.length, self.length))
    }

    fn expire(&mut self, reached: i64) {
        let length = self.length;
        for times in self.times.values_mut() {
            times.retain(|time| expires_at(time.div_euclid(length) * length, length) > reached);
        }
        self.times.retain(|_, times| !times.is_empty());
    }

    fn seal(&mut self, _: usize, _: &mut u64) -> Vec<Run> {
        Vec::new()
    }

    fn meta(&self) -> KeyedMeta {
        KeyedMeta { buckets: Vec::new() }
    }

    fn restore(&mut self, _: &KeyedMeta, _: &[Run]) -> Result<(), String> {
        Ok(())
    }

    fn release(&mut self, _: usize, _: &Arc<dyn RunStore>) -> usize {
        0
    }

    fn size(&self) -> usize {
        0
    }
}
