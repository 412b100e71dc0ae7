//! The tables of the catalog that have rows. Numbers of tables and schemas are made of their names, so that they are the same in
//! every query.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64;

use super::PG_CATALOG;
use crate::snapshot::Snapshot;
use crate::statement::{LIVE_SCHEMA, SCHEMA};

pub(super) const NAMES: [&str; 12] = [
    "pg_am",
    "pg_attribute",
    "pg_authid",
    "pg_class",
    "pg_database",
    "pg_namespace",
    "pg_roles",
    "pg_settings",
    "pg_tables",
    "pg_tablespace",
    "pg_type",
    "pg_user",
];

/// Numbers below are PostgreSQL's own.
const FIRST_OID: i64 = 16_384;
/// Of the only role.
const OWNER: i64 = 10;
/// Of `pg_catalog`, as in PostgreSQL.
const CATALOG_OID: i64 = 11;
/// Of the way in which tables are stored.
const HEAP: i64 = 2;
pub(super) const ROLE: &str = "weir";
const DATABASE: &str = "weir";
const INFORMATION_SCHEMA: &str = "information_schema";

/// The types that columns have, as PostgreSQL numbers and calls them: number, name, name in SQL, bytes, category.
pub(super) const TYPES: [(i64, &str, &str, i64, &str); 17] = [
    (16, "bool", "boolean", 1, "B"),
    (17, "bytea", "bytea", -1, "U"),
    (18, "char", "\"char\"", 1, "Z"),
    (19, "name", "name", 64, "S"),
    (20, "int8", "bigint", 8, "N"),
    (21, "int2", "smallint", 2, "N"),
    (23, "int4", "integer", 4, "N"),
    (25, "text", "text", -1, "S"),
    (26, "oid", "oid", 4, "N"),
    (114, "json", "json", -1, "U"),
    (700, "float4", "real", 4, "N"),
    (701, "float8", "double precision", 8, "N"),
    (1043, "varchar", "character varying", -1, "S"),
    (1082, "date", "date", 4, "D"),
    (1114, "timestamp", "timestamp without time zone", 8, "D"),
    (1184, "timestamptz", "timestamp with time zone", 8, "D"),
    (1700, "numeric", "numeric", -1, "N"),
];

/// The number of the type that a column has for clients of PostgreSQL, from PostgreSQL's `pg_type`.
pub fn oid_of_type(kind: &DataType) -> i64 {
    match kind {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => 21,
        DataType::Int32 | DataType::UInt16 => 23,
        DataType::Int64 | DataType::UInt32 => 20,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::UInt64 | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => 1700,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            zone,
        ) => {
            if zone.is_some() {
                1184
            } else {
                1114
            }
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_)
        | DataType::Map(..) => 114,
        DataType::Dictionary(_, value) => oid_of_type(value),
        _ => 25,
    }
}

/// The number of a schema.
fn schema_oid(schema: &str) -> i64 {
    if schema == PG_CATALOG { CATALOG_OID } else { hashed(schema) }
}

/// The number of a table; `name` is one of `public`, or has its schema before it.
pub(super) fn table_oid(name: &str) -> i64 {
    let name = name.trim_matches('"');
    match name.strip_prefix("public.").unwrap_or(name) {
        // those that PostgreSQL's own questions compare with
        "pg_class" | "pg_catalog.pg_class" => 1259,
        "pg_namespace" | "pg_catalog.pg_namespace" => 2615,
        "pg_type" | "pg_catalog.pg_type" => 1247,
        "pg_database" | "pg_catalog.pg_database" => 1262,
        name => hashed(name),
    }
}

fn hashed(name: &str) -> i64 {
    FIRST_OID + i64::from((xxh3_64(name.as_bytes()) as u32) >> 2)
}

/// A table with its columns as they come.
struct Made {
    columns: Vec<(&'static str, ArrayRef)>,
    rows: usize,
}

impl Made {
    fn new(rows: usize) -> Self {
        Self { columns: Vec::new(), rows }
    }

    fn numbers(mut self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.columns.push((name, Arc::new(Int64Array::from_iter_values(values))));
        self
    }

    fn texts(mut self, name: &'static str, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.columns.push((name, Arc::new(StringArray::from_iter_values(values))));
        self
    }

    /// Columns that say the same in every row.
    fn all(self, names: &[&'static str], value: i64) -> Self {
        names.iter().fold(self, |made, name| {
            let rows = made.rows;
            made.numbers(name, std::iter::repeat_n(value, rows))
        })
    }

    fn all_text(self, names: &[&'static str], value: &str) -> Self {
        names.iter().fold(self, |made, name| {
            let rows = made.rows;
            made.texts(name, std::iter::repeat_n(value, rows))
        })
    }

    fn flags(mut self, names: &[&'static str], value: bool) -> Self {
        for name in names {
            self.columns.push((name, Arc::new(BooleanArray::from(vec![value; self.rows]))));
        }
        self
    }

    fn nulls(mut self, names: &[&'static str]) -> Self {
        for name in names {
            self.columns.push((name, new_null_array(&DataType::Utf8, self.rows)));
        }
        self
    }

    fn null_lists(mut self, names: &[&'static str]) -> Self {
        for name in names {
            self.columns.push((name, new_null_array(&DataType::new_list(DataType::Utf8, true), self.rows)));
        }
        self
    }

    fn done(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_from_iter_with_nullable(self.columns.into_iter().map(|(name, column)| (name, column, true)))
    }
}

/// A table of ours.
struct Table {
    schema: &'static str,
    name: String,
    oid: i64,
    rows: i64,
    columns: arrow::datatypes::SchemaRef,
}

fn tables_of(snapshot: &Snapshot) -> Vec<Table> {
    let stored = snapshot.tables.iter().map(|(name, table)| Table {
        schema: SCHEMA,
        name: name.clone(),
        oid: table_oid(name),
        rows: i64::try_from(table.rows()).unwrap_or(i64::MAX),
        columns: Arc::clone(&table.schema),
    });
    let live = snapshot.live.iter().flat_map(|live| live.declared()).map(|(name, columns)| Table {
        schema: LIVE_SCHEMA,
        oid: table_oid(&format!("{LIVE_SCHEMA}.{name}")),
        name,
        rows: -1,
        columns,
    });
    stored.chain(live).collect()
}

/// All of them.
pub(super) fn all(snapshot: &Snapshot) -> Result<Vec<(&'static str, RecordBatch)>, ArrowError> {
    let tables = tables_of(snapshot);
    let role = || {
        Made::new(1)
            .numbers("oid", [OWNER])
            .texts("rolname", [ROLE])
            .flags(&["rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls"], false)
            .flags(&["rolinherit", "rolcanlogin"], true)
            .all(&["rolconnlimit"], -1)
            .nulls(&["rolpassword", "rolvaliduntil", "rolconfig"])
            .done()
    };
    Ok(vec![
        ("pg_am", Made::new(1).numbers("oid", [HEAP]).texts("amname", ["heap"]).texts("amtype", ["t"]).done()?),
        ("pg_attribute", attributes(&tables)?),
        ("pg_authid", role()?),
        ("pg_class", classes(&tables)?),
        ("pg_database", databases()?),
        ("pg_namespace", namespaces()?),
        ("pg_roles", role()?),
        ("pg_settings", settings()?),
        ("pg_tables", listed(&tables)?),
        ("pg_tablespace", Made::new(1).numbers("oid", [1663]).texts("spcname", ["pg_default"]).done()?),
        ("pg_type", types()?),
        ("pg_user", users()?),
    ])
}

fn namespaces() -> Result<RecordBatch, ArrowError> {
    let names = [PG_CATALOG, INFORMATION_SCHEMA, LIVE_SCHEMA, SCHEMA];
    Made::new(names.len())
        .numbers("oid", names.map(schema_oid))
        .texts("nspname", names)
        .all(&["nspowner"], OWNER)
        .nulls(&["nspacl"])
        .done()
}

fn classes(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let count = |table: &Table| i64::try_from(table.columns.fields().len()).unwrap_or(i64::MAX);
    Made::new(tables.len())
        .numbers("oid", tables.iter().map(|table| table.oid))
        .texts("relname", tables.iter().map(|table| &table.name))
        .numbers("relnamespace", tables.iter().map(|table| schema_oid(table.schema)))
        .all(&["relowner"], OWNER)
        .all(&["relam"], HEAP)
        .numbers("reltuples", tables.iter().map(|table| table.rows))
        .texts("relkind", tables.iter().map(|table| if table.schema == LIVE_SCHEMA { "v" } else { "r" }))
        .numbers("relnatts", tables.iter().map(count))
        .all(
            &[
                "reltype",
                "reloftype",
                "relfilenode",
                "reltablespace",
                "relpages",
                "relallvisible",
                "reltoastrelid",
                "relchecks",
                "relrewrite",
                "relfrozenxid",
                "relminmxid",
            ],
            0,
        )
        .all_text(&["relpersistence"], "p")
        .all_text(&["relreplident"], "n")
        .flags(
            &[
                "relhasindex",
                "relisshared",
                "relhasrules",
                "relhastriggers",
                "relhassubclass",
                "relrowsecurity",
                "relforcerowsecurity",
                "relispartition",
                "relhasoids",
            ],
            false,
        )
        .flags(&["relispopulated"], true)
        .nulls(&["relacl", "reloptions", "relpartbound"])
        .done()
}

fn attributes(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let of = |table: &Table| -> Vec<(i64, String, i64, i64)> {
        let fields = table.columns.fields().iter().zip(1..);
        fields.map(|(field, at)| (table.oid, field.name().clone(), oid_of_type(field.data_type()), at)).collect()
    };
    let columns: Vec<_> = tables.iter().flat_map(of).collect();
    let bytes = |oid: i64| TYPES.iter().find(|of| of.0 == oid).map_or(-1, |of| of.3);
    Made::new(columns.len())
        .numbers("attrelid", columns.iter().map(|column| column.0))
        .texts("attname", columns.iter().map(|column| &column.1))
        .numbers("atttypid", columns.iter().map(|column| column.2))
        .numbers("attlen", columns.iter().map(|column| bytes(column.2)))
        .numbers("attnum", columns.iter().map(|column| column.3))
        .all(&["atttypmod", "attstattarget", "attcacheoff"], -1)
        .all(&["attndims", "attinhcount", "attcollation"], 0)
        .all_text(&["attidentity", "attgenerated", "attcompression"], "")
        .all_text(&["attalign"], "d")
        .all_text(&["attstorage"], "p")
        .flags(&["attnotnull", "atthasdef", "atthasmissing", "attisdropped", "attbyval"], false)
        .flags(&["attislocal"], true)
        .nulls(&["attacl", "attoptions", "attfdwoptions", "attmissingval"])
        .done()
}

fn types() -> Result<RecordBatch, ArrowError> {
    Made::new(TYPES.len())
        .numbers("oid", TYPES.map(|of| of.0))
        .texts("typname", TYPES.map(|of| of.1))
        .all(&["typnamespace"], CATALOG_OID)
        .all(&["typowner"], OWNER)
        .numbers("typlen", TYPES.map(|of| of.3))
        .texts("typcategory", TYPES.map(|of| of.4))
        .all_text(&["typtype"], "b")
        .all_text(&["typdelim"], ",")
        .all_text(&["typinput", "typoutput", "typreceive", "typsend"], "")
        .all(&["typrelid", "typelem", "typarray", "typbasetype", "typndims", "typcollation"], 0)
        .all(&["typtypmod"], -1)
        .flags(&["typbyval", "typispreferred", "typnotnull"], false)
        .flags(&["typisdefined"], true)
        .nulls(&["typdefault", "typacl"])
        .done()
}

fn databases() -> Result<RecordBatch, ArrowError> {
    Made::new(1)
        .numbers("oid", [FIRST_OID - 1])
        .texts("datname", [DATABASE])
        .numbers("datdba", [OWNER])
        // UTF8
        .numbers("encoding", [6])
        .all_text(&["datlocprovider"], "c")
        .all_text(&["datcollate", "datctype"], "C")
        .all(&["datconnlimit"], -1)
        .all(&["dattablespace"], 1663)
        .flags(&["datistemplate"], false)
        .flags(&["datallowconn"], true)
        .nulls(&["daticulocale"])
        .null_lists(&["datacl"])
        .done()
}

fn users() -> Result<RecordBatch, ArrowError> {
    Made::new(1)
        .texts("usename", [ROLE])
        .numbers("usesysid", [OWNER])
        .flags(&["usecreatedb", "usesuper", "userepl", "usebypassrls"], false)
        .nulls(&["passwd", "valuntil", "useconfig"])
        .done()
}

fn settings() -> Result<RecordBatch, ArrowError> {
    let all = super::functions::SETTINGS;
    Made::new(all.len())
        .texts("name", all.map(|(name, _)| name))
        .texts("setting", all.map(|(_, value)| value))
        .all_text(&["category", "short_desc"], "")
        .done()
}

fn listed(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    Made::new(tables.len())
        .texts("schemaname", tables.iter().map(|table| table.schema))
        .texts("tablename", tables.iter().map(|table| &table.name))
        .all_text(&["tableowner"], ROLE)
        .nulls(&["tablespace"])
        .flags(&["hasindexes", "hasrules", "hastriggers", "rowsecurity"], false)
        .done()
}
