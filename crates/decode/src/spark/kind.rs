//! What a line is, from itself alone.

use super::head::head;
use super::json_event::is_event;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but spaces.
    Blank,
    /// Begins with a date and has a level.
    Dated,
    /// Begins with a date, and has no level.
    DatedOnly,
    /// A JSON object that is a log event.
    Event,
    /// `Traceback (most recent call last):`
    Traceback,
    /// A line of a Java stack trace: a frame, a cause.
    Frame,
    /// Anything else.
    Plain,
}

/// The line with which Python begins a traceback.
pub(crate) const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

impl Kind {
    /// What `line` is.
    pub(crate) fn of(line: &[u8]) -> Self {
        match line.trim_ascii_start() {
            [] => Self::Blank,
            [b'{', ..] if line[0] == b'{' && is_event(line) => Self::Event,
            frame if is_frame(line, frame) => Self::Frame,
            _ if line.starts_with(TRACEBACK) => Self::Traceback,
            _ => match head(line) {
                Some(head) if head.level.is_some() => Self::Dated,
                Some(_) => Self::DatedOnly,
                None => Self::Plain,
            },
        }
    }

    /// Whether a line of this kind ends a record that began with a dated line.
    pub(crate) fn begins_record(self) -> bool {
        matches!(self, Self::Dated | Self::Event)
    }
}

fn is_frame(line: &[u8], trimmed: &[u8]) -> bool {
    let is_indented = trimmed.len() < line.len();
    let is_elided = trimmed.starts_with(b"... ") && trimmed.get(4).is_some_and(u8::is_ascii_digit);
    (is_indented && (trimmed.starts_with(b"at ") || is_elided))
        || trimmed.starts_with(b"Caused by: ")
        || trimmed.starts_with(b"Suppressed: ")
}
