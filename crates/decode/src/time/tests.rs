//! Stories of times.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Option<i64> {
    from_text(text.as_bytes(), Zone::default())
}

#[test]
fn every_common_spelling_of_an_instant_is_the_same_instant() {
    let instant = Some(1_795_228_648_195_000);
    for text in [
        "2026-11-21T02:37:28.195Z",
        "2026-11-21t02:37:28.195z",
        "2026-11-21 02:37:28.195",
        "2026-11-21 02:37:28,195",
        "2026-11-21T02:37:28.195000999Z",
        "2026-11-21T03:37:28.195+01:00",
        "2026-11-21T03:37:28.195+0100",
        "2026-11-21T03:37:28.195+01",
        "2026-11-20 21:07:28.195-05:30",
        "2026-11-21 02:37:28.195 UTC",
        "1795228648.195",
        "1795228648195",
        "1795228648195000",
        "1795228648195000000",
    ] {
        assert_eq!(read(text), instant, "{text}");
    }
    assert_eq!(read("Sat, 21 Nov 2026 02:37:28 GMT"), Some(1_795_228_648_000_000));
}

#[test]
fn a_time_without_offset_is_in_the_configured_zone() {
    let zone = "+02:00".parse().expect("valid");
    assert_eq!(from_text(b"2026-11-21 04:37:28", zone), Some(1_795_228_648_000_000));
    assert_eq!(from_text(b"2026-11-21 02:37:28Z", zone), Some(1_795_228_648_000_000));
}

#[test]
fn what_is_no_time_is_not_read() {
    for text in [
        "",
        "yesterday",
        "2026-11-21",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T00:60:00Z",
        "2026-11-21T00:00:00Zz",
        "2026-11-21T00:00:00+1",
        "2026-11-21T00:00:00+99:00",
        "2026-11-21T00:00:00.Z",
        "2026-11-21X00:00:00Z",
        ".5",
        "1.2.3",
        "99999999999999999999999",
        "-5",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn the_unit_of_a_number_is_told_by_its_size() {
    assert_eq!(from_number(b"0"), Some(0));
    assert_eq!(from_number(b"99999999999"), Some(99_999_999_999_000_000));
    assert_eq!(from_number(b"100000000000"), Some(100_000_000_000_000));
    assert_eq!(from_number(b"99999999999999"), Some(99_999_999_999_999_000));
    assert_eq!(from_number(b"100000000000000"), Some(100_000_000_000_000));
    assert_eq!(from_number(b"99999999999999999"), Some(99_999_999_999_999_999));
    assert_eq!(from_number(b"100000000000000000"), Some(100_000_000_000_000));
    assert_eq!(from_number(b"18446744073709551615"), Some(18_446_744_073_709_551));
    assert_eq!(from_number(b"1e9"), None);
}

#[test]
fn the_ends_of_the_calendar_are_read() {
    assert_eq!(read("9999-12-31T23:59:59.999999Z"), Some(253_402_300_799_999_999));
    assert_eq!(read("0000-01-01T00:00:00Z"), Some(-62_167_219_200_000_000));
    assert_eq!(read("2016-12-31T23:59:60Z"), read("2017-01-01T00:00:00Z"));
}

proptest! {
    #[test]
    fn agrees_with_chrono(secs in -62_167_219_200_i64..253_402_300_799, nanos in 0_u32..1_000_000_000, east in -1_080_i32..1_080) {
        let zone = chrono::FixedOffset::east_opt(east * 60).expect("in range");
        let time = DateTime::from_timestamp(secs, nanos).expect("in range").with_timezone(&zone);
        let text = time.to_rfc3339();
        prop_assume!(text.as_bytes()[0].is_ascii_digit() && text.as_bytes()[4] == b'-');
        prop_assert_eq!(read(&text), Some(time.timestamp_micros()));
    }
}

proptest! {
    #[test]
    fn a_reader_that_remembers_the_minute_reads_what_one_does_that_does_not(
        times in proptest::collection::vec((0..3_u32, 57..62_u32, 0..5_usize, 0..8_usize, 0..6_usize), 1..40),
    ) {
        let mut reader = TimeReader::new("+02:00".parse().expect("valid"));
        for (minute, second, digits, offset, cut) in times {
            let fraction = ["", ".5", ",123456789", ".", ".x"][digits];
            let offset = ["Z", "", "+01:00", " UTC", "-0530", "z", "junk", "+99"][offset];
            let mut text = format!("2026-11-21T02:0{minute}:{second}{fraction}{offset}");
            if cut == 0 {
                text.truncate(text.len().min(16 + digits));
            }
            let right = from_text(text.as_bytes(), "+02:00".parse().expect("valid"));
            prop_assert_eq!(reader.text(text.as_bytes()), right, "{}", text);
        }
    }
}
