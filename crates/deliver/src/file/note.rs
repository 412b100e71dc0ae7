//! What a commit holds for a file output, by which its rows are rolled forward, also by another process. JSON.

use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult};

/// Rows of an epoch that belong at the end of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinesNote {
    /// The file.
    pub(super) file: String,
    /// Where the rows are until they are in the file.
    pub(super) staged: String,
    /// `ndjson`, `csv` or `avro`.
    pub(super) format: String,
    /// How long the file is without them: where they belong.
    pub(super) length_before: u64,
    /// How many bytes they are; zero if the epoch had no rows.
    pub(super) bytes: u64,
    /// XXH3-64 of these bytes.
    pub(super) checksum: u64,
    /// For csv: the columns of the header; for avro: the schema in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) columns: Option<Vec<String>>,
    /// For a commit that goes back: the file is cut to `length_before` if it is longer, and at most so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut_from: Option<u64>,
}

impl LinesNote {
    pub(super) fn length_after(&self) -> u64 {
        self.length_before + self.bytes
    }

    /// How long the file may be by this output's own doing.
    pub(super) fn length_most(&self) -> u64 {
        self.length_after().max(self.cut_from.unwrap_or(0))
    }
}

/// Whole files of an epoch that belong in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartsNote {
    /// The folder.
    pub(super) folder: String,
    /// The files of this epoch.
    pub(super) parts: Vec<Part>,
    /// The names of files that these replace: what `mode: overwrite` found at the very first start, or what a commit
    /// that goes back takes away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replaces: Vec<String>,
}

/// One file of a [`PartsNote`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its name in the folder.
    pub(super) name: String,
    /// Its size.
    pub(super) bytes: u64,
    /// XXH3-64 of its content.
    pub(super) checksum: u64,
}

/// Writes a note.
pub(super) fn write(note: &impl Serialize) -> String {
    serde_json::to_string(note).expect("texts and numbers are always JSON")
}

/// Reads a note that was committed for `output`.
pub(super) fn read<'a, T: Deserialize<'a>>(output: &str, note: &'a str) -> SeamResult<T> {
    serde_json::from_str(note).map_err(|error| {
        let message = format!(
            "what the last commit holds for {output} is not what its format writes (was the format changed?): choose \
             another path for the new format"
        );
        SeamError::caused(ErrorKind::Config, message, error)
    })
}
