//! The reference page and the JSON schema in the repository are those of the types. `UPDATE_EXPECT=1` rewrites them.

use expect_test::expect_file;
use serde_json::Value;

use crate::{json_schema, json_schema_text, reference_markdown};

#[test]
fn the_committed_reference_page_is_current() {
    expect_file!["../../../../docs/reference/pipeline.md"].assert_eq(&reference_markdown());
}

#[test]
fn the_committed_schema_is_current() {
    expect_file!["../../../../docs/reference/pipeline.schema.json"].assert_eq(&json_schema_text());
}

#[test]
fn every_key_says_what_it_means() {
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, definition) in definitions.iter().chain([(&"PipelineConfig".to_owned(), &schema)]) {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{name}.{key} has no doc comment");
        }
    }
}

#[test]
fn every_key_is_on_the_page() {
    let (schema, page) = (json_schema(), reference_markdown());
    fn keys<'a>(value: &'a Value, found: &mut Vec<&'a String>) {
        for (key, inner) in value.as_object().into_iter().flatten() {
            if key == "properties" {
                found.extend(inner.as_object().into_iter().flatten().map(|(name, _)| name));
            }
            keys(inner, found);
        }
        value.as_array().into_iter().flatten().for_each(|inner| keys(inner, found));
    }
    let mut found = Vec::new();
    keys(&schema, &mut found);
    assert!(found.len() > 40, "{found:?}");
    for key in found {
        assert!(page.contains(&format!("| `{key}` |")), "{key}");
    }
}
