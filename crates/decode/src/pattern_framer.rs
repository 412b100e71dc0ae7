//! A record is a line that begins like one, and all lines after it that do not: stack traces, statements of several lines.

use weir_model::{Framed, Framer};

use crate::LinePattern;

/// Cuts before each line in which `start` is found. Lines before the first of them are a record too.
#[derive(Clone, Debug)]
pub(crate) struct PatternFramer {
    start: LinePattern,
}

impl PatternFramer {
    pub(crate) fn new(start: LinePattern) -> Self {
        Self { start }
    }
}

impl Framer for PatternFramer {
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed {
        // Every line that was whole before was judged, or the record would have ended there.
        let judged = memchr::memrchr(b'\n', &buffer[..scanned.min(buffer.len())]).map(|at| at + 1);
        let first_line = || memchr::memchr(b'\n', buffer).map(|at| at + 1);
        let mut next = judged.or_else(first_line).unwrap_or(buffer.len());
        while next < buffer.len() {
            let rest = &buffer[next..];
            let line = match memchr::memchr(b'\n', rest) {
                Some(at) => &rest[..at],
                None if end => rest,
                None => return Framed::Incomplete,
            };
            if self.start.is_in(line.strip_suffix(b"\r").unwrap_or(line)) {
                return Framed::Record { record: content(&buffer[..next]), next };
            }
            next += line.len() + 1;
        }
        if end && !buffer.is_empty() {
            return Framed::Record { record: content(buffer), next: buffer.len() };
        }
        Framed::Incomplete
    }

    fn needs_lookahead(&self) -> bool {
        true
    }
}

/// The length of `lines` without the last line ending.
fn content(lines: &[u8]) -> usize {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    lines.strip_suffix(b"\r").unwrap_or(lines).len()
}

#[cfg(test)]
mod tests;
