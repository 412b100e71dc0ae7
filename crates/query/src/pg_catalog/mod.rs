//! What clients of PostgreSQL ask its catalog (`pg_catalog`), as far as tools that browse need it: which tables and columns
//! there are and what their types are called. It is made from the snapshot of the query that asks; it is no catalog that
//! could be changed, and what Weir does not have (indexes, keys, rules, comments) is empty there.

mod empty;
mod functions;
pub(crate) mod information;
mod made;
mod rewrite;
mod settings;
mod tables;
pub(crate) mod written;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;

use crate::snapshot::Snapshot;

pub(crate) use functions::functions;
pub(crate) use rewrite::{empty_answer, translate};
pub use settings::{SETTINGS, Setting};
pub use tables::{modifier_of_type, oid_of_type};

/// The name of the schema.
pub(crate) const PG_CATALOG: &str = "pg_catalog";

/// Whether there is such a table.
pub(crate) fn has(name: &str) -> bool {
    tables::NAMES.contains(&name) || empty::has(name)
}

/// Adds all tables of the catalog to a schema.
pub(crate) fn register(schema: &dyn SchemaProvider, snapshot: &Snapshot) -> Result<()> {
    for (name, batch) in tables::all(snapshot)? {
        add(schema, name, batch)?;
    }
    for (name, columns) in empty::all() {
        add(schema, name, RecordBatch::new_empty(columns))?;
    }
    Ok(())
}

/// Adds a table, unless there is one of ours that is called so: that keeps its name.
fn add(schema: &dyn SchemaProvider, name: &str, batch: RecordBatch) -> Result<()> {
    if !schema.table_exist(name) {
        let table: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?);
        schema.register_table(name.to_owned(), table)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
