//! Why an event was late, from the row that the late output keeps of it. Refuses to guess where that is no table.

use std::path::Path;

use serde_json::{Value, json};
use weir_deliver::OutputConfig;
use weir_pipeline::config::{DEAD_LETTERS_TABLE, LATE_TABLE};

use super::super::load::Loaded;
use super::super::query;
use super::live::{shown, span, time};
use crate::exit::Failure;
use crate::story::Row;

/// An answer in both forms.
pub(super) struct Why {
    pub(super) text: String,
    pub(super) json: Value,
}

/// Says why the record at `event`, a file and an offset, was late for pipeline `name`.
pub(super) async fn why(name: &str, event: &str, loaded: Option<&Loaded>, data: &Path) -> Result<Why, Failure> {
    let split = event.rsplit_once(':').and_then(|(file, offset)| Some((file, offset.parse::<u64>().ok()?)));
    let (file, offset) = split.ok_or_else(|| {
        Failure::refused(format!(
            "{event} is not FILE:OFFSET, such as /var/log/app.log:1234, as in the columns source_file and source_offset"
        ))
    })?;
    let late = table(loaded.map(|loaded| &loaded.job.late.output), LATE_TABLE)?;
    if let Some(row) = find(data, &late, name, file, offset).await? {
        return Ok(explain(event, &row));
    }
    let letters = table(loaded.map(|loaded| &loaded.job.dead_letters.output), DEAD_LETTERS_TABLE)?;
    if let Some(row) = find(data, &letters, name, file, offset).await? {
        let reason = row.get("reason").as_str().unwrap_or_default().to_owned();
        return Ok(Why {
            text: format!("{event} was not late, it was rejected: {reason}"),
            json: json!({ "event": event, "outcome": "rejected", "reason": reason }),
        });
    }
    Ok(Why {
        text: format!(
            "{event} is neither in {late} nor in {letters}: it was not late for pipeline {name}, or no record begins there, or it is not committed yet"
        ),
        json: json!({ "event": event, "outcome": "not_found" }),
    })
}

fn table(output: Option<&OutputConfig>, default: &str) -> Result<String, Failure> {
    match output {
        None => Ok(default.to_owned()),
        Some(OutputConfig::Table(table)) => Ok(table.name.clone()),
        Some(other) => Err(Failure::refused(format!(
            "the rows are in a {}, not in a table: look for source_file and source_offset there",
            other.kind()
        ))),
    }
}

async fn find(data: &Path, table: &str, pipeline: &str, file: &str, offset: u64) -> Result<Option<Row>, Failure> {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    // Before anything was late there may be no table, or one without these columns.
    let tables = query::rows(data, "SHOW TABLES").await?;
    let has_rows = |row: Row| row.get("table").as_str() == Some(table) && row.get("rows").as_u64() != Some(0);
    if !tables.iter().flat_map(Row::all).any(has_rows) {
        return Ok(None);
    }
    let sql = format!(
        "SELECT * FROM {table} WHERE pipeline = {} AND source_file = {} AND source_offset = {offset} LIMIT 1",
        text(pipeline),
        text(file)
    );
    let batches = query::rows(data, &sql).await?;
    Ok(batches.iter().flat_map(Row::all).next())
}

fn explain(event: &str, row: &Row) -> Why {
    let late_by_ms = row.get("late_by_ms").as_i64().unwrap_or(0);
    let late_by = chrono::TimeDelta::milliseconds(late_by_ms);
    let (start, end) = (time(row.get("window_start")), time(row.get("window_end")));
    let at = time(row.get("event_time"));
    let mut text = format!("{event} was late by {}", span(late_by));
    if let (Some(start), Some(end)) = (start, end) {
        text.push_str(&format!(
            ": the newest window that it belongs to, {} to {}, was closed",
            shown(start),
            shown(end)
        ));
    }
    text.push('\n');
    // A window ends after the event time of its rows, so a lateness of as much as the row was late by is always enough.
    let enough = match (at, end) {
        (Some(at), Some(end)) => at + late_by - end,
        (None, _) | (_, None) => late_by,
    };
    match at {
        Some(at) => text.push_str(&format!(
            "  its event time is {}; before it, event time had come to {} by the rows of its own file\n",
            shown(at),
            shown(at + late_by)
        )),
        None => text.push_str("  the table was written before late rows told their event time\n"),
    }
    text.push_str(&format!(
        "  a `lateness` of more than {} would have taken it, or a watermark `delay` that is longer by what is missing of that\n",
        span(enough)
    ));
    let json = json!({
        "event": event,
        "outcome": "late",
        "late_by_ms": late_by_ms,
        "window_start": row.get("window_start"),
        "window_end": row.get("window_end"),
        "event_time": at.map(shown),
        "watermark": at.map(|at| shown(at + late_by)),
        "lateness_enough_ms": enough.num_milliseconds(),
        "row": row.object(),
    });
    Why { text, json }
}
