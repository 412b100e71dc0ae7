//! Finds fields in lines of JSON as the generator, Weir and the rivals write them: flat, in any order, with or without
//! blanks. Shares nothing with what it checks, and is no parser: a line that is not like that is an error.

use crate::shell::Outcome;

/// The text of the field `name`, without quotes; `None` when it is not there.
pub(super) fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + line[from..].find(name)?;
        from = at + name.len();
        let quoted = line[..at].ends_with('"') && line[from..].starts_with('"');
        let Some(value) = line[from..].strip_prefix('"').map(str::trim_start) else { continue };
        let Some(value) = value.strip_prefix(':').map(str::trim_start).filter(|_| quoted) else { continue };
        return match value.strip_prefix('"') {
            Some(text) => text.split('"').next(),
            None => value.split([',', '}']).next().map(str::trim_end),
        };
    }
}

/// The same for a field that must be there.
pub(super) fn text<'a>(line: &'a str, name: &str) -> Outcome<&'a str> {
    field(line, name).ok_or_else(|| format!("no {name} in {line}"))
}

/// The same for a number.
pub(super) fn number(line: &str, name: &str) -> Outcome<f64> {
    text(line, name)?.parse().map_err(|_| format!("{name} is no number in {line}"))
}

/// Milliseconds since 1970 of a field like `2026-01-01T00:01:59.509Z` (fractions are optional, and so is the `Z`), or of
/// one that has just that number.
pub(super) fn millis(line: &str, name: &str) -> Outcome<i64> {
    let text = text(line, name)?;
    text.parse().ok().or_else(|| millis_of(text)).ok_or_else(|| format!("{name} is no time in {line}"))
}

fn millis_of(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let seconds = part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?;
    let fraction: String =
        text.get(19..)?.strip_prefix('.').unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    let fraction: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((days(year, month, day) * 86_400 + seconds) * 1000 + fraction)
}

/// Days since 1970 in the proleptic Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_however_they_are_written() {
        let line = r#"{"ts":"2026-01-01T00:01:59.509Z","service_level":1,"level": "INFO", "sum" : 1.5}"#;
        assert_eq!((field(line, "level"), field(line, "sum"), field(line, "x")), (Some("INFO"), Some("1.5"), None));
        assert_eq!(millis(line, "ts"), Ok(1_767_225_719_509));
        assert_eq!(millis_of("1970-01-01T00:00:00"), Some(0));
        assert_eq!(millis_of("2000-03-01 00:00:01.5"), Some(951_868_801_500));
    }
}
