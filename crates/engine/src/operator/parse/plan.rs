//! What a `parse` step is told.

use super::Pattern;
use crate::operator::PlanFault;

/// Makes columns of what a text says.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsePlan {
    /// The column that holds the texts.
    pub column: String,
    /// How they are written.
    pub how: ParseHow,
    /// The types of fields, by name; others are text. A value that is not of its type is a failure.
    pub types: Vec<(String, ParseType)>,
    /// With JSON and `key=value`: what becomes of fields that are not in `types`.
    pub others: Others,
    /// Where the values go.
    pub into: Into,
    /// What becomes of a row whose text, or a value in it, is not as it should be.
    pub on_failure: OnFailure,
    /// Whether the column of texts goes.
    pub drop_source: bool,
}

/// The most fields that a step finds.
pub(super) const FIELDS_MAX: usize = 500;

/// What becomes of fields of JSON and `key=value` that have no declared type. Where there is a column of the name already,
/// they fill it where it is null, if they can be of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Others {
    /// Every one that is found is a column, at most 500.
    All,
    /// These are columns.
    These(Vec<(String, ParseType)>),
}

/// How texts are written.
#[derive(Clone, Debug, PartialEq)]
pub enum ParseHow {
    /// A JSON object. What is inside of an object is called `outer.inner`, if it is asked for by name; else objects and
    /// lists are JSON texts.
    Json,
    /// A regular expression with named groups.
    Regex(String),
    /// A grok pattern: `%{IP:client}`, `%{NUMBER:bytes:int}`.
    Grok {
        /// The pattern.
        pattern: String,
        /// More patterns, by name, beside those that are known; these come first.
        patterns: Vec<(String, String)>,
    },
    /// `key=value`, the value perhaps in double quotes. Words without a value are passed over.
    KeyValue {
        /// What stands between pairs; `None`: white space.
        pairs: Option<char>,
        /// What stands between a key and its value.
        equals: char,
    },
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseType {
    /// Text.
    String,
    /// A whole number.
    Int64,
    /// A number.
    Float64,
    /// `true` or `false`.
    Bool,
    /// A time: RFC 3339, as web servers write it (`10/Oct/2000:13:55:36 -0700`), or a number since 1970 whose unit is told
    /// by its size. Without a zone it is UTC.
    Timestamp,
}

/// Where values go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Into {
    /// A column each, called as the field with this in front. A column of that name is replaced.
    Columns {
        /// In front of the name.
        prefix: String,
    },
    /// One column with all of them.
    Struct(String),
}

/// What becomes of a row whose text is not as it should be. A text that is null is no failure: all values are null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It goes on, with null for what could not be read, and with its text also where that would be dropped.
    Keep,
    /// It goes on, with null for what could not be read.
    Null,
    /// It goes to the dead letters.
    DeadLetter,
}

impl ParsePlan {
    pub(in crate::operator) fn check(&self) -> Result<(), PlanFault> {
        if self.column.is_empty() {
            return Err(PlanFault::new("column", "the name of the column is empty"));
        }
        for (index, (name, _)) in self.types.iter().enumerate() {
            if self.types[..index].iter().any(|(other, _)| other == name) {
                return Err(PlanFault::new(format!("types.{name}"), format!("`{name}` is named twice")));
            }
        }
        let Some(pattern) = Pattern::of(&self.how)? else { return Ok(()) };
        let names: Vec<&str> = pattern.groups.iter().map(|(_, name, _)| name.as_str()).collect();
        if names.is_empty() {
            let key = if matches!(self.how, ParseHow::Regex(_)) { "regex" } else { "grok" };
            let mut fault = PlanFault::new(key, "the pattern names nothing: no column would come of it");
            fault.hint = Some("`(?<name>...)` or `%{WORD:name}` gives what it matches a name".to_owned());
            return Err(fault);
        }
        for (name, _) in &self.types {
            if !names.contains(&name.as_str()) {
                let mut fault = PlanFault::new(format!("types.{name}"), format!("the pattern has no `{name}`"));
                fault.hint = Some(format!("it has {}", names.join(", ")));
                return Err(fault);
            }
        }
        Ok(())
    }

    /// The fields that it is known to give: name and type.
    pub fn fields(&self) -> Vec<(String, ParseType)> {
        let mut fields: Vec<(String, ParseType)> = Vec::new();
        if let Ok(Some(pattern)) = Pattern::of(&self.how) {
            for (_, name, data_type) in pattern.groups {
                let declared = self.types.iter().find(|(known, _)| *known == name).map(|(_, declared)| *declared);
                if !fields.iter().any(|(known, _)| *known == name) {
                    fields.push((name, declared.or(data_type).unwrap_or(ParseType::String)));
                }
            }
            return fields;
        }
        let mut fields = self.types.clone();
        if let Others::These(others) = &self.others {
            fields.extend(others.iter().filter(|(name, _)| !self.declares(name)).cloned());
        }
        fields
    }

    /// Whether the type of a field is declared.
    pub fn declares(&self, name: &str) -> bool {
        self.types.iter().any(|(known, _)| known == name)
    }

    /// Whether its texts may have fields that it does not name.
    pub fn has_others(&self) -> bool {
        matches!(self.how, ParseHow::Json | ParseHow::KeyValue { .. })
    }

    /// Whether it may give fields that only the data knows.
    pub fn finds_fields(&self) -> bool {
        self.has_others() && self.others == Others::All
    }
}
