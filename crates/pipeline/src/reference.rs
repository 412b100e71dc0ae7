//! The reference page of the pipeline file, written from the types: their keys, defaults, doc comments and examples.
//! Refuses to say anything about a key that its type does not say.

use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde_json::Value;
use weir_collect::{FileConfig, HttpConfig, KafkaConfig, LogConfig, RetainConfig, StdinConfig};
use weir_decode::{AvroConfig, CsvConfig, JsonConfig, ProtobufConfig, RawConfig, SparkLogConfig, TextConfig};
use weir_deliver::{
    AvroOutput, FileOutput, HttpBatch, HttpOutput, JsonSchemaOutput, KafkaBatch, KafkaOutput, ProtobufOutput,
    RawOutput, RollupConfig, StdoutOutput, TierConfig, TtlByConfig,
};
use weir_kafka::{KafkaConnection, Login, TlsConfig, TokenLogin};

use crate::config::DeadLettersLimit;
use crate::config::{
    AsOfConfig, BetweenConfig, DeduplicateConfig, EnrichConfig, HttpLookup, HttpTable, JoinConfig, LookupBreaker,
    LookupCache, LookupTable, RetryConfig,
};
use crate::config::{
    BoundedConfig, CalendarConfig, EmitConfig, GlobalConfig, OutputEntry, PeriodicConfig, PipelineConfig,
    PunctuatedConfig, SlidingConfig, SnapshotsConfig, SourceEntry, StateConfig, Step, TimeConfig, WindowConfig,
    WorkersConfig,
};
use crate::config::{
    ExplodeConfig, FlattenConfig, HashConfig, JoinLinesConfig, KeyValueConfig, MaskConfig, ParseConfig,
    RateLimitConfig, SampleConfig,
};
use crate::schema::{json_schema, resolved, variant};
use crate::tagged::fields_of;

/// One type, and where it is found on the page and in the file.
struct Section {
    /// The type's name in the schema; empty for the whole file.
    definition: &'static str,
    title: &'static str,
    /// The path to it in the file.
    path: &'static str,
    /// Its keys in the order in which the type has them; the schema has lost it.
    keys: fn() -> Vec<&'static str>,
}

fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
    fields_of::<T>().to_vec()
}

fn unordered() -> Vec<&'static str> {
    Vec::new()
}

macro_rules! sections {
    ($($definition:literal, $title:literal, $path:literal, $keys:expr;)*) => {
        [$(Section { definition: $definition, title: $title, path: $path, keys: $keys }),*]
    };
}

/// The page, top to bottom.
#[rustfmt::skip]
const SECTIONS: &[Section] = &sections! {
    "", "The pipeline", "", fields::<PipelineConfig>;
    "ConnectionConfig", "Connections", "connections.NAME", unordered;
    "KafkaConnection", "Connection: Kafka", "connections.NAME.kafka", fields::<KafkaConnection>;
    "SourceEntry", "Sources", "sources.NAME", SourceEntry::keys;
    "FileConfig", "Source: files", "sources.NAME.file", fields::<FileConfig>;
    "StdinConfig", "Source: standard input", "sources.NAME.stdin", fields::<StdinConfig>;
    "HttpConfig", "Source: HTTP", "sources.NAME.http", fields::<HttpConfig>;
    "RetainConfig", "HTTP: how long records are kept", "sources.NAME.http.retain", fields::<RetainConfig>;
    "LogConfig", "Source: embedded log", "sources.NAME.log", fields::<LogConfig>;
    "KafkaConfig", "Source: Kafka", "sources.NAME.kafka", fields::<KafkaConfig>;
    "KafkaStart", "Kafka: where to begin", "sources.NAME.kafka.start", unordered;
    "FormatConfig", "Formats", "sources.NAME.format", unordered;
    "JsonConfig", "Format: JSON", "sources.NAME.format.json", fields::<JsonConfig>;
    "TextConfig", "Format: text", "sources.NAME.format.text", fields::<TextConfig>;
    "CsvConfig", "Format: CSV", "sources.NAME.format.csv", fields::<CsvConfig>;
    "RawConfig", "Format: raw", "sources.NAME.format.raw", fields::<RawConfig>;
    "SparkLogConfig", "Format: Spark logs", "sources.NAME.format.spark_log", fields::<SparkLogConfig>;
    "AvroConfig", "Format: Avro", "sources.NAME.format.avro", fields::<AvroConfig>;
    "ProtobufConfig", "Format: Protobuf", "sources.NAME.format.protobuf", fields::<ProtobufConfig>;
    "SchemaSource", "Schemas", "sources.NAME.format.avro.schema", unordered;
    "RegistryConfig", "Schema registry", "sources.NAME.format.avro.registry", unordered;
    "RegistryAuth", "Schema registry: authentication", "sources.NAME.format.avro.registry.auth", unordered;
    "BasicAuth", "Schema registry: name and password", "sources.NAME.format.avro.registry.auth.basic", unordered;
    "BearerAuth", "Schema registry: token", "sources.NAME.format.avro.registry.auth.bearer", unordered;
    "TimeConfig", "Event time", "time", fields::<TimeConfig>;
    "WatermarkConfig", "Watermarks", "time.watermark", unordered;
    "BoundedConfig", "Watermark: bounded", "time.watermark.bounded", fields::<BoundedConfig>;
    "PeriodicConfig", "Watermark: periodic", "time.watermark.periodic", fields::<PeriodicConfig>;
    "PunctuatedConfig", "Watermark: punctuated", "time.watermark.punctuated", fields::<PunctuatedConfig>;
    "Step", "Steps", "steps[N]", Step::keys;
    "FlattenConfig", "Step: flatten", "steps[N].flatten", fields::<FlattenConfig>;
    "ExplodeConfig", "Step: explode", "steps[N].explode", fields::<ExplodeConfig>;
    "ParseConfig", "Step: parse", "steps[N].parse", ParseConfig::keys;
    "ParseJsonConfig", "Parse: JSON", "steps[N].parse.json", unordered;
    "KeyValueConfig", "Parse: key=value", "steps[N].parse.key_value", fields::<KeyValueConfig>;
    "IntoConfig", "Parse: into", "steps[N].parse.into", unordered;
    "MaskConfig", "Step: mask", "steps[N].mask", fields::<MaskConfig>;
    "HashConfig", "Mask: hash", "steps[N].mask.hash", fields::<HashConfig>;
    "SampleConfig", "Step: sample", "steps[N].sample", fields::<SampleConfig>;
    "RateLimitConfig", "Step: rate_limit", "steps[N].rate_limit", fields::<RateLimitConfig>;
    "JoinLinesConfig", "Step: join_lines", "steps[N].join_lines", JoinLinesConfig::keys;
    "WindowConfig", "Step: window", "steps[N].window", WindowConfig::keys;
    "SlidingConfig", "Window: sliding", "steps[N].window.sliding", fields::<SlidingConfig>;
    "CalendarConfig", "Window: calendar", "steps[N].window.calendar", fields::<CalendarConfig>;
    "GlobalConfig", "Window: global", "steps[N].window.global", fields::<GlobalConfig>;
    "EmitConfig", "Early results", "steps[N].window.emit", fields::<EmitConfig>;
    "DeduplicateConfig", "Step: deduplicate", "steps[N].deduplicate", fields::<DeduplicateConfig>;
    "EnrichConfig", "Step: enrich", "steps[N].enrich", fields::<EnrichConfig>;
    "LookupTable", "Enrich: table", "steps[N].enrich.table", LookupTable::keys;
    "HttpTable", "Enrich: table over HTTP", "steps[N].enrich.table.http", fields::<HttpTable>;
    "HttpLookup", "Enrich: rows over HTTP", "steps[N].enrich.table.http_lookup", fields::<HttpLookup>;
    "LookupCache", "Rows over HTTP: cache", "steps[N].enrich.table.http_lookup.cache", fields::<LookupCache>;
    "LookupBreaker", "Rows over HTTP: breaker", "steps[N].enrich.table.http_lookup.breaker", fields::<LookupBreaker>;
    "JoinConfig", "Step: join", "steps[N].join", JoinConfig::keys;
    "BetweenConfig", "Join: between", "steps[N].join.between", fields::<BetweenConfig>;
    "AsOfConfig", "Join: as_of", "steps[N].join.as_of", fields::<AsOfConfig>;
    "OutputEntry", "Outputs", "outputs[N]", OutputEntry::keys;
    "TableOutput", "Output: table", "outputs[N].table", || vec!["name", "time", "ttl", "ttl_by", "sort", "index", "rollups", "tiers"];
    "TtlByConfig", "Table: how long rows stay", "outputs[N].table.ttl_by", fields::<TtlByConfig>;
    "SortConfig", "Table: order", "outputs[N].table.sort", unordered;
    "RollupConfig", "Table: rollups", "outputs[N].table.rollups[N]", fields::<RollupConfig>;
    "TierConfig", "Table: tiers", "outputs[N].table.tiers[N]", fields::<TierConfig>;
    "FileOutput", "Output: file", "outputs[N].file", fields::<FileOutput>;
    "StdoutOutput", "Output: standard output", "outputs[N].stdout", fields::<StdoutOutput>;
    "KafkaOutput", "Output: Kafka", "outputs[N].kafka", fields::<KafkaOutput>;
    "KafkaBatch", "Output: Kafka, batches", "outputs[N].kafka.batch", fields::<KafkaBatch>;
    "RowFormat", "Output: how rows are written", "outputs[N].kafka.format", unordered;
    "RawOutput", "Output: a column as it is", "outputs[N].kafka.format.raw", fields::<RawOutput>;
    "JsonSchemaOutput", "Output: JSON Schema", "outputs[N].kafka.format.json_schema", fields::<JsonSchemaOutput>;
    "AvroOutput", "Output: Avro", "outputs[N].kafka.format.avro", fields::<AvroOutput>;
    "ProtobufOutput", "Output: Protobuf", "outputs[N].kafka.format.protobuf", fields::<ProtobufOutput>;
    "HttpOutput", "Output: HTTP", "outputs[N].http", fields::<HttpOutput>;
    "HttpBatch", "Output: HTTP, batches", "outputs[N].http.batch", fields::<HttpBatch>;
    "RetryConfig", "Output: tries", "outputs[N].retry", fields::<RetryConfig>;
    "DeadLettersLimit", "Dead letters: limit", "dead_letters_limit", fields::<DeadLettersLimit>;
    "StateConfig", "State", "state", fields::<StateConfig>;
    "WorkersConfig", "Workers", "workers", fields::<WorkersConfig>;
    "SnapshotsConfig", "State: snapshots", "state.snapshots", fields::<SnapshotsConfig>;
    "TlsConfig", "Kafka: encryption", "sources.NAME.kafka.tls", fields::<TlsConfig>;
    "SaslConfig", "Kafka: authentication", "sources.NAME.kafka.sasl", unordered;
    "TokenLogin", "Kafka: token", "sources.NAME.kafka.sasl.oauthbearer", fields::<TokenLogin>;
    "Login", "Kafka: name and password", "sources.NAME.kafka.sasl.plain", fields::<Login>;
};

const BEGINNING: &str = "\
# The pipeline file

Every key of a pipeline, written from the types that read it. `weir check FILE` checks a file without running it; editors
complete and check with [pipeline.schema.json](pipeline.schema.json) when the file begins with
`# yaml-language-server: $schema=pipeline.schema.json`.

```yaml
name: errors
sources:
  logs:
    file: { paths: [\"/var/log/spark/**/*.stderr\"] }
    format: spark_log
time: { field: ts }
steps:
  - where: level = 'ERROR'
  - window: { tumbling: 1m, by: [app_id], compute: { errors: count(*) } }
outputs:
  - table: errors_per_minute
```

## How values are written

- **Choices** are a key with its settings: `format: { json: {} }`. Where all settings have defaults, the word alone is
  enough: `format: json`.
- **Durations** are a number and a unit: `500ms`, `10s`, `5m`, `2h`, `7d`. **Sizes** likewise: `512KiB`, `64MiB`, `2GiB`.
- **SQL** inside `{ }` goes into double quotes when it contains a comma: `{ p95: \"quantile(0.95, duration_ms)\" }`.
- **Overrides**: `--set sources.logs.file.follow=false` sets any key, `--set 'steps[0].where=...'` inside a list; values are
  YAML. The environment variable `WEIR__sources__logs__file__follow=false` does the same; `--set` comes last. Setting another
  choice (`outputs.0.stdout={}`) replaces the one in the file.
- **Secrets** stay out of the file: `${env:NAME}` and `${file:/path}` are replaced when it is loaded, and their values are
  shown nowhere. `$${` stands for the text `${`.
";

/// The reference page in Markdown.
///
/// # Panics
/// When a type of the pipeline has no section: it belongs into `SECTIONS`.
pub fn reference_markdown() -> String {
    let root = json_schema();
    let mut page = BEGINNING.to_owned();
    for section in SECTIONS {
        let schema = if section.definition.is_empty() { &root } else { &root["$defs"][section.definition] };
        assert!(schema.is_object(), "no type is called {}", section.definition);
        write_section(&mut page, &root, section, schema);
    }
    page
}

fn write_section(page: &mut String, root: &Value, section: &Section, schema: &Value) {
    let _ = write!(page, "\n## {}\n\n", section.title);
    if !section.path.is_empty() {
        let _ = writeln!(page, "`{}`\n", section.path);
    }
    let _ = writeln!(page, "{}\n", text(schema, "description"));
    let schema = long_form(schema).unwrap_or(schema);
    let choices =
        schema["oneOf"].as_array().into_iter().flatten().filter_map(|choice| Some((choice, variant(choice)?)));
    let mut rows: Vec<(&str, String)> = choices
        .map(|(choice, (word, inner))| {
            let default = "one of these".to_owned();
            (word, row(root, word, inner, &[text(choice, "description"), text(inner, "description")], choice, default))
        })
        .collect();
    for choice in schema["oneOf"].as_array().into_iter().flatten() {
        if let Some(word) = choice["const"].as_str() {
            rows.push((word, format!("| `{word}` | | one of these | {} |\n", text(choice, "description"))));
        }
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let required = schema["required"].as_array().is_some_and(|required| required.iter().any(|name| name == key));
        let default = if required { "**required**".to_owned() } else { default(inner) };
        rows.push((key, row(root, key, inner, &[text(inner, "description")], inner, default)));
    }
    if rows.is_empty() {
        page.push_str("It has no settings.\n");
        return;
    }
    let order = (section.keys)();
    rows.sort_by_key(|(key, _)| order.iter().position(|known| known == key));
    page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for (_, row) in rows {
        page.push_str(&row);
    }
}

/// The map of a type that can be written as one text or as a map.
fn long_form(schema: &Value) -> Option<&Value> {
    let forms = schema["oneOf"].as_array()?;
    let has_text = forms.iter().any(|form| form["type"] == "string" && form.get("const").is_none());
    forms.iter().find(|form| has_text && form["type"] == "object")
}

fn row(root: &Value, key: &str, inner: &Value, about: &[&str], noted: &Value, default: String) -> String {
    let mut meaning: Vec<String> =
        about.iter().filter(|text| !text.is_empty()).map(|text| (*text).to_owned()).collect();
    meaning.dedup();
    for (word, about) in words(resolved(root, inner)) {
        meaning.push(format!("`{word}`: {about}"));
    }
    if let Some(example) = noted["examples"].get(0) {
        meaning.push(format!("Example: `{key}: {}`", yaml(example)));
    }
    let meaning = meaning.join("<br>").replace('|', "\\|").replace("\n\n", "<br>");
    format!("| `{key}` | {} | {default} | {meaning} |\n", type_of(root, inner))
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}

fn default(schema: &Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null) => "none".to_owned(),
        Some(default) => format!("`{}`", yaml(default)),
    }
}

/// The words of a choice between plain words, each with its meaning.
fn words(schema: &Value) -> Vec<(&str, &str)> {
    let choices: Vec<&Value> = schema["oneOf"].as_array().into_iter().flatten().collect();
    // Where some choices have settings it has a section of its own.
    let are_words = choices.iter().all(|choice| choice["const"].is_string());
    let words = choices.into_iter().filter(|_| are_words);
    words.filter_map(|choice| Some((choice["const"].as_str()?, text(choice, "description")))).collect()
}

fn type_of(root: &Value, schema: &Value) -> String {
    if let Some(choices) = schema["anyOf"].as_array() {
        let present = choices.iter().find(|choice| choice["type"] != "null").expect("a type besides nothing");
        return type_of(root, present);
    }
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        Some(name) => type_named(root, name),
        None => match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer" | "number") => "number".to_owned(),
            Some("array") => format!("list of {}", type_of(root, &schema["items"])),
            Some("object") => match type_of(root, &schema["additionalProperties"]).as_str() {
                _ if schema["x-map-of"] == "text" => "map of text".to_owned(),
                _ if schema["x-map-of"] == "duration" => "map of durations".to_owned(),
                // SQL texts may be bare numbers.
                "text" => "map of SQL".to_owned(),
                other => format!("map of {other}"),
            },
            Some(_) | None => "anything".to_owned(),
        },
    }
}

fn type_named(root: &Value, name: &str) -> String {
    let schema = &root["$defs"][name];
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let link = |title: &str| {
        let anchor: String = title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == ' ').collect();
        format!("[{}](#{})", title.to_lowercase(), anchor.replace(' ', "-"))
    };
    match name {
        "DurationText" => "duration".to_owned(),
        "ByteSize" => "size".to_owned(),
        "TimeText" => "time (RFC 3339)".to_owned(),
        "OutputConfig" => link("Outputs"),
        _ if schema["type"] == "string" => "text".to_owned(),
        _ => {
            let section = SECTIONS.iter().find(|section| section.definition == name);
            let title = section.unwrap_or_else(|| panic!("the type {name} has no section in the reference")).title;
            if long_form(schema).is_some() { format!("text or {}", link(title)) } else { link(title) }
        }
    }
}

/// A value as YAML on one line.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains([',', '{', '[', '"', '\'']) || text.is_empty() => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}: {}", yaml(value))).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        other => other.to_string(),
    }
}
