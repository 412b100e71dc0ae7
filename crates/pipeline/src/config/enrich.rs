//! A step that looks rows up in a table: which table, by what, and which columns it gives.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_model::DurationText;

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

/// A table to look up in: a file that is read when the pipeline starts and whenever it has changed. A row sees the version
/// that was there when it was read. A version that cannot be read is reported, and the one before stays. At most 256 MiB
/// and 5,000,000 rows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LookupTable {
    /// The file.
    #[serde(flatten)]
    pub file: LookupFile,
    /// How often it is looked whether the file has changed.
    #[serde(default = "default_refresh", skip_serializing_if = "is_default_refresh")]
    pub refresh: DurationText,
    /// Declared types of columns. Default: text in CSV, what is found in NDJSON, what they are in Parquet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "budget": "float64" }]))]
    pub schema: BTreeMap<String, FieldType>,
}

/// The file of a table.
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

    /// The path of its file, and the key that it is written under.
    pub fn path(&self) -> (&'static str, &str) {
        match &self.file {
            LookupFile::Csv(path) => ("csv", path),
            LookupFile::Ndjson(path) => ("ndjson", path),
            LookupFile::Parquet(path) => ("parquet", path),
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
    /// Looks rows up in a file; what by and what for is said next.
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
