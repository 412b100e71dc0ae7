//! Workload C: sessions of (application, executor), 30 s apart.
//!
//! A late row may be left out or not, and whether it is decides where sessions begin and end: a row between two of them
//! makes them one. So the rows of a key are cut into the sessions of all of them. In one without late rows stands exactly
//! that session. In one with late rows stand the sessions of its rows without *some* of the late ones: none of the others
//! is missing, each begins and ends at a row, and they lie the gap apart.

use std::collections::HashMap;
use std::path::Path;

use super::{SUM_ERROR, Stream, Verdict, lines};
use crate::bench::fields::{millis, number, text};
use crate::shell::Outcome;

const GAP_MS: i64 = 30_000;

/// A row of a key.
#[derive(Clone, Copy)]
struct Row {
    time: i64,
    value: f64,
    /// It lay behind the watermark.
    late: bool,
}

/// A session as the result has it.
struct Found {
    start: i64,
    /// Of its last row.
    last: i64,
    count: u64,
    sum: f64,
}

/// The rows of a key, and its sessions in the result.
#[derive(Default)]
struct Key {
    rows: Vec<Row>,
    found: Vec<Found>,
}

/// Checks a result of workload C.
pub(in crate::bench) fn workload_c(input: &Path, result: &Path) -> Outcome<Verdict> {
    let mut keys: HashMap<(String, String), Key> = HashMap::new();
    let name = |line: &str| -> Outcome<(String, String)> {
        Ok((text(line, "app_id")?.to_owned(), text(line, "executor_id")?.to_owned()))
    };
    let (mut stream, mut verdict) = (Stream::new(), Verdict::default());
    lines(input, |line| {
        let time = millis(line, "ts")?;
        let late = time < stream.watermark_before(time);
        verdict.late_max += u64::from(late);
        let row = Row { time, value: number(line, "duration_ms")?, late };
        keys.entry(name(line)?).or_default().rows.push(row);
        Ok(())
    })?;
    lines(result, |line| {
        verdict.groups += 1;
        let found = Found {
            start: millis(line, "window_start")?,
            last: millis(line, "window_end")? - GAP_MS,
            count: number(line, "count")? as u64,
            sum: number(line, "sum")?,
        };
        match keys.get_mut(&name(line)?) {
            Some(key) => key.found.push(found),
            None => verdict.fault(format!("no such key: {line}")),
        }
        Ok(())
    })?;
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, key) in &mut keys {
        check_key(key, &mut verdict, |what, start| format!("{what}: {name:?} from {start}"));
    }
    Ok(verdict)
}

fn check_key(key: &mut Key, verdict: &mut Verdict, tell: impl Fn(&str, i64) -> String) {
    key.rows.sort_by_key(|row| row.time);
    key.found.sort_by_key(|found| found.start);
    let mut found = &key.found[..];
    for session in key.rows.chunk_by(|left, right| right.time < left.time + GAP_MS) {
        let end = session[session.len() - 1].time;
        let own = found.partition_point(|found| found.start <= end);
        check_session(session, &found[..own], verdict, &tell);
        found = &found[own..];
    }
    for found in found {
        verdict.fault(tell("a session where no row is", found.start));
    }
}

/// Compares the rows of one session with the sessions of the result that begin before its end.
fn check_session(rows: &[Row], found: &[Found], verdict: &mut Verdict, tell: &impl Fn(&str, i64) -> String) {
    let start = rows[0].time;
    let counted: u64 = found.iter().map(|found| found.count).sum();
    let late = rows.iter().filter(|row| row.late).count() as u64;
    let all = rows.len() as u64;
    if counted > all || counted < all - late {
        verdict.fault(tell(&format!("{counted} rows, where there are {} to {all}", all - late), start));
        return;
    }
    verdict.late += all - counted;
    if found.windows(2).any(|two| two[1].start < two[0].last + GAP_MS) {
        verdict.fault(tell("sessions closer than the gap", start));
    }
    for found in found {
        let inside = |row: &&Row| (found.start..=found.last).contains(&row.time);
        let (own, certain) = (rows.iter().filter(inside), rows.iter().filter(inside).filter(|row| !row.late));
        let is_row = |time: i64| rows.iter().any(|row| row.time == time);
        if !is_row(found.start) || !is_row(found.last) {
            verdict.fault(tell("a session begins or ends where no row is", found.start));
        }
        if found.count > own.clone().count() as u64 || found.count < certain.clone().count() as u64 {
            verdict.fault(tell(&format!("a session of {} rows", found.count), found.start));
        } else if found.count == own.clone().count() as u64 {
            let sum: f64 = own.map(|row| row.value).sum();
            if (found.sum - sum).abs() > SUM_ERROR * sum.abs() {
                verdict.fault(tell(&format!("the sum should be {sum}, not {}", found.sum), found.start));
            }
        }
    }
    let outside = |row: &&Row| !found.iter().any(|found| (found.start..=found.last).contains(&row.time));
    if let Some(row) = rows.iter().filter(outside).find(|row| !row.late) {
        verdict.fault(tell("a row that is not late is in no session", row.time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rows: &[(i64, f64, bool)], found: &[(i64, i64, u64, f64)]) -> Verdict {
        let rows = rows.iter().map(|&(time, value, late)| Row { time, value, late });
        let found = found.iter().map(|&(start, last, count, sum)| Found { start, last, count, sum });
        let mut key = Key { rows: rows.collect(), found: found.collect() };
        let mut verdict = Verdict::default();
        check_key(&mut key, &mut verdict, |what, start| format!("{what} {start}"));
        verdict
    }

    #[test]
    fn sessions_of_rows_in_time_have_to_be_exact() {
        let rows = [(1_000, 1.0, false), (20_000, 2.0, false), (50_000, 4.0, false)];
        assert!(verdict(&rows, &[(1_000, 20_000, 2, 3.0), (50_000, 50_000, 1, 4.0)]).is_right());
        for wrong in [
            &[(1_000, 50_000, 3, 7.0)][..],
            &[(1_000, 20_000, 2, 3.0)],
            &[(1_000, 20_000, 2, 3.5), (50_000, 50_000, 1, 4.0)],
            &[(1_000, 19_000, 2, 3.0), (50_000, 50_000, 1, 4.0)],
            &[(1_000, 20_000, 2, 3.0), (50_000, 50_000, 1, 4.0), (90_000, 90_000, 1, 4.0)],
        ] {
            assert!(!verdict(&rows, wrong).is_right(), "{wrong:?}");
        }
    }

    #[test]
    fn a_late_row_may_join_two_sessions_or_be_left_out() {
        let rows = [(1_000, 1.0, false), (50_000, 4.0, false), (25_000, 2.0, true)];
        let left_out = verdict(&rows, &[(1_000, 1_000, 1, 1.0), (50_000, 50_000, 1, 4.0)]);
        assert!(left_out.is_right());
        assert_eq!(left_out.late, 1);
        assert!(verdict(&rows, &[(1_000, 50_000, 3, 7.0)]).is_right());
        assert!(!verdict(&rows, &[(1_000, 25_000, 2, 3.0)]).is_right(), "a row in time is missing");
        assert!(!verdict(&rows, &[(1_000, 50_000, 1, 5.0)]).is_right(), "it says less rows than must be there");
    }
}
