//! The catalog: which files are a table, where each pipeline stands, and which files are waiting to be deleted.
//! One SQLite database, `catalog.sqlite`, in WAL mode with `synchronous=FULL`: a transaction survives power loss.
//! Knows nothing of what is in the files.

mod back;
mod commits;
mod graves;
mod migrations;
mod tables;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use weir_model::{ErrorKind, SeamError, SeamResult};

pub(crate) use commits::NewCommit;
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
    pub(crate) fn open(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(CATALOG_FILE);
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
        migrations::migrate(&mut catalog)?;
        Ok(catalog)
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

fn catalog_error(what: &str, path: &Path, error: rusqlite::Error) -> SeamError {
    use rusqlite::ErrorCode;
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Retry, ""),
        Some(ErrorCode::DiskFull) => (ErrorKind::Retry, "disk is full: free some space, the work goes on by itself; "),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (ErrorKind::Corrupt, "the catalog is damaged: restore the data folder from a backup; ")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => (ErrorKind::Config, ""),
        // I/O errors above all: whether a transaction happened is unknown.
        _ => (ErrorKind::Closed, ""),
    };
    SeamError::caused(kind, format!("{hint}cannot {what} {}", path.display()), error)
}
