//! How many backups are kept. Decides, and deletes nothing.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use weir_model::DurationText;

/// What `--keep` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many, the newest.
    Newest(usize),
    /// Those that are not older.
    Younger(DurationText),
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse::<usize>(), text.parse::<DurationText>()) {
            (Ok(count), _) if count > 0 => Ok(Self::Newest(count)),
            (Err(_), Ok(age)) => Ok(Self::Younger(age)),
            _ => Err(format!("\"{text}\" is neither a number of backups, such as 10, nor an age, such as 7d")),
        }
    }
}

impl Keep {
    /// Of backups made at `times`, oldest first (`None`: it cannot be read), which are old. The newest never is.
    pub(super) fn old(self, times: &[Option<DateTime<Utc>>], now: DateTime<Utc>) -> Vec<bool> {
        let last = times.len().saturating_sub(1);
        let is_old = |(index, time): (usize, &Option<DateTime<Utc>>)| match (self, time) {
            _ if index == last => false,
            (Self::Newest(count), _) => index + count < times.len(),
            (Self::Younger(age), Some(time)) => now - *time > TimeDelta::microseconds(age.delta().micros()),
            (Self::Younger(_), None) => false,
        };
        times.iter().enumerate().map(is_old).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_or_so_young_are_kept_and_always_the_newest() {
        let day = |day: i64| Some(DateTime::UNIX_EPOCH + TimeDelta::days(day));
        let times = [day(0), None, day(8), day(9)];
        let old = |keep: &str, now: i64| keep.parse::<Keep>().expect("a choice").old(&times, day(now).expect("a day"));
        assert_eq!(old("2", 9), [true, true, false, false]);
        assert_eq!(old("9", 9), [false; 4]);
        assert_eq!(old("7d", 9), [true, false, false, false]);
        assert_eq!(old("7d", 15), [true, false, false, false], "seven days are not more than seven days");
        assert_eq!(old("1h", 99), [true, false, true, false]);
        for wrong in ["0", "-1", "week", "", "1.5"] {
            assert!(wrong.parse::<Keep>().is_err(), "{wrong}");
        }
    }
}
