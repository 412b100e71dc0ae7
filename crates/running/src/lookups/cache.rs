//! Answers that are remembered for a while: the oldest makes room.

use std::collections::{BTreeMap, HashMap};

use weir_model::ProcessingTime;

use super::answer::Answer;
use super::key::Key;

pub(super) struct Cache {
    entries_max: usize,
    entries: HashMap<Key, Entry>,
    /// The keys in the order in which they came.
    order: BTreeMap<u64, Key>,
    next: u64,
}

struct Entry {
    answer: Answer,
    until: ProcessingTime,
    place: u64,
}

impl Cache {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries_max, entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    pub(super) fn get(&self, key: &Key, now: ProcessingTime) -> Option<Answer> {
        self.entries.get(key).filter(|entry| now < entry.until).map(|entry| entry.answer.clone())
    }

    pub(super) fn insert(&mut self, key: Key, answer: Answer, until: ProcessingTime) {
        let place = self.next;
        self.next += 1;
        if let Some(before) = self.entries.insert(key.clone(), Entry { answer, until, place }) {
            self.order.remove(&before.place);
        }
        self.order.insert(place, key);
        while self.entries.len() > self.entries_max {
            let (_, oldest) = self.order.pop_first().expect("every entry has a place");
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        vec![name.to_owned()]
    }

    #[test]
    fn answers_are_remembered_until_their_time_and_the_oldest_makes_room() {
        let at = ProcessingTime::from_micros;
        let mut cache = Cache::new(2);
        cache.insert(key("a"), Answer::None, at(10));
        cache.insert(key("b"), Answer::None, at(20));
        assert!(cache.get(&key("a"), at(9)).is_some() && cache.get(&key("a"), at(10)).is_none());
        cache.insert(key("a"), Answer::None, at(30));
        cache.insert(key("c"), Answer::None, at(30));
        assert!(cache.get(&key("b"), at(0)).is_none(), "it came before the new one of a");
        assert!(cache.get(&key("a"), at(20)).is_some() && cache.get(&key("c"), at(20)).is_some());
        assert_eq!((cache.entries.len(), cache.order.len()), (2, 2));
    }
}
