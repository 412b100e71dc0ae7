//! What clients of PostgreSQL ask its catalog (`pg_catalog`), as far as tools that browse need it: which tables and columns
//! there are and what their types are called. It is made from the snapshot of the query that asks; it is no catalog that
//! could be changed, and what Weir does not have (indexes, keys, rules, comments) is empty there.

mod functions;
mod rewrite;
mod tables;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;

use crate::snapshot::Snapshot;

pub(crate) use functions::functions;
pub(crate) use rewrite::{empty_answer, translate};
pub use tables::oid_of_type;

/// The name of the schema.
pub(crate) const PG_CATALOG: &str = "pg_catalog";

/// Tables that are always empty, with their columns: numbers begin with `#`, flags with `?`.
const EMPTY: [(&str, &str); 31] = [
    ("pg_attrdef", "#oid #adrelid #adnum adbin"),
    ("pg_auth_members", "#oid #roleid #member #grantor ?admin_option"),
    ("pg_collation", "#oid collname #collnamespace #collowner"),
    (
        "pg_constraint",
        "#oid conname #connamespace contype #conrelid #conindid #conparentid #confrelid confupdtype confdeltype conkey confkey conbin",
    ),
    ("pg_cast", "#oid #castsource #casttarget"),
    ("pg_depend", "#classid #objid #objsubid #refclassid #refobjid #refobjsubid deptype"),
    ("pg_description", "#objoid #classoid #objsubid description"),
    ("pg_enum", "#oid #enumtypid #enumsortorder enumlabel"),
    ("pg_event_trigger", "#oid evtname"),
    ("pg_extension", "#oid extname extversion #extnamespace"),
    ("pg_foreign_server", "#oid srvname"),
    ("pg_foreign_table", "#ftrelid #ftserver"),
    ("pg_index", "#indexrelid #indrelid #indnatts ?indisunique ?indisprimary ?indisvalid indkey indexprs indpred"),
    ("pg_indexes", "schemaname tablename indexname tablespace indexdef"),
    ("pg_inherits", "#inhrelid #inhparent #inhseqno ?inhdetachpending"),
    ("pg_language", "#oid lanname"),
    ("pg_locks", "locktype #database #relation #pid mode ?granted"),
    ("pg_matviews", "schemaname matviewname matviewowner definition"),
    ("pg_operator", "#oid oprname"),
    ("pg_partitioned_table", "#partrelid partstrat"),
    ("pg_policy", "#oid polname #polrelid"),
    ("pg_proc", "#oid proname #pronamespace #proowner #prorettype prokind"),
    ("pg_publication", "#oid pubname ?puballtables"),
    ("pg_publication_namespace", "#oid #pnpubid #pnnspid"),
    ("pg_publication_rel", "#oid #prpubid #prrelid"),
    ("pg_rewrite", "#oid rulename #ev_class"),
    ("pg_sequence", "#seqrelid #seqtypid"),
    ("pg_shdescription", "#objoid #classoid description"),
    ("pg_statistic_ext", "#oid #stxrelid #stxnamespace stxname"),
    ("pg_trigger", "#oid #tgrelid tgname tgenabled ?tgisinternal"),
    ("pg_views", "schemaname viewname viewowner definition"),
];

/// Whether there is such a table.
pub(crate) fn has(name: &str) -> bool {
    tables::NAMES.contains(&name) || is_empty(name)
}

fn is_empty(name: &str) -> bool {
    EMPTY.iter().any(|(table, _)| *table == name)
}

/// Adds all tables of the catalog to a schema.
pub(crate) fn register(schema: &dyn SchemaProvider, snapshot: &Snapshot) -> Result<()> {
    let add = |name: &str, batch: RecordBatch| -> Result<()> {
        // A table of ours keeps its name.
        if !schema.table_exist(name) {
            let table: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?);
            schema.register_table(name.to_owned(), table)?;
        }
        Ok(())
    };
    for (name, batch) in tables::all(snapshot)? {
        add(name, batch)?;
    }
    for (name, columns) in EMPTY {
        let field = |column: &str| match column.split_at(1) {
            ("#", column) => Field::new(column, DataType::Int64, true),
            ("?", column) => Field::new(column, DataType::Boolean, true),
            _ => Field::new(column, DataType::Utf8, true),
        };
        let schema = Schema::new(columns.split(' ').map(field).collect::<Vec<_>>());
        add(name, RecordBatch::new_empty(Arc::new(schema)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
