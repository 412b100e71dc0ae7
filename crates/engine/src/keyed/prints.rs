//! Which keys a run holds, in less than six bytes each: a table of 32 bits of each key. It says yes for a key that is not there
//! about once in 10^9, and then a run is read in vain.

use crate::keys::Digest;

/// Stands for an empty place.
const EMPTY: u32 = 0;

/// The keys of one run.
#[derive(Clone, Debug)]
pub(crate) struct Prints {
    /// Open addressing with linear probing; a quarter is empty.
    table: Vec<u32>,
}

impl Prints {
    pub(crate) fn of(keys: &[Digest]) -> Self {
        let mut prints = Self { table: vec![EMPTY; (keys.len() * 4).div_ceil(3).max(2)] };
        for key in keys {
            let place = prints.place(*key);
            prints.table[place] = print(*key);
        }
        prints
    }

    /// Whether the key is one of them, as good as certainly.
    pub(crate) fn has(&self, key: Digest) -> bool {
        self.table[self.place(key)] != EMPTY
    }

    /// Where the key is, or would be.
    fn place(&self, key: Digest) -> usize {
        let (len, wanted) = (self.table.len(), print(key));
        // Other bits than those of the print: as a fraction of one, times the length (Lemire 2019, without a division).
        let mut place = (((key >> 96) * len as u128) >> 32) as usize;
        while self.table[place] != EMPTY && self.table[place] != wanted {
            place = if place + 1 == len { 0 } else { place + 1 };
        }
        place
    }

    pub(crate) fn size(&self) -> usize {
        self.table.capacity() * size_of::<u32>()
    }
}

fn print(key: Digest) -> u32 {
    (key as u32).max(EMPTY + 1)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn digest(number: u64) -> Digest {
        xxh3_128(&number.to_le_bytes())
    }

    #[test]
    fn every_key_is_found_and_as_good_as_no_other() {
        for count in [0, 1, 3, 1_000, 96 * 1024] {
            let keys: Vec<Digest> = (0..count).map(digest).collect();
            let prints = Prints::of(&keys);
            assert!(keys.iter().all(|key| prints.has(*key)), "{count}");
            let wrong = (count..count + 200_000).filter(|other| prints.has(digest(*other))).count();
            assert!(wrong < 3, "{wrong} of 200000 are taken for one of {count}");
        }
        let full = Prints::of(&(0..96 * 1024).map(digest).collect::<Vec<_>>());
        assert!(full.size() <= 6 * 96 * 1024, "{}", full.size());
    }
}
