//! The JSON schema of a pipeline, for editors: completion, descriptions, and red lines under wrong keys.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::config::PipelineConfig;

/// The JSON schema (draft 2020-12) of a pipeline file.
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PipelineConfig>();
    let mut schema = schema.to_value();
    schema["title"] = json!("Weir pipeline");
    schema
}
