//! A record is a line: for JSON and plain text. Knows nothing of what is in the line.

use weir_model::{Framed, Framer};

/// Cuts at `\n`; a `\r` before it belongs to the line ending. The line ending after the last record is optional.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineFramer;

impl Framer for LineFramer {
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed {
        let from = scanned.min(buffer.len());
        match memchr::memchr(b'\n', &buffer[from..]) {
            Some(at) => Framed::Record { record: without_cr(&buffer[..from + at]), next: from + at + 1 },
            None if end && !buffer.is_empty() => Framed::Record { record: without_cr(buffer), next: buffer.len() },
            None => Framed::Incomplete,
        }
    }

    fn needs_lookahead(&self) -> bool {
        false
    }
}

/// The length of `line` without a `\r` at its end.
fn without_cr(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}

#[cfg(test)]
mod tests;
