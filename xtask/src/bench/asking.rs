//! What people ask of the rows of workload D over HTTP, how an answer is timed, and what the rows say that it must be.

use std::time::Instant;

use super::load::{TRACE_ROWS, trace_id};
use super::up::{Client, Up};
use crate::shell::Outcome;

/// As many rows of event time pass in a second.
pub(super) const ROWS_PER_SEC: f64 = 1_389.0;
/// The first row's time is this long after the day begins, without its delay.
const LEAD_SECS: f64 = 120.0;
/// The generator's needles: in the rows with this remainder.
const NEEDLE_EVERY: u64 = 250_003;
const NEEDLE_AT: u64 = 17;
/// Warm runs go on for so long: the clock of a process ticks a hundred times in a second.
const WARM_SECS: f64 = 1.0;
const WARM_RUNS_MAX: u32 = 200;
/// A question that takes longer is asked again once only.
const LONG_MS: f64 = 3_000.0;

/// A question, and what its answer must have.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) ask: Ask,
    pub(super) expect: Expect,
}

#[derive(Clone)]
pub(super) enum Ask {
    Sql(String),
    Get(String),
}

/// What an answer must have: so many lines, or so much as the sum of the counts `n` in them.
pub(super) enum Expect {
    Anything,
    Lines(u64),
    Sum(u64),
}

/// What it took to answer, the first time and then at best or on average, and the answer.
pub(super) struct Asked {
    pub(super) cold_cpu_ms: f64,
    pub(super) cold_wall_ms: f64,
    pub(super) warm_cpu_ms: f64,
    pub(super) warm_wall_ms: f64,
    pub(super) body: String,
}

/// The time of a row that is not late.
pub(super) fn time_of(row: f64) -> String {
    let millis = ((LEAD_SECS + row / ROWS_PER_SEC) * 1e3) as u64;
    let (day, rest, fraction) = (1 + millis / 86_400_000, millis / 1_000 % 86_400, millis % 1_000);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}.{fraction:03}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// What is asked of so many rows.
pub(super) fn questions(rows: u64) -> Vec<Question> {
    let sql = |name, text: &str, expect| Question { name, ask: Ask::Sql(text.to_owned()), expect };
    let get = |name, path: &str| Question { name, ask: Ask::Get(path.to_owned()), expect: Expect::Anything };
    // A whole hour in the middle, if there are so many rows.
    let hour = (LEAD_SECS + rows as f64 / ROWS_PER_SEC / 2.0) as u64 / 3_600;
    let at = |hour: u64| format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
    let (from, to) = (at(hour), at(hour + 1));
    let range = format!("ts >= TIMESTAMP '{from}' AND ts < TIMESTAMP '{to}'");
    let needles = (rows + NEEDLE_EVERY - 1 - NEEDLE_AT) / NEEDLE_EVERY;
    let needle = (needles / 2).min(needles.saturating_sub(1)) * NEEDLE_EVERY + NEEDLE_AT;
    let trace = trace_id(rows / 3);
    vec![
        sql(
            "q1",
            &format!("SELECT level, count(*) AS n FROM logs WHERE {range} GROUP BY level ORDER BY level"),
            Expect::Anything,
        ),
        sql(
            "q2",
            &format!(
                "SELECT service, count(*) AS n FROM logs WHERE {range} AND level = 'ERROR' GROUP BY service ORDER BY n \
                 DESC, service LIMIT 10"
            ),
            Expect::Anything,
        ),
        sql("q3", "SELECT count(*) AS n FROM logs WHERE message LIKE '%needle-7f3a%'", Expect::Sum(needles)),
        sql("q4", "SELECT * FROM logs WHERE app_id = 'app-0042' ORDER BY ts DESC LIMIT 100", Expect::Lines(100)),
        sql(
            "q5",
            &format!(
                "SELECT date_trunc('minute', ts) AS m, approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS \
                 p FROM logs WHERE {range} GROUP BY 1 ORDER BY 1"
            ),
            Expect::Anything,
        ),
        sql("q6", "SELECT host, count(*) AS n FROM logs GROUP BY host ORDER BY host", Expect::Sum(rows)),
        sql(
            "q7",
            "SELECT service, count(*) AS n FROM logs WHERE message LIKE '%OutOfMemoryError%' GROUP BY service ORDER BY service",
            Expect::Anything,
        ),
        sql("count", "SELECT count(*) AS n FROM logs", Expect::Sum(rows)),
        get("recent", "/api/v1/logs?table=logs&limit=100"),
        sql("recent-sql", "SELECT * FROM logs ORDER BY ts DESC LIMIT 100", Expect::Lines(100)),
        get("recent-filtered", "/api/v1/logs?table=logs&limit=100&search=service%3Asvc-07%20level%3Aerror"),
        get("histogram", "/api/v1/logs/histogram?table=logs&buckets=60"),
        get("histogram-hour", &format!("/api/v1/logs/histogram?table=logs&buckets=60&from={from}&to={to}")),
        sql(
            "histogram-service",
            "SELECT date_trunc('hour', ts) AS h, level, count(*) AS n FROM logs WHERE service = 'svc-07' GROUP BY 1, 2",
            Expect::Anything,
        ),
        sql(
            "facet-errors",
            "SELECT service, count(*) AS n FROM logs WHERE level = 'ERROR' GROUP BY service ORDER BY n DESC LIMIT 10",
            Expect::Lines(10),
        ),
        sql(
            "facet-hour",
            &format!(
                "SELECT host, count(*) AS n FROM logs WHERE {range} AND service = 'svc-07' GROUP BY host ORDER BY n DESC LIMIT 10"
            ),
            Expect::Lines(10),
        ),
        sql("trace", &format!("SELECT * FROM logs WHERE trace_id = '{trace}' ORDER BY ts"), Expect::Lines(TRACE_ROWS)),
        get("trace-search", &format!("/api/v1/logs?table=logs&limit=100&search=trace_id%3A{trace}")),
        sql(
            "word",
            &format!("SELECT ts, message FROM logs WHERE has_words(message, '7f3a{needle}')"),
            Expect::Lines(1),
        ),
        get("word-search", &format!("/api/v1/logs?table=logs&limit=100&search=needle-7f3a{needle}")),
        sql("nowhere", "SELECT count(*) AS n FROM logs WHERE message LIKE '%nowhere to be found%'", Expect::Sum(0)),
    ]
}

/// Asks once and again.
pub(super) fn asked(up: &Up, ask: &Ask, runs: u32) -> Outcome<Asked> {
    let mut client = up.client()?;
    let ask = |client: &mut Client| -> Outcome<(f64, String)> {
        let began = Instant::now();
        let body = answer(client, ask)?;
        Ok((began.elapsed().as_secs_f64() * 1e3, body))
    };
    let before = up.cpu_secs()?;
    let (cold_wall_ms, body) = ask(&mut client)?;
    let cold_cpu_ms = (up.cpu_secs()? - before) * 1e3;
    let (began, before, mut warm_wall_ms, mut times) = (Instant::now(), up.cpu_secs()?, f64::INFINITY, 0);
    let runs = if cold_wall_ms > LONG_MS { 1 } else { runs };
    while times < runs || (began.elapsed().as_secs_f64() < WARM_SECS && times < WARM_RUNS_MAX) {
        warm_wall_ms = warm_wall_ms.min(ask(&mut client)?.0);
        times += 1;
    }
    let warm_cpu_ms = (up.cpu_secs()? - before) * 1e3 / f64::from(times);
    Ok(Asked { cold_cpu_ms, cold_wall_ms, warm_cpu_ms, warm_wall_ms, body })
}

pub(super) fn answer(client: &mut Client, ask: &Ask) -> Outcome<String> {
    match ask {
        Ask::Sql(text) => client.sql(text),
        Ask::Get(path) => {
            let answer = client.get(path)?;
            if answer.status == 200 { Ok(answer.body) } else { Err(format!("{path}: {}", answer.body.trim())) }
        }
    }
}

/// Whether the answer has what it must.
pub(super) fn checked(question: &Question, body: &str) -> Outcome {
    let (is, must) = match question.expect {
        Expect::Anything => return Ok(()),
        Expect::Lines(lines) => (body.lines().count() as u64, lines),
        Expect::Sum(sum) => (body.lines().filter_map(count_in).sum(), sum),
    };
    if is == must { Ok(()) } else { Err(format!("the answer says {is} and should say {must}")) }
}

/// The number `n` of a line.
fn count_in(line: &str) -> Option<u64> {
    let rest = line.split_once("\"n\":")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_lines_are_added_up() {
        let sum: u64 = "{\"n\":3}\n{\"host\":\"a\",\"n\":40}\n".lines().filter_map(count_in).sum();
        assert_eq!(sum, 43);
        assert_eq!(time_of(0.0), "2026-01-01T00:02:00.000Z");
        assert_eq!(time_of(ROWS_PER_SEC * 86_400.0), "2026-01-02T00:02:00.000Z");
    }
}
