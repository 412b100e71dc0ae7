//! Grok: patterns made of named patterns, turned into one regular expression before the first row comes.
//!
//! `%{NAME}` stands for the pattern of that name, `%{NAME:field}` gives what it matches to a field, and
//! `%{NAME:field:int}` says the field's type besides (`int`, `float`, `bool`, `timestamp` or `string`).

use std::collections::BTreeMap;

use super::grok_library::LIBRARY;
use super::{ParseType, Pattern};
use crate::operator::PlanFault;
use crate::operator::regexes;

/// How deep patterns may stand in each other.
const DEPTH_MAX: usize = 30;
/// How long the expression may become.
const EXPRESSION_BYTES_MAX: usize = 256 << 10;
/// What our groups are called, so that other groups keep their names.
const GROUP: &str = "weir__";

/// Compiles a pattern; `own` patterns come before those of the library.
pub(super) fn compile(pattern: &str, own: &[(String, String)]) -> Result<Pattern, PlanFault> {
    let mut known: BTreeMap<&str, &str> = LIBRARY.iter().copied().collect();
    known.extend(own.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str())));
    let mut expansion = Expansion { known, expression: String::new(), fields: Vec::new() };
    expansion.expand(pattern, 0).map_err(|(message, hint)| PlanFault { key: "grok".to_owned(), message, hint })?;
    let regex = regexes::compile("grok", &expansion.expression)?;
    let groups = regex.capture_names().enumerate().filter_map(|(group, name)| {
        let name = name?;
        Some(match name.strip_prefix(GROUP).and_then(|number| number.parse::<usize>().ok()) {
            Some(number) => {
                let (field, data_type) = &expansion.fields[number];
                (group, field.clone(), *data_type)
            }
            None => (group, name.to_owned(), None),
        })
    });
    let groups = groups.collect();
    Ok(Pattern { regex, groups })
}

struct Expansion<'a> {
    known: BTreeMap<&'a str, &'a str>,
    expression: String,
    /// What is named: field and type.
    fields: Vec<(String, Option<ParseType>)>,
}

/// What is wrong, and what would be right.
type Wrong = (String, Option<String>);

impl Expansion<'_> {
    fn expand(&mut self, pattern: &str, depth: usize) -> Result<(), Wrong> {
        if depth > DEPTH_MAX {
            return Err((
                format!("patterns stand more than {DEPTH_MAX} deep in each other: does one contain itself?"),
                None,
            ));
        }
        let mut rest = pattern;
        while let Some(at) = rest.find("%{") {
            self.expression.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            let end = inside.find('}').ok_or_else(|| (format!("`{}` has no `}}`", &rest[at..]), None))?;
            self.reference(&inside[..end], depth)?;
            rest = &inside[end + 1..];
            if self.expression.len() > EXPRESSION_BYTES_MAX {
                return Err((format!("the pattern is longer than {} KiB", EXPRESSION_BYTES_MAX >> 10), None));
            }
        }
        self.expression.push_str(rest);
        Ok(())
    }

    fn reference(&mut self, reference: &str, depth: usize) -> Result<(), Wrong> {
        let mut parts = reference.splitn(3, ':');
        let (name, field, data_type) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let Some(pattern) = self.known.get(name).copied() else {
            let nearest = nearest(name, self.known.keys().copied());
            let hint = match nearest {
                Some(nearest) => format!("did you mean `%{{{nearest}}}`?"),
                None => "own patterns are named under `patterns`".to_owned(),
            };
            return Err((format!("there is no pattern `{name}`"), Some(hint)));
        };
        let pattern = pattern.to_owned();
        match field.filter(|field| !field.is_empty()) {
            None => self.expression.push_str("(?:"),
            Some(field) => {
                let data_type = data_type.map(type_named).transpose()?;
                self.expression.push_str(&format!("(?P<{GROUP}{}>", self.fields.len()));
                self.fields.push((field.to_owned(), data_type));
            }
        }
        self.expand(&pattern, depth + 1)?;
        self.expression.push(')');
        Ok(())
    }
}

fn type_named(name: &str) -> Result<ParseType, Wrong> {
    match name {
        "int" | "long" | "int64" => Ok(ParseType::Int64),
        "float" | "double" | "float64" => Ok(ParseType::Float64),
        "bool" | "boolean" => Ok(ParseType::Bool),
        "timestamp" | "date" => Ok(ParseType::Timestamp),
        "string" | "keyword" => Ok(ParseType::String),
        other => Err((
            format!("there is no type `{other}`"),
            Some("there are int, float, bool, timestamp and string".to_owned()),
        )),
    }
}

/// The name that is most like `wanted`, if any is like it: few letters to change (Levenshtein), or only their case.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_ascii_uppercase();
    let far = wanted.len() / 3 + 1;
    let near = names.map(|name| (distance(&wanted, name), name)).min();
    near.filter(|(distance, _)| *distance <= far).map(|(_, name)| name)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, from) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], number + 1);
        for (column, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
