//! Numbers pairs of numbers: a table for small ones, a map for the others.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Pairs of numbers below this are looked up in a table of 256 KiB.
const SMALL: u32 = 256;
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Pairs {
    small: Vec<u32>,
    large: HashMap<(u32, u32), u32, FixedState>,
    pairs: Vec<(u32, u32)>,
}

impl Pairs {
    /// The number of the pair, a new one if it was never seen.
    #[inline]
    pub(crate) fn number(&mut self, left: u32, right: u32) -> u32 {
        if left < SMALL && right < SMALL {
            match self.small.get((left * SMALL + right) as usize) {
                Some(&number) if number != NONE => number,
                _ => self.add_small(left, right),
            }
        } else {
            *self.large.entry((left, right)).or_insert_with(|| {
                self.pairs.push((left, right));
                self.pairs.len() as u32 - 1
            })
        }
    }

    #[cold]
    fn add_small(&mut self, left: u32, right: u32) -> u32 {
        self.small.resize((SMALL * SMALL) as usize, NONE);
        let number = self.pairs.len() as u32;
        self.pairs.push((left, right));
        self.small[(left * SMALL + right) as usize] = number;
        number
    }

    /// The pair with this number.
    pub(crate) fn pair(&self, number: u32) -> (u32, u32) {
        self.pairs[number as usize]
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.small.capacity() * 4 + self.large.capacity() * 16 + self.pairs.capacity() * 8
    }
}
