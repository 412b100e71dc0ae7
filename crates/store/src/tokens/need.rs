//! What the texts of a block must have for one of them to match, and which blocks those are. Reads nothing.

use super::text::{WHOLE_BYTES_MAX, WORD_BYTES_MIN, is_in_word, take_apart, whole};

/// More pieces of one fragment than this are not looked up: those that are leave few blocks already.
const GRAMS_MAX: usize = 64;
/// As many words.
const WORDS_MAX: usize = 32;

/// What a block must have so that a text in it may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing that the index knows of: every block may match.
    Anything,
    /// A word or a whole value with this hash.
    Hash(u64),
    /// All these pieces of three bytes.
    Grams(Vec<u32>),
    /// All of these.
    All(Vec<Need>),
    /// One of these.
    Any(Vec<Need>),
}

/// What is beside a fragment in the texts that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The text begins or ends here, or a byte that is part of no word follows.
    NoWord,
    /// Anything at all.
    Anything,
}

impl Need {
    /// What a text needs to contain `fragment`, whatever the case of its ASCII letters.
    pub fn fragment(fragment: &str, before: Beside, after: Beside) -> Self {
        let bytes = fragment.as_bytes();
        let mut grams = Vec::new();
        take_apart(bytes, |gram| grams.push(gram), |_| {});
        grams.sort_unstable();
        grams.dedup();
        grams.truncate(GRAMS_MAX);
        let mut all = match grams.is_empty() {
            true => Vec::new(),
            false => vec![Self::Grams(grams)],
        };
        let mut from = 0;
        for run in bytes.chunk_by(|a, b| is_in_word(*a) == is_in_word(*b)) {
            let to = from + run.len();
            let begins = from > 0 || before == Beside::NoWord;
            let ends = to < bytes.len() || after == Beside::NoWord;
            if is_in_word(run[0]) && begins && ends && run.len() >= WORD_BYTES_MIN && all.len() <= WORDS_MAX {
                take_apart(run, |_| {}, |word| all.push(Self::Hash(word)));
            }
            from = to;
        }
        Self::all(all)
    }

    /// What a text needs to be `value`, whatever the case of its ASCII letters.
    pub fn value(value: &str) -> Self {
        match value.len() {
            0 => Self::Anything,
            1..=WHOLE_BYTES_MAX => Self::Hash(whole(value.as_bytes())),
            _ => Self::fragment(value, Beside::NoWord, Beside::NoWord),
        }
    }

    /// What fulfils all of `needs`.
    pub fn all(needs: Vec<Self>) -> Self {
        let mut needs: Vec<Self> = needs.into_iter().filter(|need| *need != Self::Anything).collect();
        match needs.len() {
            0 => Self::Anything,
            1 => needs.remove(0),
            _ => Self::All(needs),
        }
    }

    /// What fulfils one of `needs`; nothing does if there are none, which is not known here.
    pub fn any(needs: Vec<Self>) -> Self {
        if needs.is_empty() || needs.contains(&Self::Anything) { Self::Anything } else { Self::Any(needs) }
    }
}

/// A set of the blocks of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    words: Vec<u64>,
    count: usize,
}

impl Blocks {
    /// All of `count` blocks.
    pub fn all(count: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; count.div_ceil(64)], count };
        if let Some(last) = all.words.last_mut()
            && !count.is_multiple_of(64)
        {
            *last = (1 << (count % 64)) - 1;
        }
        all
    }

    /// None of `count` blocks.
    pub fn none(count: usize) -> Self {
        Self { words: vec![0; count.div_ceil(64)], count }
    }

    /// From bits, the lowest of the first byte first.
    pub(super) fn from_bytes(bytes: &[u8], count: usize) -> Self {
        let mut blocks = Self::none(count);
        for (at, &byte) in bytes.iter().enumerate().take(count.div_ceil(8)) {
            blocks.words[at / 8] |= u64::from(byte) << (8 * (at % 8));
        }
        blocks.and(&Self::all(count));
        blocks
    }

    /// How many blocks the segment has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many of them are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether all are.
    pub fn is_all(&self) -> bool {
        self.len() == self.count
    }

    /// Whether block `at` is in the set.
    pub fn has(&self, at: usize) -> bool {
        at < self.count && self.words[at / 64] & (1 << (at % 64)) != 0
    }

    pub(super) fn add(&mut self, at: usize) {
        assert!(at < self.count, "block {at} of {}", self.count);
        self.words[at / 64] |= 1 << (at % 64);
    }

    /// Leaves those that are in `other` too.
    pub fn and(&mut self, other: &Self) {
        assert_eq!(self.count, other.count, "sets of blocks of one segment");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Adds those that are in `other`.
    pub fn or(&mut self, other: &Self) {
        assert_eq!(self.count, other.count, "sets of blocks of one segment");
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }
}
