//! The catalog's layout and its versions. Each migration is one transaction; the version is SQLite's `user_version`.
//!
//! | table | one row is |
//! |---|---|
//! | `tables` | a table: its schema (Arrow IPC) and its column of event times |
//! | `segments` | a file of a table; `place` orders them as they were committed; `trouble` says why it is not read, `lies_at` in which bucket it lies (JSON) if not here |
//! | `commits` | a commit of a pipeline: the `EpochCommit` as JSON with its XXH3-64 |
//! | `swaps` | an exchange of rows: whose, the epoch that the rows that came belong to, whether it stands |
//! | `settings` | what is chosen about a table, as JSON; the table need not be there yet |
//! | `graves` | a file that is not part of any table any more, since when (microseconds), the object of it in a bucket, whether its index goes too |
//!
//! Paths are relative to the data folder, checksums are XXH3-64 stored as signed integers.

use rusqlite::TransactionBehavior;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::Catalog;

const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE tables (
        name TEXT PRIMARY KEY,
        schema BLOB NOT NULL,
        time_column TEXT
    ) STRICT;
    CREATE TABLE segments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        table_name TEXT NOT NULL REFERENCES tables(name),
        path TEXT NOT NULL UNIQUE,
        place INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        time_min INTEGER,
        time_max INTEGER,
        level INTEGER NOT NULL,
        pipeline TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        trouble TEXT
    ) STRICT;
    CREATE INDEX segments_by_table ON segments(table_name, place);
    CREATE INDEX segments_by_epoch ON segments(pipeline, epoch);
    CREATE TABLE commits (
        pipeline TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        body TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        committed_at INTEGER NOT NULL,
        PRIMARY KEY (pipeline, epoch)
    ) STRICT;
    CREATE TABLE graves (
        path TEXT PRIMARY KEY,
        since INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE swaps (
        id TEXT PRIMARY KEY,
        pipeline TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        is_in INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE settings (
        table_name TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE segments ADD COLUMN lies_at TEXT;
    ALTER TABLE graves ADD COLUMN object TEXT;
    ALTER TABLE graves ADD COLUMN with_index INTEGER NOT NULL DEFAULT 1;
",
];

/// The version that this program writes.
const VERSION: usize = MIGRATIONS.len();

fn version(catalog: &Catalog) -> SeamResult<usize> {
    let version: i64 = catalog
        .connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| catalog.error("read", error))?;
    let path = catalog.path.display();
    match usize::try_from(version) {
        Ok(version) if version <= VERSION => Ok(version),
        _ => Err(SeamError::new(
            ErrorKind::Config,
            format!(
                "{path} has version {version} and this weir knows up to {VERSION}: use the newer weir that wrote it"
            ),
        )),
    }
}

/// Refuses a catalog that this program cannot read.
pub(super) fn check(catalog: &Catalog) -> SeamResult<()> {
    let (found, path) = (version(catalog)?, catalog.path.display());
    if found == VERSION {
        return Ok(());
    }
    let message =
        format!("{path} has the older version {found}: start weir on this folder once, which brings it to {VERSION}");
    Err(SeamError::new(ErrorKind::Config, message))
}

/// Brings the catalog to [`VERSION`].
pub(super) fn migrate(catalog: &mut Catalog) -> SeamResult<()> {
    let found = version(catalog)?;
    for (from, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let run = |connection: &mut rusqlite::Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", (from + 1) as i64)?;
            transaction.commit()
        };
        run(&mut catalog.connection).map_err(|error| catalog.error("migrate", error))?;
    }
    Ok(())
}
