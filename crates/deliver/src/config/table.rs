//! A table as an output, and what is chosen about it. Refuses to know whether what is chosen makes sense.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use weir_model::{DurationText, Secret};
use weir_store::{IndexKind, Place, RollupSettings, SortKey, TableSettings, TierSettings, Ttl};

/// A table of the embedded store. A bare name is the same as `{ name: ... }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableOutput {
    /// The table's name.
    pub name: String,
    /// The column that holds the time by which the table is kept and found; where none is named, the pipeline chooses
    /// (the time field, or the end of the window).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How long rows stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<DurationText>,
    /// How long rows stay that have these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_by: Option<TtlByConfig>,
    /// In which order rows lie in a file.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sort: SortConfig,
    /// What of their texts is looked up before rows are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub index: IndexConfig,
    /// What is summed up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollups: Vec<RollupConfig>,
    /// Where old rows lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierConfig>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TableMap {
    /// The table's name: lower-case letters, digits, `_`, a letter first. A tenant's name and a dot may stand before it, such as
    /// `acme.logs`: tables of tenants are asked for by both.
    name: String,
    /// The column that holds the time by which the table is kept and found; where none is named, the pipeline chooses
    /// (the time field, or the end of the window).
    #[serde(default)]
    time: Option<String>,
    /// How long rows stay, counted from their event time; then they go, many at once and at most an eighth of this later.
    /// Rows without a time stay for as long as others of their file. Default: for good.
    #[serde(default)]
    #[schemars(extend("examples" = ["30d"]))]
    ttl: Option<DurationText>,
    /// How long rows stay that have certain values, such as those of a level, shorter or longer than the others.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "values": { "debug": "1d", "error": "90d" } }]))]
    ttl_by: Option<TtlByConfig>,
    /// In which order rows lie in a file: what is often asked for together should lie together.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "columns": ["service", "ts"] }]))]
    sort: SortConfig,
    /// What of their texts is looked up before rows are read.
    #[serde(default)]
    #[schemars(extend("examples" = ["full"]))]
    index: IndexConfig,
    /// What is summed up beside the rows, with each of their files, so that questions about it read no rows: rows per minute,
    /// `service` and `level`, and per 15 minutes and value of each column of few values always are. Questions need not name
    /// it; `EXPLAIN` says which one answers.
    #[serde(default)]
    #[schemars(extend("examples" = [[{ "every": "1m", "by": ["status"], "of": ["duration_ms"] }]]))]
    rollups: Vec<RollupConfig>,
    /// Where files go all of whose rows are old: to buckets, from which they are read when they are asked for. Their search
    /// index and their sums stay here.
    #[serde(default)]
    #[schemars(extend("examples" = [[{ "after": "7d", "url": "s3://my-bucket/weir" }]]))]
    tiers: Vec<TierConfig>,
}

impl TableOutput {
    /// The table `name`, and nothing chosen about it.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            time: None,
            ttl: None,
            ttl_by: None,
            sort: SortConfig::default(),
            index: IndexConfig::default(),
            rollups: Vec::new(),
            tiers: Vec::new(),
        }
    }

    /// Names the column of the time by which the table is kept and found.
    #[must_use]
    pub fn time(self, column: impl Into<String>) -> Self {
        Self { time: Some(column.into()), ..self }
    }

    /// How long rows stay.
    #[must_use]
    pub fn ttl(self, ttl: DurationText) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// How long rows stay whose `column` has these values.
    #[must_use]
    pub fn ttl_by<V: Into<String>>(
        self,
        column: impl Into<String>,
        values: impl IntoIterator<Item = (V, DurationText)>,
    ) -> Self {
        let values = values.into_iter().map(|(value, ttl)| (value.into(), ttl)).collect();
        Self { ttl_by: Some(TtlByConfig { column: column.into(), values }), ..self }
    }

    /// Rows lie by these columns.
    #[must_use]
    pub fn sorted_by(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sort: SortConfig::Columns(columns.into_iter().map(Into::into).collect()), ..self }
    }

    /// What of their texts is looked up before rows are read.
    #[must_use]
    pub fn index(self, index: IndexConfig) -> Self {
        Self { index, ..self }
    }

    /// Sums up per span of event time and values of the columns `by` the numbers of the columns `of`.
    #[must_use]
    pub fn rollup(
        mut self,
        every: DurationText,
        by: impl IntoIterator<Item = impl Into<String>>,
        of: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let (by, of) = (by.into_iter().map(Into::into).collect(), of.into_iter().map(Into::into).collect());
        self.rollups.push(RollupConfig { every, by, of });
        self
    }

    /// Files all of whose rows are that old go to the bucket of `tier`.
    #[must_use]
    pub fn tier(mut self, tier: TierConfig) -> Self {
        self.tiers.push(tier);
        self
    }

    /// What is chosen about the table, as the store takes it.
    pub fn settings(&self) -> TableSettings {
        let micros = |text: DurationText| text.delta().micros();
        let by = self.ttl_by.clone().unwrap_or_default();
        let of_values = by.values.iter().map(|(value, ttl)| (value.to_ascii_lowercase(), micros(*ttl))).collect();
        let rollups = self.rollups.iter().map(|rollup| RollupSettings {
            every_us: micros(rollup.every),
            by: rollup.by.clone(),
            measures: rollup.of.clone(),
        });
        TableSettings {
            ttl: Ttl { rows_us: self.ttl.map(micros), by: self.ttl_by.as_ref().map(|_| by.column), of_values },
            sort: match &self.sort {
                SortConfig::Time => SortKey::Time,
                SortConfig::Arrival => SortKey::Arrival,
                SortConfig::Columns(columns) => SortKey::Columns(columns.clone()),
            },
            index: match self.index {
                IndexConfig::Tokens => IndexKind::Tokens,
                IndexConfig::Full => IndexKind::Full,
                IndexConfig::None => IndexKind::None,
            },
            rollups: rollups.collect(),
            tiers: self.tiers.iter().map(TierConfig::settings).collect(),
        }
    }
}

/// How long rows stay that have certain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TtlByConfig {
    /// The column whose values tell rows apart.
    #[serde(default = "level")]
    pub column: String,
    /// How long rows of each value stay, whatever its case. Those of other values stay for as long as `ttl` says.
    #[schemars(extend("x-map-of" = "duration"), extend("examples" = [{ "debug": "1d", "error": "90d" }]))]
    pub values: BTreeMap<String, DurationText>,
}

impl Default for TtlByConfig {
    fn default() -> Self {
        Self { column: level(), values: BTreeMap::new() }
    }
}

fn level() -> String {
    "level".to_owned()
}

/// In which order rows lie in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortConfig {
    /// By their time, then as they came.
    #[default]
    Time,
    /// As they came.
    Arrival,
    /// By these columns, then as they came.
    Columns(Vec<String>),
}

/// What of their texts is looked up before rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexConfig {
    /// Words, whole values and parts of texts, in at most 16% of the size of the rows.
    #[default]
    Tokens,
    /// The same for every column, with twice the bits for each word and as much room as it takes: fewer rows are read in vain.
    Full,
    /// Nothing: every search reads all rows of its span of time. Writing is cheaper.
    None,
}

/// Sums over the rows of a table: how many there are per span of event time and values of columns, and of their numbers the
/// count, sum, least, greatest and average, of floats also percentiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollupConfig {
    /// The spans of event time, which must divide a day: questions about these spans, and about several of them together, are
    /// answered.
    pub every: DurationText,
    /// The columns whose values are told apart: texts, whole numbers, truths, of at most 4,096 different values in a file. At
    /// most four.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["service", "status"]]))]
    pub by: Vec<String>,
    /// The columns whose numbers are summed up. At most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["duration_ms"]]))]
    pub of: Vec<String>,
}

/// Where files go all of whose rows are old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierConfig {
    /// How old all rows of a file are, counted from their event time. Of several tiers the one for the oldest counts.
    pub after: DurationText,
    /// The bucket, and where in it: `s3://bucket/prefix` (S3 and servers that speak its protocol), `gs://bucket/prefix`
    /// (Google), `az://container/prefix` (Azure). A place belongs to one data folder.
    #[schemars(extend("examples" = ["s3://my-bucket/weir"]))]
    pub url: String,
    /// How it is reached, by the names that the clouds have for it: `endpoint`, `region`, `access_key_id`,
    /// `secret_access_key` for S3, `service_account_path` for Google, `account_name`, `account_key` for Azure. What is
    /// missing is looked for in the environment, as `AWS_REGION` and its like. Keys are kept nowhere: other commands look for
    /// them there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-map-of" = "text"))]
    pub options: BTreeMap<String, Secret>,
}

impl TierConfig {
    /// Files whose rows are all older than `after` go to `url`.
    pub fn new(after: DurationText, url: impl Into<String>) -> Self {
        Self { after, url: url.into(), options: BTreeMap::new() }
    }

    /// The same with an option of the bucket.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), Secret::new(value.into()));
        self
    }

    /// The place as it is written down: without what must be known to few.
    pub fn place(&self) -> Place {
        let is_public = |name: &str| PUBLIC_OPTIONS.contains(&name.to_ascii_lowercase().trim_start_matches("aws_"));
        let public = self.options.iter().filter(|(name, _)| is_public(name));
        let options = public.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        Place { url: self.url.clone(), options }
    }

    fn settings(&self) -> TierSettings {
        TierSettings { after_us: self.after.delta().micros(), place: self.place() }
    }
}

/// Options of buckets that are no secret and say where it is.
const PUBLIC_OPTIONS: [&str; 8] = [
    "endpoint",
    "endpoint_url",
    "region",
    "default_region",
    "allow_http",
    "virtual_hosted_style_request",
    "account_name",
    "use_emulator",
];

impl<'de> Deserialize<'de> for TableOutput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMap;
        impl<'de> Visitor<'de> for NameOrMap {
            type Value = TableOutput;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a table, or { name: ..., time: ... }")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<TableOutput, E> {
                Ok(TableOutput::named(name))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TableOutput, A::Error> {
                let map = TableMap::deserialize(MapAccessDeserializer::new(map))?;
                let TableMap { name, time, ttl, ttl_by, sort, index, rollups, tiers } = map;
                Ok(TableOutput { name, time, ttl, ttl_by, sort, index, rollups, tiers })
            }
        }
        deserializer.deserialize_any(NameOrMap)
    }
}

impl JsonSchema for TableOutput {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TableOutput".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = TableMap::json_schema(generator);
        json_schema!({
            "description": "A table of the embedded store. A bare name is the same as `{ name: ... }`.",
            "oneOf": [{ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}([.][a-z][a-z0-9_]{0,62})?$" }, map]
        })
    }
}
