//! What a registry has decided, on disk: one row of JSON per change, in the order in which they were made, in a SQLite file
//! of its own beside the catalog (WAL, `synchronous=FULL`). A registry is its changes, read from the first to the last.
//! Decides nothing.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::core::{Change, Registry};

/// The file in the data folder.
pub const REGISTRY_FILE: &str = "registry.sqlite";

/// The file beside it that is locked by who decides; the registry itself can be read, for a backup.
const LOCK_FILE: &str = "registry.lock";

/// How long one process waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A registry on disk.
#[derive(Debug)]
pub struct Shelf {
    connection: Connection,
    registry: Registry,
    /// Held for as long as this process decides.
    _alone: File,
}

impl Shelf {
    /// Opens the registry of a data folder, which may be new.
    ///
    /// # Errors
    /// When the file cannot be used, or holds what this version does not know.
    pub fn open(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(REGISTRY_FILE);
        let failed = |error: rusqlite::Error| {
            SeamError::caused(
                ErrorKind::Closed,
                format!("the schema registry {} cannot be used", path.display()),
                error,
            )
        };
        let alone = lock(folder)?;
        let connection = Connection::open(&path).map_err(failed)?;
        let prepare = || -> rusqlite::Result<Vec<String>> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute(
                "CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, change TEXT NOT NULL) STRICT",
                [],
            )?;
            let mut rows = connection.prepare("SELECT change FROM changes ORDER BY number")?;
            rows.query_map([], |row| row.get(0))?.collect()
        };
        let mut registry = Registry::default();
        for text in prepare().map_err(failed)? {
            let change: Change = serde_json::from_str(&text).map_err(|error| {
                let message = format!("{} holds a change that is not understood: {text}", path.display());
                SeamError::caused(ErrorKind::Corrupt, message, error)
            })?;
            registry.apply(change);
        }
        Ok(Self { connection, registry, _alone: alone })
    }

    /// What is kept.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Keeps `changes`, all or none. They are on disk when this returns.
    ///
    /// # Errors
    /// When they cannot be written; nothing has changed then.
    pub fn keep(&mut self, changes: Vec<Change>) -> Result<(), String> {
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for change in &changes {
                let text = serde_json::to_string(change).expect("changes are texts and numbers");
                transaction.execute("INSERT INTO changes (change) VALUES (?1)", params![text])?;
            }
            transaction.commit()
        };
        if !changes.is_empty() {
            write(&mut self.connection).map_err(|error| error.to_string())?;
        }
        changes.into_iter().for_each(|change| self.registry.apply(change));
        Ok(())
    }
}

/// One process at a time decides: two would give one number to two schemas.
fn lock(folder: &Path) -> SeamResult<File> {
    let path = folder.join(LOCK_FILE);
    let cannot = |error| {
        SeamError::caused(ErrorKind::Config, format!("the schema registry cannot lock {}", path.display()), error)
    };
    let file = File::create(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
        Err(TryLockError::WouldBlock) => {
            let message =
                format!("another schema registry uses {}: stop it or choose another folder", folder.display());
            Err(SeamError::new(ErrorKind::Config, message))
        }
    }
}

/// Copies the registry of the data folder `folder` to the new file `to`, as it is at one moment, also while it is in use;
/// false when there is none.
///
/// # Errors
/// `Retry` when it is busy for too long, `Corrupt` when it cannot be read.
pub fn copy_registry(folder: &Path, to: &Path) -> SeamResult<bool> {
    let path = folder.join(REGISTRY_FILE);
    if !path.is_file() {
        return Ok(false);
    }
    let copy = || -> rusqlite::Result<()> {
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        Ok(())
    };
    copy().map(|()| true).map_err(|error| {
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => ErrorKind::Retry,
            _ => ErrorKind::Corrupt,
        };
        SeamError::caused(kind, format!("the schema registry {} cannot be copied", path.display()), error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_in_use_can_be_copied_and_no_second_one_decides_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("copy");
        assert!(!copy_registry(folder.path(), &to).expect("there is none"));
        let shelf = Shelf::open(folder.path()).expect("a new one");
        let second = Shelf::open(folder.path()).expect_err("it is in use");
        assert!(second.message.contains("another schema registry"), "{second}");
        std::fs::create_dir(&to).expect("a folder");
        assert!(copy_registry(folder.path(), &to.join(REGISTRY_FILE)).expect("copied"));
        drop(shelf);
        Shelf::open(&to).expect("the copy is a registry");
        Shelf::open(folder.path()).expect("and so is the first");
    }
}
