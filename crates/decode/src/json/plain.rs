//! Where the plain part of a string ends: at a quote, a backslash or a control character. Looks at many bytes at a time;
//! decides nothing about what stands there.

/// Bytes that are looked at one by one when nothing is found in a word: a block of them at once, as a vector.
const BLOCK: usize = 16;

/// Where the plain part of a string that goes on at `from` ends: at a quote, a backslash, a control character or the
/// end of the record.
///
/// Most strings are short, and end in the first word or the second. In a long one whole blocks are passed over first.
#[inline]
pub(super) fn plain_end(record: &[u8], from: usize) -> usize {
    match first_in_word(record, from) {
        Ok(end) => end,
        Err(at) => long_end(record, at),
    }
}

/// The place of the first byte at which a string cannot simply go on, among the next eight; or else where to go on.
#[inline]
fn first_in_word(record: &[u8], at: usize) -> Result<usize, usize> {
    let Some(chunk) = record[at..].first_chunk::<8>() else { return Ok(end_one_by_one(record, at)) };
    match marks(u64::from_le_bytes(*chunk)) {
        0 => Err(at + 8),
        marks => Ok(at + (marks.trailing_zeros() / 8) as usize),
    }
}

fn long_end(record: &[u8], from: usize) -> usize {
    let mut at = from;
    while record[at..].first_chunk::<BLOCK>().is_some_and(is_plain) {
        at += BLOCK;
    }
    loop {
        match first_in_word(record, at) {
            Ok(end) => return end,
            Err(next) => at = next,
        }
    }
}

/// A mark for each byte at which a string cannot simply go on (the classic "has zero byte" of bit hacks; a false mark can
/// only stand above a true one, and the lowest is taken).
#[inline]
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (control | quote | backslash) & !word & (ONES * 0x80)
}

/// Whether a string goes on over all of these. No branches: the compiler makes vector instructions of it.
#[inline]
fn is_plain(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(0, |special, byte| special | u8::from(is_special(*byte))) == 0
}

#[inline]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

#[cold]
fn end_one_by_one(record: &[u8], from: usize) -> usize {
    record[from..].iter().position(|byte| is_special(*byte)).map_or(record.len(), |end| from + end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | 0..0x20)
    }

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=255 {
            for place in 0..40 {
                let mut text = vec![b'x'; 40];
                text[place] = byte;
                let end = if ends(byte) { place } else { 40 };
                assert_eq!(plain_end(&text, 0), end, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_end_is_where_looking_at_each_byte_finds_it(text in proptest::collection::vec(any::<u8>(), 0..70), from in 0_usize..70) {
            let from = from.min(text.len());
            let expected = text[from..].iter().position(|byte| ends(*byte)).map_or(text.len(), |end| from + end);
            prop_assert_eq!(plain_end(&text, from), expected);
        }
    }
}
