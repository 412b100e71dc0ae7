//! Which schema can read what another writes, by language.

use weir_model::{KnownSchema, SchemaLanguage};
use weir_schema::{avro, protobuf};

use super::{Level, json_schema};

/// What is wrong with a schema, if anything.
pub(super) fn check(schema: &KnownSchema) -> Result<(), String> {
    match schema.language {
        SchemaLanguage::Avro => avro(schema).map(drop),
        SchemaLanguage::Json => json(schema).map(drop),
        SchemaLanguage::Protobuf => protobuf(schema).map(drop),
    }
}

/// What keeps `new` from what `level` asks of it and `old`.
pub(super) fn faults(new: &KnownSchema, old: &KnownSchema, level: Level) -> Vec<String> {
    let (backward, forward) = match level {
        Level::None => (false, false),
        Level::Backward | Level::BackwardTransitive => (true, false),
        Level::Forward | Level::ForwardTransitive => (false, true),
        Level::Full | Level::FullTransitive => (true, true),
    };
    if (backward || forward) && new.language != old.language {
        return vec![format!("it is {}, not {}", old.language.word(), new.language.word())];
    }
    let mut faults = Vec::new();
    if backward {
        faults.extend(
            unreadable(new, old).into_iter().map(|fault| format!("the new schema cannot read the old: {fault}")),
        );
    }
    if forward {
        faults.extend(
            unreadable(old, new).into_iter().map(|fault| format!("the old schema cannot read the new: {fault}")),
        );
    }
    faults
}

/// Why `reader` cannot read what `writer` writes.
fn unreadable(reader: &KnownSchema, writer: &KnownSchema) -> Vec<String> {
    let found = || -> Result<Vec<String>, String> {
        Ok(match reader.language {
            SchemaLanguage::Avro => {
                let found = avro::can_read(&avro(reader)?, &avro(writer)?);
                found.iter().map(ToString::to_string).collect()
            }
            SchemaLanguage::Json => json_schema::can_read(&json(reader)?, &json(writer)?),
            SchemaLanguage::Protobuf => protobuf::can_read(&protobuf(reader)?, &protobuf(writer)?),
        })
    };
    found().unwrap_or_else(|reason| vec![reason])
}

fn avro(schema: &KnownSchema) -> Result<avro::Schema, String> {
    let references: Vec<&str> = schema.references.iter().map(|reference| &*reference.text).collect();
    avro::Schema::parse_with(&schema.text, &references).map_err(|error| error.to_string())
}

fn protobuf(schema: &KnownSchema) -> Result<protobuf::Schema, String> {
    protobuf::Schema::parse(&schema.text, &imports(schema)).map_err(|error| error.to_string())
}

/// A Protobuf schema as its descriptor in base64.
pub(super) fn descriptor(schema: &KnownSchema) -> Result<String, String> {
    protobuf::Schema::descriptor(&schema.text, &imports(schema)).map_err(|error| error.to_string())
}

fn imports(schema: &KnownSchema) -> Vec<(&str, &str)> {
    schema.references.iter().map(|reference| (reference.name.as_str(), &*reference.text)).collect()
}

fn json(schema: &KnownSchema) -> Result<serde_json::Value, String> {
    let value: serde_json::Value = serde_json::from_str(&schema.text).map_err(|error| error.to_string())?;
    if value.is_object() || value.is_boolean() {
        Ok(value)
    } else {
        Err("a JSON schema is an object, true or false".to_owned())
    }
}
