//! The tables of the catalog that have rows. Numbers of tables and schemas are made of their names, so that they are the same in
//! every query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use datafusion::sql::sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword, RESERVED_FOR_COLUMN_ALIAS};
use xxhash_rust::xxh3::xxh3_64;

use super::PG_CATALOG;
use super::made::Made;
use super::settings::{SETTINGS, Setting};
use crate::snapshot::Snapshot;
use crate::statement::{LIVE_SCHEMA, SCHEMA};

pub(super) const NAMES: [&str; 18] = [
    "pg_am",
    "pg_attribute",
    "pg_authid",
    "pg_class",
    "pg_database",
    "pg_get_keywords",
    "pg_namespace",
    "pg_roles",
    "pg_settings",
    "pg_shadow",
    "pg_stat_all_tables",
    "pg_stat_user_tables",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
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
pub(super) const DATABASE: &str = "weir";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

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

/// What PostgreSQL says of a type besides its number: of decimal numbers, how many digits they have and how many of those are
/// behind the point; -1 where there is nothing to say.
pub fn modifier_of_type(kind: &DataType) -> i32 {
    /// Of the header of a value, which is counted.
    const HEADER: i32 = 4;
    match kind {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale) => ((i32::from(*digits) << 16) | (i32::from(*scale) & 0x7ff)) + HEADER,
        DataType::Dictionary(_, value) => modifier_of_type(value),
        _ => -1,
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

/// A table of ours.
pub(super) struct Table {
    pub(super) schema: &'static str,
    pub(super) name: String,
    oid: i64,
    rows: i64,
    columns: SchemaRef,
}

impl Table {
    pub(super) fn fields(&self) -> &[FieldRef] {
        self.columns.fields()
    }
}

/// Those that are stored, and the open windows.
pub(super) fn tables_of(snapshot: &Snapshot) -> Vec<Table> {
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
            .nulls(&["rolpassword", "rolvaliduntil"])
            .null_lists(&["rolconfig"])
            .done()
    };
    Ok(vec![
        ("pg_am", access_methods()?),
        ("pg_attribute", attributes(&tables)?),
        ("pg_authid", role()?),
        ("pg_class", classes(&tables)?),
        ("pg_database", databases()?),
        ("pg_get_keywords", keywords()?),
        ("pg_namespace", namespaces()?),
        ("pg_roles", role()?),
        ("pg_settings", settings()?),
        ("pg_shadow", users()?),
        ("pg_stat_all_tables", counted(&tables)?),
        ("pg_stat_user_tables", counted(&tables)?),
        ("pg_tables", listed(&tables)?),
        ("pg_tablespace", tablespaces()?),
        ("pg_timezone_abbrevs", zones("abbrev")?),
        ("pg_timezone_names", zones("name")?),
        ("pg_type", types()?),
        ("pg_user", users()?),
    ])
}

fn access_methods() -> Result<RecordBatch, ArrowError> {
    Made::new(1)
        .numbers("oid", [HEAP])
        .texts("amname", ["heap"])
        .all_text(&["amhandler"], "heap_tableam_handler")
        .texts("amtype", ["t"])
        .all(&["xmin"], 0)
        .done()
}

/// The words of SQL, those that cannot be names among them.
fn keywords() -> Result<RecordBatch, ArrowError> {
    let words = || ALL_KEYWORDS.iter().zip(ALL_KEYWORDS_INDEX).filter(|(word, _)| word.len() > 1);
    let reserved = |keyword: &Keyword| RESERVED_FOR_COLUMN_ALIAS.contains(keyword);
    Made::new(words().count())
        .texts("word", words().map(|(word, _)| word.to_lowercase()))
        .texts("catcode", words().map(|(_, keyword)| if reserved(keyword) { "R" } else { "U" }))
        .texts("catdesc", words().map(|(_, keyword)| if reserved(keyword) { "reserved" } else { "unreserved" }))
        .done()
}

fn tablespaces() -> Result<RecordBatch, ArrowError> {
    Made::new(1)
        .numbers("oid", [1663])
        .texts("spcname", ["pg_default"])
        .all(&["spcowner"], OWNER)
        .null_lists(&["spcacl", "spcoptions"])
        .all(&["xmin"], 0)
        .done()
}

/// The only zone in which times are said.
fn zones(name: &'static str) -> Result<RecordBatch, ArrowError> {
    let made = Made::new(1).texts(name, ["UTC"]);
    let made = if name == "name" { made.texts("abbrev", ["UTC"]) } else { made };
    made.texts("utc_offset", ["00:00:00"]).flags(&["is_dst"], false).done()
}

/// How many rows there are, as far as that is known beforehand.
fn counted(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let stored: Vec<&Table> = tables.iter().filter(|table| table.schema == SCHEMA).collect();
    Made::new(stored.len())
        .numbers("relid", stored.iter().map(|table| table.oid))
        .texts("schemaname", stored.iter().map(|table| table.schema))
        .texts("relname", stored.iter().map(|table| &table.name))
        .numbers("n_live_tup", stored.iter().map(|table| table.rows))
        .all(&["seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch"], 0)
        .all(&["n_tup_ins", "n_tup_upd", "n_tup_del", "n_dead_tup", "n_mod_since_analyze"], 0)
        .nulls(&["last_vacuum", "last_autovacuum", "last_analyze", "last_autoanalyze"])
        .done()
}

fn namespaces() -> Result<RecordBatch, ArrowError> {
    let names = [PG_CATALOG, INFORMATION_SCHEMA, LIVE_SCHEMA, SCHEMA];
    Made::new(names.len())
        .numbers("oid", names.map(schema_oid))
        .texts("nspname", names)
        .all(&["nspowner"], OWNER)
        .null_lists(&["nspacl"])
        .all(&["xmin"], 0)
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
                "xmin",
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
        .null_lists(&["relacl", "reloptions"])
        .nulls(&["relpartbound"])
        .done()
}

fn attributes(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let of = |table: &Table| -> Vec<(i64, String, i64, i64, i64)> {
        let fields = table.fields().iter().zip(1..);
        let column = |(field, at): (&FieldRef, i64)| {
            let kind = field.data_type();
            (table.oid, field.name().clone(), oid_of_type(kind), at, i64::from(modifier_of_type(kind)))
        };
        fields.map(column).collect()
    };
    let columns: Vec<_> = tables.iter().flat_map(of).collect();
    let bytes = |oid: i64| TYPES.iter().find(|of| of.0 == oid).map_or(-1, |of| of.3);
    Made::new(columns.len())
        .numbers("attrelid", columns.iter().map(|column| column.0))
        .texts("attname", columns.iter().map(|column| &column.1))
        .numbers("atttypid", columns.iter().map(|column| column.2))
        .numbers("attlen", columns.iter().map(|column| bytes(column.2)))
        .numbers("attnum", columns.iter().map(|column| column.3))
        .numbers("atttypmod", columns.iter().map(|column| column.4))
        .all(&["attstattarget", "attcacheoff"], -1)
        .all(&["attndims", "attinhcount", "attcollation"], 0)
        .all_text(&["attidentity", "attgenerated", "attcompression"], "")
        .all_text(&["attalign"], "d")
        .all_text(&["attstorage"], "p")
        .flags(&["attnotnull", "atthasdef", "atthasmissing", "attisdropped", "attbyval"], false)
        .flags(&["attislocal"], true)
        .null_lists(&["attacl", "attoptions", "attfdwoptions"])
        .nulls(&["attmissingval"])
        .all(&["xmin"], 0)
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
        .all_text(
            &["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze", "typsubscript"],
            "-",
        )
        .all_text(&["typalign"], "i")
        .all_text(&["typstorage"], "p")
        .all(&["typrelid", "typelem", "typarray", "typbasetype", "typndims", "typcollation"], 0)
        .all(&["typtypmod"], -1)
        .all(&["xmin"], 0)
        .flags(&["typbyval", "typispreferred", "typnotnull"], false)
        .flags(&["typisdefined"], true)
        .nulls(&["typdefault", "typdefaultbin"])
        .null_lists(&["typacl"])
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
        .all(&["datfrozenxid", "datminmxid", "xmin"], 0)
        .flags(&["datistemplate"], false)
        .flags(&["datallowconn"], true)
        .nulls(&["daticulocale", "daticurules", "datcollversion"])
        .null_lists(&["datacl"])
        .done()
}

fn users() -> Result<RecordBatch, ArrowError> {
    Made::new(1)
        .texts("usename", [ROLE])
        .numbers("usesysid", [OWNER])
        .flags(&["usecreatedb", "usesuper", "userepl", "usebypassrls"], false)
        .nulls(&["passwd", "valuntil"])
        .null_lists(&["useconfig"])
        .done()
}

fn settings() -> Result<RecordBatch, ArrowError> {
    let name = |setting: &Setting| setting.name;
    let value = |setting: &Setting| setting.value;
    Made::new(SETTINGS.len())
        .texts("name", SETTINGS.iter().map(name))
        .texts("setting", SETTINGS.iter().map(value))
        .nulls(&["unit"])
        .all_text(&["category", "short_desc"], "")
        .nulls(&["extra_desc"])
        .all_text(&["context"], "internal")
        .all_text(&["vartype"], "string")
        .all_text(&["source"], "default")
        .nulls(&["min_val", "max_val"])
        .null_lists(&["enumvals"])
        .texts("boot_val", SETTINGS.iter().map(value))
        .texts("reset_val", SETTINGS.iter().map(value))
        .nulls(&["sourcefile"])
        .null_counts(&["sourceline"])
        .flags(&["pending_restart"], false)
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
