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
        words in proptest::collection::vec("[abAB12_ä -]{1,7}", 2..12),
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
