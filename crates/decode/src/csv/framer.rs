//! A record of CSV is a line, whose end does not stand within quotes. Knows nothing of what is in it.

use weir_model::{Framed, Framer};

/// Cuts at `\n` outside of quotes; a `\r` before it belongs to the line ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsvFramer {
    quote: u8,
}

impl CsvFramer {
    pub(crate) fn new(quote: char) -> Self {
        Self { quote: quote as u8 }
    }
}

impl Framer for CsvFramer {
    fn frame(&self, buffer: &[u8], _scanned: usize, end: bool) -> Framed {
        // Whether what was scanned ended within quotes only the record's beginning tells.
        let mut is_quoted = false;
        for at in memchr::memchr2_iter(self.quote, b'\n', buffer) {
            if buffer[at] == self.quote {
                is_quoted = !is_quoted;
            } else if !is_quoted {
                return Framed::Record { record: without_cr(&buffer[..at]), next: at + 1 };
            }
        }
        if end && !buffer.is_empty() {
            return Framed::Record {
                record: without_cr(buffer.strip_suffix(b"\n").unwrap_or(buffer)),
                next: buffer.len(),
            };
        }
        Framed::Incomplete
    }

    fn needs_lookahead(&self) -> bool {
        false
    }
}

/// The length of `line` without a `\r` at its end.
fn without_cr(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}
