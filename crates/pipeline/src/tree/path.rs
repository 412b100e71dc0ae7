//! Paths into a tree: `sources.logs.file.paths`, `steps[0].where` or `steps.0.where`, `schema."tags.env"`.

use std::fmt::Write;
use std::ops::Range;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The key, or the index as digits.
    pub(crate) name: String,
    /// Where it stands in the text of the path, in bytes; empty for paths that nobody wrote.
    pub(crate) at: Range<usize>,
}

impl Segment {
    /// A key that nobody wrote.
    pub(crate) fn key(name: &str) -> Self {
        Self { name: name.to_owned(), at: 0..0 }
    }

    /// An index that nobody wrote.
    pub(crate) fn item(index: usize) -> Self {
        Self { name: index.to_string(), at: 0..0 }
    }

    /// Whether it names `key`.
    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.name == key
    }

    /// The index it is, when it is one.
    pub(crate) fn index(&self) -> Option<usize> {
        self.name.parse().ok()
    }
}

/// Takes a path apart; the error says what is wrong with it and at which byte.
pub(crate) fn parse_path(text: &str) -> Result<Vec<Segment>, (usize, &'static str)> {
    let mut segments = Vec::new();
    let mut at = 0;
    while at < text.len() || segments.is_empty() {
        let rest = &text[at..];
        if let Some(quoted) = rest.strip_prefix('"') {
            let length = quoted.find('"').ok_or((at, "a quote that is not closed"))?;
            segments.push(Segment { name: quoted[..length].to_owned(), at: at + 1..at + 1 + length });
            at += length + 2;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let length = inside.find(']').ok_or((at, "a `[` that is not closed"))?;
            let index = &inside[..length];
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err((at + 1, "an index that is not a number"));
            }
            segments.push(Segment { name: index.to_owned(), at: at + 1..at + 1 + length });
            at += length + 2;
        } else {
            let length = rest.find(['.', '[']).unwrap_or(rest.len());
            if length == 0 {
                return Err((at, "a key is missing"));
            }
            segments.push(Segment { name: rest[..length].to_owned(), at: at..at + length });
            at += length;
        }
        match text[at..].bytes().next() {
            Some(b'.') if at + 1 == text.len() => return Err((at + 1, "a key is missing")),
            Some(b'.') => at += 1,
            Some(b'[') | None => {}
            Some(_) => return Err((at, "a dot is missing")),
        }
    }
    Ok(segments)
}

/// The path as people write it: `steps[0].where`. `is_item` says which segments are indexes of lists.
pub(crate) fn show_path(segments: &[Segment], is_item: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    for (depth, segment) in segments.iter().enumerate() {
        if is_item(depth) {
            let _ = write!(text, "[{}]", segment.name);
            continue;
        }
        if depth > 0 {
            text.push('.');
        }
        match segment.name.contains(['.', '[', '"']) || segment.name.is_empty() {
            true => write!(text, "\"{}\"", segment.name),
            false => write!(text, "{}", segment.name),
        }
        .expect("a string takes everything");
    }
    text
}
