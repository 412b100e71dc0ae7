//! `weir tail`: the rows of a table as they arrive, from an instance that is up. It stores nothing and asks for nothing old.

use std::io::{self, Write};

use http_body_util::BodyExt;
use serde_json::Value;

use crate::cli::{TailArgs, TailFormat};
use crate::client::{Client, escape};
use crate::exit::Failure;
use crate::signals;

/// Runs the command until Ctrl-C.
///
/// # Errors
/// When no instance is up on the data folder, or it has no such table.
pub async fn run(args: &TailArgs) -> Result<(), Failure> {
    let client = Client::of(&args.data)?.ok_or_else(|| {
        Failure::refused(format!("no Weir is up on {}: start one with `weir up --data {0}`", args.data.display()))
    })?;
    let mut path = format!("/api/v1/logs/tail?table={}", escape(&args.table));
    if let Some(text) = &args.search {
        path.push_str("&q=");
        path.push_str(&escape(text));
    }
    let (answer, address) = (client.get(&path).await?, client.address());
    let mut body = answer.into_body();
    let mut events = Events::default();
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        let frame = tokio::select! {
            () = &mut stop => return Ok(()),
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { return Err(Failure::run(format!("http://{address} has ended the stream"))) };
        let frame = frame.map_err(|error| Failure::run(format!("http://{address}: {error}")))?;
        if let Ok(bytes) = frame.into_data() {
            for (kind, data) in events.push(&bytes) {
                show(&kind, &data, args.format).map_err(|error| Failure::run(format!("standard output: {error}")))?;
            }
        }
    }
}

/// Cuts a stream of server-sent events into (event, data), whatever the pieces it comes in.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
}

impl Events {
    fn push(&mut self, bytes: &[u8]) -> Vec<(String, String)> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let field = |name: &str| {
                let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
            };
            let data = field("data");
            if !data.is_empty() {
                events.push((field("event"), data));
            }
        }
        events
    }
}

fn show(kind: &str, data: &str, format: TailFormat) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if kind == "skipped" {
        return writeln!(io::stderr(), "(some rows were skipped: {data})");
    }
    match (format, serde_json::from_str::<Value>(data)) {
        (TailFormat::Text, Ok(row)) => writeln!(out, "{}", line(&row)),
        (TailFormat::Json, _) | (TailFormat::Text, Err(_)) => writeln!(out, "{data}"),
    }?;
    out.flush()
}

/// Time, level and message; rows without a message are shown whole. Control characters are made visible.
fn line(row: &Value) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let Some(message) = text("message") else { return row.to_string() };
    let time = ["ts", "time", "timestamp", "@timestamp"].into_iter().find_map(text).unwrap_or("-");
    let message: String = message.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
    format!("{time}  {:5}  {message}", text("level").unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_whatever_the_pieces_they_come_in() {
        let stream = ": hello\n\nevent: row\ndata: {\"a\":1}\n\nevent: skipped\ndata: {\"rows\":\ndata: 3}\n\n";
        let expected =
            vec![("row".to_owned(), "{\"a\":1}".to_owned()), ("skipped".to_owned(), "{\"rows\":\n3}".to_owned())];
        for size in 1..stream.len() {
            let mut events = Events::default();
            let got: Vec<_> = stream.as_bytes().chunks(size).flat_map(|piece| events.push(piece)).collect();
            assert_eq!(got, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_shows_time_level_and_message_and_no_control_characters() {
        let row = serde_json::json!({ "ts": "2026-01-01T00:00:00Z", "level": "WARN", "message": "a\u{1b}[31mb" });
        assert_eq!(line(&row), "2026-01-01T00:00:00Z  WARN   a\u{fffd}[31mb");
        assert_eq!(line(&serde_json::json!({ "n": 1 })), "{\"n\":1}");
    }
}
