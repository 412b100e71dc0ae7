//! What a registry has decided, on disk: one row of JSON per change, in the order in which they were made, in a SQLite file
//! of its own beside the catalog (WAL, `synchronous=FULL`). A registry is its changes, read from the first to the last.
//! Decides nothing.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::core::{Change, Registry};

/// The file in the data folder.
pub const REGISTRY_FILE: &str = "registry.sqlite";

/// How long one process waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A registry on disk.
#[derive(Debug)]
pub struct Shelf {
    connection: Connection,
    registry: Registry,
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
        let connection = Connection::open(&path).map_err(failed)?;
        let prepare = || -> rusqlite::Result<Vec<String>> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            // One process at a time decides: two would give one number to two schemas.
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
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
        Ok(Self { connection, registry })
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
