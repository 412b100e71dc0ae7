//! Which segments have rows whose time is over. A pure function: no files, no clock.

use crate::settings::Ttl;

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It stays as it is.
    Not,
    /// Some of its rows may go.
    Some,
    /// All of it goes: the time of every row is over, whatever its values.
    All,
}

/// A segment is written anew for the sake of rows that should have gone for this part of the time that they may stay, so that
/// a row is not rewritten again and again while the ones before it go.
const SLACK_PART: i64 = 8;

/// Whether rows of a segment go at `now`. Its rows with a time lie in `range`; those that were to go at `checked` have gone.
pub(crate) fn due(ttl: &Ttl, range: Option<(i64, i64)>, checked: Option<i64>, now: i64) -> Due {
    let Some((first, last)) = range else { return Due::Not };
    let over = |at: i64, length: i64| at.saturating_sub(length);
    if ttl.longest().is_some_and(|longest| last < over(now, longest)) {
        return Due::All;
    }
    let is_due = |length: i64| {
        // Since then rows of this time have come due, as far as the segment has any.
        let from = checked.map_or(first, |checked| first.max(over(checked, length)));
        let to = over(now, length).min(last);
        from < over(now, length).saturating_sub(length / SLACK_PART) && from <= to
    };
    if ttl.lengths().into_iter().any(is_due) { Due::Some } else { Due::Not }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl(rows_us: Option<i64>, of_values: &[(&str, i64)]) -> Ttl {
        let of_values = of_values.iter().map(|(value, length)| ((*value).to_owned(), *length)).collect();
        Ttl { rows_us, by: Some("level".to_owned()), of_values }
    }

    #[test]
    fn a_segment_goes_when_its_last_row_has_stayed_for_as_long_as_any_may() {
        let of_levels = ttl(Some(1_000), &[("debug", 100), ("error", 3_000)]);
        assert_eq!(due(&of_levels, Some((0, 50)), Some(3_000), 3_050), Due::Not, "its last row may stay this moment");
        assert_eq!(due(&of_levels, Some((0, 50)), Some(3_000), 3_051), Due::All);
        let some_stay = ttl(None, &[("debug", 100)]);
        assert_eq!(due(&some_stay, Some((0, 50)), Some(1_000_000), i64::MAX), Due::Not, "others stay for good");
        assert_eq!(due(&some_stay, None, None, i64::MAX), Due::Not, "nobody knows when its rows happened");
        assert_eq!(due(&Ttl::default(), Some((0, 50)), None, i64::MAX), Due::Not);
        assert_eq!(due(&ttl(Some(1_000), &[]), Some((i64::MIN, i64::MIN)), None, i64::MIN), Due::Not);
    }

    #[test]
    fn a_segment_is_written_anew_some_time_after_its_first_row_is_due_and_not_for_every_row() {
        let ttl = ttl(Some(800), &[]);
        assert_eq!(due(&ttl, Some((0, 10_000)), None, 900), Due::Not, "it is 100 over: an eighth");
        assert_eq!(due(&ttl, Some((0, 10_000)), None, 901), Due::Some);
        assert_eq!(due(&ttl, Some((101, 10_000)), Some(901), 902), Due::Not);
        assert_eq!(due(&ttl, Some((101, 10_000)), Some(901), 1_002), Due::Some);
        assert_eq!(due(&ttl, Some((101, 150)), Some(901), 1_002), Due::All);
    }

    #[test]
    fn what_was_looked_for_once_is_not_looked_for_again() {
        let of_levels = ttl(None, &[("debug", 80), ("info", 8_000)]);
        assert_eq!(due(&of_levels, Some((0, 100)), None, 200), Due::Some);
        assert_eq!(due(&of_levels, Some((0, 100)), Some(200), 5_000), Due::Not, "all that is debug has gone");
        assert_eq!(due(&of_levels, Some((0, 100)), Some(200), 9_050), Due::Some, "and now what is info");
    }
}
