//! What a replay came to, as it lies on disk: JSON, and on the last line the XXH3-64 of everything before it. Decides nothing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use weir_disk::{Disk, checksum_of, publish};
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_store::TimeSpan;

use super::{Folder, failed, refused};

/// The file.
pub(super) const FILE: &str = "replay.json";
/// The version of the layout that this program writes and reads.
const FORMAT: u32 = 1;
/// The last line: sixteen digits and a newline.
const LAST_LINE_BYTES: usize = 17;

/// A replay that was compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the layout.
    pub format: u32,
    /// Its name.
    pub id: String,
    /// Whose results.
    pub pipeline: String,
    /// Of which time.
    pub span: TimeSpan,
    /// The commit up to which records were read.
    pub since: u64,
    /// What differs, by table.
    pub tables: Vec<TableRecord>,
    /// Outputs that are not tables, which are not compared.
    pub others: Vec<OtherOutput>,
    /// Dead letters that it made, of whatever time.
    pub dead_letters: u64,
    /// Why it cannot be swapped in, if it cannot.
    pub refusal: Option<String>,
}

/// What differs in a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Which.
    pub table: String,
    /// Its column of event times.
    pub time: Option<String>,
    /// Rows that are the same.
    pub equal: u64,
    /// Rows that are there in both and say something else, where rows have a `row_id`.
    pub changed: u64,
    /// Rows that are only shown.
    pub only_live: u64,
    /// Rows that only the replay gives.
    pub only_replay: u64,
    /// Some of those that differ.
    pub examples: Vec<Example>,
    /// Rows that a swap takes out.
    pub(super) gone: RowsFile,
    /// Rows that a swap brings in.
    pub(super) come: RowsFile,
}

impl TableRecord {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.changed + self.only_live + self.only_replay == 0
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// As it is shown.
    pub live: Option<Map<String, Value>>,
    /// As the replay gives it.
    pub replay: Option<Map<String, Value>>,
}

/// An output that is no table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherOutput {
    /// Its name and kind.
    pub output: String,
    /// The table in the replay's own data folder that holds its rows.
    pub table: String,
    /// How many they are.
    pub rows: u64,
}

/// A file of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowsFile {
    /// Its name in the folder of the replay.
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// XXH3-64 of its content.
    pub(super) checksum: u64,
}

impl Record {
    /// A record of nothing yet.
    pub(super) fn new(id: String, pipeline: String, span: TimeSpan, since: u64) -> Self {
        let (tables, others) = (Vec::new(), Vec::new());
        Self { format: FORMAT, id, pipeline, span, since, tables, others, dead_letters: 0, refusal: None }
    }

    pub(super) fn write(&self, folder: &Folder) -> SeamResult<()> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a record as JSON", error))?;
        bytes.push(b'\n');
        let checksum = checksum_of(&bytes);
        bytes.extend_from_slice(format!("{checksum:016x}\n").as_bytes());
        publish(&Disk, &folder.inside(FILE), &bytes).map(drop)
    }

    pub(super) fn read(folder: &Folder) -> SeamResult<Self> {
        let path = folder.inside(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(format!(
                    "there is no finished replay in {}: make one with --from and --to",
                    folder.path.display()
                )));
            }
            read => read.map_err(|error| failed("read", &path, error))?,
        };
        let damaged = |why: String| {
            let message = format!("{} is damaged: {why}; make the replay again", path.display());
            SeamError::new(ErrorKind::Corrupt, message)
        };
        let split = bytes.len().checked_sub(LAST_LINE_BYTES).ok_or_else(|| damaged("it is too short".to_owned()))?;
        let (body, last) = bytes.split_at(split);
        if last != format!("{:016x}\n", checksum_of(body)).as_bytes() {
            return Err(damaged("it does not match its checksum".to_owned()));
        }
        let record: Self = serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))?;
        if record.format == FORMAT {
            return Ok(record);
        }
        Err(refused(format!(
            "{} was made by another weir (format {}): make the replay again",
            path.display(),
            record.format
        )))
    }
}
