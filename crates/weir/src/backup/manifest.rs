//! What a backup consists of, as it lies on disk: JSON, and on the last line the XXH3-64 of everything before it.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use weir_disk::checksum_of;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::refused;

/// The version of the layout that this program writes and reads.
const FORMAT: u32 = 1;

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout of the backup folder.
    pub format: u32,
    /// The Weir that made it.
    pub weir: String,
    /// Its name, by which it sorts: when it was made.
    pub id: String,
    /// When it was made, in milliseconds since 1970.
    pub taken_at_ms: i64,
    /// The epoch that each pipeline had committed.
    pub epochs: BTreeMap<String, u64>,
    /// Its files, by path.
    pub files: Vec<Entry>,
    /// What was damaged in the data folder and is therefore not in it.
    pub troubles: Vec<String>,
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it lies in the data folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// XXH3-128 of its content, 32 hexadecimal digits.
    pub checksum: String,
    /// When it was changed in the data folder, in nanoseconds since 1970: an unchanged file is not read again.
    pub modified_ns: i128,
}

impl Entry {
    /// Where its content lies in the backup folder.
    pub(super) fn object(&self) -> String {
        format!("objects/{}/{}-{}", &self.checksum[..2], self.checksum, self.bytes)
    }

    /// Whether it may be used as a path: it was written by us, or somebody has tampered with it.
    fn is_sound(&self) -> bool {
        let steps_inside = |path: &str| path.split('/').all(|step| !step.is_empty() && step != "." && step != "..");
        let is_hash = self.checksum.len() == 32 && self.checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
        steps_inside(&self.path) && !self.path.contains(['\\', '\0']) && is_hash
    }
}

/// Only what every version says, so that another version is recognised before anything else of it is read.
#[derive(Deserialize)]
struct Version {
    format: u32,
    #[serde(default)]
    weir: String,
}

impl Manifest {
    pub(super) fn new(
        now: DateTime<Utc>,
        files: Vec<Entry>,
        epochs: BTreeMap<String, u64>,
        troubles: Vec<String>,
    ) -> Self {
        let (id, taken_at_ms) = (now.format("%Y%m%dT%H%M%S%3fZ").to_string(), now.timestamp_millis());
        Self { format: FORMAT, weir: env!("CARGO_PKG_VERSION").to_owned(), id, taken_at_ms, epochs, files, troubles }
    }

    /// When it was made.
    pub fn taken_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.taken_at_ms).unwrap_or_default()
    }

    pub(super) fn encode(&self) -> SeamResult<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a manifest as JSON", error))?;
        bytes.push(b'\n');
        let checksum = checksum_of(&bytes);
        bytes.extend_from_slice(format!("{checksum:016x}\n").as_bytes());
        Ok(bytes)
    }

    /// Reads the manifest that `path` holds.
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> SeamResult<Self> {
        let damaged = |why: &str| {
            let message =
                format!("{} is damaged: {why}; choose another backup with --id, `--list` shows them", path.display());
            SeamError::new(ErrorKind::Corrupt, message)
        };
        let split = bytes.len().checked_sub(17).ok_or_else(|| damaged("it is too short"))?;
        let (body, last) = bytes.split_at(split);
        if last != format!("{:016x}\n", checksum_of(body)).as_bytes() {
            return Err(damaged("it does not match its checksum"));
        }
        let version: Version = serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
        if version.format != FORMAT {
            let age = if version.format > FORMAT { "newer" } else { "older" };
            return Err(refused(format!(
                "{} has format {}, and this weir reads {FORMAT}: restore it with the {age} weir that made it ({})",
                path.display(),
                version.format,
                version.weir
            )));
        }
        let manifest: Self = serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
        match manifest.files.iter().find(|entry| !entry.is_sound()) {
            Some(entry) => Err(damaged(&format!("{:?} is no file of a data folder", entry.path))),
            None => Ok(manifest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> Manifest {
        let entry = Entry { path: path.to_owned(), bytes: 3, checksum: "0".repeat(32), modified_ns: 5 };
        Manifest::new(DateTime::UNIX_EPOCH, vec![entry], BTreeMap::from([("p".to_owned(), 7)]), Vec::new())
    }

    #[test]
    fn a_manifest_reads_back_and_a_changed_byte_is_damage() {
        let bytes = manifest("log/t/0/1.log").encode().expect("encoded");
        assert_eq!(Manifest::decode(Path::new("m"), &bytes).expect("read"), manifest("log/t/0/1.log"));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Manifest::decode(Path::new("m"), &other).expect_err("damage").kind, ErrorKind::Corrupt, "{at}");
        }
        for length in 0..bytes.len() {
            assert!(Manifest::decode(Path::new("m"), &bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn another_format_is_refused_with_what_to_do() {
        for (format, age) in [(0, "older"), (2, "newer")] {
            let bytes = Manifest { format, ..manifest("a") }.encode().expect("encoded");
            let error = Manifest::decode(Path::new("m"), &bytes).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.message.contains(age), "{}", error.message);
        }
    }

    #[test]
    fn a_path_that_leaves_the_data_folder_is_refused() {
        for path in ["../x", "/etc/passwd", "a/../../b", "", "a//b"] {
            let bytes = manifest(path).encode().expect("encoded");
            assert_eq!(Manifest::decode(Path::new("m"), &bytes).expect_err(path).kind, ErrorKind::Corrupt);
        }
    }
}
