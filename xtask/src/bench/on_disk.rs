//! What the tables of a data folder take on disk: what the catalog names, not what was replaced and waits to be deleted.
//! Reads no rows.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use crate::shell::Outcome;

const LISTED: &str = "import sqlite3, sys\n\
    for row in sqlite3.connect(sys.argv[1]).execute('SELECT path, rows, bytes, lies_at IS NOT NULL FROM segments'):\n    \
        print(*row, sep='\\t')";
/// An index begins with as many bytes, of which four from here on say how long its header is.
const PREFIX_BYTES: usize = 24;
const HEADER_LENGTH_AT: usize = 12;
/// A header ends with as many bytes, the first eight of which say where the rollups begin; nothing comes behind these.
const ROLLUPS_BYTES: usize = 20;

/// What they take, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnDisk {
    pub(super) segments: u64,
    pub(super) rows_bytes: u64,
    /// Of their search indexes, without the rollups that lie in the same files.
    pub(super) index_bytes: u64,
    pub(super) rollup_bytes: u64,
    /// How many rows lie here and not in a bucket.
    pub(super) rows_here: u64,
    pub(super) bucket_bytes: u64,
}

impl OnDisk {
    /// All that lies here.
    pub(super) fn bytes(&self) -> u64 {
        self.rows_bytes + self.index_bytes + self.rollup_bytes
    }
}

/// What the data folder `data` has.
pub(super) fn on_disk(data: &Path) -> Outcome<OnDisk> {
    let catalog = data.join("catalog.sqlite");
    let listed = Command::new("python3").args(["-c", LISTED]).arg(&catalog).output();
    let listed = listed.map_err(|error| format!("python3: {error}"))?;
    if !listed.status.success() {
        return Err(format!("{}: {}", catalog.display(), String::from_utf8_lossy(&listed.stderr).trim()));
    }
    let mut found = OnDisk::default();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, rows, bytes, is_remote] = fields[..] else { return Err(format!("no segment: {line}")) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no segment: {line}"));
        let (rows, bytes) = (number(rows)?, number(bytes)?);
        found.segments += 1;
        if is_remote == "1" {
            found.bucket_bytes += bytes;
        } else {
            found.rows_bytes += bytes;
            found.rows_here += rows;
        }
        let index = data.join(path).with_extension("tok");
        if let Ok(metadata) = fs::metadata(&index) {
            let rollups = rollups_at(&index).map_err(|error| format!("{}: {error}", index.display()))?;
            found.index_bytes += rollups.min(metadata.len());
            found.rollup_bytes += metadata.len().saturating_sub(rollups);
        }
    }
    Ok(found)
}

/// Where the rollups begin in an index; its layout is described in `crates/store/src/tokens`.
fn rollups_at(index: &Path) -> std::io::Result<u64> {
    let mut file = File::open(index)?;
    let mut prefix = [0; PREFIX_BYTES];
    file.read_exact(&mut prefix)?;
    let mut length = [0; 4];
    length.copy_from_slice(&prefix[HEADER_LENGTH_AT..HEADER_LENGTH_AT + 4]);
    let end = (PREFIX_BYTES as u64) + u64::from(u32::from_le_bytes(length));
    file.seek(SeekFrom::Start(end.saturating_sub(ROLLUPS_BYTES as u64)))?;
    let mut offset = [0; 8];
    file.read_exact(&mut offset)?;
    Ok(u64::from_le_bytes(offset))
}
