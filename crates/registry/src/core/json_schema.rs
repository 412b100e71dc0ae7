//! JSON Schema, as far as this registry compares it: `type`, `properties`, `required`, `additionalProperties`, `items` and
//! `enum`, through `$ref` within the document. Other keywords must be the same on both sides, or are looked past when only
//! descriptive: a rule that is not understood is never taken for compatible.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Keywords that say nothing about which values are right.
const DESCRIPTIVE: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "definitions",
    "$defs",
];

/// Keywords that are compared here.
const COMPARED: [&str; 7] = ["type", "properties", "required", "additionalProperties", "items", "enum", "$ref"];

/// Schemas are compared no deeper than this.
const DEPTH_MAX: usize = 32;

/// Why not every value that is right for `writer` is right for `reader`.
pub(super) fn can_read(reader: &Value, writer: &Value) -> Vec<String> {
    let mut check = Check { reader, writer, path: Vec::new(), found: Vec::new() };
    check.values(reader, writer);
    check.found
}

struct Check<'a> {
    reader: &'a Value,
    writer: &'a Value,
    path: Vec<String>,
    found: Vec<String>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        self.found.push(match self.path.is_empty() {
            true => reason,
            false => format!("field \"{}\": {reason}", self.path.join(".")),
        });
    }

    fn inside(&mut self, name: &str, reader: &'a Value, writer: &'a Value) {
        if self.path.len() >= DEPTH_MAX {
            return;
        }
        self.path.push(name.to_owned());
        self.values(reader, writer);
        self.path.pop();
    }

    fn values(&mut self, reader: &'a Value, writer: &'a Value) {
        let (reader, writer) = (followed(self.reader, reader), followed(self.writer, writer));
        match (reader, writer) {
            (Value::Bool(true), _) | (_, Value::Bool(false)) => {}
            (Value::Object(of), _) if of.keys().all(|key| DESCRIPTIVE.contains(&key.as_str())) => {}
            (Value::Object(reader), Value::Object(writer)) => self.objects(reader, writer),
            (Value::Object(_), _) => self.fault("the writer allows anything here"),
            _ => self.fault("the reader allows nothing here"),
        }
    }

    fn objects(&mut self, reader: &'a Map<String, Value>, writer: &'a Map<String, Value>) {
        self.types(reader, writer);
        self.enums(reader, writer);
        self.properties(reader, writer);
        match (reader.get("items"), writer.get("items")) {
            (Some(reader), Some(writer)) => self.inside("[]", reader, writer),
            (Some(_), None) if allows(writer, "array") => self.fault("the writer allows any items"),
            _ => {}
        }
        for (key, rule) in reader {
            let known = DESCRIPTIVE.contains(&key.as_str()) || COMPARED.contains(&key.as_str());
            if !known && writer.get(key) != Some(rule) {
                self.fault(format!("the reader's rule \"{key}\" is not the writer's"));
            }
        }
    }

    fn types(&mut self, reader: &Map<String, Value>, writer: &Map<String, Value>) {
        let Some(known) = types(reader) else { return };
        let Some(written) = types(writer) else { return self.fault("the writer allows any type") };
        let fits = |word: &&str| known.contains(word) || (*word == "integer" && known.contains("number"));
        let lost: Vec<&str> = written.iter().copied().filter(|word| !fits(word)).collect();
        if !lost.is_empty() {
            let known: Vec<&str> = known.into_iter().collect();
            self.fault(format!("{} is not {}", lost.join(" or "), known.join(" or ")));
        }
    }

    fn enums(&mut self, reader: &Map<String, Value>, writer: &Map<String, Value>) {
        let Some(known) = reader.get("enum").and_then(Value::as_array) else { return };
        match writer.get("enum").and_then(Value::as_array) {
            None => self.fault("the reader allows certain values only"),
            Some(written) => {
                for value in written.iter().filter(|value| !known.contains(value)) {
                    self.fault(format!("the reader does not allow {value}"));
                }
            }
        }
    }

    fn properties(&mut self, reader: &'a Map<String, Value>, writer: &'a Map<String, Value>) {
        let (known, written) = (members(reader), members(writer));
        let (rest, others) = (reader.get("additionalProperties"), writer.get("additionalProperties"));
        for (name, rule) in &known {
            match written.get(name) {
                Some(own) => self.inside(name, rule, own),
                // What the writer does not name it may still write, of any kind, unless it says that it does not.
                None => match others {
                    Some(Value::Bool(false)) => {}
                    Some(own @ Value::Object(_)) => self.inside(name, rule, own),
                    _ if is_anything(followed(self.reader, rule)) => {}
                    // An open writer may write anything under a name that the reader gives a type.
                    _ => self.inside_open(name),
                },
            }
        }
        if let Some(rest) = rest {
            for (name, own) in written.iter().filter(|(name, _)| !known.contains_key(**name)) {
                match rest {
                    Value::Bool(false) => {
                        self.path.push((*name).to_owned());
                        self.fault("the reader allows no such property");
                        self.path.pop();
                    }
                    rule => self.inside(name, rule, own),
                }
            }
            if *rest == Value::Bool(false) && others != Some(&Value::Bool(false)) && allows(writer, "object") {
                self.fault("the writer allows properties that it does not name, the reader does not");
            }
        }
        let (must, has): (BTreeSet<&str>, BTreeSet<&str>) = (required(reader), required(writer));
        for name in must.difference(&has) {
            let has_default = known.get(*name).is_some_and(|rule| rule.get("default").is_some());
            if !has_default {
                self.fault(format!("the reader requires \"{name}\", the writer does not"));
            }
        }
    }

    fn inside_open(&mut self, name: &str) {
        self.path.push(name.to_owned());
        self.fault(
            "the writer does not name it and may write anything there; close it with additionalProperties: false",
        );
        self.path.pop();
    }
}

/// What a `$ref` within the document leads to.
fn followed<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    for _ in 0..DEPTH_MAX {
        let Some(Value::String(reference)) = value.get("$ref") else { break };
        match reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) {
            Some(found) => value = found,
            None => break,
        }
    }
    value
}

fn is_anything(value: &Value) -> bool {
    match value {
        Value::Bool(allowed) => *allowed,
        Value::Object(rules) => rules.keys().all(|key| DESCRIPTIVE.contains(&key.as_str())),
        _ => false,
    }
}

fn types(rules: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match rules.get("type")? {
        Value::String(word) => Some([word.as_str()].into()),
        Value::Array(words) => Some(words.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn allows(rules: &Map<String, Value>, word: &str) -> bool {
    types(rules).is_none_or(|words| words.contains(word))
}

fn members(rules: &Map<String, Value>) -> BTreeMap<&str, &Value> {
    let members = rules.get("properties").and_then(Value::as_object).into_iter().flatten();
    members.map(|(name, rule)| (name.as_str(), rule)).collect()
}

fn required(rules: &Map<String, Value>) -> BTreeSet<&str> {
    rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
