//! What can be wrong with a tree when it becomes types, and where. Refuses to word it for people: that is
//! [`crate::diagnostic`]'s work.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use crate::tree::Segment;

/// Something that is wrong, and the path to it.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where; unknown while the error is still on its way out of the value that raised it.
    pub(crate) path: Option<Vec<Segment>>,
    /// Whether the key is what is wrong, not its value.
    pub(crate) at_key: bool,
    pub(crate) kind: FaultKind,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum FaultKind {
    /// A key that nothing reads.
    UnknownKey { key: String, allowed: Vec<&'static str> },
    /// A word that is none of the choices.
    UnknownChoice { word: String, allowed: Vec<&'static str> },
    /// A key that must be there.
    MissingKey { key: &'static str },
    /// None of some keys of which one must be there.
    MissingChoice { allowed: Vec<&'static str> },
    /// Two keys of which only one can be there.
    TwoChoices { first: String, second: String },
    /// A value of another kind or shape than expected.
    Unfit { came: String, expected: String },
    /// Anything else, in words.
    Other(String),
}

impl Fault {
    /// A fault of `kind` at a place that is not known yet.
    pub(crate) fn new(kind: FaultKind) -> Self {
        Self { path: None, at_key: false, kind }
    }

    /// The same with its place, unless it has one that is more exact.
    pub(crate) fn at(mut self, path: impl FnOnce() -> Vec<Segment>, at_key: bool) -> Self {
        if self.path.is_none() {
            self.path = Some(path());
            self.at_key = at_key;
        }
        self
    }

    /// Puts `reference` wherever the text has the value of a secret.
    pub(crate) fn hide(&mut self, secret: &str, reference: &str) {
        let hidden = |text: &str| text.replace(secret, reference);
        match &mut self.kind {
            FaultKind::UnknownKey { key: text, .. }
            | FaultKind::UnknownChoice { word: text, .. }
            | FaultKind::Unfit { came: text, .. }
            | FaultKind::Other(text) => *text = hidden(text),
            FaultKind::MissingKey { .. } | FaultKind::MissingChoice { .. } | FaultKind::TwoChoices { .. } => {}
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::UnknownKey { key, .. } => write!(f, "unknown key `{key}`"),
            FaultKind::UnknownChoice { word, .. } => write!(f, "unknown word `{word}`"),
            FaultKind::MissingKey { key } => write!(f, "the key `{key}` is missing"),
            FaultKind::MissingChoice { allowed } => write!(f, "one of {} is missing", listed(allowed)),
            FaultKind::TwoChoices { first, second } => {
                write!(f, "`{first}` and `{second}` exclude each other: only one of them can be given")
            }
            FaultKind::Unfit { came, expected } => write!(f, "{came} where {expected} is expected"),
            FaultKind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What came, in YAML's words.
fn describe(came: &Unexpected<'_>) -> String {
    match came {
        Unexpected::Bool(value) => format!("the boolean `{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Char(value) => format!("the text `{value}`"),
        Unexpected::Str(value) => format!("the text `{value}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// What was expected, in YAML's words instead of Rust's.
fn expectation(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "string" | "str" => "text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => text,
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a map".to_owned(),
        other if other.starts_with("enum ") => "one of the allowed words".to_owned(),
        _ => text,
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(came: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(FaultKind::Unfit { came: describe(&came), expected: expectation(expected) })
    }

    fn invalid_value(came: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(came, expected)
    }

    fn unknown_variant(word: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownChoice { word: word.to_owned(), allowed: allowed.to_vec() })
    }

    fn unknown_field(key: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownKey { key: key.to_owned(), allowed: allowed.to_vec() })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(FaultKind::MissingKey { key })
    }
}
