//! Why a record is rejected: the field's path and the byte at which it stands. Made only when something is wrong, so that
//! it costs nothing when nothing is.

use std::fmt::Display;

/// What is wrong with a record.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The byte of the record at which it shows.
    at: usize,
    /// Where the value belongs, the innermost first.
    path: Vec<String>,
    what: String,
}

/// What was read, or what is wrong.
pub(crate) type Fallible<T = ()> = Result<T, Box<Fault>>;

impl Fault {
    /// `what` is wrong at byte `at`.
    #[cold]
    pub(crate) fn new(at: usize, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { at, path: Vec::new(), what: what.into() })
    }

    /// The same, inside of the field `name`.
    #[cold]
    pub(crate) fn inside(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// The same, inside of the item `index` of a list.
    #[cold]
    pub(crate) fn at_item(mut self: Box<Self>, index: impl Display) -> Box<Self> {
        self.path.push(format!("[{index}]"));
        self
    }

    /// In words, for a payload that begins `skipped` bytes into its record.
    #[cold]
    pub(crate) fn explain(&self, format: &str, skipped: usize) -> String {
        let at = self.at + skipped;
        if self.path.is_empty() {
            return format!("{format}, at byte {at}: {}", self.what);
        }
        let mut path = String::new();
        for part in self.path.iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        format!("{format}, field \"{path}\" at byte {at}: {}", self.what)
    }
}
