use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use proptest::prelude::*;

use super::text::folds_to_ascii;
use super::*;

mod lines;

const COLUMN: &str = "message";

fn batch(texts: &[String]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
    RecordBatch::try_from_iter([(COLUMN, column)]).expect("a batch")
}

/// The file of an index of these texts, of a segment of `bytes` bytes.
fn file(texts: &[String], bytes: u64) -> Vec<u8> {
    let rows = batch(texts);
    let mut builder = Builder::new(&rows.schema(), None, &crate::TableSettings::default());
    // Batches do not end where blocks end.
    (0..texts.len()).step_by(3_000).for_each(|at| builder.add(&rows.slice(at, 3_000.min(texts.len() - at))));
    encode(builder, Subject { bytes, checksum: 7 }).expect("written")
}

fn index(texts: &[String]) -> TokenIndex {
    TokenIndex::from_bytes(file(texts, 1 << 30)).expect("an index")
}

/// The blocks that may have what is needed.
fn found(index: &TokenIndex, need: &Need) -> Vec<usize> {
    let blocks = index.blocks_with(COLUMN, need).expect("asked");
    (0..blocks.count()).filter(|&block| blocks.has(block)).collect()
}

fn part(text: &str) -> Need {
    Need::fragment(text, Beside::Anything, Beside::Anything)
}

/// Four blocks of messages with many numbers.
fn messages() -> Vec<String> {
    let number = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    (0..3 * BLOCK_ROWS as u64 + 100)
        .map(|n| format!("Finished task {} in stage {}.0 (TID {}) in {} ms", n % 97, n / 500, number(n), number(n + 1)))
        .collect()
}

#[test]
fn a_rare_part_of_a_text_leaves_only_its_block() {
    let mut texts = messages();
    texts[BLOCK_ROWS + 5].push_str(" needle-7f3a17");
    let index = index(&texts);
    assert_eq!(index.blocks(), 4);
    for asked in ["needle", "needle-7f3a", "dle-7", "NEEDLE", "7f3a17"] {
        assert_eq!(found(&index, &part(asked)), [1], "{asked}");
    }
    assert!(found(&index, &part("nowhere")).is_empty());
    assert_eq!(found(&index, &part("Finished task")), [0, 1, 2, 3]);
    assert_eq!(found(&index, &part("ta")), [0, 1, 2, 3], "too short to be looked up");
    assert_eq!(found(&index, &part("")), [0, 1, 2, 3]);
}

#[test]
fn a_word_of_digits_is_found_by_its_filter_and_only_where_it_is_delimited() {
    let mut texts = messages();
    texts[3 * BLOCK_ROWS].push_str(" order 90871234");
    let index = index(&texts);
    assert_eq!(found(&index, &Need::fragment("order 90871234", Beside::Anything, Beside::NoWord)), [3]);
    assert_eq!(found(&index, &Need::fragment("90871234", Beside::NoWord, Beside::NoWord)), [3]);
    let inside = Need::fragment("0871", Beside::Anything, Beside::Anything);
    assert!(found(&index, &inside).contains(&3), "inside of a word it may be anywhere");
}

#[test]
fn whole_values_are_found_by_what_they_are() {
    let mut texts: Vec<String> =
        (0..2 * BLOCK_ROWS).map(|n| format!("app-{:04}", n % 10 + n / BLOCK_ROWS * 10)).collect();
    texts[3] = "App-0019".to_owned();
    let index = index(&texts);
    assert_eq!(found(&index, &Need::value("app-0005")), [0]);
    assert_eq!(found(&index, &Need::value("app-0019")), [0, 1], "capitals make no difference here");
    assert!(found(&index, &Need::value("app-0099")).is_empty());
    assert!(found(&index, &Need::value("app-001")).is_empty(), "a part of a value is not the value");
    let any = Need::any(vec![Need::value("app-0003"), Need::value("app-0013")]);
    assert_eq!(found(&index, &any), [0, 1]);
    let all = Need::all(vec![Need::value("app-0003"), Need::value("app-0013")]);
    assert!(found(&index, &all).is_empty());
}

#[test]
fn characters_that_fold_to_ascii_letters_keep_their_blocks_open() {
    let mut texts = messages();
    texts[9].push_str(" 300 \u{212a}elvin");
    let index = index(&texts);
    assert!(
        folds_to_ascii("\u{212a}".as_bytes())
            && folds_to_ascii("wei\u{17f}".as_bytes())
            && !folds_to_ascii("Öl".as_bytes())
    );
    assert_eq!(found(&index, &part("kelvin")), [0], "it equals a k when case is ignored");
    assert_eq!(found(&index, &part("nowhere")), [0]);
}

#[test]
fn columns_that_are_not_indexed_may_always_match() {
    let index = index(&messages());
    assert!(index.blocks_with("other", &part("needle")).expect("asked").is_all());
}

#[test]
fn an_index_takes_at_most_its_share_and_gets_coarser_instead() {
    let texts = messages();
    let full = file(&texts, 1 << 30).len() as u64;
    for bytes in [full * 6, full * 3, full, 10_000, 0] {
        let file = file(&texts, bytes);
        let header = 300;
        assert!(file.len() as u64 <= bytes * SHARE_MAX_PERCENT / 100 + header, "{} of {bytes}", file.len());
        let index = TokenIndex::from_bytes(file).expect("an index");
        assert_eq!(found(&index, &part("Finished task 5 in")), [0, 1, 2, 3], "nothing is lost");
    }
}

#[test]
fn a_block_of_too_many_words_may_always_match() {
    let words = |n: usize| (0..20).map(|k| format!("w{:x}", (n * 20 + k) * 7919)).collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = (0..BLOCK_ROWS).map(words).collect();
    texts.extend((0..100).map(|_| "short".to_owned()));
    let index = index(&texts);
    assert_eq!(found(&index, &Need::value("nowhere")), [0]);
}

#[test]
fn what_is_gathered_in_memory_is_limited() {
    let text = |n: usize, column: usize| format!("{:x}-{:x}", n * 7919 + column, n * 104_729);
    let columns: Vec<(String, ArrayRef)> = (0..COLUMNS_MAX)
        .map(|column| {
            let texts = StringViewArray::from_iter_values((0..BLOCK_ROWS).map(|n| text(n, column)));
            (format!("c{column}"), Arc::new(texts) as ArrayRef)
        })
        .collect();
    let rows = RecordBatch::try_from_iter(columns).expect("a batch");
    let mut builder = Builder::new(&rows.schema(), None, &crate::TableSettings::default());
    (0..10).for_each(|_| builder.add(&rows));
    let (columns, _, counted) = builder.finish();
    assert_eq!(counted, 10 * BLOCK_ROWS as u64);
    assert!(columns.len() < COLUMNS_MAX, "columns were given up");
    assert!(!columns.is_empty());
}

/// What several questions find, or that the index is damaged.
fn answers(bytes: Vec<u8>) -> Result<Vec<Vec<usize>>, IndexFault> {
    let index = TokenIndex::from_bytes(bytes)?;
    let needs = [part("needle"), Need::value("nowhere"), Need::fragment("task", Beside::NoWord, Beside::NoWord)];
    let found = needs.iter().map(|need| {
        let blocks = index.blocks_with(COLUMN, need)?;
        Ok((0..blocks.count()).filter(|&block| blocks.has(block)).collect())
    });
    found.collect()
}

#[test]
fn damage_is_an_error_and_never_another_answer() {
    let mut texts = messages();
    texts[BLOCK_ROWS].push_str(" needle");
    let whole = file(&texts, 1 << 30);
    let right = answers(whole.clone()).expect("whole");
    let places = (0..400).chain((400..whole.len()).step_by(whole.len() / 600));
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        if let Ok(found) = answers(bytes) {
            assert_eq!(found, right, "byte {at}");
        }
    }
    for length in (0..whole.len()).step_by(whole.len() / 50) {
        assert!(answers(whole[..length].to_vec()).is_err(), "{length} bytes of {}", whole.len());
    }
    let mut newer = whole;
    newer[8] = 5;
    assert!(answers(newer).expect_err("refused").to_string().contains("version 5"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_are_an_index_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut named = b"weir-tok\x03\0\0\0".to_vec();
        named.extend(&bytes);
        for bytes in [bytes, named] {
            let _ = answers(bytes);
        }
    }

    #[test]
    fn an_index_never_hides_a_text_that_matches(
        words in proptest::collection::vec("[a-zA-Z0-9_äK .:/-]{1,12}", 1..40),
        row in 0..2 * BLOCK_ROWS,
        from in 0_usize..30,
        length in 1_usize..20,
    ) {
        let texts: Vec<String> = (0..2 * BLOCK_ROWS)
            .map(|n| (0..4).map(|k| words[(n * 31 + k * 7) % words.len()].as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        let index = index(&texts);
        let text = &texts[row];
        let chars: Vec<char> = text.chars().collect();
        let from = from.min(chars.len() - 1);
        let to = (from + length).min(chars.len());
        let fragment: String = chars[from..to].iter().collect();
        let is_word = |c: Option<&char>| c.is_some_and(|c| !c.is_ascii() || is_in_word(*c as u8));
        let beside = |c: Option<&char>| if is_word(c) { Beside::Anything } else { Beside::NoWord };
        let before = beside(from.checked_sub(1).and_then(|at| chars.get(at)));
        let need = Need::fragment(&fragment, before, beside(chars.get(to)));
        prop_assert!(found(&index, &need).contains(&(row / BLOCK_ROWS)), "{fragment:?} of {text:?}");
        prop_assert!(found(&index, &Need::value(text)).contains(&(row / BLOCK_ROWS)));
        prop_assert!(found(&index, &part(&fragment.to_ascii_uppercase())).contains(&(row / BLOCK_ROWS)));
    }
}
