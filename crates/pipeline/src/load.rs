//! From a file, overrides and an environment to a pipeline, or to everything that is wrong with it. Refuses to start,
//! open or check anything outside of the text.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::config::PipelineConfig;
use crate::de::{Fault, FaultKind, from_tree};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, Text};
use crate::overrides::Override;
use crate::secret;
use crate::tree::{Node, ParseError, Place, Segment, TEXT_BYTES_MAX, line_and_column, parse};
use crate::validate::validate;

/// How many faults of shape are looked for at once; past that the first ones are enough to go on with.
const FAULTS_MAX: usize = 20;

/// Where the text of a pipeline is.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// In a file.
    File(&'a Path),
    /// Here; the name is what errors call it.
    Text {
        /// What errors call it.
        name: &'a str,
        /// YAML.
        text: &'a str,
    },
}

/// Loads a pipeline: the text, then environment variables `WEIR__a__b__c=value` in the order of their names, then
/// `overrides` (`a.b.c=value`, values are YAML), then references to secrets; and checks that it makes sense.
///
/// `env` is the environment; it is passed in because only the binary reads it.
///
/// # Errors
/// Everything that is wrong, in the order of the text, never an empty list.
pub fn load(
    input: Input<'_>,
    overrides: &[String],
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<(PipelineConfig, Document), Vec<Diagnostic>> {
    let env: BTreeMap<String, String> = env.into_iter().collect();
    let text = read(input).map_err(|diagnostic| vec![*diagnostic])?;
    let file_label = text.label.clone();
    let mut document = Document { texts: vec![text], root: Node::null(Place::default()), secrets: Vec::new() };
    let mut errors = assemble(&mut document, overrides, &env);
    if !errors.is_empty() {
        return Err(located(&document, errors));
    }
    if document.root.is_null() {
        return Err(vec![Diagnostic::of_file(
            &file_label,
            "there is nothing in this file: a pipeline needs name, sources and outputs",
        )]);
    }
    (document.secrets, errors) = secret::resolve(&mut document.root, &env);
    let mut diagnostics = located(&document, errors);
    let config = typed(&document, &mut diagnostics);
    match config {
        Some(config) if diagnostics.is_empty() => Ok((config.resolved(), document)),
        Some(_) | None => {
            let number = |file: &str| document.texts.iter().position(|text| text.label == file);
            diagnostics.sort_by_key(|diagnostic| (number(&diagnostic.file), diagnostic.line, diagnostic.column));
            Err(diagnostics)
        }
    }
}

pub(crate) fn read(input: Input<'_>) -> Result<Text, Box<Diagnostic>> {
    let (label, bytes) = match input {
        Input::Text { name, text } => (name.to_owned(), text.as_bytes().to_vec()),
        Input::File(path) => {
            let label = path.display().to_string();
            let mut bytes = Vec::new();
            let limit = TEXT_BYTES_MAX as u64 + 1;
            let result = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
            result.map_err(|error| Diagnostic::of_file(&label, format!("cannot read this file: {error}")))?;
            (label, bytes)
        }
    };
    if bytes.len() > TEXT_BYTES_MAX {
        let message = format!("longer than {TEXT_BYTES_MAX} bytes: this is not a pipeline");
        return Err(Diagnostic::of_file(&label, message).into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Text { label, text, is_file: true }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            let (line, column) = line_and_column(&String::from_utf8_lossy(&error.as_bytes()[..at]), at);
            let message = format!("the byte 0x{byte:02x} is not UTF-8");
            let hint = Some("save the file as UTF-8".to_owned());
            Err(Diagnostic { line, column, hint, ..Diagnostic::of_file(&label, message) }.into())
        }
    }
}

/// Reads the text and puts the overrides into the tree.
fn assemble(document: &mut Document, overrides: &[String], env: &BTreeMap<String, String>) -> Vec<ParseError> {
    let (root, mut errors) = parse(&document.texts[0].text, 0);
    if let Some(root) = root {
        document.root = root;
    }
    let from_env = env.iter().filter_map(|(name, value)| Override::from_env(name, value));
    for change in from_env.chain(overrides.iter().map(|argument| Override::from_set(argument))) {
        let number = document.texts.len();
        errors.extend(change.apply(&mut document.root, number));
        document.texts.push(change.text);
    }
    errors
}

pub(crate) fn located(document: &Document, errors: Vec<ParseError>) -> Vec<Diagnostic> {
    errors.into_iter().map(|error| document.of_parse_error(error)).collect()
}

/// Makes a pipeline of the tree, and checks that it makes sense.
fn typed(document: &Document, diagnostics: &mut Vec<Diagnostic>) -> Option<PipelineConfig> {
    let before = diagnostics.len();
    let config = shaped::<PipelineConfig>(document, diagnostics)?;
    let is_whole = diagnostics.len() == before;
    let problems = validate(&config).into_iter().filter(|problem| is_whole || !problem.may_follow);
    diagnostics.extend(problems.map(|problem| document.error_at(&problem.path, problem.message, problem.hint, None)));
    Some(config)
}

/// Makes types of the tree. What is wrong is reported and taken out, so that the rest is looked at as well.
pub(crate) fn shaped<T: DeserializeOwned>(document: &Document, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    let mut tree = document.root.clone();
    let mut removed: Vec<Vec<Segment>> = Vec::new();
    for _ in 0..FAULTS_MAX {
        let fault = match from_tree::<T>(&tree) {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        let path = fault.path.clone().unwrap_or_default();
        if !follows(&fault, &path, &removed) {
            diagnostics.push(document.of_fault(&fault));
        }
        if path.is_empty() || !tree.remove(&path) {
            return None;
        }
        removed.push(path);
    }
    None
}

/// Whether a fault is only the consequence of what was taken out before.
fn follows(fault: &Fault, path: &[Segment], removed: &[Vec<Segment>]) -> bool {
    let is_lack =
        matches!(fault.kind, FaultKind::MissingKey { .. } | FaultKind::MissingChoice { .. } | FaultKind::Other(_));
    is_lack && removed.iter().any(|gone| gone.len() == path.len() + 1 && gone.starts_with(path))
}
