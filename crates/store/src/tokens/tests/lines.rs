//! Rows that are found by the shapes of their texts.

use super::*;

fn parts(parts: &[&str], ends: [bool; 2], ignores_case: bool) -> Form {
    let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    Form::of_parts(&parts, ends, ignores_case).expect("shapes can say it")
}

fn has(part: &str) -> Form {
    parts(&[part], [false, false], false)
}

/// Lines of one kind, and every hundredth of another.
fn lines(count: usize) -> Vec<String> {
    let line = |n: usize| match n % 100 {
        7 => format!("java.lang.OutOfMemoryError: heap of {n} bytes in task {}", n % 13),
        _ => format!("Finished task {} in {n} ms", n % 97),
    };
    (0..count).map(line).collect()
}

#[test]
fn rows_of_a_rare_shape_are_found_one_by_one() {
    let texts = lines(2 * BLOCK_ROWS + 50);
    let index = index(&texts);
    let every_hundredth: Vec<u32> = (7..texts.len() as u32).step_by(100).collect();
    let found = |form: &Form| index.rows_with(COLUMN, form).expect("asked");
    let exactly = |rows: &[u32]| Some(Rows { rows: rows.to_vec(), is_exact: true });
    assert_eq!(found(&has("OutOfMemoryError")), exactly(&every_hundredth));
    assert_eq!(found(&parts(&["HEAP", "TASK"], [false, false], true)), exactly(&every_hundredth));
    assert_eq!(found(&parts(&["TASK", "HEAP"], [false, false], true)), exactly(&[]), "not in this order");
    assert_eq!(found(&Form::of_words(["heap", "java"].into_iter())), exactly(&every_hundredth));
    assert_eq!(found(&has("nowhere")), exactly(&[]));
    assert_eq!(found(&parts(&["java"], [true, false], false)), exactly(&every_hundredth));
    assert_eq!(found(&parts(&["java"], [false, true], false)), exactly(&[]));
    assert_eq!(found(&has("Finished")), None, "too many of them are like that");
    let with_digits = found(&has("heap of 107")).expect("known");
    assert_eq!((with_digits.rows, with_digits.is_exact), (every_hundredth, false));
    assert_eq!(index.rows_with("other", &has("a")).expect("asked"), None);
}

/// Of every thousand lines one says what all of its kind say, and one that says something else.
fn lines_with_codes(count: usize) -> Vec<String> {
    let line = |n: usize| match n % 1_000 {
        17 => format!("lost 2 of 3 replicas, code 7f3a{n}"),
        400 => format!("lost 2 of {} replicas, code 7f3b{n}", n % 7),
        _ => format!("Finished task {} in {n} ms", n % 97),
    };
    (0..count).map(line).collect()
}

#[test]
fn digits_that_all_texts_of_a_shape_have_are_found_without_reading_a_row() {
    let texts = lines_with_codes(2 * BLOCK_ROWS);
    let index = index(&texts);
    let found = |form: &Form| index.rows_with(COLUMN, form).expect("asked").expect("known");
    let those_with = |what: &str| -> Vec<u32> {
        let rows = texts.iter().zip(0..).filter(|(text, _)| text.contains(what));
        rows.map(|(_, row)| row).collect()
    };
    for exact in ["lost 2 of", "code 7f3a", "f3b", "t 2 ", "lost 3", "code 77f", "7f3c", "f3ab"] {
        assert_eq!(found(&has(exact)), Rows { rows: those_with(exact), is_exact: true }, "{exact}");
    }
    let rest = found(&has("3 replicas"));
    assert_eq!((rest.is_exact, rest.rows.len()), (false, 33), "one kind says it, the other perhaps");
    assert!(!found(&has("7f3a17")).is_exact);
    assert_eq!(found(&Form::of_words(["7f3"].into_iter())), Rows { rows: Vec::new(), is_exact: true });
    assert_eq!(found(&Form::of_words(["2", "LOST"].into_iter())).rows, those_with("lost"));
    assert_eq!(found(&parts(&["lost 2", "7f3a"], [true, false], false)).rows, those_with("7f3a"));
}

#[test]
fn an_index_without_digits_in_its_shapes_is_read_as_before_and_one_of_the_future_is_not() {
    let texts = lines(2 * BLOCK_ROWS);
    let of_version = |version: u32| {
        let mut bytes = file(&texts, 1 << 30);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        TokenIndex::from_bytes(bytes)
    };
    let old = of_version(VERSION_MIN).expect("read");
    let rows = old.rows_with(COLUMN, &has("heap of 107")).expect("asked").expect("known");
    assert_eq!((rows.rows.len(), rows.is_exact), (texts.len() / 100 + 1, false));
    assert!(of_version(VERSION_MIN - 1).is_err() && of_version(VERSION + 1).is_err());
}

#[test]
fn shapes_lose_their_digits_before_they_lose_their_rows() {
    let line = |n: usize| match n % 8_000 {
        5 => format!("batch {} of {} is late", "1 ".repeat(n / 8_000 + 1), "12345678901234567890 ".repeat(40)),
        _ => format!("Finished task {} in {n} ms", n % 97),
    };
    let texts: Vec<String> = (0..2 * BLOCK_ROWS).map(line).collect();
    let found = |bytes: u64| {
        let index = TokenIndex::from_bytes(file(&texts, bytes)).expect("an index");
        index.rows_with(COLUMN, &has("12345678901234567890 1")).expect("asked").map(|found| found.is_exact)
    };
    let sizes = (10..20).map(|power| found(1 << power)).collect::<Vec<_>>();
    let ranks = sizes.iter().map(|found| found.map_or(0, |is_exact| 1 + i32::from(is_exact)));
    assert!(ranks.is_sorted(), "{sizes:?}");
    assert!([None, Some(false), Some(true)].iter().all(|one| sizes.contains(one)), "{sizes:?}");
}

#[test]
fn an_index_of_everything_has_the_rows_of_every_shape() {
    let texts = lines(2 * BLOCK_ROWS);
    let rows = batch(&texts);
    let settings = crate::TableSettings { index: IndexKind::Full, ..crate::TableSettings::default() };
    let mut builder = Builder::new(&rows.schema(), None, &settings);
    builder.add(&rows);
    let index = encode(builder, Subject { bytes: 1 << 20, checksum: 7 }).expect("written");
    let index = TokenIndex::from_bytes(index).expect("an index");
    let found = index.rows_with(COLUMN, &has("Finished")).expect("asked").expect("known");
    assert_eq!(found.rows.len(), texts.iter().filter(|text| text.contains("Finished")).count());
}

#[test]
fn a_column_of_too_many_shapes_says_nothing_of_rows() {
    let letters = |n: usize| (0..8).map(|at| char::from(b'a' + (n >> (at * 2)) as u8 % 4)).collect::<String>();
    let texts: Vec<String> = (0..2 * BLOCK_ROWS).map(|n| format!("some text about {}", letters(n))).collect();
    assert_eq!(index(&texts).rows_with(COLUMN, &has("nowhere")).expect("asked"), None);
    let short: Vec<String> = (0..2 * BLOCK_ROWS).map(|n| format!("app-{}", n % 7)).collect();
    assert_eq!(index(&short).rows_with(COLUMN, &has("nowhere")).expect("asked"), None, "texts so short are read");
}

#[test]
fn rows_without_a_text_have_no_shape() {
    let texts = lines(2 * BLOCK_ROWS);
    let column = StringViewArray::from_iter(texts.iter().enumerate().map(|(n, text)| (n != 107).then_some(text)));
    let rows = RecordBatch::try_from_iter([(COLUMN, Arc::new(column) as ArrayRef)]).expect("a batch");
    let mut builder = Builder::new(&rows.schema(), None, &crate::TableSettings::default());
    builder.add(&rows);
    let file = encode(builder, Subject { bytes: 1 << 30, checksum: 7 }).expect("written");
    let index = TokenIndex::from_bytes(file).expect("an index");
    let found = index.rows_with(COLUMN, &has("OutOfMemory")).expect("asked").expect("known");
    assert_eq!(found.rows[..3], [7, 207, 307]);
}

#[test]
fn damaged_shapes_are_an_error_and_never_other_rows() {
    let whole = file(&lines(2 * BLOCK_ROWS), 1 << 30);
    let asked = |bytes: Vec<u8>| -> Result<Option<Rows>, IndexFault> {
        TokenIndex::from_bytes(bytes)?.rows_with(COLUMN, &has("OutOfMemory"))
    };
    let right = asked(whole.clone()).expect("whole");
    assert!(right.is_some());
    for at in (0..whole.len()).step_by(whole.len() / 2_000) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        if let Ok(found) = asked(bytes) {
            assert_eq!(found, right, "byte {at}");
        }
    }
}

/// Whether `text` has the parts in their order, by trying all places.
fn is_like(text: &str, parts: &[String], [from_start, to_end]: [bool; 2]) -> bool {
    let [part, rest @ ..] = parts else { return !to_end || text.is_empty() };
    let places = (0..text.len()).filter(|at| text.get(*at..).is_some_and(|text| text.starts_with(part.as_str())));
    let mut places = places.filter(|at| !from_start || *at == 0);
    places.any(|at| is_like(&text[at + part.len()..], rest, [false, to_end]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shapes_find_the_rows_that_match(
        words in proptest::collection::vec("[abAB123_ä -]{1,7}", 2..12),
        asked in proptest::collection::vec("[abAB12ä -]{1,3}", 1..3),
        ends in any::<[bool; 2]>(),
    ) {
        let text = |n: usize| {
            let word = |k: usize| words[(n * 7 + k * 3 + n / 5) % words.len()].as_str();
            format!("{} and {} in a line {}", word(0), word(1), word(2))
        };
        let texts: Vec<String> = (0..2 * BLOCK_ROWS).map(|n| if n % 50 == 3 { text(n) } else { "a common line is long".to_owned() }).collect();
        let index = index(&texts);
        let form = Form::of_parts(&asked, ends, false).expect("case is not ignored");
        let right: Vec<u32> = (0..texts.len() as u32).filter(|row| is_like(&texts[*row as usize], &asked, ends)).collect();
        if let Some(found) = index.rows_with(COLUMN, &form).expect("asked") {
            match found.is_exact {
                true => prop_assert_eq!(found.rows, right, "{:?} {:?}", asked, ends),
                false => prop_assert!(right.iter().all(|row| found.rows.contains(row)), "{:?} {:?}", asked, ends),
            }
        }
        let word = Form::of_words(asked.iter().flat_map(|asked| asked.split([' ', '-'])).filter(|word| !word.is_empty()));
        let wanted: Vec<&str> = asked.iter().flat_map(|asked| asked.split([' ', '-'])).filter(|word| !word.is_empty()).collect();
        let has_all = |text: &String| wanted.iter().all(|wanted| text.split([' ', '-']).any(|word| word.eq_ignore_ascii_case(wanted)));
        let right: Vec<u32> = (0..texts.len() as u32).filter(|row| has_all(&texts[*row as usize])).collect();
        if let Some(found) = index.rows_with(COLUMN, &word).expect("asked") {
            match found.is_exact {
                true => prop_assert_eq!(found.rows, right, "{:?}", wanted),
                false => prop_assert!(right.iter().all(|row| found.rows.contains(row)), "{:?}", wanted),
            }
        }
    }
}
