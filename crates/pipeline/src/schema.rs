//! The JSON schema of a pipeline, for editors: completion, descriptions, and red lines under wrong keys.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::PipelineConfig;

/// The JSON schema (draft 2020-12) of a pipeline file.
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PipelineConfig>();
    let mut schema = schema.to_value();
    schema["title"] = json!("Weir pipeline");
    let bare = words_that_need_nothing(&schema);
    allow_bare_words(&mut schema, &bare);
    unwrap_lines(&mut schema);
    schema
}

/// The schema as the text of a file: keys sorted, so that it does not depend on how serde_json was built.
pub fn json_schema_text() -> String {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Sorted<'a> {
        Map(BTreeMap<&'a str, Sorted<'a>>),
        List(Vec<Sorted<'a>>),
        Other(&'a Value),
    }
    fn sorted(value: &Value) -> Sorted<'_> {
        match value {
            Value::Object(map) => Sorted::Map(map.iter().map(|(key, value)| (key.as_str(), sorted(value))).collect()),
            Value::Array(items) => Sorted::List(items.iter().map(sorted).collect()),
            other => Sorted::Other(other),
        }
    }
    let mut text = serde_json::to_string_pretty(&sorted(&json_schema())).expect("a schema is JSON");
    text.push('\n');
    text
}

/// Looks a `$ref` up; anything else is itself.
pub(crate) fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| &root["$defs"][name])
}

/// The one key of an enum's variant, and what stands below it.
pub(crate) fn variant(schema: &Value) -> Option<(&str, &Value)> {
    let word = schema["required"].as_array().filter(|required| required.len() == 1)?[0].as_str()?;
    schema["properties"].get(word).map(|inner| (word, inner))
}

/// Variants whose content has no key that must be there: for them the word alone is enough.
fn words_that_need_nothing(root: &Value) -> Vec<String> {
    let definitions = root["$defs"].as_object().into_iter().flatten();
    let variants =
        definitions.flat_map(|(_, schema)| schema["oneOf"].as_array().into_iter().flatten().filter_map(variant));
    let needs_nothing = |inner: &Value| {
        let inner = resolved(root, inner);
        inner["type"] == "object"
            && inner.get("required").is_none()
            && inner.get("additionalProperties") == Some(&json!(false))
    };
    variants.filter(|(_, inner)| needs_nothing(inner)).map(|(word, _)| word.to_owned()).collect()
}

fn allow_bare_words(schema: &mut Value, bare: &[String]) {
    let Some(definitions) = schema["$defs"].as_object_mut() else { return };
    for definition in definitions.values_mut().filter(|definition| definition.get("properties").is_none()) {
        let Some(variants) = definition.get_mut("oneOf").and_then(Value::as_array_mut) else { continue };
        let has_words = variants.iter().any(|variant| variant.get("enum").is_some());
        let words: Vec<&str> = variants.iter().filter_map(variant).map(|(word, _)| word).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| bare.iter().any(|known| known == word)).collect();
        if !words.is_empty() && !has_words {
            let words = json!({ "enum": words, "description": "The word alone: everything below it at its default." });
            variants.insert(0, words);
        }
    }
}

/// Doc comments are wrapped for the source; whoever shows them wraps them again.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text
                            .split("\n\n")
                            .map(|paragraph| paragraph.replace('\n', " "))
                            .collect::<Vec<_>>()
                            .join("\n\n");
                    }
                    value => unwrap_lines(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
