//! From YAML text to the tree. Refuses more than one document, tags, keys that are not text, a key given twice, and
//! anything beyond the limits below: a configuration is small, so what is not small is an accident or an attack.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::{Entry, Node, Place, Scalar, Style, Value};

/// How long a configuration may be.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;
/// How deep it may be nested.
pub(crate) const DEPTH_MAX: usize = 32;
/// How many keys and values it may have after aliases are written out.
pub(crate) const NODES_MAX: usize = 20_000;

/// Something wrong with the text.
#[derive(Debug)]
pub(crate) struct ParseError {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Reads `text`, which is the document's text number `number`. Returns as much of the tree as could be read, and
/// everything that is wrong.
pub(crate) fn parse(text: &str, number: usize) -> (Option<Node>, Vec<ParseError>) {
    let mut reader = Reader {
        text,
        number,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        errors: Vec::new(),
    };
    let root = reader.document().unwrap_or_else(|stop| {
        reader.errors.push(stop);
        None
    });
    (root, reader.errors)
}

struct Reader<'t> {
    text: &'t str,
    number: usize,
    parser: Parser<'t, StrInput<'t>>,
    /// What an alias stands for, and how many nodes that is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    errors: Vec<ParseError>,
}

/// `Err` means that reading cannot go on.
type Step<T> = Result<T, ParseError>;

impl<'t> Reader<'t> {
    fn document(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document begins here: a file holds one pipeline".to_owned();
                    self.errors.push(ParseError { place: self.place(span), message, hint: None });
                    return Ok(root);
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                _ => return Err(self.error(span, "this has no place here")),
            }
        }
    }

    fn next(&mut self) -> Step<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(scan_error(self.text, self.number, *error.marker(), &error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Step<Node> {
        self.count(1, span)?;
        if depth > DEPTH_MAX {
            return Err(self.error(span, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.core_suffix() == Some("str"));
                if tag.is_some() && !is_text {
                    let error = self.error(span, "tags (`!...`) are not part of a pipeline");
                    self.errors.push(error);
                }
                let plain = style == ScalarStyle::Plain && !is_text;
                let style = if plain { Style::Plain } else { Style::Quoted };
                let scalar = Scalar { text: text.into_owned(), style, secret: None };
                (Node { place: self.place(span), value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(style, anchor, _) => (self.map(span, style == StructureStyle::Flow, depth)?, anchor),
            _ => return Err(self.error(span, "this has no place here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Step<Node> {
        let (node, size) = self.anchors.get(&id).cloned().ok_or_else(|| self.error(span, "an alias inside itself"))?;
        self.count(size, span)?;
        Ok(node)
    }

    fn list(&mut self, span: Span, depth: usize) -> Step<Node> {
        let mut items = Vec::new();
        loop {
            let (event, item_span) = self.next()?;
            if event == Event::SequenceEnd {
                let place = self.place(Span::new(span.start, item_span.end));
                return Ok(Node { place, value: Value::List(items) });
            }
            items.push(self.node(event, item_span, depth + 1)?);
        }
    }

    fn map(&mut self, span: Span, flow: bool, depth: usize) -> Step<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    let place = self.place(Span::new(span.start, key_span.end));
                    return Ok(Node { place, value: Value::Map(entries) });
                }
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(self.error(key_span, "a key must be text")),
            };
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if flow {
                self.check_cut_in_two(&value);
            }
            let key_place = self.place(key_span);
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let (line, _) = line_and_column(self.text, first.key_place.start);
                let message = format!("the key `{key}` is given twice: first on line {line}");
                self.errors.push(ParseError { place: key_place, message, hint: None });
                continue;
            }
            entries.push(Entry { key, key_place, value, touched_by: self.number });
        }
    }

    /// `{ p95: quantile(0.95, x) }` is two keys for YAML, and nobody means that.
    fn check_cut_in_two(&mut self, value: &Node) {
        let Value::Scalar(scalar) = &value.value else { return };
        let count = |c| scalar.text.matches(c).count();
        if scalar.style == Style::Plain && count('(') > count(')') {
            let message = format!("`{}` is cut off: inside {{ }} a comma ends the value", scalar.text);
            let hint = Some("put the whole text in double quotes".to_owned());
            self.errors.push(ParseError { place: value.place, message, hint });
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Step<()> {
        self.nodes += more;
        if self.nodes > NODES_MAX {
            return Err(self.error(span, format!("more than {NODES_MAX} keys and values, aliases written out")));
        }
        Ok(())
    }

    fn place(&self, span: Span) -> Place {
        let byte = |marker: Marker| marker.byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let (start, end) = (byte(span.start), byte(span.end));
        Place { text: self.number, start, end: end.max(start) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError { place: self.place(span), message: message.into(), hint: None }
    }
}

/// The parser's own errors, in words for people who do not know its insides.
fn scan_error(text: &str, number: usize, marker: Marker, message: &str) -> ParseError {
    let at = marker.byte_offset().unwrap_or(text.len()).min(text.len());
    let place = Place { text: number, start: at, end: at };
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    let rest_of_line = text[at..].split('\n').next().unwrap_or_default();
    let indented_by_tab = format!("{line}{rest_of_line}").chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let hint = if indented_by_tab || message.contains("tab") {
        Some("indent with spaces: YAML allows no tabs there")
    } else if message.contains("quote") {
        Some("a quote that was opened here or before is not closed")
    } else if message.contains("nknown anchor") {
        Some("a value that begins with `*` must be in quotes")
    } else if message.contains("mapping values are not allowed") {
        Some("put a text that contains `: ` in quotes")
    } else {
        None
    };
    ParseError { place, message: format!("this is not YAML: {message}"), hint: hint.map(str::to_owned) }
}

/// Line and column, both from 1, columns in characters, of a byte of `text`.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}
