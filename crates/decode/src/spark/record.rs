//! Reads one record, whose text is unwrapped, as an event. Every text is an event: what has no shape is a message.

use std::borrow::Cow;

use super::event::{Event, Text};
use super::exception::{class_at, class_of};
use super::facts::{facts_of_message, facts_of_task};
use super::head::head;
use super::json_event;
use super::kind::Kind;
use super::traceback::exception_line;
use crate::Zone;

/// Reads `record`; a time without an offset is in `zone`.
pub(crate) fn read(record: &[u8], zone: Zone) -> Event<'_> {
    let record = without_blank_lines(record);
    let (first, rest) = first_line(record);
    match Kind::of(first) {
        Kind::Event => match json_event::read(record, zone) {
            Ok(event) => event,
            Err(_) => plain(first, rest),
        },
        Kind::Dated | Kind::DatedOnly => dated(first, rest, zone),
        Kind::Traceback => traceback(first, record),
        Kind::Plain | Kind::Frame | Kind::Blank => plain(first, rest),
    }
}

fn dated<'a>(first: &'a [u8], rest: Option<&'a [u8]>, zone: Zone) -> Event<'a> {
    let Some(head) = head(first) else { return plain(first, rest) };
    let mut facts = facts_of_message(head.message);
    for task in [head.task, head.thread].into_iter().flatten().filter_map(facts_of_task) {
        facts.fill(task);
    }
    Event {
        micros: Some(head.stamp.micros(zone)),
        level: head.level.map(|level| Cow::Borrowed(level.as_bytes())),
        logger: head.logger.map(Cow::Borrowed),
        thread: head.thread.map(Cow::Borrowed),
        message: Cow::Borrowed(head.message),
        exception_class: class_of(head.message, rest).map(Cow::Borrowed),
        stack: rest.map(Cow::Borrowed),
        facts,
    }
}

/// A traceback: the message is the line that names the exception.
fn traceback<'a>(first: &'a [u8], block: &'a [u8]) -> Event<'a> {
    let exception = exception_line(block);
    Event {
        level: Some(Cow::Borrowed(b"ERROR")),
        message: Cow::Borrowed(exception.unwrap_or(first).trim_ascii_end()),
        exception_class: exception.and_then(class_at).map(Cow::Borrowed),
        stack: Some(Cow::Borrowed(block)),
        facts: facts_of_message(exception.unwrap_or_default()),
        ..Event::default()
    }
}

fn plain<'a>(first: &'a [u8], rest: Option<&'a [u8]>) -> Event<'a> {
    let level = rest.is_some().then_some(Cow::Borrowed(&b"ERROR"[..]));
    let exception_class: Option<Text<'a>> = rest.and_then(|rest| class_of(first, Some(rest))).map(Cow::Borrowed);
    let facts = facts_of_message(first);
    Event {
        level,
        message: Cow::Borrowed(first),
        exception_class,
        stack: rest.map(Cow::Borrowed),
        facts,
        ..Event::default()
    }
}

/// The first line and, if there are more, what follows it.
fn first_line(record: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', record) {
        Some(at) => (without_cr(&record[..at]), Some(&record[at + 1..])),
        None => (without_cr(record), None),
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn without_blank_lines(record: &[u8]) -> &[u8] {
    let mut rest = record;
    while let Some(at) = memchr::memchr(b'\n', rest).filter(|at| rest[..*at].trim_ascii().is_empty()) {
        rest = &rest[at + 1..];
    }
    rest
}
