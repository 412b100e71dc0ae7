//! From the ids of keys to the numbers of groups: an array where ids are small, a map where they are not.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::KeyId;

/// Ids below this are looked up in an array.
const DENSE: u32 = 1 << 16;
const NONE: u32 = u32::MAX;

/// The groups of one table: groups are numbered from 0 in the order in which their keys came.
#[derive(Debug, Default)]
pub(crate) struct GroupIndex {
    dense: Vec<u32>,
    sparse: HashMap<KeyId, u32, FixedState>,
    keys: Vec<KeyId>,
}

impl GroupIndex {
    /// The group of `key`, a new one if there is none.
    #[inline]
    pub(crate) fn group(&mut self, key: KeyId) -> u32 {
        match self.dense.get(key as usize) {
            Some(&group) if group != NONE => group,
            _ => self.group_slow(key),
        }
    }

    #[cold]
    fn group_slow(&mut self, key: KeyId) -> u32 {
        let next = self.keys.len() as u32;
        if key < DENSE {
            self.dense.resize(self.dense.len().max(key as usize + 1), NONE);
            self.dense[key as usize] = next;
        } else {
            let group = *self.sparse.entry(key).or_insert(next);
            if group != next {
                return group;
            }
        }
        self.keys.push(key);
        next
    }

    /// Makes room for so many more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.keys.reserve(keys);
    }

    /// The group of `key`, if there is one.
    pub(crate) fn find(&self, key: KeyId) -> Option<u32> {
        let dense = self.dense.get(key as usize).copied().filter(|group| *group != NONE);
        dense.or_else(|| self.sparse.get(&key).copied())
    }

    /// The key of each group.
    pub(crate) fn keys(&self) -> &[KeyId] {
        &self.keys
    }

    /// Replaces each key by its new id in `ids`.
    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        let keys = std::mem::take(self).keys;
        for key in keys {
            self.group(ids[key as usize]);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn size(&self) -> usize {
        (self.dense.capacity() + self.keys.capacity()) * 4 + self.sparse.capacity() * 9
    }
}
