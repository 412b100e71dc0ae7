//! What a text is made of for the index: words, and pieces of three bytes. Knows no files.
//!
//! Case is folded for ASCII only. The few other characters that fold to ASCII letters ([`folds_to_ascii`]) are left to
//! whoever asks: a text that has one may match what its bytes do not show.

use super::digits::Run;

/// Words of fewer bytes are not kept: pieces of three bytes say as much of them.
pub(super) const WORD_BYTES_MIN: usize = 4;
/// A value of at most so many bytes is also kept as a whole, so that it can be found by `=`.
pub(super) const WHOLE_BYTES_MAX: usize = 64;
/// How many different pieces there are.
pub(super) const GRAMS: usize = 1 << 18;
pub(super) const GRAM_MASK: u32 = (GRAMS - 1) as u32;

/// The bit of a class that says that the byte is part of words.
const IN_WORD: u8 = 0x80;
const CLASS_MASK: u8 = 0x3f;
const WORD_SEED: u64 = 0xcbf2_9ce4_8422_2325;
const WHOLE_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The class of each byte: six bits that tell letters (whatever their case), digits and punctuation apart, and whether
/// the byte is part of words. Part of version 1 of the file's format.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    // Those that share a class cannot be told apart by pieces; they are rare in logs.
    const PUNCTUATION: &[(&[u8], u8)] = &[
        (b" ", 37),
        (b"-", 38),
        (b".", 39),
        (b"/", 40),
        (b":", 41),
        (b"=", 42),
        (b",", 43),
        (b"\"", 44),
        (b"'`", 45),
        (b"(", 46),
        (b")", 47),
        (b"[", 48),
        (b"]", 49),
        (b"{}", 50),
        (b"<>", 51),
        (b"@", 52),
        (b"#", 53),
        (b"%", 54),
        (b"&+*", 55),
        (b";", 56),
        (b"|\\", 57),
        (b"$!?", 58),
        (b"^~", 59),
    ];
    // 60: control bytes.
    let mut class = [60; 256];
    let mut byte = 0;
    while byte < 256 {
        let this = byte as u8;
        if this.is_ascii_alphabetic() {
            class[byte] = (this.to_ascii_lowercase() - b'a') | IN_WORD;
        } else if this.is_ascii_digit() {
            class[byte] = (26 + this - b'0') | IN_WORD;
        } else if this == b'_' {
            class[byte] = 36 | IN_WORD;
        } else if this >= 0x80 {
            class[byte] = (61 + this % 3) | IN_WORD;
        }
        byte += 1;
    }
    let mut group = 0;
    while group < PUNCTUATION.len() {
        let mut at = 0;
        while at < PUNCTUATION[group].0.len() {
            class[PUNCTUATION[group].0[at] as usize] = PUNCTUATION[group].1;
            at += 1;
        }
        group += 1;
    }
    class
}

/// Whether `byte` is part of words: letters, digits, `_`, and everything outside of ASCII.
pub fn is_in_word(byte: u8) -> bool {
    CLASS[usize::from(byte)] & IN_WORD != 0
}

/// Goes through `text` once: `gram` gets each piece of three bytes, `word` the hash of each word.
#[inline]
pub(super) fn take_apart(text: &[u8], mut gram: impl FnMut(u32), mut word: impl FnMut(u64)) {
    let (mut piece, mut hash, mut length) = (0, WORD_SEED, 0);
    for (at, &byte) in text.iter().enumerate() {
        piece = longer(piece, byte);
        if at >= 2 {
            gram(piece);
        }
        if is_in_word(byte) {
            hash = step(hash, byte);
            length += 1;
        } else {
            if length >= WORD_BYTES_MIN {
                word(finish(hash));
            }
            (hash, length) = (WORD_SEED, 0);
        }
    }
    if length >= WORD_BYTES_MIN {
        word(finish(hash));
    }
}

/// The same of those pieces and words alone in which there are digits. `runs` are all runs of digits of `text`.
#[inline]
pub(super) fn take_apart_around(text: &[u8], runs: &[Run], mut gram: impl FnMut(u32), mut word: impl FnMut(u64)) {
    // Pieces that end before the one, and words that begin before the other, are done.
    let (mut pieces_to, mut words_to) = (2, 0);
    for run in runs {
        let (first, end) = (run.start.max(pieces_to), (run.end + 2).min(text.len()));
        if first < end {
            let begun = text[first - 2..first].iter().fold(0, |piece, &byte| longer(piece, byte));
            text[first..end].iter().fold(begun, |piece, &byte| {
                let piece = longer(piece, byte);
                gram(piece);
                piece
            });
            pieces_to = end;
        }
        if run.start >= words_to {
            let before = text[words_to..run.start].iter().rev().take_while(|byte| is_in_word(**byte)).count();
            let letters = text[run.start - before..].iter().take_while(|byte| is_in_word(**byte));
            let (hash, length) = letters.fold((WORD_SEED, 0), |(hash, length), &byte| (step(hash, byte), length + 1));
            if length >= WORD_BYTES_MIN {
                word(finish(hash));
            }
            words_to = run.start - before + length;
        }
    }
}

/// The next piece: its last two bytes and `byte`.
#[inline]
fn longer(piece: u32, byte: u8) -> u32 {
    ((piece << 6) | u32::from(CLASS[usize::from(byte)] & CLASS_MASK)) & GRAM_MASK
}

/// The hash of a whole value; the same for values that differ in the case of ASCII letters only.
pub(super) fn whole(text: &[u8]) -> u64 {
    finish(text.iter().fold(WHOLE_SEED, |hash, &byte| step(hash, byte)))
}

/// FNV-1a of the folded bytes.
#[inline]
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME)
}

/// The finalizer of MurmurHash3, so that all bits depend on all bytes. Never 0.
#[inline]
fn finish(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    hash.max(1)
}

/// Whether `text` has a character that is none of ASCII and equals an ASCII letter when case is ignored: the Kelvin sign
/// (k), the long s (s), the dotted capital I (i, for `lower`).
pub(super) fn folds_to_ascii(text: &[u8]) -> bool {
    if text.is_ascii() {
        return false;
    }
    let two = |pair: &[u8]| matches!(pair, [0xc5, 0xbf] | [0xc4, 0xb0]);
    text.windows(2).any(two) || text.windows(3).any(|three| three == [0xe2, 0x84, 0xaa])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::digits::find_runs;
    use super::*;

    /// Pieces and words, by whoever takes `text` apart.
    fn found(with: impl FnOnce(&mut dyn FnMut(u32), &mut dyn FnMut(u64))) -> (BTreeSet<u32>, BTreeSet<u64>) {
        let (mut pieces, mut words) = (BTreeSet::new(), BTreeSet::new());
        with(&mut |piece| pieces.extend([piece]), &mut |word| words.extend([word]));
        (pieces, words)
    }

    proptest! {
        /// Two texts that differ in their digits only: what both have is what the first has, and what is around the digits of the other.
        #[test]
        fn texts_of_one_shape_differ_around_their_digits(
            parts in proptest::collection::vec(("[a-zA-Z_ =/é]{0,6}", "[0-9]{1,7}", "[0-9]{1,7}"), 0..8), end in "[a-z ]{0,5}",
        ) {
            let text = |second: bool| {
                let parts = parts.iter().map(|(text, one, other)| format!("{text}{}", if second { other } else { one }));
                (parts.collect::<String>() + &end).into_bytes()
            };
            // Parts without a text between them are one run of digits, of whatever length.
            let (one, other) = (text(false), text(true));
            let mut runs = Vec::new();
            find_runs(&other, &mut runs);
            let (mut pieces, mut words) = found(|gram, word| take_apart(&one, gram, word));
            let (more_pieces, more_words) = found(|gram, word| take_apart_around(&other, &runs, gram, word));
            let (all_pieces, all_words) = found(|gram, word| take_apart(&other, gram, word));
            prop_assert!(more_pieces.is_subset(&all_pieces) && more_words.is_subset(&all_words));
            pieces.extend(more_pieces);
            words.extend(more_words);
            prop_assert!(all_pieces.is_subset(&pieces), "{:?}", all_pieces.difference(&pieces));
            prop_assert!(all_words.is_subset(&words), "{:?}", all_words.difference(&words));
        }
    }
}
