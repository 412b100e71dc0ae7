//! Rows of a table go by a condition: compiled by `query`, carried out by the store. It asks nobody whether that is meant.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use weir_disk::{DataFolder, disk_error};
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_query::{QueryEngine, QueryError, RunOptions, count_of};
use weir_serve::{ChosenRows, DeletedRows, Deletions, TOKEN_FILE};
use weir_store::Store;

use crate::trust::Trust;

/// The rows of a store.
pub(crate) struct StoredRows {
    store: Arc<Store>,
    queries: Arc<QueryEngine>,
    trust: Trust,
}

impl StoredRows {
    /// Those of a store that `queries` asks.
    pub(crate) fn new(store: Arc<Store>, queries: Arc<QueryEngine>) -> Self {
        Self { store, queries, trust: Trust::new() }
    }

    /// The same, as long as `trust` holds.
    pub(crate) fn trusting(self, trust: &Trust) -> Self {
        Self { trust: trust.clone(), ..self }
    }

    /// How many rows are seen for which it is true.
    async fn count(&self, table: &str, condition: &str) -> Result<u64, QueryError> {
        let mut result = self.queries.run(&count_of(table, condition), RunOptions::default()).await?;
        let counted = result.collect_one().await?;
        Ok(counted.column(0).as_primitive::<Int64Type>().value(0).cast_unsigned())
    }
}

#[async_trait]
impl Deletions for StoredRows {
    async fn delete(&self, table: &str, chosen: ChosenRows) -> Result<DeletedRows, QueryError> {
        let condition = self.queries.condition(table, &chosen.r#where).await?;
        let mut deleted = 0;
        if !chosen.dry_run {
            let (store, of) = (Arc::clone(&self.store), table.to_owned());
            let removing = tokio::task::spawn_blocking(move || {
                store.remove_where(&of, |segment| condition.may_be_in(segment), |batch| condition.holds(batch))
            });
            let failed = |error| SeamError::caused(ErrorKind::Closed, "deleting rows failed", error);
            deleted = self.trust.keep(async { removing.await.map_err(failed)? }).await?;
            tracing::info!(table, condition = chosen.r#where, deleted, "rows were deleted");
        }
        Ok(DeletedRows { deleted, left: self.count(table, &chosen.r#where).await? })
    }
}

/// Makes the word that those must know who change tables, and puts it into the data folder, where only its owner reads it.
///
/// # Errors
/// As the disk says.
pub(crate) fn new_token(folder: &DataFolder) -> SeamResult<String> {
    // Each has 80 bits of chance.
    let token = format!("{}{}", folder.vfs().unused_name(), folder.vfs().unused_name());
    let path = folder.path().join(TOKEN_FILE);
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(token.as_bytes())
    };
    write().map_err(|error| disk_error("write", &path, error))?;
    Ok(token)
}

/// The word of the Weir that is up on the data folder `data`.
///
/// # Errors
/// `Config` when it cannot be read: whoever asks may not change tables.
pub(crate) fn token(data: &Path) -> SeamResult<String> {
    let path = data.join(TOKEN_FILE);
    std::fs::read_to_string(&path).map_err(|error| {
        let message = format!("{} cannot be read: deleting rows is for those who may read it", path.display());
        SeamError::caused(ErrorKind::Config, message, error)
    })
}
