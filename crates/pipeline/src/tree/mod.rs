//! YAML as a tree in which every key and value knows where it was written. Refuses to know what the keys mean.

mod parse;
mod path;
#[cfg(test)]
mod tests;

pub(crate) use parse::{ParseError, TEXT_BYTES_MAX, line_and_column, parse};
pub(crate) use path::{Segment, parse_path, show_path};

/// Where something was written: which text (0 is the file, then the overrides in their order), and the place in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the document's texts.
    pub(crate) text: usize,
    /// First byte in the text.
    pub(crate) start: usize,
    /// The byte after the last one.
    pub(crate) end: usize,
}

impl Place {
    /// The same in a text that begins `by` bytes earlier.
    pub(crate) fn shift(&mut self, by: usize) {
        (self.start, self.end) = (self.start + by, self.end + by);
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Was here and is wrong: reported once, then passed over.
    Removed,
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
    /// The latest text that set this entry or anything below it.
    pub(crate) touched_by: usize,
}

/// Text, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
    /// The reference it came from, as written, when it is a secret.
    pub(crate) secret: Option<String>,
}

/// How a scalar was written, which decides what it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: `5` is a number, `true` a boolean, `~` or nothing is null.
    Plain,
    /// In quotes or as a block: always text.
    Quoted,
    /// From an override or a reference: whatever is expected.
    Given,
}

/// What a plain scalar is by YAML 1.2's core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Core {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

impl Scalar {
    /// What it is when nothing particular is expected.
    pub(crate) fn core(&self) -> Core {
        if self.style == Style::Quoted || self.secret.is_some() {
            return Core::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Core::Null,
            "true" | "True" | "TRUE" => Core::Bool(true),
            "false" | "False" | "FALSE" => Core::Bool(false),
            text => number(text),
        }
    }
}

fn number(text: &str) -> Core {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let looks_numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && digits.bytes().any(|b| b.is_ascii_digit());
    if !looks_numeric {
        return Core::Text;
    }
    let integer = text.parse().map(Core::Int);
    integer.or_else(|_| text.parse().map(Core::Float)).unwrap_or(Core::Text)
}

impl Node {
    /// Nothing at all, as `key:` without a value.
    pub(crate) fn null(place: Place) -> Self {
        Self { place, value: Value::Scalar(Scalar { text: String::new(), style: Style::Plain, secret: None }) }
    }

    /// Whether there is nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.core() == Core::Null)
    }

    /// The value of `segment` inside this one.
    pub(crate) fn child(&self, segment: &Segment) -> Option<&Node> {
        match (&self.value, segment) {
            (Value::Map(entries), _) => {
                entries.iter().find(|entry| segment.is_key(&entry.key)).map(|entry| &entry.value)
            }
            (Value::List(items), _) => items.get(segment.index()?),
            (Value::Scalar(_) | Value::Removed, _) => None,
        }
    }

    /// The entry of `segment` when this is a map.
    pub(crate) fn entry(&self, segment: &Segment) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| segment.is_key(&entry.key)),
            Value::List(_) | Value::Scalar(_) | Value::Removed => None,
        }
    }

    /// Marks what is at `path` as wrong, so that reading goes on without it. Returns whether there was something.
    pub(crate) fn remove(&mut self, path: &[Segment]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            let was = !matches!(self.value, Value::Removed);
            self.value = Value::Removed;
            return was;
        };
        let child = match &mut self.value {
            Value::Map(entries) => {
                entries.iter_mut().find(|entry| first.is_key(&entry.key)).map(|entry| &mut entry.value)
            }
            Value::List(items) => first.index().and_then(|index| items.get_mut(index)),
            Value::Scalar(_) | Value::Removed => None,
        };
        child.is_some_and(|child| child.remove(rest))
    }

    /// Calls `change` with every scalar and its place.
    pub(crate) fn each_scalar(&mut self, change: &mut impl FnMut(&mut Scalar, Place)) {
        match &mut self.value {
            Value::Scalar(scalar) => change(scalar, self.place),
            Value::List(items) => items.iter_mut().for_each(|item| item.each_scalar(change)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.each_scalar(change)),
            Value::Removed => {}
        }
    }

    /// Calls `change` with the place of every key and value.
    pub(crate) fn each_place(&mut self, change: &mut impl FnMut(&mut Place)) {
        change(&mut self.place);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.each_place(change)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                change(&mut entry.key_place);
                entry.value.each_place(change);
            }),
            Value::Scalar(_) | Value::Removed => {}
        }
    }

    /// Calls `change` with every key.
    pub(crate) fn each_key(&mut self, change: &mut impl FnMut(&mut String)) {
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.each_key(change)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                change(&mut entry.key);
                entry.value.each_key(change);
            }),
            Value::Scalar(_) | Value::Removed => {}
        }
    }
}
