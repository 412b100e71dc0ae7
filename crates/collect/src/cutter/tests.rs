#![allow(clippy::unwrap_used)]

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

use super::*;
use crate::framers::{Events, Lines};

const LIMIT: u64 = 16;

/// What a record is to whoever looks at it: offset, bytes, original length.
type Seen = (u64, Vec<u8>, u64);

fn cut_at(bytes: &[u8], at: &[usize], framer: Arc<dyn Framer>, limit: u64, from: u64) -> Vec<Seen> {
    let mut cutter = Cutter::new(framer, limit, from);
    let mut cuts = Vec::new();
    let mut ends: Vec<usize> = at.iter().map(|at| at % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let mut begin = usize::try_from(from).unwrap();
    for end in ends {
        let mut buffer = cutter.buffer(0);
        buffer.extend_from_slice(&bytes[begin.min(end)..end]);
        begin = begin.max(end);
        cuts.extend(cutter.push(buffer, false));
    }
    let rest = cutter.buffer(0);
    cuts.extend(cutter.push(rest, true));
    assert_eq!(cutter.offset(), bytes.len() as u64, "everything is taken");
    cuts.iter().flat_map(seen).collect()
}

fn seen(cut: &Cut) -> Vec<Seen> {
    assert!(cut.records.len() <= RECORDS_MAX);
    let bytes = |span: &RecordSpan| cut.bytes[span.start as usize..span.end as usize].to_vec();
    cut.records.iter().map(|span| (span.offset.0, bytes(span), span.original_bytes)).collect()
}

fn lines(bytes: &[u8]) -> Vec<Seen> {
    cut_at(bytes, &[], Arc::new(Lines), LIMIT, 0)
}

fn events(bytes: &[u8]) -> Vec<Seen> {
    cut_at(bytes, &[], Arc::new(Events), LIMIT, 0)
}

fn text(records: &[Seen]) -> String {
    let show = |(offset, bytes, original): &Seen| {
        let cut = if *original > bytes.len() as u64 { format!(" of {original}") } else { String::new() };
        format!("{offset} {:?}{cut}\n", String::from_utf8_lossy(bytes))
    };
    records.iter().map(show).collect()
}

#[test]
fn a_last_line_without_a_newline_is_a_record() {
    assert_eq!(text(&lines(b"one\ntwo")), "0 \"one\"\n4 \"two\"\n");
}

#[test]
fn carriage_returns_before_newlines_belong_to_no_record() {
    assert_eq!(text(&lines(b"one\r\ntwo\r\n")), "0 \"one\"\n5 \"two\"\n");
}

#[test]
fn a_byte_order_mark_belongs_to_no_record() {
    assert_eq!(text(&lines(b"\xEF\xBB\xBFone\ntwo\n")), "3 \"one\"\n7 \"two\"\n");
    assert_eq!(text(&lines(b"\xEF\xBB\xBF")), "");
}

#[test]
fn nothing_is_no_record() {
    assert_eq!(text(&lines(b"")), "");
}

#[test]
fn of_a_line_over_the_limit_the_beginning_is_kept_and_its_length_is_known() {
    let expected = "0 \"a\"\n2 \"0123456789abcdef\" of 20\n23 \"b\"\n";
    assert_eq!(text(&lines(b"a\n0123456789abcdefghij\nb\n")), expected);
    assert_eq!(text(&lines(b"0123456789abcdef\nb")), "0 \"0123456789abcdef\"\n17 \"b\"\n", "at the limit it is whole");
    assert_eq!(text(&lines(b"0123456789abcdefg")), "0 \"0123456789abcdef\" of 17\n");
    assert_eq!(text(&lines(b"0123456789abcdef\r\nb")), "0 \"0123456789abcdef\"\n18 \"b\"\n");
}

#[test]
fn an_event_over_the_limit_is_cut_between_two_lines() {
    let expected = "0 \"head\\n line 1\"\n13 \" line 2\\n line 3\"\n29 \"next\"\n";
    assert_eq!(text(&events(b"head\n line 1\n line 2\n line 3\nnext\n")), expected);
}

#[test]
fn a_long_line_inside_an_event_is_cut_alone() {
    let expected = "0 \"head\"\n5 \" 0123456789abcde\" of 23\n29 \" tail\"\n35 \"next\"\n";
    assert_eq!(text(&events(b"head\n 0123456789abcdefghijkl\n tail\nnext\n")), expected);
}

#[test]
fn an_event_that_waits_for_more_lines_is_taken_when_waiting_is_given_up() {
    let mut cutter = Cutter::new(Arc::new(Events), 100, 0);
    let mut push = |bytes: &[u8], give_up: bool| {
        let mut buffer = cutter.buffer(0);
        buffer.extend_from_slice(bytes);
        let mut cuts = cutter.push(buffer, false);
        cuts.extend(if give_up { cutter.give_up_waiting() } else { Vec::new() });
        text(&cuts.iter().flat_map(seen).collect::<Vec<_>>())
    };
    assert_eq!(push(b"one\n mo", true), "", "half a line goes on waiting");
    assert_eq!(push(b"re\n", false), "");
    assert_eq!(push(b" and more\n", true), "0 \"one\\n more\\n and more\"\n");
    assert_eq!(push(b"two\nthree\n", false), "20 \"two\"\n");
}

#[test]
fn a_hundred_megabytes_without_a_newline_are_counted_and_not_held() {
    let mut cutter = Cutter::new(Arc::new(Lines), 1 << 20, 0);
    let (mut cuts, mut held) = (Vec::new(), 0);
    for _ in 0..100 {
        let mut buffer = cutter.buffer(CHUNK_BYTES);
        buffer.resize(buffer.len() + CHUNK_BYTES, b'x');
        held = held.max(buffer.capacity());
        cuts.extend(cutter.push(buffer, false));
    }
    cuts.extend(cutter.push(b"\nnext\n".to_vec(), true));
    let records: Vec<_> = cuts.iter().flat_map(seen).collect();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].1.len(), records[0].2), (KEPT_BYTES_MAX, 100 << 20));
    assert_eq!(records[1], ((100 << 20) + 1, b"next".to_vec(), 4));
    assert!(held < 4 << 20, "{held} bytes were held at once");
}

#[test]
fn no_batch_has_more_records_than_the_limit() {
    let mut cutter = Cutter::new(Arc::new(Lines), 100, 0);
    let cuts = cutter.push(b"x\n".repeat(RECORDS_MAX * 2 + 1), true);
    assert_eq!(cuts.iter().map(|cut| cut.records.len()).collect::<Vec<_>>(), [RECORDS_MAX, RECORDS_MAX, 1]);
    assert_eq!(cuts[1].next, RECORDS_MAX as u64 * 4);
}

/// Log-like bytes: short and long lines, continuations, all line ends, a byte order mark now and then.
fn some_log() -> impl Strategy<Value = Vec<u8>> {
    let line = ("[ ]?[a-z]{0,40}", prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\r", ""]));
    let lines = prop::collection::vec(line, 0..30);
    (any::<bool>(), lines).prop_map(|(mark, lines)| {
        let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
        if mark { format!("\u{feff}{text}").into_bytes() } else { text.into_bytes() }
    })
}

proptest! {
    #[test]
    fn however_the_bytes_come_the_records_are_the_same(log in some_log(), at in prop::collection::vec(any::<usize>(), 0..20)) {
        prop_assert_eq!(text(&cut_at(&log, &at, Arc::new(Lines), LIMIT, 0)), text(&lines(&log)));
        prop_assert_eq!(text(&cut_at(&log, &at, Arc::new(Events), LIMIT, 0)), text(&events(&log)));
    }

    #[test]
    fn going_on_at_any_record_yields_the_same_records_from_there_on(log in some_log()) {
        for (framer, whole) in [(Arc::new(Lines) as Arc<dyn Framer>, lines(&log)), (Arc::new(Events), events(&log))] {
            for (index, record) in whole.iter().enumerate() {
                let again = cut_at(&log, &[], framer.clone(), LIMIT, record.0);
                prop_assert_eq!(text(&again), text(&whole[index..]));
            }
        }
    }
}
