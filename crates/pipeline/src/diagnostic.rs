//! One error in a pipeline as people see it: where, what, the line itself, what is allowed, the nearest name.
//! Refuses to show secrets.

use std::fmt::{self, Write};

use serde::Serialize;

/// How much of a long line is shown.
const SNIPPET_CHARS_MAX: usize = 120;
/// How far from the beginning of a long line the shown part begins at most, before the spot.
const SNIPPET_CHARS_BEFORE: usize = 60;

/// Something that is wrong with a pipeline, and where. Serializes to
/// `{file, line, column, path, message, allowed, nearest, hint}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, `--set PATH` or `environment variable NAME`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The path of the key, such as `steps[1].window.compute`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, with the text that offends.
    pub message: String,
    /// What could stand there; empty where that cannot be listed.
    pub allowed: Vec<String>,
    /// The allowed name that is most like what was written.
    pub nearest: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    #[serde(skip)]
    pub(crate) snippet: Option<Snippet>,
}

/// The line that offends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    /// The whole line.
    pub(crate) line: String,
    /// How many characters of it are meant.
    pub(crate) width: usize,
    /// Whether the line number means something: not in an override.
    pub(crate) is_file: bool,
}

impl Diagnostic {
    /// An error of the file as a whole.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
            path: String::new(),
            message: message.into(),
            allowed: Vec::new(),
            nearest: None,
            hint: None,
            snippet: None,
        }
    }

    /// Several lines: the one-line form, the source line with the spot marked, what is allowed, the nearest name.
    pub fn render(&self) -> String {
        let mut out = format!("{}\n", printable(&format!("{}error: {}", self.prefix(), self.message)));
        let number = if self.snippet.as_ref().is_some_and(|snippet| snippet.is_file) {
            self.line.to_string()
        } else {
            " ".to_owned()
        };
        let margin = " ".repeat(number.len());
        if let Some(snippet) = &self.snippet {
            let (shown, spaces, carets) = cut(snippet, self.column);
            let _ = write!(
                out,
                "{margin} |\n{number} | {shown}\n{margin} | {}{}\n",
                " ".repeat(spaces),
                "^".repeat(carets)
            );
        }
        let mut note = |what: &str, text: &str| {
            let _ = writeln!(out, "{margin} = {what}{}", printable(text));
        };
        if !self.path.is_empty() {
            note("at: ", &self.path);
        }
        if !self.allowed.is_empty() {
            note("allowed: ", &self.allowed.join(", "));
        }
        if let Some(nearest) = &self.nearest {
            note("did you mean ", &format!("`{nearest}`?"));
        }
        if let Some(hint) = &self.hint {
            note("help: ", hint);
        }
        out
    }

    fn prefix(&self) -> String {
        match &self.snippet {
            Some(snippet) if !snippet.is_file => format!("{}: ", self.file),
            Some(_) | None => format!("{}:{}:{}: ", self.file, self.line, self.column),
        }
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: error: message (did you mean ...?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&format!("{}error: {}", self.prefix(), self.message)))?;
        match &self.nearest {
            Some(nearest) => write!(f, " (did you mean `{}`?)", printable(nearest)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The text on one line, without anything that a terminal would act on.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect()
}

/// The part of the line that is shown, how far in the spot is, and how wide.
fn cut(snippet: &Snippet, column: usize) -> (String, usize, usize) {
    let line: Vec<char> = masked(&snippet.line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let spot = (column - 1).min(line.len());
    let from = if line.len() <= SNIPPET_CHARS_MAX { 0 } else { spot.saturating_sub(SNIPPET_CHARS_BEFORE) };
    let to = (from + SNIPPET_CHARS_MAX).min(line.len());
    let carets = snippet.width.clamp(1, (to - spot).max(1));
    (line[from..to].iter().collect(), spot - from, carets)
}

/// Keys whose value nobody should see in a terminal or a log.
const SENSITIVE: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "api_key"];

/// The line with the values of sensitive keys as stars, so that columns stay where they are.
fn masked(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let Some(from) = SENSITIVE.iter().filter_map(|word| value_after(&lower, word)).min() else {
        return line.to_owned();
    };
    let hide = |c: char| if c.is_whitespace() { c } else { '*' };
    line[..from].chars().chain(line[from..].chars().map(hide)).collect()
}

/// Where the value begins of a key that contains `word`.
fn value_after(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).find_map(|(at, _)| {
        let after = &line[at + word.len()..];
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-\"' ".contains(c));
        rest.starts_with([':', '=']).then(|| line.len() - rest.len() + 1)
    })
}
