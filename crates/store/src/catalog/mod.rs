//! The catalog: which files are a table, where each pipeline stands, and which files are waiting to be deleted.
//! One SQLite database, `catalog.sqlite`, in WAL mode with `synchronous=FULL`: a transaction survives power loss.
//! Knows nothing of what is in the files.

mod back;
mod commits;
mod copy;
mod graves;
mod migrations;
mod settings;
mod swaps;
mod tables;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use weir_model::{ErrorKind, SeamError, SeamResult};

pub(crate) use commits::NewCommit;
pub use copy::{CatalogCopy, SegmentFile, SegmentObject, bring_home, copy_catalog};
pub(crate) use graves::CatalogGrave;
pub(crate) use swaps::SwapRow;
pub(crate) use tables::{CatalogSegment, CatalogTable};

/// The catalog's file in the data folder.
pub(crate) const CATALOG_FILE: &str = "catalog.sqlite";
/// How long one connection waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    connection: Connection,
}

impl Catalog {
    /// Opens the catalog of a data folder to write to it, creating or migrating it.
    ///
    /// A catalog that is missing where there are files that one has named is refused: a new one would name none of them,
    /// and they would be removed.
    pub(crate) fn open(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(CATALOG_FILE);
        if !path.exists() {
            refuse_orphans(folder, &path)?;
        }
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| catalog_error("open", &path, error))?;
        let mut catalog = Self { path, connection };
        catalog.check_pages()?;
        migrations::migrate(&mut catalog)?;
        Ok(catalog)
    }

    /// Looks at every page, so that damage is known at the start and not in the middle of a commit.
    fn check_pages(&self) -> SeamResult<()> {
        let verdict: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| self.error("check", error))?;
        if verdict == "ok" {
            return Ok(());
        }
        let message = format!("{CATALOG_IS_DAMAGED}{} says: {verdict}", self.path.display());
        Err(SeamError::new(ErrorKind::Corrupt, message))
    }

    /// Opens the catalog of a data folder to read it, also while another process writes to it.
    pub(crate) fn open_read_only(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(CATALOG_FILE);
        if !path.is_file() {
            let message = format!("{} holds no data yet: there is no {CATALOG_FILE}", folder.display());
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
            .map_err(|error| catalog_error("open", &path, error))?;
        let catalog = Self { path, connection };
        migrations::check(&catalog)?;
        Ok(catalog)
    }

    /// A number that changes when another connection has changed the catalog.
    pub(crate) fn data_version(&self) -> SeamResult<i64> {
        self.connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|error| self.error("read", error))
    }

    /// The error of doing `what` with the catalog.
    fn error(&self, what: &str, error: rusqlite::Error) -> SeamError {
        catalog_error(what, &self.path, error)
    }
}

/// Refuses to begin with a new catalog where a catalog has been.
fn refuse_orphans(folder: &Path, path: &Path) -> SeamResult<()> {
    let finished = |path: &Path| path.extension().is_some_and(|end| end == "parquet" || end == "snap");
    let holds_any = |folder: PathBuf| -> std::io::Result<bool> {
        for inner in std::fs::read_dir(folder)? {
            let inner = inner?.path();
            if inner.is_dir() && std::fs::read_dir(inner)?.filter_map(Result::ok).any(|entry| finished(&entry.path())) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    // A folder that is not there holds nothing.
    let Some(what) = ["tables", "state"].into_iter().find(|name| holds_any(folder.join(name)).unwrap_or(false)) else {
        return Ok(());
    };
    let message = format!(
        "{} is missing, although {}/{what} holds files that it has named: bring the data folder back from a backup (weir \
         restore FOLDER --data NEW), or move {what} away to begin anew without it",
        path.display(),
        folder.display()
    );
    Err(SeamError::new(ErrorKind::Corrupt, message))
}

/// What an error about a damaged catalog begins with.
const CATALOG_IS_DAMAGED: &str =
    "the catalog is damaged: bring the data folder back from a backup (weir restore FOLDER --data NEW); ";

fn catalog_error(what: &str, path: &Path, error: rusqlite::Error) -> SeamError {
    use rusqlite::ErrorCode;
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Retry, ""),
        Some(ErrorCode::DiskFull) => (ErrorKind::Retry, "disk is full: free some space, the work goes on by itself; "),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (ErrorKind::Corrupt, CATALOG_IS_DAMAGED),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => (ErrorKind::Config, ""),
        // I/O errors above all: whether a transaction happened is unknown.
        _ => (ErrorKind::Closed, ""),
    };
    let message = format!("{hint}cannot {what} {}", path.display());
    match error.sqlite_error_code() {
        // As every other part of Weir says it, so that whoever waits for room need not know SQLite.
        Some(ErrorCode::DiskFull) => {
            SeamError::caused(kind, message, std::io::Error::new(std::io::ErrorKind::StorageFull, error))
        }
        _ => SeamError::caused(kind, message, error),
    }
}
