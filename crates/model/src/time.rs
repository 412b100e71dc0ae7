//! Event time and processing time, which never mix. Everything is microseconds since the Unix epoch, UTC.

use std::fmt;
use std::ops::{Add, Sub};

/// A length of time in microseconds; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeDelta(i64);

impl TimeDelta {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// `secs` seconds, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// The length in microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for TimeDelta {
    /// Seconds with as many decimals as are needed: `90s`, `0.25s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0 as f64 / 1e6)
    }
}

macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The earliest representable instant.
            pub const MIN: Self = Self(i64::MIN);
            /// The latest representable instant.
            pub const MAX: Self = Self(i64::MAX);

            /// The instant `micros` microseconds after 1970-01-01T00:00:00Z.
            pub const fn from_micros(micros: i64) -> Self {
                Self(micros)
            }

            /// Microseconds since 1970-01-01T00:00:00Z.
            pub const fn micros(self) -> i64 {
                self.0
            }
        }

        impl Add<TimeDelta> for $name {
            type Output = Self;
            /// Saturates at the ends of time.
            fn add(self, delta: TimeDelta) -> Self {
                Self(self.0.saturating_add(delta.0))
            }
        }

        impl Sub<TimeDelta> for $name {
            type Output = Self;
            /// Saturates at the ends of time.
            fn sub(self, delta: TimeDelta) -> Self {
                Self(self.0.saturating_sub(delta.0))
            }
        }

        impl Sub for $name {
            type Output = TimeDelta;
            fn sub(self, earlier: Self) -> TimeDelta {
                TimeDelta(self.0.saturating_sub(earlier.0))
            }
        }

        impl fmt::Display for $name {
            /// RFC 3339 in UTC with microseconds where they are not zero: `2026-01-01T00:00:00.5Z`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt_rfc3339(self.0, f)
            }
        }
    };
}

instant! {
    /// When a thing happened, as its record says.
    EventTime
}

instant! {
    /// When Weir looked at a thing, as the [`crate::Clock`] says.
    ProcessingTime
}

/// The event time up to which a partition (or everything upstream of an operator) is believed to be complete:
/// a row with an event time `<=` the watermark was not expected any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(EventTime);

impl Watermark {
    /// Nothing is known yet: holds every window open.
    pub const UNKNOWN: Self = Self(EventTime::MIN);
    /// Nothing more will come: closes every window.
    pub const END: Self = Self(EventTime::MAX);

    /// A watermark at `time`.
    pub const fn at(time: EventTime) -> Self {
        Self(time)
    }

    /// The event time of this watermark.
    pub const fn time(self) -> EventTime {
        self.0
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNKNOWN => f.write_str("unknown"),
            Self::END => f.write_str("end"),
            Self(time) => time.fmt(f),
        }
    }
}

/// Civil date from days since the epoch: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn fmt_rfc3339(micros: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (secs, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (year, month, day) = civil_from_days(secs.div_euclid(86_400));
    let second = secs.rem_euclid(86_400);
    write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)?;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str("Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_rfc3339() {
        let show = |micros| EventTime::from_micros(micros).to_string();
        assert_eq!(show(0), "1970-01-01T00:00:00Z");
        assert_eq!(show(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(show(1_767_225_719_509_000), "2026-01-01T00:01:59.509Z");
        assert_eq!(show(951_782_400_000_000), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn arithmetic_saturates_at_the_ends_of_time() {
        assert_eq!(EventTime::MAX + TimeDelta::from_secs(1), EventTime::MAX);
        assert_eq!(EventTime::MIN - TimeDelta::from_secs(1), EventTime::MIN);
    }
}
