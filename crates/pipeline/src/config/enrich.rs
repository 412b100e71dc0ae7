//! A step that looks rows up in a table: which table, by what, and which columns it gives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_model::{ByteSize, DurationText, Secret};

use super::{FieldType, Named};
use crate::tagged;

/// A step that looks each row up in a table and takes columns from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrichConfig {
    /// The table.
    pub table: LookupTable,
    /// By what rows are looked up: of each key the column of the row (or a SQL expression over it), then the column of the
    /// table that must equal it. They are compared as what the table's column is. Null equals nothing. Of several rows of
    /// the table with the same keys the last one counts, and the pipeline's board says that there are such.
    #[schemars(extend("examples" = [{ "app_id": "id" }]))]
    pub on: Named,
    /// The columns of the table that the row gets. A column of the row that is called so is replaced.
    #[schemars(extend("examples" = [["team", "owner"]]))]
    pub take: Vec<String>,
    /// What becomes of rows that the table has nothing for.
    #[serde(default, skip_serializing_if = "MissingRows::is_default")]
    pub missing: MissingRows,
}

/// A table to look up in: a file, or what an URL gives, that is read when the pipeline starts and whenever it has changed. A
/// row sees the version that was there when it was read. A version that cannot be read is reported (also by the metric
/// `weir_pipeline_lookups_failed_total`), and the one before stays. At most 256 MiB and 5,000,000 rows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LookupTable {
    /// Where it is.
    #[serde(flatten)]
    pub file: LookupFile,
    /// How often it is looked whether it has changed.
    #[serde(default = "default_refresh", skip_serializing_if = "is_default_refresh")]
    pub refresh: DurationText,
    /// Declared types of columns. Default: text in CSV, what is found in NDJSON, what they are in Parquet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "budget": "float64" }]))]
    pub schema: BTreeMap<String, FieldType>,
}

/// Where a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupFile {
    /// The path of a text file with commas whose first line names the columns.
    #[schemars(extend("examples" = ["/etc/weir/teams.csv"]))]
    Csv(String),
    /// The path of a file with a JSON object per line.
    #[schemars(extend("examples" = ["/etc/weir/teams.ndjson"]))]
    Ndjson(String),
    /// The path of a Parquet file, not compressed or with zstd.
    #[schemars(extend("examples" = ["/etc/weir/teams.parquet"]))]
    Parquet(String),
    /// What an URL gives, as a whole. It is asked again with `If-None-Match` and `If-Modified-Since`, so that a table that has
    /// not changed is not sent again.
    #[schemars(extend("examples" = [{ "url": "https://teams.example/v1/teams" }]))]
    Http(HttpTable),
    /// Rows that are asked for one by one, when a record needs them. The step must take its rows right from a source, and
    /// `refresh` says nothing. What an URL answers may be another thing after a crash or in a replay: results are the same
    /// only if the answers are. Where a whole table is small enough, `http` is faster and the surer way.
    #[schemars(extend("examples" = [{ "url": "https://users.example/v1/users/{id}" }]))]
    HttpLookup(HttpLookup),
}

/// A table that is asked for over HTTP. Redirects are not followed, no proxy is used, and addresses of the link
/// (169.254.0.0/16, fe80::/10, where clouds keep their metadata) are not asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTable {
    /// The URL, `http://` or `https://`.
    #[schemars(extend("examples" = ["https://teams.example/v1/teams"]))]
    pub url: String,
    /// What it gives.
    #[serde(default, skip_serializing_if = "HttpFormat::is_default")]
    pub format: HttpFormat,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "Authorization": "Bearer ${env:TOKEN}" }]))]
    pub headers: BTreeMap<String, Secret>,
    /// How long a request may take, with its whole answer.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout: DurationText,
    /// How large an answer may be; at most 256 MiB.
    #[serde(default = "default_body_max", skip_serializing_if = "is_default_body_max")]
    pub body_max: ByteSize,
}

/// Rows that are asked for one by one over HTTP: `200` with a JSON object is the row, `404`, `410` and `204` say that there is
/// none. Everything else is a failure, as is an answer that comes too late or is too large; one that may pass (no
/// connection, a timeout, `408`, `425`, `429`, `5xx`) is tried twice. Columns are text unless `schema` says otherwise; what is not of
/// the declared type is null. The limits of `http` on where a request may lead hold here too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpLookup {
    /// The URL. `{column}` in its path or query stands for the value of each key in `on`, by the name of the table's column.
    #[schemars(extend("examples" = ["https://users.example/v1/users/{id}"]))]
    pub url: String,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "Authorization": "Bearer ${env:TOKEN}" }]))]
    pub headers: BTreeMap<String, Secret>,
    /// How long a request may take, with its whole answer.
    #[serde(default = "default_timeout", skip_serializing_if = "is_default_timeout")]
    pub timeout: DurationText,
    /// How large an answer may be; at most 16 MiB.
    #[serde(default = "default_row_max", skip_serializing_if = "is_default_row_max")]
    pub body_max: ByteSize,
    /// How many rows are asked for at a time, at most 256.
    #[serde(default = "default_concurrency", skip_serializing_if = "is_default_concurrency")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: u32,
    /// For how long answers are remembered, and how many.
    #[serde(default, skip_serializing_if = "LookupCache::is_default")]
    pub cache: LookupCache,
    /// When nobody is asked any more, and for how long.
    #[serde(default, skip_serializing_if = "LookupBreaker::is_default")]
    pub breaker: LookupBreaker,
    /// What becomes of records for which there is neither a row nor the answer that there is none.
    #[serde(default, skip_serializing_if = "LookupFailure::is_default")]
    pub on_failure: LookupFailure,
}

/// For how long answers are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LookupCache {
    /// How many answers; the oldest makes room.
    #[schemars(range(min = 1))]
    pub entries_max: u64,
    /// For how long a row is.
    pub ttl: DurationText,
    /// For how long it is remembered that there is none.
    pub negative_ttl: DurationText,
}

impl Default for LookupCache {
    fn default() -> Self {
        Self { entries_max: 100_000, ttl: DurationText::secs(600), negative_ttl: DurationText::secs(60) }
    }
}

impl LookupCache {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A circuit breaker: after some failures in a row nobody is asked for a while, and then one request at a time finds out whether
/// it is over. Meanwhile every record that needs an answer has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LookupBreaker {
    /// After how many failures in a row.
    #[schemars(range(min = 1))]
    pub failures: u32,
    /// For how long, the first time; twice as long with every request that fails then, up to a minute.
    pub open_for: DurationText,
}

impl Default for LookupBreaker {
    fn default() -> Self {
        Self { failures: 5, open_for: DurationText::secs(1) }
    }
}

impl LookupBreaker {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of records for which there is no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupFailure {
    /// They go on with nulls, whatever `missing` says.
    #[default]
    Keep,
    /// They wait, and everything behind them; after 30 seconds the pipeline starts again from its last commit.
    Wait,
    /// They go to the dead letters.
    DeadLetter,
}

impl LookupFailure {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl HttpLookup {
    /// Asks this URL, with `{column}` where the values of keys belong.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: BTreeMap::new(),
            timeout: TIMEOUT,
            body_max: ROW_MAX,
            concurrency: CONCURRENCY,
            cache: LookupCache::default(),
            breaker: LookupBreaker::default(),
            on_failure: LookupFailure::default(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// How long a request may take.
    #[must_use]
    pub fn timeout(self, timeout: DurationText) -> Self {
        Self { timeout, ..self }
    }

    /// How large an answer may be.
    #[must_use]
    pub fn body_max(self, body_max: ByteSize) -> Self {
        Self { body_max, ..self }
    }

    /// How many rows are asked for at a time.
    #[must_use]
    pub fn concurrency(self, concurrency: u32) -> Self {
        Self { concurrency, ..self }
    }

    /// For how long answers are remembered.
    #[must_use]
    pub fn cache(self, cache: LookupCache) -> Self {
        Self { cache, ..self }
    }

    /// When nobody is asked any more.
    #[must_use]
    pub fn breaker(self, breaker: LookupBreaker) -> Self {
        Self { breaker, ..self }
    }

    /// What becomes of records for which there is no answer.
    #[must_use]
    pub fn on_failure(self, on_failure: LookupFailure) -> Self {
        Self { on_failure, ..self }
    }
}

/// What an URL gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpFormat {
    /// A JSON array of objects, or a JSON object per line.
    #[default]
    Json,
    /// Text with commas whose first line names the columns.
    Csv,
}

impl HttpFormat {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl HttpTable {
    /// Asks this URL for JSON.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            format: HttpFormat::default(),
            headers: BTreeMap::new(),
            timeout: TIMEOUT,
            body_max: BODY_MAX,
        }
    }

    /// What the URL gives.
    #[must_use]
    pub fn format(self, format: HttpFormat) -> Self {
        Self { format, ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.insert(name.into(), value);
        self
    }

    /// How long a request may take.
    #[must_use]
    pub fn timeout(self, timeout: DurationText) -> Self {
        Self { timeout, ..self }
    }

    /// How large an answer may be.
    #[must_use]
    pub fn body_max(self, body_max: ByteSize) -> Self {
        Self { body_max, ..self }
    }
}

/// What becomes of rows that a table has nothing for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingRows {
    /// They go on, with nulls.
    #[default]
    Keep,
    /// They go to the dead letters.
    DeadLetter,
    /// They are filtered.
    Filter,
}

impl MissingRows {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const REFRESH: DurationText = DurationText::secs(60);
const TIMEOUT: DurationText = DurationText::secs(5);
const BODY_MAX: ByteSize = ByteSize(16 << 20);

const ROW_MAX: ByteSize = ByteSize(1 << 20);
const CONCURRENCY: u32 = 8;

fn default_row_max() -> ByteSize {
    ROW_MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default_row_max(body_max: &ByteSize) -> bool {
    *body_max == ROW_MAX
}

fn default_concurrency() -> u32 {
    CONCURRENCY
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default_concurrency(concurrency: &u32) -> bool {
    *concurrency == CONCURRENCY
}

fn default_timeout() -> DurationText {
    TIMEOUT
}

fn is_default_timeout(timeout: &DurationText) -> bool {
    *timeout == TIMEOUT
}

fn default_body_max() -> ByteSize {
    BODY_MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default_body_max(body_max: &ByteSize) -> bool {
    *body_max == BODY_MAX
}

fn default_refresh() -> DurationText {
    REFRESH
}

fn is_default_refresh(refresh: &DurationText) -> bool {
    *refresh == REFRESH
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    #[serde(default = "default_refresh")]
    refresh: DurationText,
    #[serde(default)]
    schema: BTreeMap<String, FieldType>,
}

impl LookupTable {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<LookupFile, OtherKeys>()
    }

    /// The path of its file or its URL, and the key that it is written under.
    pub fn path(&self) -> (&'static str, &str) {
        match &self.file {
            LookupFile::Csv(path) => ("csv", path),
            LookupFile::Ndjson(path) => ("ndjson", path),
            LookupFile::Parquet(path) => ("parquet", path),
            LookupFile::Http(http) => ("http", &http.url),
            LookupFile::HttpLookup(http) => ("http_lookup", &http.url),
        }
    }
}

impl<'de> Deserialize<'de> for LookupTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (file, OtherKeys { refresh, schema }) = tagged::deserialize(deserializer)?;
        Ok(Self { file, refresh, schema })
    }
}

impl EnrichConfig {
    /// Looks rows up in a table; what by and what for is said next.
    pub fn of(file: LookupFile) -> Self {
        Self {
            table: LookupTable { file, refresh: REFRESH, schema: BTreeMap::new() },
            on: Named::default(),
            take: Vec::new(),
            missing: MissingRows::default(),
        }
    }

    /// Looks up in a CSV file.
    pub fn csv(path: impl Into<String>) -> Self {
        Self::of(LookupFile::Csv(path.into()))
    }

    /// Looks up in what an URL gives.
    pub fn http(table: HttpTable) -> Self {
        Self::of(LookupFile::Http(table))
    }

    /// Asks for rows one by one.
    pub fn http_lookup(lookup: HttpLookup) -> Self {
        Self::of(LookupFile::HttpLookup(lookup))
    }

    /// Adds a key: an expression over the row, and the column of the table that must equal it.
    #[must_use]
    pub fn on(mut self, row: impl Into<String>, table: impl Into<String>) -> Self {
        self.on.push(row, table);
        self
    }

    /// Takes these columns.
    #[must_use]
    pub fn take(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.take.extend(columns.into_iter().map(Into::into));
        self
    }

    /// What becomes of rows that the table has nothing for.
    #[must_use]
    pub fn missing(self, missing: MissingRows) -> Self {
        Self { missing, ..self }
    }

    /// How often it is looked whether the file has changed.
    #[must_use]
    pub fn refresh(mut self, refresh: DurationText) -> Self {
        self.table.refresh = refresh;
        self
    }

    /// Declares the type of a column of the table.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, field_type: FieldType) -> Self {
        self.table.schema.insert(name.into(), field_type);
        self
    }
}
