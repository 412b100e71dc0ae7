//! A loaded pipeline's text: finds the place of any key, so that whoever finds an error later can point at it.
//! Refuses to show the values of secrets.

use serde::Serialize;

use crate::de::{Fault, FaultKind};
use crate::diagnostic::{Diagnostic, Snippet};
use crate::nearest::nearest;
use crate::tree::{Core, Node, ParseError, Place, Segment, Style, Value, line_and_column, parse_path, show_path};

/// A secret shorter than this is not looked for in messages: it would be found everywhere.
const SECRET_BYTES_SOUGHT_MIN: usize = 4;

/// The texts that a pipeline was loaded from, and where everything in them stands.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) texts: Vec<Text>,
    pub(crate) root: Node,
    /// Values and the references they came from.
    pub(crate) secrets: Vec<(String, String)>,
}

/// One text: the file, or an override.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// The file's name, `--set PATH` or `environment variable NAME`.
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) is_file: bool,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file, `--set PATH` or `environment variable NAME`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// What a path leads to in a document.
struct Found<'a> {
    /// The deepest node on the path that exists.
    node: &'a Node,
    /// Its key, when it has one.
    key_place: Option<Place>,
    /// How many segments led there.
    depth: usize,
}

impl Document {
    /// The error `message` about the value at `path` (`steps[1].window.compute.p95`). When the path is not written
    /// in the document (a default), the error points at the nearest key above it.
    ///
    /// `offset_in_text` is how many characters of the value's text precede the spot, for values that are texts of
    /// their own, such as SQL.
    pub fn error_at(
        &self,
        path: &str,
        message: impl Into<String>,
        hint: Option<String>,
        offset_in_text: Option<usize>,
    ) -> Diagnostic {
        let segments = parse_path(path).unwrap_or_default();
        let found = self.find(&segments);
        let whole = found.depth == segments.len();
        let place = match offset_in_text.filter(|_| whole).and_then(|offset| self.inside(found.node, offset)) {
            Some(place) => place,
            None => readable_place(&found),
        };
        let mut diagnostic = self.diagnostic(place, self.redact(&message.into()));
        diagnostic.path = self.show(&segments);
        diagnostic.hint = hint.map(|hint| self.redact(&hint));
        diagnostic
    }

    /// Where the value at `path` was written; `None` when it is a default.
    pub fn origin(&self, path: &str) -> Option<Origin> {
        let segments = parse_path(path).ok()?;
        let found = self.find(&segments);
        if found.depth < segments.len() {
            return None;
        }
        let text = &self.texts[found.node.place.text];
        let (line, column) = line_and_column(&text.text, readable_place(&found).start);
        Some(Origin { file: text.label.clone(), line, column })
    }

    /// `text` with the reference in the place of every secret's value.
    pub fn redact(&self, text: &str) -> String {
        let sought = self.secrets.iter().filter(|(value, _)| value.len() >= SECRET_BYTES_SOUGHT_MIN);
        sought.fold(text.to_owned(), |text, (value, reference)| text.replace(value, reference))
    }

    /// The error of a fault that serde found.
    pub(crate) fn of_fault(&self, fault: &Fault) -> Diagnostic {
        let path = fault.path.as_deref().unwrap_or_default();
        let found = self.find(path);
        let place = match (fault.at_key, found.key_place) {
            (true, Some(key_place)) if found.depth == path.len() => key_place,
            _ => readable_place(&found),
        };
        let mut diagnostic = self.diagnostic(place, fault.to_string());
        diagnostic.path = self.show(path);
        let allowed: &[&str] = match &fault.kind {
            FaultKind::UnknownKey { key, allowed } | FaultKind::UnknownChoice { word: key, allowed } => {
                diagnostic.nearest = nearest(key, allowed.iter().copied());
                allowed
            }
            FaultKind::MissingChoice { allowed } => allowed,
            FaultKind::MissingKey { .. } => {
                diagnostic.nearest = self.meant_instead(path);
                &[]
            }
            FaultKind::Unfit { .. } => {
                diagnostic.hint = self.unfit_hint(&found, &fault.kind);
                &[]
            }
            FaultKind::TwoChoices { .. } | FaultKind::Other(_) => &[],
        };
        diagnostic.allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
        diagnostic
    }

    /// The error of a text that is not YAML.
    pub(crate) fn of_parse_error(&self, error: ParseError) -> Diagnostic {
        let mut diagnostic = self.diagnostic(error.place, error.message);
        diagnostic.hint = error.hint;
        diagnostic
    }

    /// An error at a place.
    pub(crate) fn diagnostic(&self, place: Place, message: String) -> Diagnostic {
        let text = &self.texts[place.text];
        let (line, column) = line_and_column(&text.text, place.start);
        let whole_line = text.text.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
        let meant = text.text.get(place.start..place.end).unwrap_or_default();
        let width = meant.split('\n').next().unwrap_or_default().trim_end().chars().count();
        Diagnostic {
            line,
            column,
            snippet: Some(Snippet { line: whole_line.to_owned(), width, is_file: text.is_file }),
            ..Diagnostic::of_file(&text.label, message)
        }
    }

    /// A path with its list indexes in brackets.
    pub(crate) fn show(&self, path: &[Segment]) -> String {
        show_path(path, |depth| {
            let above = self.find(&path[..depth]);
            above.depth == depth && matches!(above.node.value, Value::List(_))
        })
    }

    fn find(&self, path: &[Segment]) -> Found<'_> {
        let mut found = Found { node: &self.root, key_place: None, depth: 0 };
        for segment in path {
            let Some(child) = found.node.child(segment) else { break };
            let key_place = found.node.entry(segment).map(|entry| entry.key_place);
            found = Found { node: child, key_place, depth: found.depth + 1 };
        }
        found
    }

    /// An override that made up a key where something else was meant: the existing key that is most like it.
    fn meant_instead(&self, path: &[Segment]) -> Option<String> {
        (0..path.len()).find_map(|depth| {
            let Value::Map(entries) = &self.find(&path[..depth]).node.value else { return None };
            let made_up = entries.iter().find(|entry| path[depth].is_key(&entry.key) && entry.key_place.text > 0)?;
            nearest(&made_up.key, entries.iter().map(|entry| entry.key.as_str()).filter(|key| *key != made_up.key))
        })
    }

    fn unfit_hint(&self, found: &Found<'_>, kind: &FaultKind) -> Option<String> {
        let FaultKind::Unfit { expected, .. } = kind else { return None };
        let Value::Scalar(scalar) = &found.node.value else { return None };
        let is_truth = matches!(scalar.text.to_ascii_lowercase().as_str(), "yes" | "no" | "on" | "off");
        if is_truth && expected.contains("true") {
            return Some("YAML's booleans are `true` and `false`".to_owned());
        }
        if scalar.style == Style::Quoted && (expected.contains("number") || expected.contains("true")) {
            return Some("leave the quotes away: what is in quotes is text".to_owned());
        }
        if expected == "a list" {
            return Some(format!("write [\"{}\"]", self.redact(&scalar.text)));
        }
        let number = matches!(scalar.core(), Core::Int(_) | Core::Float(_));
        if number && expected.starts_with("a duration") {
            return Some(format!("add the unit: {0}ms, {0}s, {0}m", scalar.text));
        }
        if number && expected.starts_with("a size") {
            return Some(format!("add the unit: {0}B, {0}KiB, {0}MiB", scalar.text));
        }
        (expected == "text" && !found.node.is_null()).then(|| format!("write \"{}\"", scalar.text))
    }

    /// The place of the character number `offset` of a value's text, when it can be told.
    fn inside(&self, node: &Node, offset: usize) -> Option<Place> {
        let Value::Scalar(scalar) = &node.value else { return None };
        if scalar.secret.is_some() {
            return None;
        }
        let written = self.texts[node.place.text].text.get(node.place.start..node.place.end)?;
        // Lines may be folded and indented, but characters that are not blank come in the same order and number.
        let is_ink = |c: &char| !c.is_whitespace();
        let ink_before = scalar.text.chars().take(offset).filter(is_ink).count();
        let prefix = match written.chars().next() {
            Some('"' | '\'') if scalar.style == Style::Quoted => 1,
            Some('|' | '>') if scalar.style == Style::Quoted => written.find('\n')?,
            Some(_) | None => 0,
        };
        let ink = written[prefix..].char_indices().filter(|(_, c)| is_ink(c)).nth(ink_before);
        let at = ink.map_or(written.trim_end().len(), |(at, _)| prefix + at);
        let start = node.place.start + at;
        Some(Place { text: node.place.text, start, end: start })
    }
}

/// The place that says most: the value; its key when the value is empty or spans lines; the beginning of a list item.
fn readable_place(found: &Found<'_>) -> Place {
    let place = found.node.place;
    let is_small = matches!(found.node.value, Value::Scalar(_)) && !found.node.is_null();
    match found.key_place {
        Some(key_place) if !is_small => key_place,
        _ if is_small => place,
        Some(_) | None => Place { end: place.start, ..place },
    }
}
