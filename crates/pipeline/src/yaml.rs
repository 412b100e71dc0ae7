//! Other YAML that people write beside pipelines (stories), read with the same exact errors. Refuses overrides and
//! references to secrets: such files hold nothing that depends on where they are read.

use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::Input;
use crate::diagnostic::Diagnostic;
use crate::document::Document;
use crate::load::{located, read, shaped};
use crate::nearest::nearest;
use crate::tree::{Node, Place, Segment, Value, line_and_column, parse};

/// Where a value and its key stand in the text of the file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The key.
    pub key: Range<usize>,
    /// The value; empty where nothing is written.
    pub value: Range<usize>,
}

/// Reads a YAML file into a `T`. Enums are externally tagged, and a bare word is a variant with nothing below it.
///
/// # Errors
/// Everything that is wrong, in the order of the text, never an empty list.
pub fn load_yaml<T: DeserializeOwned>(input: Input<'_>) -> Result<(T, Document), Vec<Diagnostic>> {
    let text = read(input).map_err(|diagnostic| vec![*diagnostic])?;
    let (root, errors) = parse(&text.text, 0);
    let root = root.unwrap_or_else(|| Node::null(Place::default()));
    let document = Document { texts: vec![text], root, secrets: Vec::new() };
    if !errors.is_empty() {
        return Err(located(&document, errors));
    }
    let mut diagnostics = Vec::new();
    match shaped(&document, &mut diagnostics) {
        Some(value) if diagnostics.is_empty() => Ok((value, document)),
        Some(_) | None => {
            diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
            Err(diagnostics)
        }
    }
}

impl Document {
    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.texts[0].text
    }

    /// What errors call the file.
    pub fn label(&self) -> &str {
        &self.texts[0].label
    }

    /// The line, from 1, on which the key or the item at `keys` begins, or the nearest above it that is written.
    pub fn line_of(&self, keys: &[&str]) -> usize {
        let place = self.place_of(keys, true);
        line_and_column(&self.texts[place.text].text, place.start).0
    }

    /// The bytes of the value at `keys` as it is written, `None` when it is not.
    pub fn written(&self, keys: &[&str]) -> Option<Range<usize>> {
        self.place(keys).map(|written| written.value)
    }

    /// Where the key and the value at `keys` are written, in bytes; `None` when they are not, or it has no key.
    pub fn place(&self, keys: &[&str]) -> Option<Written> {
        let (mut node, mut key) = (&self.root, None);
        for segment in keys.iter().map(|key| Segment::key(key)) {
            key = node.entry(&segment).map(|entry| entry.key_place);
            node = node.child(&segment)?;
        }
        let key = key?;
        let end = self.end_of(node);
        let start = self.block_after(key).unwrap_or(node.place.start);
        Some(Written { key: key.start..key.end, value: start..end.max(start) })
    }

    /// Where a block of text begins (`|` or `>`), if one does behind this key. The parser tells it only when no comment
    /// stands on its first line.
    fn block_after(&self, key: Place) -> Option<usize> {
        let colon = key.end + self.text()[key.end..].find(':')?;
        let behind = &self.text()[colon + 1..];
        let value = behind.trim_start_matches(' ');
        value.starts_with(['|', '>']).then_some(colon + 1 + behind.len() - value.len())
    }

    /// The parser ends a block where what follows it begins; people end it with its last value.
    fn end_of(&self, node: &Node) -> usize {
        let is_flow = self.text()[node.place.start..].starts_with(['[', '{']);
        let last = match &node.value {
            Value::List(items) if !is_flow => items.last(),
            Value::Map(entries) if !is_flow => entries.last().map(|entry| &entry.value),
            Value::List(_) | Value::Map(_) | Value::Scalar(_) | Value::Removed => None,
        };
        last.map_or(node.place.end, |last| self.end_of(last))
    }

    /// The error `message` about the value at `keys` (indexes of lists as digits), or about its key.
    pub fn error_at_keys(&self, keys: &[&str], at_key: bool, message: impl Into<String>) -> Diagnostic {
        let mut diagnostic = self.diagnostic(self.place_of(keys, at_key), message.into());
        diagnostic.path = self.show(&keys.iter().map(|key| Segment::key(key)).collect::<Vec<_>>());
        diagnostic
    }

    /// The error `message` about a whole line, from 1, inside the value at `keys`.
    pub fn error_on_line(&self, keys: &[&str], line: usize, message: impl Into<String>) -> Diagnostic {
        let before: usize = self.text().split_inclusive('\n').take(line - 1).map(str::len).sum();
        let content = self.text()[before..].split('\n').next().unwrap_or_default();
        let start = before + content.len() - content.trim_start().len();
        let place = Place { text: 0, start, end: start + content.trim().len() };
        let mut diagnostic = self.diagnostic(place, message.into());
        diagnostic.path = self.show(&keys.iter().map(|key| Segment::key(key)).collect::<Vec<_>>());
        diagnostic
    }

    fn place_of(&self, keys: &[&str], at_key: bool) -> Place {
        let (mut node, mut place) = (&self.root, self.root.place);
        for key in keys {
            let segment = Segment::key(key);
            let Some(child) = node.child(&segment) else { break };
            let is_small = matches!(child.value, Value::Scalar(_)) && !child.is_null();
            let own = Place { end: child.place.start, ..child.place };
            place = match node.entry(&segment) {
                Some(entry) if at_key || !is_small => entry.key_place,
                Some(_) => child.place,
                None => own,
            };
            node = child;
        }
        place
    }
}

impl Diagnostic {
    /// The same, where `word` stands for one of `allowed`: they are listed, and the one that is most like it is named.
    #[must_use]
    pub fn allowing<'a>(mut self, word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Self {
        self.allowed = allowed.into_iter().map(str::to_owned).collect();
        self.nearest = nearest(word, self.allowed.iter().map(String::as_str));
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
