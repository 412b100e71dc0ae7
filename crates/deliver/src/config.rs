//! The choice of an output as a pipeline file writes it. Refuses to hold anything that is not configuration.

mod table;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::Guarantee;

use crate::{HttpOutput, KafkaOutput};

pub use table::{IndexConfig, RollupConfig, SortConfig, TableOutput, TierConfig, TtlByConfig};

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a pipeline has a handful of outputs, and they are read once")]
pub enum OutputConfig {
    /// A table of the embedded store.
    Table(TableOutput),
    /// A file, or for Parquet a folder of files.
    File(FileOutput),
    /// Standard output.
    Stdout(StdoutOutput),
    /// A topic of Apache Kafka.
    Kafka(KafkaOutput),
    /// An HTTP endpoint: a webhook.
    Http(HttpOutput),
}

impl OutputConfig {
    /// The table `name`.
    pub fn table(name: &str) -> Self {
        Self::Table(TableOutput::named(name))
    }

    /// The word that chooses it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::File(_) => "file",
            Self::Stdout(_) => "stdout",
            Self::Kafka(_) => "kafka",
            Self::Http(_) => "http",
        }
    }

    /// What it promises about every row.
    pub fn guarantee(&self) -> Guarantee {
        match self {
            Self::Table(_) | Self::File(_) => Guarantee::ExactlyOnce,
            Self::Stdout(_) | Self::Http(_) => Guarantee::AtLeastOnce,
            Self::Kafka(kafka) => kafka.delivery.guarantee(),
        }
    }

    /// What the output is called when nobody names it: the table's name (`_` for `.`), the file's name without what follows its
    /// first dot (in lower case, other characters than letters, digits, `_` and `-` as `_`), the topic's name, the host with `_` for `.`, or `stdout`.
    pub fn default_name(&self) -> String {
        match self {
            Self::Table(table) => table.name.replace('.', "_"),
            Self::File(file) => name_of_file(&file.path),
            Self::Stdout(_) => "stdout".to_owned(),
            Self::Kafka(kafka) => name_of_file(&kafka.topic.replace('.', "_")),
            Self::Http(http) => name_of_file(&http.host().unwrap_or_else(|| "http".to_owned())),
        }
    }
}

/// The longest name of an output.
const NAME_BYTES_MAX: usize = 63;

fn name_of_file(path: &str) -> String {
    let file = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().trim_start_matches('.');
    let stem = file.split('.').next().unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .take(NAME_BYTES_MAX)
        .collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name
    } else {
        format!("file_{name}").trim_end_matches('_').chars().take(NAME_BYTES_MAX).collect()
    }
}

/// A file of rows, exactly once: rows appear when their epoch commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOutput {
    /// The file; for Parquet the folder. Its folders are created. While Weir runs, staged rows lie beside it.
    pub path: String,
    /// How rows are written.
    #[serde(default)]
    pub format: FileFormat,
    /// What to do at the very first start when the file exists already.
    #[serde(default)]
    pub mode: FileMode,
}

/// How rows are written to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// One JSON object per line.
    #[default]
    Ndjson,
    /// Comma-separated values with a header line. The columns are those of the first rows; a column that appears
    /// later is an error.
    Csv,
    /// An object container file of Apache Avro, with the schema of the first rows; a column that appears later is an error.
    Avro,
    /// A folder of Parquet files, at least one for every epoch that has rows.
    Parquet,
}

/// What to do at the very first start when the file exists already. Later starts go on where the last commit was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileMode {
    /// Refuse to start: nobody's file is touched by mistake. An empty file is taken.
    #[default]
    New,
    /// Keep what it holds and write behind it.
    Append,
    /// Replace it when the first epoch commits.
    Overwrite,
}

/// Standard output, at least once: after a crash rows may be shown again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutOutput {
    /// How rows are written.
    pub format: StdoutFormat,
}

/// How rows are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StdoutFormat {
    /// One JSON object per line.
    #[default]
    Ndjson,
    /// A table for people, one for every batch of rows.
    Text,
}
