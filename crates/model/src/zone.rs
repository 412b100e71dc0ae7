//! Time zones by their IANA names, with the rules compiled in: what a local clock shows, and when it first shows a time.
//! Reads no file and no environment, so that the same binary gives the same answers everywhere.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone as _};
use chrono_tz::Tz;

use crate::time::EventTime;

const SECOND: i64 = 1_000_000;
/// Longer than any two places are apart: what the clock showed so long before is not what it shows in between.
const APART_MAX: i64 = 26 * 3_600 * SECOND;

/// A place with a common clock, such as `Europe/Berlin`. Its rules are known from the first standard time to the year
/// 2100; after that its last offset stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone(Tz);

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The edition of the IANA database that is compiled in, such as `2025b`.
    pub const RULES: &'static str = chrono_tz::IANA_TZDB_VERSION;

    /// Every name that is known, in alphabetical order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What the local clock shows at an instant: microseconds since 1970-01-01T00:00:00 on that clock.
    ///
    /// # Panics
    /// When the instant is hundreds of thousands of years away.
    pub fn local(self, at: EventTime) -> i64 {
        at.micros() + self.east(at.micros())
    }

    /// The first instant at which the local clock shows `local` or, where it was put forward over it, more. A time that
    /// is shown twice, as the clock is put back, is meant the first time.
    ///
    /// # Panics
    /// When the time is hundreds of thousands of years away.
    pub fn first_at(self, local: i64) -> EventTime {
        let instants = self.0.offset_from_local_datetime(&naive(local)).map(|offset| local - micros_east(&offset));
        let first = instants.earliest().unwrap_or_else(|| {
            let around = [self.east(local - APART_MAX), self.east(local + APART_MAX)];
            let [before, after] = around.map(|east| EventTime::from_micros(local - east));
            self.change(before.min(after), before.max(after)).micros()
        });
        EventTime::from_micros(first)
    }

    /// Whether the local clock is as far from UTC at the one instant as at the other.
    pub fn agree(self, one: EventTime, other: EventTime) -> bool {
        self.east(one.micros()) == self.east(other.micros())
    }

    /// The first instant after `before` from which on the local clock is as far from UTC as at `after`; it is put forward
    /// or back no more than once in between.
    pub fn change(self, before: EventTime, after: EventTime) -> EventTime {
        // Clocks are put forward and back at whole seconds.
        let (mut old, mut new) = (before.micros().div_euclid(SECOND), after.micros().div_euclid(SECOND));
        let east = self.east(after.micros());
        while new - old > 1 {
            let middle = old + (new - old) / 2;
            if self.east(middle * SECOND) == east {
                new = middle;
            } else {
                old = middle;
            }
        }
        EventTime::from_micros(new * SECOND)
    }

    /// How far the local clock is ahead of UTC, in microseconds.
    fn east(self, micros: i64) -> i64 {
        micros_east(&self.0.offset_from_utc_datetime(&naive(micros)))
    }
}

fn naive(micros: i64) -> NaiveDateTime {
    DateTime::from_timestamp_micros(micros).expect("the time is within what a calendar reaches").naive_utc()
}

fn micros_east(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc()) * SECOND
}

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse().map(Self).map_err(|_| format!("there is no time zone {name}: a name such as Europe/Berlin or UTC"))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().expect("a date and a time").and_utc().timestamp_micros()
    }

    #[track_caller]
    fn check(zone: &str, local: &str, instant: &str) {
        let zone: TimeZone = zone.parse().expect("a zone");
        let instant = EventTime::from_micros(at(instant));
        assert_eq!(zone.first_at(at(local)), instant, "found: {}", zone.first_at(at(local)));
    }

    #[test]
    fn a_local_time_is_the_first_instant_that_shows_it_or_more() {
        check("UTC", "2026-01-01T00:00:00", "2026-01-01T00:00:00");
        check("Europe/Berlin", "2026-07-01T00:00:00", "2026-06-30T22:00:00");
        // Put forward over 02:30, and back over it.
        check("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:00:00");
        check("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00");
        // Midnights that were never shown, and a day.
        check("America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00");
        check("Asia/Beirut", "2022-03-27T00:00:00", "2022-03-26T22:00:00");
        check("Pacific/Apia", "2011-12-30T00:00:00", "2011-12-30T10:00:00");
        check("Pacific/Apia", "2011-12-31T00:00:00", "2011-12-30T10:00:00");
        // A midnight that was shown twice: at 00:01 the clock went back to 23:01.
        check("America/St_Johns", "2006-10-29T00:00:00", "2006-10-29T02:30:00");
        check("Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00");
        // Before standard time: 53 minutes and 28 seconds.
        check("Europe/Berlin", "1800-01-01T00:00:00", "1799-12-31T23:06:32");
    }

    #[test]
    fn a_zone_is_known_by_its_name() {
        let berlin: TimeZone = "Europe/Berlin".parse().expect("a zone");
        assert_eq!((berlin.to_string().as_str(), TimeZone::UTC.name()), ("Europe/Berlin", "UTC"));
        assert!(TimeZone::names().any(|name| name == "Pacific/Apia"));
        let wrong = "Europe/Bonn".parse::<TimeZone>();
        let why = "there is no time zone Europe/Bonn: a name such as Europe/Berlin or UTC";
        assert_eq!(wrong, Err(why.to_owned()));
    }
}
