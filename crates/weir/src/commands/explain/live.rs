//! What a pipeline is doing where it runs, from what the instance says of it: who holds time back, what fires next, what is
//! held, where the time goes. It asks nobody by itself.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::plan::size;
use crate::plan::Job;

/// How many partitions are listed, the slowest first.
const PARTITIONS_LISTED: usize = 5;

/// What the running pipeline `status` (as in `GET /api/v1/pipelines`) is doing.
pub(super) fn describe(status: &Value, job: Option<&Job>) -> String {
    let mut text = format!("up: {}", word(&status["state"]));
    if let Some(error) = status["error"].as_str() {
        let _ = write!(text, ", {error}");
    }
    text.push('\n');
    watermark(status, &mut text);
    for step in status["steps"].as_array().into_iter().flatten() {
        describe_step(step, status, &mut text);
    }
    busy(status, job, &mut text);
    for output in status["outputs"].as_array().into_iter().flatten() {
        let holds = if output["holds"] == true { "" } else { "; the balance does NOT hold" };
        let counts: Vec<String> = output["balance"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let _ = writeln!(text, "  output {}: {}{holds}", word(&output["name"]), counts.join(", "));
    }
    text
}

fn watermark(status: &Value, text: &mut String) {
    let Some(reached) = time(&status["watermark"]) else {
        let unread = slowest(status).into_iter().find(|(_, watermark)| watermark.is_none());
        let because = match unread {
            Some((partition, _)) => format!(": {partition} has not been read yet and holds time back"),
            None => String::new(),
        };
        let _ = writeln!(text, "  watermark: none yet{because}");
        return;
    };
    let _ = write!(text, "  watermark: {}", shown(reached));
    let partitions = slowest(status);
    match (status["watermark_holder"].as_str(), partitions.get(1)) {
        (Some(holder), Some((next, Some(watermark)))) => {
            let _ = writeln!(text, ", held by {holder}: {} behind {next}, the next", span(*watermark - reached));
        }
        (Some(holder), _) => {
            let _ = writeln!(text, ", that of {holder}");
        }
        (None, _) => text.push_str("; no partition holds it back\n"),
    }
    if partitions.len() > 1 {
        for (partition, watermark) in partitions.iter().take(PARTITIONS_LISTED) {
            let ahead = watermark.map(|watermark| span(watermark - reached));
            let _ =
                writeln!(text, "    {partition}: {}", ahead.map_or("not read".to_owned(), |by| format!("{by} ahead")));
        }
    }
}

/// The partitions that hold time back, the slowest first, with their watermarks.
fn slowest(status: &Value) -> Vec<(String, Option<DateTime<Utc>>)> {
    let holds = |partition: &&Value| partition["state"] != "idle" && partition["state"] != "finished";
    let partitions = status["partitions"].as_array().into_iter().flatten().filter(holds);
    let mut partitions: Vec<_> =
        partitions.map(|partition| (word(&partition["id"]), time(&partition["watermark"]))).collect();
    partitions.sort_by_key(|(_, watermark)| *watermark);
    partitions
}

fn describe_step(step: &Value, status: &Value, text: &mut String) {
    let number = |name: &str| step[name].as_u64().unwrap_or(0);
    let (groups, bytes) = (number("groups"), number("state_bytes"));
    if groups == 0 && bytes == 0 && number("open_rows") == 0 {
        return;
    }
    let each = bytes.checked_div(groups).map(|each| format!(", {each} bytes each")).unwrap_or_default();
    let _ = writeln!(
        text,
        "  step {}: {} rows open in {groups} groups of {} panes, {}{each}",
        word(&step["name"]),
        number("open_rows"),
        number("panes"),
        size(bytes)
    );
    let next = &step["next_window"];
    let (Some(start), Some(end)) = (time(&next["start"]), time(&next["end"])) else { return };
    let waits = match time(&step["watermark"]) {
        Some(reached) => format!("the watermark is {} short of its end", span(end - reached)),
        None => "there is no watermark yet".to_owned(),
    };
    let holder =
        status["watermark_holder"].as_str().map(|holder| format!("; it waits for {holder}")).unwrap_or_default();
    let _ = writeln!(text, "    next to fire: {} to {}; {waits}{holder}", shown(start), shown(end));
}

fn busy(status: &Value, job: Option<&Job>, text: &mut String) {
    let stages =
        ["decode", "engine", "sink"].map(|stage| (stage, status["busy_seconds"][stage].as_f64().unwrap_or(0.0)));
    let all: f64 = stages.iter().map(|(_, seconds)| seconds).sum();
    if all <= 0.0 {
        return;
    }
    let shares: Vec<String> =
        stages.iter().map(|(stage, seconds)| format!("{stage} {:.0}%", 100.0 * seconds / all)).collect();
    let rows = status["rows_read"].as_f64().unwrap_or(0.0);
    let each = if rows > 0.0 { format!(", {:.2} µs per row", 1e6 * all / rows) } else { String::new() };
    let _ = writeln!(text, "  time goes to {}{each}", shares.join(", "));
    let decodes_all =
        job.is_some_and(|job| job.sources.iter().any(|source| matches!(source.wanted.fields, weir_model::Fields::All)));
    if stages[0].1 > all / 2.0 && decodes_all {
        text.push_str(
            "    every field is decoded: where a few are enough, a `select` before the output makes it cheaper\n",
        );
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}

/// A time in an answer.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|time| time.to_utc())
}

/// A time for people.
pub(super) fn shown(time: DateTime<Utc>) -> String {
    weir_model::EventTime::from_micros(time.timestamp_micros()).to_string()
}

/// A length of time for people.
pub(super) fn span(delta: TimeDelta) -> String {
    weir_model::TimeDelta::from_micros(delta.num_microseconds().unwrap_or(i64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_slowest_partition_is_named_and_what_waits_for_it() {
        let status = json!({
            "state": "running", "watermark": "2026-01-01T10:00:05Z", "watermark_holder": "a.log", "rows_read": 1_000_000,
            "partitions": [
                { "id": "b.log", "state": "reading", "watermark": "2026-01-01T10:01:00Z" },
                { "id": "a.log", "state": "caught_up", "watermark": "2026-01-01T10:00:05Z" },
                { "id": "c.log", "state": "idle", "watermark": "2026-01-01T09:00:00Z" },
            ],
            "busy_seconds": { "decode": 0.6, "engine": 0.3, "sink": 0.1 },
            "steps": [{
                "name": "per_minute", "watermark": "2026-01-01T10:00:05Z", "open_rows": 7, "state_bytes": 400, "groups": 4,
                "panes": 2, "next_window": { "start": "2026-01-01T10:00:00Z", "end": "2026-01-01T10:01:00Z" }
            }],
            "outputs": [{ "name": "errors", "holds": true, "balance": { "read": 9, "results": 2, "open": 7 } }],
        });
        expect![[r#"
            up: running
              watermark: 2026-01-01T10:00:05Z, held by a.log: 55s behind b.log, the next
                a.log: 0s ahead
                b.log: 55s ahead
              step per_minute: 7 rows open in 4 groups of 2 panes, 400 bytes, 100 bytes each
                next to fire: 2026-01-01T10:00:00Z to 2026-01-01T10:01:00Z; the watermark is 55s short of its end; it waits for a.log
              time goes to decode 60%, engine 30%, sink 10%, 1.00 µs per row
              output errors: open 7, read 9, results 2
        "#]].assert_eq(&describe(&status, None));
        let unread = json!({
            "state": "running", "watermark": null,
            "partitions": [{ "id": "a.log", "state": "reading", "watermark": null }],
        });
        expect![[r#"
            up: running
              watermark: none yet: a.log has not been read yet and holds time back
        "#]]
        .assert_eq(&describe(&unread, None));
    }
}
