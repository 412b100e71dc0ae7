//! Weir's own log, on stderr: text for people, one JSON object per line for machines. A line is always one line,
//! whatever is in the values; it is the only place that sets up logging, and the binary calls it once.

use std::fmt::{self, Debug};
use std::io::IsTerminal;

use serde::ser::{SerializeMap, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use weir_model::{Clock, ErrorKind, SeamError, SeamResult, SystemClock};

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object per line: `ts`, `level`, `target`, `message`, then the fields.
    Json,
}

/// Sends the log of the whole process to stderr. `filter` is as in `info,weir_serve=debug`.
///
/// # Errors
/// `Config` when the filter cannot be understood, or when the log was already set up.
pub fn init_logging(format: LogFormat, filter: &str) -> SeamResult<()> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        let message =
            format!("log filter \"{filter}\" is not understood; it should look like \"info,weir_serve=debug\"");
        SeamError::caused(ErrorKind::Config, message, error)
    })?;
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let done = if json {
        builder.with_ansi(false).event_format(JsonLine).try_init()
    } else {
        builder.with_ansi(terminal).try_init()
    };
    done.map_err(|error| SeamError::new(ErrorKind::Config, format!("logging was already set up: {error}")))
}

/// Writes an event as one JSON object.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut spans = String::new();
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let values = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.fields.as_str());
            let gap = if spans.is_empty() { "" } else { " " };
            spans.push_str(&format!("{gap}{}{{{values}}}", span.name()));
        }
        let line = fields.line(event, &spans).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, serde_json::Value)>,
}

impl Fields {
    fn line(&self, event: &Event<'_>, spans: &str) -> serde_json::Result<String> {
        let mut line = Vec::with_capacity(256);
        let mut serializer = serde_json::Serializer::new(&mut line);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", &SystemClock.now().to_string())?;
        map.serialize_entry("level", event.metadata().level().as_str())?;
        map.serialize_entry("target", event.metadata().target())?;
        map.serialize_entry("message", &self.message)?;
        for (name, value) in &self.others {
            map.serialize_entry(name, value)?;
        }
        if !spans.is_empty() {
            map.serialize_entry("spans", spans)?;
        }
        map.end()?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn put(&mut self, field: &Field, value: serde_json::Value) {
        match field.name() {
            "message" => self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            // A field must not pass for one of ours.
            "ts" => self.others.push(("field_ts", value)),
            "level" => self.others.push(("field_level", value)),
            "target" => self.others.push(("field_target", value)),
            "spans" => self.others.push(("field_spans", value)),
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(write: impl FnOnce()) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).event_format(JsonLine).with_writer(move || to.clone()).finish();
        tracing::subscriber::with_default(subscriber, write);
        let bytes = lines.0.lock().expect("no writer panics").clone();
        let text = String::from_utf8(bytes).expect("the log is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
    }

    #[test]
    fn a_line_has_time_level_target_message_and_the_fields_flat() {
        let lines = logged(|| tracing::warn!(rows = 3, table = "logs", ratio = 0.5, "slow {}", "disk"));
        let line = lines[0].as_object().expect("an object");
        assert!(line["ts"].as_str().is_some_and(|ts| ts.ends_with('Z') && ts.contains('T')));
        assert_eq!(line["level"], "WARN");
        assert!(line["target"].as_str().is_some_and(|target| target.starts_with("weir_observe")));
        assert_eq!(line["message"], "slow disk");
        assert_eq!((&line["rows"], &line["table"], &line["ratio"]), (&3.into(), &"logs".into(), &0.5.into()));
    }

    #[test]
    fn a_value_with_a_newline_stays_on_its_line_and_cannot_pass_for_a_field_of_ours() {
        let lines = logged(|| tracing::info!(level = "FAKE", who = "a\n{\"level\":\"ERROR\"}", "x"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["field_level"], "FAKE");
        assert_eq!(lines[0]["who"], "a\n{\"level\":\"ERROR\"}");
    }

    #[test]
    fn spans_are_named_from_the_outermost_in() {
        let lines = logged(|| {
            let _outer = tracing::info_span!("request", id = "7").entered();
            let _inner = tracing::info_span!("query").entered();
            tracing::info!("x");
        });
        assert_eq!(lines[0]["spans"], "request{id=\"7\"} query{}");
    }

    #[test]
    fn a_filter_that_cannot_be_understood_is_named() {
        let error = init_logging(LogFormat::Json, "weir=loudly").expect_err("no such level");
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(error.message.contains("\"weir=loudly\""), "{}", error.message);
    }
}
