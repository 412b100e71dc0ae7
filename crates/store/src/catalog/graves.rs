//! Files that are not part of any table any more, until it is safe to delete them.

use rusqlite::params;
use weir_model::SeamResult;

use super::Catalog;
use super::tables::object_of;
use crate::tiers::Object;

/// A grave as the catalog has it.
#[derive(Clone, Debug)]
pub(crate) struct CatalogGrave {
    /// Relative to the data folder.
    pub(crate) path: String,
    /// Since when, in microseconds.
    pub(crate) since: i64,
    /// The object that goes.
    pub(crate) object: Option<Object>,
    /// Whether its search index goes too.
    pub(crate) index: bool,
}

impl Catalog {
    /// All graves.
    pub(crate) fn graves(&self) -> SeamResult<Vec<CatalogGrave>> {
        let read = || -> rusqlite::Result<Vec<CatalogGrave>> {
            self.connection
                .prepare("SELECT path, since, object, with_index FROM graves ORDER BY path")?
                .query_map([], |row| {
                    let object = object_of(row.get(2)?);
                    Ok(CatalogGrave { path: row.get(0)?, since: row.get(1)?, object, index: row.get(3)? })
                })?
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
