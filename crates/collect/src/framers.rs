//! The two kinds of framers that there are, as small as they can be, for tests.

use memchr::{memchr, memchr_iter};
use weir_model::{Framed, Framer};

/// Every line is a record.
pub(crate) struct Lines;

/// A line that begins with a blank belongs to the line before it.
pub(crate) struct Events;

fn without_line_end(bytes: &[u8]) -> usize {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes).len()
}

impl Framer for Lines {
    fn frame(&self, buffer: &[u8], scanned: usize, end: bool) -> Framed {
        match memchr(b'\n', &buffer[scanned..]) {
            Some(at) => Framed::Record { record: without_line_end(&buffer[..=scanned + at]), next: scanned + at + 1 },
            None if end && !buffer.is_empty() => Framed::Record { record: buffer.len(), next: buffer.len() },
            None => Framed::Incomplete,
        }
    }

    fn needs_lookahead(&self) -> bool {
        false
    }
}

impl Framer for Events {
    fn frame(&self, buffer: &[u8], _: usize, end: bool) -> Framed {
        for at in memchr_iter(b'\n', buffer) {
            match buffer.get(at + 1) {
                Some(b' ') => {}
                Some(_) => return Framed::Record { record: without_line_end(&buffer[..=at]), next: at + 1 },
                None => break,
            }
        }
        if end && !buffer.is_empty() {
            let record = if buffer.ends_with(b"\n") { without_line_end(buffer) } else { buffer.len() };
            return Framed::Record { record, next: buffer.len() };
        }
        Framed::Incomplete
    }

    fn needs_lookahead(&self) -> bool {
        true
    }
}
