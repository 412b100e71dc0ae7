//! What a registry has decided, on disk: one row of JSON per change, in the order in which they were made, in a SQLite file
//! of its own beside the catalog (WAL, `synchronous=FULL`). A registry is its changes, read from the first to the last; each
//! has the XXH3-64 of itself and of the one before's, so that what was changed, left out or put in between does not match.
//! Decides nothing.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};
use weir_disk::FileLock;
use weir_model::{ErrorKind, SeamError, SeamResult};
use xxhash_rust::xxh3::Xxh3;

use crate::core::{Change, Registry};

/// The file in the data folder.
pub const REGISTRY_FILE: &str = "registry.sqlite";

/// The file beside it that is locked by who decides; the registry itself can be read, for a backup.
const LOCK_FILE: &str = "registry.lock";

/// What that file says once there are changes: a registry that is missing from then on is not a new one.
const IN_USE: &[u8] = b"in use\n";

/// How long one process waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A registry on disk.
#[derive(Debug)]
pub struct Shelf {
    connection: Connection,
    registry: Registry,
    /// The checksum of the last change; 0 before the first.
    sum: i64,
    /// Held for as long as this process decides.
    alone: Alone,
}

impl Shelf {
    /// Opens the registry of a data folder, which may be new.
    ///
    /// # Errors
    /// `Corrupt` when the file is damaged or missing, `Config` when another process has it; when it holds what this version does
    /// not know.
    pub fn open(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(REGISTRY_FILE);
        let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(&path, &error.to_string()),
            _ => {
                let message = format!("the schema registry {} cannot be used", path.display());
                SeamError::caused(ErrorKind::Closed, message, error)
            }
        };
        let mut alone = Alone::lock(folder)?;
        if alone.is_in_use && !path.exists() {
            return Err(damaged(&path, "it is missing"));
        }
        let mut connection = Connection::open(&path).map_err(failed)?;
        let mut prepare = || -> rusqlite::Result<Vec<(String, i64)>> {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute(
                "CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, change TEXT NOT NULL, sum INTEGER) STRICT",
                [],
            )?;
            with_sums(&mut connection)?;
            let mut rows = connection.prepare("SELECT change, coalesce(sum, 0) FROM changes ORDER BY number")?;
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let (mut registry, mut sum) = (Registry::default(), 0);
        for (text, found) in prepare().map_err(failed)? {
            sum = sum_after(sum, &text);
            if sum != found {
                return Err(damaged(&path, &format!("a change does not match its checksum: {text}")));
            }
            let change: Change = serde_json::from_str(&text).map_err(|error| {
                let message = format!("{} holds a change that is not understood: {text}", path.display());
                SeamError::caused(ErrorKind::Corrupt, message, error)
            })?;
            registry.apply(change);
        }
        check_pages(&connection, &path).map_err(failed)??;
        if sum != 0 {
            alone.note_in_use()?;
        }
        Ok(Self { connection, registry, sum, alone })
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
        let before = self.sum;
        let write = |connection: &mut Connection| -> rusqlite::Result<i64> {
            let (transaction, mut sum) = (connection.transaction()?, before);
            for change in &changes {
                let text = serde_json::to_string(change).expect("changes are texts and numbers");
                sum = sum_after(sum, &text);
                transaction.execute("INSERT INTO changes (change, sum) VALUES (?1, ?2)", params![text, sum])?;
            }
            transaction.commit()?;
            Ok(sum)
        };
        if !changes.is_empty() {
            self.sum = write(&mut self.connection).map_err(|error| error.to_string())?;
            self.alone.note_in_use().map_err(|error| error.full())?;
        }
        changes.into_iter().for_each(|change| self.registry.apply(change));
        Ok(())
    }
}

fn damaged(path: &Path, why: &str) -> SeamError {
    let message = format!(
        "the schema registry {} is damaged: {why}; bring the data folder back from a backup (weir restore FOLDER --data NEW), \
         or move it and {LOCK_FILE} away to begin anew",
        path.display()
    );
    SeamError::new(ErrorKind::Corrupt, message)
}

/// The checksum of a change that follows one with the checksum `before`.
fn sum_after(before: i64, text: &str) -> i64 {
    let mut hasher = Xxh3::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(text.as_bytes());
    hasher.digest().cast_signed()
}

/// Gives checksums to what was written before there were any.
fn with_sums(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let has_sums = "SELECT count(*) FROM pragma_table_info('changes') WHERE name = 'sum'";
    if transaction.query_row(has_sums, [], |row| row.get::<_, i64>(0))? > 0 {
        return Ok(());
    }
    transaction.execute("ALTER TABLE changes ADD COLUMN sum INTEGER", [])?;
    let mut rows = transaction.prepare("SELECT number, change FROM changes ORDER BY number")?;
    let changes = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let changes = changes.collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    drop(rows);
    let mut sum = 0;
    for (number, text) in changes {
        sum = sum_after(sum, &text);
        transaction.execute("UPDATE changes SET sum = ?2 WHERE number = ?1", params![number, sum])?;
    }
    transaction.commit()
}

/// Looks at every page.
fn check_pages(connection: &Connection, path: &Path) -> rusqlite::Result<SeamResult<()>> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if verdict == "ok" { Ok(()) } else { Err(damaged(path, &verdict)) })
}

/// One process at a time decides: two would give one number to two schemas.
#[derive(Debug)]
struct Alone {
    file: FileLock,
    is_in_use: bool,
}

impl Alone {
    fn lock(folder: &Path) -> SeamResult<Self> {
        let path = folder.join(LOCK_FILE);
        let taken = || {
            let message =
                format!("another schema registry uses {}: stop it or choose another folder", folder.display());
            SeamError::new(ErrorKind::Config, message)
        };
        let file = FileLock::take(&path).map_err(|error| cannot_lock(&path, error))?.ok_or_else(taken)?;
        let mut first = [0];
        let is_in_use = (&*file).read(&mut first).map_err(|error| cannot_lock(&path, error))? > 0;
        Ok(Self { file, is_in_use })
    }

    /// Notes that there are changes. What is not noted before a crash is noted at the next start.
    fn note_in_use(&mut self) -> SeamResult<()> {
        if !self.is_in_use {
            (&*self.file).write_all(IN_USE).map_err(|error| cannot_lock(Path::new(LOCK_FILE), error))?;
            self.is_in_use = true;
        }
        Ok(())
    }
}

fn cannot_lock(path: &Path, error: std::io::Error) -> SeamError {
    SeamError::caused(ErrorKind::Config, format!("the schema registry cannot lock {}", path.display()), error)
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

    #[test]
    fn a_registry_that_is_closed_can_be_opened_though_a_child_still_has_a_copy_of_its_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::open(folder.path()).expect("a new one");
        let copy = shelf.alone.file.try_clone().expect("what a fork copies");
        drop(shelf);
        Shelf::open(folder.path()).expect("it is closed");
        drop(copy);
    }

    fn versions(of: std::ops::Range<u32>) -> Vec<Change> {
        of.map(|id| Change::Version { subject: format!("orders-{id}-value"), version: 1, id }).collect()
    }

    /// A registry of some changes, as a file.
    fn written() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shelf = Shelf::open(folder.path()).expect("a new one");
        shelf.keep(versions(1..40)).expect("kept");
        shelf.keep(versions(40..60)).expect("kept");
        drop(shelf);
        let bytes = std::fs::read(folder.path().join(REGISTRY_FILE)).expect("it is there");
        (folder, bytes)
    }

    #[test]
    fn a_registry_that_is_damaged_in_any_way_is_refused_with_its_name_or_says_what_it_said() {
        let (folder, sound) = written();
        let path = folder.path().join(REGISTRY_FILE);
        let known = format!("{:?}", Shelf::open(folder.path()).expect("sound").registry());
        let check = |what: &str, bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("damaged");
            match Shelf::open(folder.path()) {
                Ok(shelf) => assert_eq!(format!("{:?}", shelf.registry()), known, "{what}"),
                Err(error) => {
                    assert!(error.full().contains(REGISTRY_FILE), "{what}: {}", error.full());
                    return 1;
                }
            }
            0
        };
        let flipped = |at: usize| {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            bytes
        };
        let refused: usize = (0..sound.len()).step_by(41).map(|at| check("flipped", &flipped(at))).sum();
        assert!(refused > 50, "{refused} of {}", sound.len() / 41);
        for half in [sound.len() / 2, 4096, 100] {
            assert_eq!(check("cut", &sound[..half]), 1);
        }
        let mut zeroed = sound.clone();
        zeroed[4096..8192].fill(0);
        assert_eq!(check("zeroed", &zeroed), 1);
        std::fs::remove_file(&path).expect("removed");
        let error = Shelf::open(folder.path()).expect_err("it is missing").full();
        assert!(error.contains("it is missing") && error.contains("weir restore"), "{error}");
        std::fs::write(&path, &sound).expect("put back");
        Shelf::open(folder.path()).expect("as it was");
    }

    #[test]
    fn one_that_was_written_without_checksums_gets_them() {
        let (folder, _) = written();
        let path = folder.path().join(REGISTRY_FILE);
        let known = format!("{:?}", Shelf::open(folder.path()).expect("sound").registry());
        let connection = Connection::open(&path).expect("opened");
        connection.execute("ALTER TABLE changes DROP COLUMN sum", []).expect("as it was before");
        drop(connection);
        for _ in 0..2 {
            let shelf = Shelf::open(folder.path()).expect("opened");
            assert_eq!(format!("{:?}", shelf.registry()), known);
        }
    }
}
