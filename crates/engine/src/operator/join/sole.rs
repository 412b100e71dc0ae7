//! Of each key of a table that has one version, where that is: some 36 bytes, however the key looks. Most keys of most tables
//! are here, and what has to be known of a version to tell it from others of its key is in its run.
//!
//! Keys are told apart by 96 bits of their digests: that two of ten million have the same ones is expected once in 10^15
//! tables.

use hashbrown::HashTable;

use super::versions::Spot;
use crate::keys::Digest;

/// Entries that are allotted at a time.
const ENTRIES_PER_CHUNK: usize = 1 << 12;
/// Stands for no run: the entry is free.
const NO_RUN: u32 = u32::MAX;
/// Stands for no entry.
const NONE: u32 = u32::MAX;
/// The bit of a row's number that says whether its version is deleted.
const DELETED: u32 = 1 << 31;

/// The only version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct One {
    /// Its event time; it holds from then on.
    pub(super) time: i64,
    pub(super) spot: Spot,
    /// Whether it says that there is no row.
    pub(super) deleted: bool,
}

/// Keys with one version each.
#[derive(Debug)]
pub(super) struct Sole {
    /// The numbers of entries.
    table: HashTable<u32>,
    /// All of [`ENTRIES_PER_CHUNK`] but the last. Free ones are a list: the row of each is the number of the next.
    entries: Vec<Vec<Entry>>,
    free: u32,
}

/// Of parts of four bytes, for it would be four bytes longer with longer ones.
#[derive(Clone, Copy, Debug)]
struct Entry {
    print: [u32; 3],
    time: [u32; 2],
    run: u32,
    row: u32,
}

impl Sole {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), entries: Vec::new(), free: NONE }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The version of a key.
    pub(super) fn get(&self, key: Digest) -> Option<One> {
        let print = print(key);
        let found = self.table.find(hash(print), |number| self.entry(*number).print == print);
        found.map(|number| self.entry(*number).one())
    }

    /// Puts the version of a key that has none.
    pub(super) fn put(&mut self, key: Digest, one: One) {
        debug_assert!(self.get(key).is_none(), "it has none");
        let entry = Entry::new(print(key), one);
        let number = self.allot(entry);
        let entries = &self.entries;
        self.table.insert_unique(hash(entry.print), number, |number| hash(at(entries, *number).print));
    }

    /// Takes out the version of a key.
    pub(super) fn take(&mut self, key: Digest) -> Option<One> {
        let print = print(key);
        let entries = &self.entries;
        let found = self.table.find_entry(hash(print), |number| at(entries, *number).print == print).ok()?;
        let (number, _) = found.remove();
        Some(self.give_back(number))
    }

    /// Notes that the row of a key's version has moved, if it was there.
    pub(super) fn moved(&mut self, key: Digest, from: Spot, to: Spot) -> bool {
        let print = print(key);
        let Some(number) = self.table.find(hash(print), |number| self.entry(*number).print == print).copied() else {
            return false;
        };
        let entry = &mut self.entries[number as usize / ENTRIES_PER_CHUNK][number as usize % ENTRIES_PER_CHUNK];
        let one = entry.one();
        if one.spot != from {
            return false;
        }
        *entry = Entry::new(print, One { spot: to, ..one });
        true
    }

    /// Takes out every version that `is_over`, and returns them.
    pub(super) fn take_all(&mut self, is_over: impl Fn(&One) -> bool) -> Vec<One> {
        let over = |number: &u32| is_over(&self.entry(*number).one());
        let numbers: Vec<u32> = self.table.iter().copied().filter(over).collect();
        let mut taken = Vec::with_capacity(numbers.len());
        for number in numbers {
            let entries = &self.entries;
            let found = self.table.find_entry(hash(self.entry(number).print), |known| *known == number);
            found.expect("it was found just now").remove();
            debug_assert!((number as usize) < entries.len() * ENTRIES_PER_CHUNK, "its entry is there");
            taken.push(self.give_back(number));
        }
        taken
    }

    fn entry(&self, number: u32) -> &Entry {
        at(&self.entries, number)
    }

    fn allot(&mut self, entry: Entry) -> u32 {
        if self.free != NONE {
            let number = self.free;
            let place = &mut self.entries[number as usize / ENTRIES_PER_CHUNK][number as usize % ENTRIES_PER_CHUNK];
            self.free = place.row;
            *place = entry;
            return number;
        }
        if self.entries.last().is_none_or(|last| last.len() == ENTRIES_PER_CHUNK) {
            let room = if self.entries.is_empty() { 0 } else { ENTRIES_PER_CHUNK };
            self.entries.push(Vec::with_capacity(room));
        }
        let before = (self.entries.len() - 1) * ENTRIES_PER_CHUNK;
        let last = self.entries.last_mut().expect("there is one now");
        last.push(entry);
        (before + last.len() - 1) as u32
    }

    fn give_back(&mut self, number: u32) -> One {
        let place = &mut self.entries[number as usize / ENTRIES_PER_CHUNK][number as usize % ENTRIES_PER_CHUNK];
        let one = place.one();
        (place.run, place.row) = (NO_RUN, self.free);
        self.free = number;
        one
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(|entries| entries.capacity() * size_of::<Entry>()).sum();
        self.table.allocation_size() + entries + self.entries.capacity() * size_of::<Vec<Entry>>()
    }
}

impl Entry {
    fn new(print: [u32; 3], one: One) -> Self {
        let (run, row) = one.spot;
        assert!(run != NO_RUN && row < DELETED, "runs are merged long before they have two thousand million rows");
        let time = [one.time as u32, (one.time >> 32) as u32];
        Self { print, time, run, row: if one.deleted { row | DELETED } else { row } }
    }

    fn one(&self) -> One {
        let [low, high] = self.time;
        One {
            time: (u64::from(high) << 32 | u64::from(low)) as i64,
            spot: (self.run, self.row & !DELETED),
            deleted: self.row & DELETED != 0,
        }
    }
}

fn at(entries: &[Vec<Entry>], number: u32) -> &Entry {
    &entries[number as usize / ENTRIES_PER_CHUNK][number as usize % ENTRIES_PER_CHUNK]
}

fn print(key: Digest) -> [u32; 3] {
    [key as u32, (key >> 32) as u32, (key >> 64) as u32]
}

/// A digest's bits are as good as any hash of them.
fn hash([low, high, _]: [u32; 3]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn one(number: i64) -> One {
        One { time: number - 5_000, spot: (number as u32 / 100, number as u32 % 100), deleted: number % 7 == 0 }
    }

    #[test]
    fn what_was_put_is_found_moved_and_taken_out_as_in_a_plain_map() {
        let (mut sole, mut plain) = (Sole::new(), BTreeMap::new());
        let key = |number: i64| xxh3_128(&number.to_le_bytes());
        for round in 0..3 {
            for number in (0..9_000).filter(|number| number % 3 != round) {
                let put = One { time: one(number).time + round, ..one(number) };
                assert_eq!(sole.take(key(number)), plain.remove(&number), "{number}");
                sole.put(key(number), put);
                plain.insert(number, put);
                if number % 5 == 0 {
                    let spot = (7, number as u32);
                    assert!(sole.moved(key(number), put.spot, spot) && !sole.moved(key(number), (8, 8), put.spot));
                    plain.insert(number, One { spot, ..put });
                }
            }
            let is_over = |one: &One| one.time % 10 == 3;
            let mut taken = sole.take_all(is_over);
            taken.sort_by_key(|one| one.time);
            let mut expected: Vec<One> = plain.values().copied().filter(is_over).collect();
            expected.sort_by_key(|one| one.time);
            assert_eq!(taken, expected);
            plain.retain(|_, one| !is_over(one));
            assert_eq!(sole.len(), plain.len());
        }
        assert!((0..9_000).all(|number| sole.get(key(number)) == plain.get(&number).copied()));
    }

    #[test]
    fn a_key_takes_some_forty_bytes_and_what_is_given_back_is_used_again() {
        let mut sole = Sole::new();
        let key = |number: u32| xxh3_128(&number.to_le_bytes());
        for number in 0..100_000 {
            sole.put(key(number), one(number.into()));
            if number >= 50_000 {
                let size = sole.size();
                assert!(size < 42 * (number as usize + 1), "{size} bytes of {number} keys");
            }
        }
        let before = sole.entries.len();
        for number in 0..100_000 {
            sole.take(key(number));
            sole.put(key(number + 200_000), one(number.into()));
        }
        assert_eq!(sole.entries.len(), before);
    }
}
