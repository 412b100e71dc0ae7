//! A copy of the catalog, and of everything that it names at one moment, while another process writes to it. Copies no
//! file but its own.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use weir_model::{Committed, ErrorKind, SeamError, SeamResult};

use super::{BUSY_TIMEOUT, CATALOG_FILE, Catalog, catalog_error, migrations};
use crate::tiers::{Buckets, Object, Remote};

/// What a catalog named at the moment of its copy.
#[derive(Debug)]
pub struct CatalogCopy {
    /// The files of tables that are read.
    pub segments: Vec<SegmentFile>,
    /// Those that lie in buckets instead.
    pub objects: Vec<SegmentObject>,
    /// The commits of each pipeline that can be gone back to, newest first.
    pub commits: Vec<Committed>,
}

/// A file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Relative to the data folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// XXH3-64 of its content.
    pub checksum: u64,
}

/// A file of a table that lies in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentObject {
    /// The file that it is in the data folder, if it lies there again.
    pub file: SegmentFile,
    object: Object,
}

impl SegmentObject {
    /// Where it is read.
    pub fn remote(&self, buckets: &dyn Buckets) -> Remote {
        Remote::new(buckets, self.object.clone())
    }
}

/// Says in the catalog `path`, which nobody has open, that these files, relative to the data folder, lie in it and no longer in
/// buckets.
///
/// # Errors
/// As the disk says.
pub fn bring_home(path: &Path, files: &BTreeSet<String>) -> SeamResult<()> {
    let bring = || -> rusqlite::Result<()> {
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let transaction = connection.transaction()?;
        for file in files {
            transaction.execute("UPDATE segments SET lies_at = NULL WHERE path = ?1", [file])?;
            // Where the local file was waiting to be deleted after its move there is a file again.
            transaction.execute("DELETE FROM graves WHERE path = ?1", [file])?;
        }
        transaction.commit()
    };
    bring().map_err(|error| catalog_error("write", path, error))
}

/// Copies the catalog of the data folder `folder` to the new file `to`, and calls `pin` with what it names at a moment
/// when nobody can commit, so that nothing of it is deleted before `pin` returns. Commits of others wait for so long, at
/// most five seconds. The copy is not durable yet.
///
/// # Errors
/// `Config` when there is no catalog of this version, `Corrupt` when it is damaged, and as `pin` says.
pub fn copy_catalog(
    folder: &Path,
    to: &Path,
    pin: impl FnOnce(&CatalogCopy) -> SeamResult<()>,
) -> SeamResult<CatalogCopy> {
    let path = folder.join(CATALOG_FILE);
    if !path.is_file() {
        let message = format!("{} holds no data yet: there is no {CATALOG_FILE}", folder.display());
        return Err(SeamError::new(ErrorKind::Config, message));
    }
    let failed = |error| catalog_error("copy", &path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut holder = Connection::open_with_flags(&path, flags).map_err(failed)?;
    holder.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let held = holder.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;

    // Nothing can change while the transaction is held, so what this connection reads and copies is that same moment.
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    let mut catalog = Catalog { path: path.clone(), connection };
    migrations::check(&catalog)?;
    let (_, segments) = catalog.load()?;
    let (mut files, mut objects) = (Vec::new(), Vec::new());
    for segment in segments.into_iter().filter(|segment| segment.trouble.is_none()) {
        let file = SegmentFile { path: segment.path, bytes: segment.bytes, checksum: segment.checksum };
        match segment.object {
            Some(object) => objects.push(SegmentObject { file, object }),
            None => files.push(file),
        }
    }
    let mut commits = Vec::new();
    for pipeline in catalog.oldest_epochs()?.into_keys() {
        // One that is damaged cannot be gone back to.
        commits.extend(catalog.commits(&pipeline)?.into_iter().filter_map(|kept| kept.commit.ok()));
    }
    let copy = CatalogCopy { segments: files, objects, commits };
    let name = to.to_str().ok_or_else(|| {
        SeamError::new(ErrorKind::Config, format!("{} is not UTF-8: choose another folder", to.display()))
    })?;
    catalog.connection.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
    pin(&copy)?;
    held.rollback().map_err(failed)?;
    Ok(copy)
}
