//! Group keys: strings of few distinct values, each kept once and known by a small number that stays the same from
//! batch to batch. Keeps no counts and forgets nothing on its own within a dictionary.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A dictionary with more keys than this is left behind and a new one is begun with the next batch.
///
/// The values array is copied whenever it has grown, so its size is also what a batch with a new key costs. Nothing is
/// rejected at the limit: how many keys there may be is a matter of the windows that group by them, and what a decoder
/// happens to have seen since its start must not change results.
pub(crate) const KEYS_PER_DICTIONARY_MAX: usize = 100_000;

/// The same for the bytes of all keys together.
pub(crate) const KEY_BYTES_PER_DICTIONARY_MAX: usize = 16 << 20;

/// An interning dictionary.
#[derive(Debug)]
pub(crate) struct Keys {
    table: HashTable<u32>,
    hasher: RandomState,
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`, after a leading zero.
    ends: Vec<i32>,
    /// The values as last handed out, if no key was added since.
    values: Option<Arc<StringArray>>,
    /// Short keys that came lately and their numbers: they are told by their bytes, without a hash of them.
    recent: Box<[(Short, i32); RECENT]>,
}

/// Short keys that are found without looking for them.
const RECENT: usize = 64;

/// A key of up to 16 bytes: its first bytes, its last ones, and its length tell it from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    first: u64,
    last: u64,
    len: u32,
}

impl Short {
    /// No key is so long.
    const NOTHING: Self = Self { first: 0, last: 0, len: u32::MAX };

    #[inline]
    fn of(key: &[u8]) -> Option<Self> {
        let len = key.len() as u32;
        let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            (Some(first), Some(last)) if len <= 16 => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            (Some(_), _) | (_, Some(_)) => return None,
            (None, None) => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
                (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
                _ => match *key {
                    [first, middle, last] => (u64::from(first) << 8 | u64::from(middle), last.into()),
                    [first, last] => (first.into(), last.into()),
                    [only] => (only.into(), 0),
                    _ => (0, 0),
                },
            },
        };
        Some(Self { first, last, len })
    }

    #[inline]
    fn place(&self) -> usize {
        // The digits of 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
        let mixed = (self.first ^ self.last.rotate_left(23)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize % RECENT
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            hasher: RandomState::default(),
            bytes: Vec::new(),
            ends: vec![0],
            values: None,
            recent: Box::new([(Short::NOTHING, 0); RECENT]),
        }
    }
}

impl Keys {
    /// The type of the arrays that [`Keys::array`] makes.
    pub(crate) fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }

    /// The number of `key`, which must be UTF-8; a new one if it is new.
    #[inline]
    pub(crate) fn intern(&mut self, key: &[u8]) -> i32 {
        let Some(short) = Short::of(key) else { return self.look_up(key) };
        let place = short.place();
        let (known, number) = self.recent[place];
        if known == short {
            return number;
        }
        let number = self.look_up(key);
        self.recent[place] = (short, number);
        number
    }

    fn look_up(&mut self, key: &[u8]) -> i32 {
        let hash = self.hasher.hash_one(key);
        let (bytes, ends) = (&self.bytes, &self.ends);
        if let Some(&id) = self.table.find(hash, |&id| key_of(bytes, ends, id) == key) {
            return id as i32;
        }
        self.add(key, hash)
    }

    #[cold]
    fn add(&mut self, key: &[u8], hash: u64) -> i32 {
        let id = u32::try_from(self.ends.len() - 1).expect("a batch has less than 4 Gi rows");
        self.bytes.extend_from_slice(key);
        self.ends.push(
            i32::try_from(self.bytes.len()).expect("the limit on key bytes and a batch's size are far below 2 GiB"),
        );
        self.values = None;
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        self.table.insert_unique(hash, id, |&id| hasher.hash_one(key_of(bytes, ends, id)));
        id as i32
    }

    /// A column of `ids`; begins a new dictionary afterwards if this one has grown over its limits.
    pub(crate) fn array(&mut self, ids: Vec<i32>, nulls: Option<NullBuffer>) -> ArrayRef {
        let values = match &self.values {
            Some(values) => values.clone(),
            None => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends.clone()));
                let bytes = Buffer::from_slice_ref(&self.bytes);
                let values =
                    StringArray::try_new(ends, bytes, None).expect("keys are UTF-8 and lie between their ends");
                self.values.insert(Arc::new(values)).clone()
            }
        };
        let array = DictionaryArray::<Int32Type>::try_new(Int32Array::new(ids.into(), nulls), values)
            .expect("every id was interned here");
        if self.ends.len() > KEYS_PER_DICTIONARY_MAX || self.bytes.len() > KEY_BYTES_PER_DICTIONARY_MAX {
            *self = Self::default();
        }
        Arc::new(array)
    }
}

fn key_of<'a>(bytes: &'a [u8], ends: &[i32], id: u32) -> &'a [u8] {
    &bytes[ends[id as usize] as usize..ends[id as usize + 1] as usize]
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use arrow::array::cast::AsArray;

    use super::*;

    fn texts(array: &ArrayRef) -> Vec<String> {
        let array = array.as_dictionary::<Int32Type>();
        let values = array.values().as_string::<i32>();
        array.keys().iter().map(|id| id.map_or("null".to_owned(), |id| values.value(id as usize).to_owned())).collect()
    }

    #[test]
    fn values_are_shared_until_a_key_is_added() {
        let mut keys = Keys::default();
        let ids = vec![keys.intern(b"a"), keys.intern(b"b"), keys.intern(b"a")];
        let first = keys.array(ids, None);
        let ids = vec![keys.intern(b"b")];
        let second = keys.array(ids, None);
        let ids = vec![keys.intern(b"c"), keys.intern(b"a")];
        let third = keys.array(ids, Some(NullBuffer::from(vec![true, false])));
        assert_eq!(
            (texts(&first), texts(&second), texts(&third)),
            (vec!["a".into(), "b".into(), "a".into()], vec!["b".into()], vec!["c".into(), "null".into()])
        );
        let values = |array: &ArrayRef| array.as_dictionary::<Int32Type>().values().to_data().buffers()[1].as_ptr();
        assert_eq!(values(&first), values(&second));
        assert_ne!(values(&first), values(&third));
    }

    #[test]
    fn keys_that_differ_have_different_numbers_however_alike_they_are() {
        // Every length up to more than is short, and every place at which two of one length may differ.
        let mut all: Vec<Vec<u8>> = (0..20).map(|len| vec![b'a'; len]).collect();
        for len in 1..20 {
            for place in 0..len {
                let mut key = vec![b'a'; len];
                key[place] = b'b';
                all.push(key);
            }
        }
        let mut keys = Keys::default();
        let first: Vec<i32> = all.iter().map(|key| keys.intern(key)).collect();
        assert_eq!(first, (0..all.len() as i32).collect::<Vec<_>>());
        for _ in 0..2 {
            assert_eq!(all.iter().rev().map(|key| keys.intern(key)).collect::<Vec<_>>().last(), Some(&0));
            assert_eq!(all.iter().map(|key| keys.intern(key)).collect::<Vec<_>>(), first);
        }
    }

    #[test]
    fn at_the_limit_a_new_dictionary_begins_and_nothing_is_lost() {
        let mut keys = Keys::default();
        let ids: Vec<i32> = (0..KEYS_PER_DICTIONARY_MAX + 10).map(|n| keys.intern(n.to_string().as_bytes())).collect();
        let array = keys.array(ids, None);
        assert_eq!(array.len(), KEYS_PER_DICTIONARY_MAX + 10);
        assert_eq!(texts(&array)[KEYS_PER_DICTIONARY_MAX + 9], (KEYS_PER_DICTIONARY_MAX + 9).to_string());
        assert_eq!(keys.intern(b"fresh"), 0);
    }
}
