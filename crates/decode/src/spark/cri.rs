//! Lines of Kubernetes container logs: `2026-11-21T02:00:00.000007123Z stderr F text`. Recognises and unwraps them, and
//! leaves the text alone.

use crate::time::{iso, offset};

/// What a container log says about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapped<'a> {
    /// When the line was taken, in microseconds UTC.
    pub(crate) micros: i64,
    /// `stdout` or `stderr`.
    pub(crate) stream: Stream,
    /// Whether the text goes on in the next line of the same stream.
    pub(crate) is_partial: bool,
    /// The text.
    pub(crate) text: &'a [u8],
}

/// Where a program wrote a line to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// `line` as a line of a container log, if it is one.
pub(crate) fn unwrap(line: &[u8]) -> Option<Wrapped<'_>> {
    let local = iso(line).filter(|_| line[10] == b'T')?;
    let rest = &line[local.bytes..];
    let (seconds, bytes) = offset(rest)?;
    let rest = rest[bytes..].strip_prefix(b" std")?;
    let (stream, rest) = match rest {
        [b'o', b'u', b't', b' ', rest @ ..] => (Stream::Stdout, rest),
        [b'e', b'r', b'r', b' ', rest @ ..] => (Stream::Stderr, rest),
        _ => return None,
    };
    let (is_partial, rest) = match rest {
        [b'P', rest @ ..] => (true, rest),
        [b'F', rest @ ..] => (false, rest),
        _ => return None,
    };
    let text = if rest.is_empty() { rest } else { tags(rest)? };
    Some(Wrapped { micros: local.micros - seconds * 1_000_000, stream, is_partial, text })
}

/// What follows the tags (`P:tag2 text`); only the first tag means anything so far.
fn tags(rest: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b' ', rest)?;
    (end == 0 || rest[0] == b':').then(|| &rest[end + 1..])
}

/// The text of a record of container log lines: pieces joined, one line for each text. Lines of another stream that
/// came between two pieces stand after the line whose pieces they came between.
pub(crate) fn unwrap_all(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len());
    let mut others: Vec<u8> = Vec::new();
    let mut open: Option<Stream> = None;
    for line in record.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        match unwrap(line) {
            Some(wrapped) if open.is_some_and(|stream| stream != wrapped.stream) => {
                others.extend_from_slice(wrapped.text);
                others.push(b'\n');
            }
            Some(wrapped) => {
                out.extend_from_slice(wrapped.text);
                open = wrapped.is_partial.then_some(wrapped.stream);
                if open.is_none() {
                    out.push(b'\n');
                    out.append(&mut others);
                }
            }
            None => {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
    }
    if open.is_some() {
        out.push(b'\n');
        out.append(&mut others);
    }
    if out.last() == Some(&b'\n') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_line_says_when_where_and_what() {
        let wrapped = unwrap(b"2026-11-21T02:00:00.000007123Z stderr F text  x").expect("wrapped");
        assert_eq!(
            (wrapped.micros, wrapped.stream, wrapped.is_partial, wrapped.text),
            (1_795_226_400_000_007, Stream::Stderr, false, &b"text  x"[..])
        );
        assert_eq!(
            unwrap(b"2026-11-21T03:00:00+01:00 stdout P ").map(|w| (w.micros, w.is_partial, w.text)),
            Some((1_795_226_400_000_000, true, &b""[..]))
        );
        assert_eq!(unwrap(b"2026-11-21T03:00:00Z stdout F").map(|w| w.text), Some(&b""[..]));
        assert_eq!(unwrap(b"2026-11-21T03:00:00Z stdout F:x text").map(|w| w.text), Some(&b"text"[..]));
    }

    #[test]
    fn other_lines_are_not_wrapped() {
        for line in [
            "",
            "2026-11-21 02:00:00Z stderr F x",
            "2026-11-21T02:00:00Z stdin F x",
            "2026-11-21T02:00:00Z stderr X x",
            "2026-11-21T02:00:00Z stderr Fx",
        ] {
            assert_eq!(unwrap(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn pieces_are_joined_around_lines_of_the_other_stream() {
        let record = b"2026-11-21T02:00:00Z stderr P {\"a\":\n2026-11-21T02:00:00Z stdout F other\r\n2026-11-21T02:00:00Z stderr P \"b\n2026-11-21T02:00:00Z stderr F \"}\n2026-11-21T02:00:01Z stderr F \tat x";
        assert_eq!(String::from_utf8_lossy(&unwrap_all(record)), "{\"a\":\"b\"}\nother\n\tat x");
    }
}
