//! Where the digits of a text are: what texts of one program differ in. Knows nothing of what they mean.

use std::ops::Range;

/// A run of digits: where it begins, and where it has ended.
pub(super) type Run = Range<usize>;

/// Puts the runs of digits of `text` into `runs`, in their order, and nothing else.
pub(super) fn find_runs(text: &[u8], runs: &mut Vec<Run>) {
    runs.clear();
    let (mut start, mut before) = (None, 0);
    for (at, chunk) in text.chunks(64).enumerate() {
        let digits = digits_of(chunk);
        // A bit where a run begins, and where one has ended.
        let mut edges = digits ^ (digits << 1 | before);
        while edges != 0 {
            let place = at * 64 + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            match start.take() {
                Some(start) => runs.push(start..place),
                None => start = Some(place),
            }
        }
        before = digits >> 63;
    }
    runs.extend(start.map(|start| start..text.len()));
}

/// A bit for each of at most 64 bytes, the first is the lowest: whether it is a digit.
fn digits_of(chunk: &[u8]) -> u64 {
    let (words, rest) = chunk.as_chunks::<8>();
    let all = words.iter().enumerate().fold(0, |all, (at, word)| all | eight(*word) << (8 * at));
    match rest {
        [] => all,
        _ => {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            all | eight(last) << (8 * words.len())
        }
    }
}

/// The same of eight bytes at once (Lamport, Multiple byte processing with full-word instructions, CACM 1975).
fn eight(bytes: [u8; 8]) -> u64 {
    const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    /// Carries into the highest bit of a byte from ten on.
    const TEN: u64 = u64::from_ne_bytes([0x80 - 10; 8]);
    /// Moves the lowest bits of all bytes next to each other into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let values = u64::from_le_bytes(bytes) ^ ZEROS;
    let others = ((values & LOW) + TEN) | values;
    ((!others & !LOW) >> 7).wrapping_mul(GATHER) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_where_digits_are(text in proptest::collection::vec(
            prop_oneof![3 => b'0'..=b'9', 1 => any::<u8>(), 1 => b'a'..=b'z', 1 => Just(b'/'), 1 => Just(b':')], 0..200,
        )) {
            let mut runs = vec![5..7, 9..10];
            find_runs(&text, &mut runs);
            let mut expected: Vec<Run> = Vec::new();
            for (at, _) in text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
                match expected.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => expected.push(at..at + 1),
                }
            }
            prop_assert_eq!(runs, expected);
        }
    }
}
