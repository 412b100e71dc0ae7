//! Files that are not part of any table any more, until it is safe to delete them.

use rusqlite::params;
use weir_model::SeamResult;

use super::Catalog;

impl Catalog {
    /// Each grave: the path relative to the data folder, and since when in microseconds.
    pub(crate) fn graves(&self) -> SeamResult<Vec<(String, i64)>> {
        let read = || -> rusqlite::Result<Vec<(String, i64)>> {
            self.connection
                .prepare("SELECT path, since FROM graves ORDER BY path")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        read().map_err(|error| self.error("read", error))
    }

    /// Forgets graves whose files are deleted.
    pub(crate) fn forget_graves(&mut self, paths: &[String]) -> SeamResult<()> {
        let path = self.path.clone();
        let mut forget = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for path in paths {
                transaction.execute("DELETE FROM graves WHERE path = ?1", params![path])?;
            }
            transaction.commit()
        };
        forget().map_err(|error| super::catalog_error("write", &path, error))
    }
}
