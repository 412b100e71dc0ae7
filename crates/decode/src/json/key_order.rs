//! Recognises the keys of an object by the order in which they came in earlier records. Only a shortcut: what it does
//! not know has to be looked up.

/// How many different keys of one object are remembered; others are looked up each time.
const KEYS_MAX: usize = 256;

/// Keys up to this long are remembered, quotes and colon included.
const KEY_BYTES_MAX: usize = 64;

/// The keys of one object in the order in which they are usually written, each with what it means.
#[derive(Clone, Debug)]
pub(crate) struct KeyOrder<T> {
    keys: Vec<Known<T>>,
}

#[derive(Clone, Debug)]
struct Known<T> {
    /// The first 16 bytes of the key as it is written: quote, key, quote, colon.
    front: u128,
    mask: u128,
    /// The key as it is written.
    text: Box<[u8]>,
    meaning: T,
}

impl<T> Default for KeyOrder<T> {
    fn default() -> Self {
        Self { keys: Vec::new() }
    }
}

impl<T: Copy> KeyOrder<T> {
    /// The key at the front of `ahead`: how many bytes it takes with its colon, what it means, and the place where the
    /// key after it is expected. `place` is where this one is expected.
    #[inline]
    pub(crate) fn recognise(&self, place: usize, ahead: &[u8]) -> Option<(usize, T, usize)> {
        let front = front(ahead);
        if let Some(known) = self.keys.get(place).filter(|known| known.is_at(front, ahead)) {
            return Some((known.text.len(), known.meaning, place + 1));
        }
        self.search(place, front, ahead)
    }

    fn search(&self, place: usize, front: u128, ahead: &[u8]) -> Option<(usize, T, usize)> {
        let split = place.min(self.keys.len());
        let found = (split..self.keys.len()).chain(0..split).find(|i| self.keys[*i].is_at(front, ahead))?;
        Some((self.keys[found].text.len(), self.keys[found].meaning, found + 1))
    }

    /// Remembers that `key` (without quotes, nothing escaped) means `meaning`.
    pub(crate) fn learn(&mut self, key: &[u8], meaning: T) {
        if self.keys.len() == KEYS_MAX || key.len() + 3 > KEY_BYTES_MAX {
            return;
        }
        let text: Box<[u8]> = [b"\"", key, b"\":"].concat().into();
        let mask = if text.len() >= 16 { u128::MAX } else { (1_u128 << (8 * text.len())) - 1 };
        self.keys.push(Known { front: front(&text) & mask, mask, text, meaning });
    }
}

impl<T> Known<T> {
    #[inline]
    fn is_at(&self, front: u128, ahead: &[u8]) -> bool {
        front & self.mask == self.front && (self.text.len() <= 16 || ahead.starts_with(&self.text))
    }
}

/// The first 16 bytes of `text`, zeros where it is shorter.
#[inline]
fn front(text: &[u8]) -> u128 {
    match text.first_chunk::<16>() {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => short_front(text),
    }
}

#[cold]
fn short_front(text: &[u8]) -> u128 {
    let mut chunk = [0; 16];
    chunk[..text.len()].copy_from_slice(text);
    u128::from_le_bytes(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> KeyOrder<u8> {
        let mut order = KeyOrder::default();
        for (i, key) in ["a", "level", "a_key_that_is_longer_than_sixteen"].iter().enumerate() {
            order.learn(key.as_bytes(), i as u8);
        }
        order
    }

    #[test]
    fn keys_are_recognised_in_their_place_and_out_of_it() {
        let order = order();
        assert_eq!(order.recognise(0, b"\"a\":1"), Some((4, 0, 1)));
        assert_eq!(order.recognise(0, b"\"level\":\"INFO\",\"x\":1"), Some((8, 1, 2)));
        assert_eq!(order.recognise(3, b"\"a_key_that_is_longer_than_sixteen\":null"), Some((36, 2, 3)));
    }

    #[test]
    fn a_key_that_only_begins_alike_is_another_key() {
        let order = order();
        for other in ["\"ab\":1", "\"a_key_that_is_longer_than_sixteem\":1", "\"leve", "", "\"a\" :1"] {
            assert_eq!(order.recognise(0, other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn no_more_than_the_limit_is_remembered() {
        let mut order = KeyOrder::default();
        for i in 0..KEYS_MAX + 1 {
            order.learn(i.to_string().as_bytes(), i);
        }
        assert_eq!(order.recognise(0, b"\"255\":1").map(|found| found.1), Some(255));
        assert_eq!(order.recognise(0, b"\"256\":1"), None);
        order.learn(&[b'x'; KEY_BYTES_MAX], 0);
        assert_eq!(order.keys.len(), KEYS_MAX);
    }
}
