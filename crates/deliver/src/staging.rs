//! The rows of an epoch as bytes in a file of their own, from the first write until the other side has them. Blocks. Refuses
//! to take a missing file for one whose rows were sent.
//!
//! ```text
//! <folder>/<name>.staged.tmp      rows of the epoch that is being built
//! <folder>/<name>.staged          rows of an epoch that is prepared or committed, and not known to be sent
//! <folder>/<name>.sent            rows of the last committed epoch, once all of them were sent
//! ```

use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_disk::{ChecksummedWriter, checksum_of, disk_error, read_file, remove_leftovers};
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};

const STAGED: &str = "staged";
const SENT: &str = "sent";

/// The rows of an epoch that wait in a file. Part of what a commit holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedRows {
    /// The name of the file without what it ends in; never used again.
    pub(crate) id: String,
    /// How many there are.
    pub(crate) rows: u64,
    bytes: u64,
    checksum: u64,
}

/// Whether the rows of a committed epoch have to be sent.
pub(crate) enum Waiting {
    /// These are they.
    Bytes(Vec<u8>),
    /// All of them were.
    Sent,
}

struct Building {
    id: String,
    rows: u64,
    writer: ChecksummedWriter,
}

/// The folder in which rows wait.
pub(crate) struct Staging {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    building: Option<Building>,
    /// Half a batch was written, or the file is lost: the epoch can only begin anew.
    lost: bool,
}

impl Staging {
    /// Rows wait in `folder`, which is made if it does not exist.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, folder: &Path) -> SeamResult<Self> {
        vfs.create_folder(folder).map_err(|error| disk_error("create", folder, error))?;
        Ok(Self { vfs, folder: folder.to_owned(), building: None, lost: false })
    }

    /// Writes rows of the epoch that is being built; `encode` is given the name of the file and how many rows are in it
    /// already.
    pub(crate) fn write(&mut self, rows: u64, encode: impl FnOnce(&str, u64) -> Vec<u8>) -> SeamResult<()> {
        self.whole()?;
        if self.building.is_none() {
            let id = self.vfs.unused_name().to_string();
            let writer = ChecksummedWriter::create(&*self.vfs, &self.path(&id, STAGED))?;
            self.building = Some(Building { id, rows: 0, writer });
        }
        let building = self.building.as_mut().expect("it was just begun");
        let bytes = encode(&building.id, building.rows);
        self.lost = true;
        let path = self.folder.join(&building.id);
        building.writer.write_all(&bytes).map_err(|error| disk_error("write", &path, error))?;
        building.rows += rows;
        self.lost = false;
        Ok(())
    }

    /// Makes the rows of the epoch durable; `None` when there are none.
    pub(crate) fn prepare(&mut self) -> SeamResult<Option<StagedRows>> {
        self.whole()?;
        let Some(Building { id, rows, writer }) = self.building.take() else { return Ok(None) };
        self.lost = true;
        let published = writer.publish(&*self.vfs)?;
        self.lost = false;
        Ok(Some(StagedRows { id, rows, bytes: published.bytes, checksum: published.checksum }))
    }

    /// What of `rows` has to be sent.
    ///
    /// # Errors
    /// `Corrupt` when the file is missing or damaged.
    pub(crate) fn waiting(&self, rows: &StagedRows) -> SeamResult<Waiting> {
        let path = self.path(&rows.id, STAGED);
        match self.vfs.len(&path) {
            Err(error) if error.kind() == IoErrorKind::NotFound && self.vfs.len(&self.path(&rows.id, SENT)).is_ok() => {
                return Ok(Waiting::Sent);
            }
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                let message = format!("{} is missing: whether its rows were sent is not known", path.display());
                return Err(SeamError::new(ErrorKind::Corrupt, message));
            }
            Err(error) => return Err(disk_error("look at", &path, error)),
            Ok(_) => {}
        }
        let bytes = read_file(&*self.vfs, &path)?;
        if bytes.len() as u64 != rows.bytes || checksum_of(&bytes) != rows.checksum {
            let message = format!("{} is damaged: its rows were not sent", path.display());
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        Ok(Waiting::Bytes(bytes))
    }

    /// Notes that all rows of the file were sent. After a power failure that may be forgotten, and they are sent again.
    pub(crate) fn sent(&self, rows: &StagedRows) -> SeamResult<()> {
        let (from, to) = (self.path(&rows.id, STAGED), self.path(&rows.id, SENT));
        match self.vfs.rename_new(&from, &to) {
            Err(error) if error.kind() != IoErrorKind::NotFound => Err(disk_error("name", &to, error)),
            _ => Ok(()),
        }
    }

    /// Forgets the epoch that is being built, and removes every file but the one of `committed`.
    pub(crate) fn abort(&mut self, committed: Option<&str>) -> SeamResult<()> {
        (self.building, self.lost) = (None, false);
        remove_leftovers(&*self.vfs, &self.folder)?;
        for (path, _) in self.vfs.list(&self.folder).map_err(|error| disk_error("list", &self.folder, error))? {
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_ours = matches!(ending, Some(STAGED | SENT));
            if is_ours && path.file_stem().and_then(|stem| stem.to_str()) != committed {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the file of an epoch that a later one has followed.
    pub(crate) fn forget(&self, id: &str) -> SeamResult<()> {
        self.remove(&self.path(id, STAGED))?;
        self.remove(&self.path(id, SENT))
    }

    fn remove(&self, path: &Path) -> SeamResult<()> {
        match self.vfs.remove(path) {
            Err(error) if error.kind() != IoErrorKind::NotFound => Err(disk_error("remove", path, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }

    /// # Errors
    /// `Unknown` when rows are gone: the epoch has to begin anew.
    fn whole(&self) -> SeamResult<()> {
        if self.lost {
            let message = format!("rows could not be written to {}: the epoch begins anew", self.folder.display());
            return Err(SeamError::new(ErrorKind::Unknown, message));
        }
        Ok(())
    }
}
