//! Where log events end. Looks at lines only; what is in an event is the decoder's matter.

use weir_model::{Framed, Framer};

use super::cri::{Stream, unwrap};
use super::kind::Kind;
use super::traceback::Traceback;

/// Cuts log files of Spark into events, as the table in [`super`] says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SparkFramer;

impl Framer for SparkFramer {
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed {
        if buffer.is_empty() {
            return Framed::Incomplete;
        }
        let lines = Lines { buffer, end };
        let mut at = 0;
        loop {
            match lines.line(at) {
                None => return Framed::Incomplete,
                Some(line) if line.kind() != Kind::Blank => {
                    return lines.event(line, scanned).unwrap_or(Framed::Incomplete);
                }
                Some(line) if line.next == buffer.len() => {
                    // nothing but blank lines: a record without content, unless more follows
                    return if end { Framed::Record { record: 0, next: buffer.len() } } else { Framed::Incomplete };
                }
                Some(line) => at = line.next,
            }
        }
    }

    fn needs_lookahead(&self) -> bool {
        true
    }
}

/// A buffer as lines.
#[derive(Clone, Copy, Debug)]
struct Lines<'a> {
    buffer: &'a [u8],
    /// Nothing follows the buffer.
    end: bool,
}

/// A line, or the pieces of a container log that make one.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// What it says; of pieces, the first.
    text: &'a [u8],
    /// One past its last byte, without the line ending.
    end: usize,
    /// Where the next line begins.
    next: usize,
    /// The stream, if the line is one of a container log.
    stream: Option<Stream>,
    is_partial: bool,
}

impl Line<'_> {
    fn kind(&self) -> Kind {
        match Kind::of(self.text) {
            Kind::Plain if self.is_partial && is_event_front(self.text) => Kind::Event,
            kind => kind,
        }
    }
}

/// Whether the first piece of a JSON object looks like that of an event.
fn is_event_front(text: &[u8]) -> bool {
    let has = |key: &[u8]| memchr::memmem::find(text, key).is_some();
    text.starts_with(b"{") && (has(b"\"@timestamp\":") || has(b"\"timestamp\":") || has(b"\"ts\":"))
}

impl<'a> Lines<'a> {
    /// The line that begins at `at`, if all of it is here.
    fn line(self, at: usize) -> Option<Line<'a>> {
        let (text, end, next) = self.physical(at)?;
        let Some(first) = unwrap(text) else {
            return Some(Line { text, end, next, stream: None, is_partial: false });
        };
        let mut line = Line { text: first.text, end, next, stream: Some(first.stream), is_partial: first.is_partial };
        let mut is_open = first.is_partial;
        while is_open {
            let Some((text, end, next)) = self.physical(line.next) else {
                // the rest of the pieces may still come
                return self.end.then_some(line);
            };
            let Some(piece) = unwrap(text) else { break };
            (line.end, line.next) = (end, next);
            is_open = piece.stream != first.stream || piece.is_partial;
        }
        Some(line)
    }

    /// The text of the line that begins at `at` as it stands in the buffer, where it ends, and where the next begins.
    fn physical(self, at: usize) -> Option<(&'a [u8], usize, usize)> {
        let rest = &self.buffer[at..];
        let (end, next) = match memchr::memchr(b'\n', rest) {
            Some(newline) => (at + newline, at + newline + 1),
            None if self.end && !rest.is_empty() => (self.buffer.len(), self.buffer.len()),
            None => return None,
        };
        let text = &self.buffer[at..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Some((text, at + text.len(), next))
    }

    /// The event that begins with the line `first`; `None` if it is not known yet where it ends.
    fn event(self, first: Line<'a>, scanned: usize) -> Option<Framed> {
        match first.kind() {
            Kind::Dated => self.dated(first, scanned, Kind::begins_record),
            Kind::DatedOnly => self.dated(first, scanned, |kind| kind.begins_record() || kind == Kind::DatedOnly),
            Kind::Traceback => self.traceback(first),
            Kind::Event => self.after_blanks(first.end, first.next),
            Kind::Plain | Kind::Frame | Kind::Blank => self.plain(first),
        }
    }

    /// Goes on until a line that begins another record. Lines that an earlier call has seen are not looked at again.
    fn dated(self, first: Line<'a>, scanned: usize, ends: impl Fn(Kind) -> bool) -> Option<Framed> {
        let (mut end, mut next) = (first.end, first.next);
        let seen =
            self.buffer[..scanned.min(self.buffer.len())].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if first.stream.is_none() && seen > next {
            (end, next) = (self.end_before(seen, first.end), seen);
        }
        while let Some((text, ..)) = self.physical(next) {
            if first.stream.is_none() && unwrap(text).is_some() {
                // also when its pieces are not all here, so that every line that was seen was judged
                return Some(Framed::Record { record: end, next });
            }
            let line = self.line(next)?;
            let kind = line.kind();
            if ends(kind) || line.stream != first.stream {
                return Some(Framed::Record { record: end, next });
            }
            if kind != Kind::Blank {
                end = line.end;
            }
            next = line.next;
        }
        self.at_end(end)
    }

    /// The end of the last line before `at` that is not blank, but not before `least`.
    fn end_before(self, at: usize, least: usize) -> usize {
        let mut at = at;
        while at > least {
            let newline = at - 1;
            let start = self.buffer[..newline].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let line = &self.buffer[start..newline];
            if !line.trim_ascii().is_empty() {
                return start + line.strip_suffix(b"\r").unwrap_or(line).len();
            }
            at = start;
        }
        least
    }

    fn traceback(self, first: Line<'a>) -> Option<Framed> {
        let (mut end, mut next) = (first.end, first.next);
        let (mut place, mut at) = (Traceback::begin(), first.next);
        while let Some(line) = self.line(at) {
            let following = place.next(line.text).filter(|_| line.stream == first.stream);
            let Some(following) = following else {
                return self.after_blanks(end, next);
            };
            place = following;
            at = line.next;
            if !place.is_blank() {
                (end, next) = (line.end, line.next);
            }
        }
        self.at_end(end)
    }

    /// One line, and Java stack frames below it.
    fn plain(self, first: Line<'a>) -> Option<Framed> {
        let (mut end, mut next) = (first.end, first.next);
        loop {
            match self.rest_is_frame(next) {
                Some(true) => {}
                Some(false) => return self.after_blanks(end, next),
                None => return self.at_end(end),
            }
            let line = self.line(next)?;
            if line.stream != first.stream {
                return self.after_blanks(end, next);
            }
            (end, next) = (line.end, line.next);
        }
    }

    /// Whether the line at `at` is of a Java stack trace; `None` if there is none.
    fn rest_is_frame(self, at: usize) -> Option<bool> {
        self.line(at).map(|line| line.kind() == Kind::Frame)
    }

    /// A record that ends at `end`, and the blank lines after it.
    fn after_blanks(self, end: usize, next: usize) -> Option<Framed> {
        let mut next = next;
        while let Some(line) = self.line(next) {
            if line.kind() != Kind::Blank {
                return Some(Framed::Record { record: end, next });
            }
            next = line.next;
        }
        self.at_end(end)
    }

    /// A record that goes to the end of the buffer, if that is the end of all.
    fn at_end(self, end: usize) -> Option<Framed> {
        self.end.then_some(Framed::Record { record: end, next: self.buffer.len() })
    }
}
