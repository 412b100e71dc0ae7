//! Log events written as JSON: Spark 4's structured logging, PySpark's own, and log4j's JSON layouts. One object per
//! event; a JSON object that is no log event is left alone.

use std::borrow::Cow;

use super::event::{Event, Facts, Text};
use super::exception::{class_of, stack_start};
use super::facts::{facts_of_message, facts_of_task};
use super::head::level;
use crate::Zone;
use crate::json::clock::micros;
use crate::json::members::{elements_of, members, members_of, scalar, text};
use crate::json::scan::{Fault, Span, Token};

/// The keys under which the layouts write one thing.
const TIMES: [&[u8]; 5] = [b"ts", b"@timestamp", b"timestamp", b"time", b"timeMillis"];
const LEVELS: [&[u8]; 4] = [b"level", b"log.level", b"severity", b"levelname"];
const MESSAGES: [&[u8]; 2] = [b"msg", b"message"];
const LOGGERS: [&[u8]; 5] = [b"logger", b"logger_name", b"loggerName", b"log.logger", b"name"];
const THREADS: [&[u8]; 4] = [b"thread", b"thread_name", b"threadName", b"process.thread.name"];
const CONTEXTS: [&[u8]; 3] = [b"context", b"mdc", b"contextMap"];
const EXCEPTIONS: [&[u8]; 3] = [b"exception", b"thrown", b"error"];

/// Whether `line` is a log event. Spark's own begins with its time; of such a line also a torn one is an event.
pub(crate) fn is_event(line: &[u8]) -> bool {
    if line.starts_with(b"{\"ts\":") {
        return true;
    }
    let (mut has_time, mut has_text) = (false, false);
    let walked = members(line, |key, _| {
        has_time |= TIMES.contains(&&*key);
        has_text |= LEVELS.contains(&&*key) || MESSAGES.contains(&&*key);
    });
    walked.is_ok() && has_time && has_text
}

/// Reads an event; a time without an offset is in `zone`.
pub(crate) fn read(line: &[u8], zone: Zone) -> Result<Event<'_>, Fault> {
    let mut event = Event::default();
    let (mut context, mut exception) = (None, None);
    members(line, |key, token| {
        let key = &*key;
        if TIMES.contains(&key) {
            event.micros = event.micros.or(micros(line, token, zone));
        } else if LEVELS.contains(&key) {
            event.level = text(line, token).map(named_level);
        } else if MESSAGES.contains(&key) {
            event.message = scalar(line, token).unwrap_or_default();
        } else if LOGGERS.contains(&key) {
            event.logger = text(line, token);
        } else if THREADS.contains(&key) {
            event.thread = text(line, token);
        } else if let Token::Object(span) = token {
            if CONTEXTS.contains(&key) {
                context = Some(span);
            } else if EXCEPTIONS.contains(&key) {
                exception = Some(span);
            }
        } else {
            take_fact(&mut event.facts, key, line, token);
        }
    })?;
    if let Some(span) = context {
        members_of(line, span, |key, token| take_fact(&mut event.facts, &key, line, token));
    }
    if let Some(span) = exception {
        (event.exception_class, event.stack) = read_exception(line, span);
    }
    finish(&mut event);
    Ok(event)
}

/// What the message and the thread say, where the context says nothing.
fn finish(event: &mut Event<'_>) {
    if let Some(task) = event.thread.as_deref().and_then(facts_of_task) {
        event.facts.fill(task);
    }
    if event.stack.is_none()
        && let Some(start) = stack_start(&event.message)
    {
        let message = std::mem::take(&mut event.message);
        let (first, rest) = cut(message, start);
        (event.message, event.stack) = (first, Some(rest));
    }
    let said = owned(facts_of_message(&event.message));
    event.facts.fill(said);
    if event.exception_class.is_none() {
        event.exception_class =
            class_of(&event.message, event.stack.as_deref()).map(|class| Cow::Owned(class.to_vec()));
    }
}

fn cut(message: Text<'_>, start: usize) -> (Text<'_>, Text<'_>) {
    match message {
        Cow::Borrowed(text) => (Cow::Borrowed(&text[..start - 1]), Cow::Borrowed(&text[start..])),
        Cow::Owned(text) => (Cow::Owned(text[..start - 1].to_vec()), Cow::Owned(text[start..].to_vec())),
    }
}

fn owned<'a>(facts: Facts<'_>) -> Facts<'a> {
    let own = |text: Option<Text<'_>>| text.map(|text| Cow::Owned(text.into_owned()));
    Facts {
        app: own(facts.app),
        executor: own(facts.executor),
        host: own(facts.host),
        stage: facts.stage,
        task: facts.task,
        is_own_app: facts.is_own_app,
        is_own_executor: facts.is_own_executor,
    }
}

/// A level as it is called here; one that is not known stays as it is written.
fn named_level(text: Text<'_>) -> Text<'_> {
    match level(&text) {
        Some(level) => Cow::Borrowed(level.as_bytes()),
        None => text,
    }
}

/// What a member of the context says. Its keys come in lower and in upper case, its values as strings and as numbers.
fn take_fact<'a>(facts: &mut Facts<'a>, key: &[u8], line: &'a [u8], token: Token) {
    let Some(value) = scalar(line, token).filter(|value| !value.is_empty()) else { return };
    let number = || std::str::from_utf8(&value).ok()?.parse::<i64>().ok();
    let key: Vec<u8> = key.iter().filter(|b| !matches!(b, b'_' | b'.' | b'-')).map(u8::to_ascii_lowercase).collect();
    match key.as_slice() {
        b"appid" | b"applicationid" | b"sparkappid" => (facts.app, facts.is_own_app) = (Some(value), true),
        b"executorid" | b"sparkexecutorid" => match value.iter().position(|b| *b == b'/') {
            // the master calls executor 0 of an application by both: app-20261121011825-0000/0
            Some(slash) => {
                let (app, executor) = (value[..slash].to_vec(), value[slash + 1..].to_vec());
                facts.app = facts.app.take().or(Some(Cow::Owned(app)));
                facts.executor = Some(Cow::Owned(executor));
            }
            None => facts.executor = Some(value),
        },
        b"host" | b"hostname" => facts.host = Some(Cow::Owned(value.trim_ascii().to_vec())),
        b"stageid" => facts.stage = number().or(facts.stage),
        b"tid" => facts.task = number().or(facts.task),
        b"taskid" => facts.task = facts.task.or_else(number),
        b"taskname" | b"mdc.taskname" | b"mdctaskname" => {
            if let Some(task) = facts_of_task(&value) {
                (facts.stage, facts.task) = (task.stage.or(facts.stage), task.task.or(facts.task));
            }
        }
        _ => {}
    }
}

/// The class of an exception object, and the whole as Java writes it.
fn read_exception<'a>(line: &'a [u8], object: Span) -> (Option<Text<'a>>, Option<Text<'a>>) {
    let (mut class, mut message, mut frames, mut ready) = (None, None, Vec::new(), None);
    members_of(line, object, |key, token| match &*key {
        b"class" | b"exception_class" | b"name" | b"type" => class = text(line, token),
        b"msg" | b"exception_message" | b"message" => message = text(line, token),
        b"stacktrace" | b"stack_trace" | b"extendedStackTrace" => match token {
            Token::Array(span) => elements_of(line, span, |frame| push_frame(&mut frames, line, frame)),
            other => ready = text(line, other),
        },
        _ => {}
    });
    let stack = match ready {
        Some(ready) => Some(ready),
        None if class.is_none() && message.is_none() && frames.is_empty() => None,
        None => {
            let mut stack = class.as_deref().unwrap_or_default().to_vec();
            if let Some(message) = &message {
                stack.extend_from_slice(if stack.is_empty() { b"" } else { b": " });
                stack.extend_from_slice(message);
            }
            stack.extend_from_slice(&frames);
            Some(Cow::Owned(stack))
        }
    };
    (class, stack)
}

/// Appends a frame: `\n\tat class.method(file:line)`.
fn push_frame(out: &mut Vec<u8>, line: &[u8], frame: Token) {
    let Token::Object(span) = frame else {
        if let Some(frame) = text(line, frame) {
            out.extend_from_slice(b"\n\tat ");
            out.extend_from_slice(&frame);
        }
        return;
    };
    let (mut class, mut method, mut file, mut number) = (None, None, None, None);
    members_of(line, span, |key, token| match &*key {
        b"class" => class = text(line, token),
        b"method" => method = text(line, token),
        b"file" => file = text(line, token),
        b"line" => number = scalar(line, token),
        _ => {}
    });
    out.extend_from_slice(b"\n\tat ");
    if let Some(class) = class.filter(|class| !class.is_empty()) {
        out.extend_from_slice(&class);
        out.push(b'.');
    }
    out.extend_from_slice(&method.unwrap_or_default());
    out.push(b'(');
    match (file.filter(|file| !file.is_empty()), number.as_deref()) {
        (_, Some(b"-2")) => out.extend_from_slice(b"Native Method"),
        (None, _) => out.extend_from_slice(b"Unknown Source"),
        (Some(file), number) => {
            out.extend_from_slice(&file);
            if let Some(number) = number.filter(|number| !number.is_empty() && !number.starts_with(b"-")) {
                out.push(b':');
                out.extend_from_slice(number);
            }
        }
    }
    out.push(b')');
}
