//! What is chosen about tables, in the catalog.

use std::collections::BTreeMap;

use rusqlite::{TransactionBehavior, params};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::{Catalog, catalog_error};
use crate::TableSettings;

impl Catalog {
    /// What is chosen about each table; nothing for those of which nobody ever chose anything.
    ///
    /// # Errors
    /// `Config` when a newer Weir wrote what this one does not know.
    pub(crate) fn settings(&self) -> SeamResult<BTreeMap<String, TableSettings>> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            self.connection
                .prepare("SELECT table_name, body FROM settings ORDER BY table_name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let found = read().map_err(|error| self.error("read", error))?;
        let parsed = found.into_iter().map(|(table, body)| match serde_json::from_str(&body) {
            Ok(settings) => Ok((table, settings)),
            Err(error) => {
                let path = self.path.display();
                let message = format!(
                    "the settings of the table {table} in {path} cannot be read: use the newer weir that wrote it"
                );
                Err(SeamError::caused(ErrorKind::Config, message, error))
            }
        });
        parsed.collect()
    }

    /// Writes down what is chosen about tables, all of it or nothing.
    pub(crate) fn settle(&mut self, chosen: &BTreeMap<String, TableSettings>) -> SeamResult<()> {
        let unwritten = |error| SeamError::caused(ErrorKind::Closed, "cannot write settings as JSON", error);
        let bodies =
            chosen.iter().map(|(table, settings)| Ok((table, serde_json::to_string(settings).map_err(unwritten)?)));
        let bodies = bodies.collect::<SeamResult<Vec<_>>>()?;
        let path = self.path.clone();
        let mut settle = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (table, body) in &bodies {
                transaction.execute(
                    "INSERT INTO settings (table_name, body) VALUES (?1, ?2)
                     ON CONFLICT (table_name) DO UPDATE SET body = ?2 WHERE body <> ?2",
                    params![table, body],
                )?;
            }
            transaction.commit()
        };
        settle().map_err(|error| catalog_error("write", &path, error))
    }
}
