//! `--set path=value` and `WEIR__path__to__key=value`: single values put into the tree after the file was read.
//! Refuses to know which keys exist: a wrong one is found when the tree becomes types, like one in the file.

use crate::document::Text;
use crate::tree::{Entry, Node, ParseError, Place, Scalar, Segment, Style, Value, parse, parse_path};

/// What the names of environment variables that override keys begin with.
pub const ENV_PREFIX: &str = "WEIR__";

/// One override, not yet applied.
#[derive(Debug)]
pub(crate) struct Override {
    pub(crate) text: Text,
    path: Result<Vec<Segment>, (usize, &'static str)>,
    value_at: usize,
}

impl Override {
    /// From `path=value` as given to `--set`.
    pub(crate) fn from_set(argument: &str) -> Self {
        let (path, value_at) = match argument.find('=') {
            Some(equals) => (parse_path(&argument[..equals]), equals + 1),
            None => (Err((argument.len(), "`=` and a value are missing")), argument.len()),
        };
        let label = format!("--set {}", argument.split('=').next().unwrap_or_default());
        Self { text: Text { label, text: argument.to_owned(), is_file: false }, path, value_at }
    }

    /// From an environment variable; `None` for those that override nothing.
    pub(crate) fn from_env(name: &str, value: &str) -> Option<Self> {
        let keys = name.strip_prefix(ENV_PREFIX)?;
        let mut at = ENV_PREFIX.len();
        let mut path = Vec::new();
        for key in keys.split("__") {
            path.push(Segment { name: key.to_owned(), at: at..at + key.len() });
            at += key.len() + "__".len();
        }
        let empty = path.iter().find(|segment| segment.name.is_empty()).map(|segment| segment.at.start);
        let path = match empty {
            Some(at) => Err((at, "a key is missing")),
            None => Ok(path),
        };
        let text = format!("{name}={value}");
        let label = format!("environment variable {name}");
        Some(Self { text: Text { label, text, is_file: false }, path, value_at: name.len() + 1 })
    }

    /// Puts the value into the tree. `number` is the number of this override's text in the document.
    pub(crate) fn apply(&self, root: &mut Node, number: usize) -> Vec<ParseError> {
        let path = match &self.path {
            Ok(path) => path,
            Err((at, message)) => {
                let hint = Some("write sources.logs.file.follow=false, or steps[0].where=...".to_owned());
                let place = Place { text: number, start: *at, end: *at };
                return vec![ParseError { place, message: (*message).to_owned(), hint }];
            }
        };
        let (value, mut errors) = self.value(number);
        if errors.is_empty()
            && let Some(value) = value
            && let Err(error) = put(root, path, value, number)
        {
            errors.push(error);
        }
        errors
    }

    fn value(&self, number: usize) -> (Option<Node>, Vec<ParseError>) {
        let (mut value, mut errors) = parse(&self.text.text[self.value_at..], number);
        errors.iter_mut().for_each(|error| error.place.shift(self.value_at));
        if let Some(value) = &mut value {
            value.each_place(&mut |place| place.shift(self.value_at));
        }
        let at = Place { text: number, start: self.value_at, end: self.text.text.len() };
        let mut value = value.unwrap_or_else(|| Node::null(at));
        value.each_scalar(&mut |scalar, _| {
            if scalar.style == Style::Plain {
                scalar.style = Style::Given;
            }
        });
        (Some(value), errors)
    }
}

/// Puts `value` at `path`, making maps on the way.
fn put(node: &mut Node, path: &[Segment], value: Node, number: usize) -> Result<(), ParseError> {
    let Some((segment, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    let place = Place { text: number, start: segment.at.start, end: segment.at.end };
    if let Value::Scalar(scalar) = &node.value {
        // A bare word is the word with nothing below it: `format: json` can get `format.json.zone`.
        let word = Entry {
            key: scalar.text.clone(),
            key_place: node.place,
            value: Node::null(node.place),
            touched_by: node.place.text,
        };
        let keep = !node.is_null() && segment.is_key(&word.key);
        *node = Node { place, value: Value::Map(if keep { vec![word] } else { Vec::new() }) };
    }
    match &mut node.value {
        Value::Map(entries) => {
            let index = entries.iter().position(|entry| segment.is_key(&entry.key)).unwrap_or_else(|| {
                let (key, value) = (segment.name.clone(), Node::null(place));
                entries.push(Entry { key, key_place: place, value, touched_by: number });
                entries.len() - 1
            });
            entries[index].touched_by = number;
            put(&mut entries[index].value, rest, value, number)
        }
        Value::List(items) => {
            let count = items.len();
            let wrong = |message| Err(ParseError { place, message, hint: None });
            match segment.index() {
                None => wrong(format!("`{}` is no index: this is a list of {count}", segment.name)),
                Some(index) if index > count => {
                    wrong(format!("there is no item {index}: this is a list of {count}, from 0"))
                }
                Some(index) => {
                    if index == count {
                        items.push(Node::null(place));
                    }
                    put(&mut items[index], rest, value, number)
                }
            }
        }
        Value::Scalar(Scalar { .. }) | Value::Removed => unreachable!("made a map above; nothing is removed yet"),
    }
}
