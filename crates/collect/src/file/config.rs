//! What a pipeline file says about a source of files. Refuses to touch the disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ByteSize, DurationText};

/// Files found by patterns; plain, gzip or zstd (told by their content, not their name).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Which files: paths or patterns. `*` and `?` stay inside one folder's name, `**` crosses folders, `{a,b}` and
    /// `[a-z]` are alternatives: `/var/log/spark/**/*.stderr`. Relative ones start at the working folder.
    pub paths: Vec<String>,
    /// Patterns of files to leave out, written as in `paths`; a pattern without `/` is compared with the file's name
    /// alone: `["*.crc", "*.inprogress"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether to wait for more at the end of the files and for further files. `false` reads what is there and ends.
    #[serde(default = "yes")]
    pub follow: bool,
    /// The longest record. Of a longer line the beginning goes to the dead letters; a longer event of several lines
    /// is cut between two lines.
    #[serde(default = "max_record_bytes")]
    pub max_record_bytes: ByteSize,
    /// How often followed files are looked at.
    #[serde(default = "poll")]
    pub poll: DurationText,
    /// How long the last event of a followed file waits for lines that belong to it (a stack trace) before it is
    /// taken as complete. Only for formats whose events span lines.
    #[serde(default = "join_timeout")]
    pub join_timeout: DurationText,
    /// Where to begin in files that are there at the very first start. Files that appear later are read from their
    /// beginning.
    #[serde(default)]
    pub start: StartAt,
}

/// Where to begin in files that are there at the very first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartAt {
    /// At the first byte.
    #[default]
    Beginning,
    /// After the last whole line; only for files that are followed.
    End,
}

fn yes() -> bool {
    true
}

pub(crate) fn max_record_bytes() -> ByteSize {
    ByteSize(1 << 20)
}

fn poll() -> DurationText {
    DurationText::millis(250)
}

fn join_timeout() -> DurationText {
    DurationText::secs(1)
}

impl FileConfig {
    /// The files that `paths` find, everything else as by default.
    pub fn new(paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The same, read once and not followed.
    #[must_use]
    pub fn once(self) -> Self {
        Self { follow: false, ..self }
    }
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: Vec::new(),
            follow: yes(),
            max_record_bytes: max_record_bytes(),
            poll: poll(),
            join_timeout: join_timeout(),
            start: StartAt::Beginning,
        }
    }
}
