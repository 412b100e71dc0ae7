//! The standard's tables about tables (`information_schema`), with the columns and the names of types that PostgreSQL gives
//! them. They say what there is in `public` and in `live`; what Weir does not have (keys, views, routines) is empty there.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::catalog::SchemaProvider;
use datafusion::error::Result;

use super::made::Made;
use super::tables::{DATABASE, INFORMATION_SCHEMA, ROLE, TYPES, Table, oid_of_type, tables_of};
use super::{PG_CATALOG, add, empty};
use crate::snapshot::Snapshot;
use crate::statement::{LIVE_SCHEMA, SCHEMA};

/// Tables that are always empty, as those of [`empty`].
const EMPTY: [(&str, &str); 22] = [
    ("administrable_role_authorizations", "grantee role_name is_grantable"),
    ("applicable_roles", "grantee role_name is_grantable"),
    (
        "character_sets",
        "character_set_catalog character_set_schema character_set_name character_repertoire form_of_use",
    ),
    ("check_constraints", "constraint_catalog constraint_schema constraint_name check_clause"),
    ("collations", "collation_catalog collation_schema collation_name pad_attribute"),
    (
        "constraint_column_usage",
        "table_catalog table_schema table_name column_name constraint_catalog constraint_schema constraint_name",
    ),
    (
        "constraint_table_usage",
        "table_catalog table_schema table_name constraint_catalog constraint_schema constraint_name",
    ),
    ("domains", "domain_catalog domain_schema domain_name data_type domain_default udt_catalog udt_schema udt_name"),
    (
        "element_types",
        "object_catalog object_schema object_name object_type collection_type_identifier data_type udt_catalog udt_schema udt_name",
    ),
    (
        "foreign_tables",
        "foreign_table_catalog foreign_table_schema foreign_table_name foreign_server_catalog foreign_server_name",
    ),
    (
        "key_column_usage",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name column_name #ordinal_position \
         #position_in_unique_constraint",
    ),
    (
        "parameters",
        "specific_catalog specific_schema specific_name #ordinal_position parameter_mode is_result as_locator parameter_name data_type \
         udt_catalog udt_schema udt_name parameter_default",
    ),
    (
        "referential_constraints",
        "constraint_catalog constraint_schema constraint_name unique_constraint_catalog unique_constraint_schema unique_constraint_name \
         match_option update_rule delete_rule",
    ),
    (
        "routine_privileges",
        "grantor grantee specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name privilege_type is_grantable",
    ),
    (
        "routines",
        "specific_catalog specific_schema specific_name routine_catalog routine_schema routine_name routine_type data_type type_udt_catalog \
         type_udt_schema type_udt_name routine_body routine_definition external_name external_language is_deterministic sql_data_access \
         security_type",
    ),
    (
        "sequences",
        "sequence_catalog sequence_schema sequence_name data_type #numeric_precision #numeric_precision_radix #numeric_scale start_value \
         minimum_value maximum_value increment cycle_option",
    ),
    (
        "table_constraints",
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name constraint_type is_deferrable \
         initially_deferred enforced nulls_distinct",
    ),
    (
        "triggers",
        "trigger_catalog trigger_schema trigger_name event_manipulation event_object_catalog event_object_schema event_object_table \
         #action_order action_condition action_statement action_orientation action_timing",
    ),
    (
        "usage_privileges",
        "grantor grantee object_catalog object_schema object_name object_type privilege_type is_grantable",
    ),
    (
        "user_defined_types",
        "user_defined_type_catalog user_defined_type_schema user_defined_type_name user_defined_type_category",
    ),
    ("view_table_usage", "view_catalog view_schema view_name table_catalog table_schema table_name"),
    ("views", "table_catalog table_schema table_name view_definition check_option is_updatable is_insertable_into"),
];

/// Adds all of them to a schema.
pub(crate) fn register(schema: &dyn SchemaProvider, snapshot: &Snapshot) -> Result<()> {
    let tables = tables_of(snapshot);
    let all = [
        ("schemata", schemata()?),
        ("tables", listed(&tables)?),
        ("columns", columns(&tables)?),
        ("table_privileges", privileges(&tables)?),
        ("role_table_grants", privileges(&tables)?),
        ("column_privileges", column_privileges(&tables)?),
        ("enabled_roles", Made::new(1).texts("role_name", [ROLE]).done()?),
        ("information_schema_catalog_name", Made::new(1).texts("catalog_name", [DATABASE]).done()?),
    ];
    for (name, batch) in all {
        add(schema, name, batch)?;
    }
    for (name, columns) in EMPTY {
        add(schema, name, RecordBatch::new_empty(empty::schema(columns)))?;
    }
    Ok(())
}

fn schemata() -> Result<RecordBatch, ArrowError> {
    let names = [PG_CATALOG, INFORMATION_SCHEMA, LIVE_SCHEMA, SCHEMA];
    Made::new(names.len())
        .all_text(&["catalog_name"], DATABASE)
        .texts("schema_name", names)
        .all_text(&["schema_owner"], ROLE)
        .nulls(&[
            "default_character_set_catalog",
            "default_character_set_schema",
            "default_character_set_name",
            "sql_path",
        ])
        .done()
}

fn listed(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let kind = |table: &Table| if table.schema == LIVE_SCHEMA { "VIEW" } else { "BASE TABLE" };
    Made::new(tables.len())
        .all_text(&["table_catalog"], DATABASE)
        .texts("table_schema", tables.iter().map(|table| table.schema))
        .texts("table_name", tables.iter().map(|table| &table.name))
        .texts("table_type", tables.iter().map(kind))
        .nulls(&["self_referencing_column_name", "reference_generation"])
        .nulls(&["user_defined_type_catalog", "user_defined_type_schema", "user_defined_type_name"])
        .all_text(&["is_insertable_into", "is_typed"], "NO")
        .nulls(&["commit_action"])
        .done()
}

/// A column of a table of ours.
struct Column<'a> {
    table: &'a Table,
    name: &'a str,
    kind: &'a DataType,
    position: i32,
    /// Its type as PostgreSQL names it, and as SQL does.
    names: (&'static str, &'static str),
}

fn columns_of(tables: &[Table]) -> Vec<Column<'_>> {
    let mut columns = Vec::new();
    for table in tables {
        for (field, position) in table.fields().iter().zip(1..) {
            let oid = oid_of_type(field.data_type());
            let found = TYPES.iter().find(|of| of.0 == oid).expect("each type of a column is among them");
            let names = (found.1, found.2);
            columns.push(Column { table, name: field.name(), kind: field.data_type(), position, names });
        }
    }
    columns
}

fn columns(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let columns = columns_of(tables);
    let precisions: Vec<_> = columns.iter().map(|column| precision(column.kind, column.names.0)).collect();
    let time = |column: &Column<'_>| match column.names.0 {
        "date" => Some(0),
        "timestamp" | "timestamptz" => Some(6),
        _ => None,
    };
    Made::new(columns.len())
        .all_text(&["table_catalog"], DATABASE)
        .texts("table_schema", columns.iter().map(|column| column.table.schema))
        .texts("table_name", columns.iter().map(|column| &column.table.name))
        .texts("column_name", columns.iter().map(|column| column.name))
        .counts("ordinal_position", columns.iter().map(|column| Some(column.position)))
        .nulls(&["column_default"])
        .all_text(&["is_nullable"], "YES")
        .texts("data_type", columns.iter().map(|column| column.names.1))
        .null_counts(&["character_maximum_length"])
        .counts("character_octet_length", columns.iter().map(|column| (column.names.0 == "text").then_some(1 << 30)))
        .counts("numeric_precision", precisions.iter().map(|precision| precision.map(|(digits, ..)| digits)))
        .counts("numeric_precision_radix", precisions.iter().map(|precision| precision.map(|(_, radix, _)| radix)))
        .counts("numeric_scale", precisions.iter().map(|precision| precision.and_then(|(.., scale)| scale)))
        .counts("datetime_precision", columns.iter().map(time))
        .nulls(&["interval_type"])
        .null_counts(&["interval_precision"])
        .nulls(&["character_set_catalog", "character_set_schema", "character_set_name"])
        .nulls(&["collation_catalog", "collation_schema", "collation_name"])
        .nulls(&["domain_catalog", "domain_schema", "domain_name"])
        .all_text(&["udt_catalog"], DATABASE)
        .all_text(&["udt_schema"], PG_CATALOG)
        .texts("udt_name", columns.iter().map(|column| column.names.0))
        .nulls(&["scope_catalog", "scope_schema", "scope_name"])
        .null_counts(&["maximum_cardinality"])
        .texts("dtd_identifier", columns.iter().map(|column| column.position.to_string()))
        .all_text(&["is_self_referencing", "is_identity"], "NO")
        .nulls(&["identity_generation", "identity_start", "identity_increment", "identity_maximum", "identity_minimum"])
        .all_text(&["identity_cycle"], "NO")
        .all_text(&["is_generated"], "NEVER")
        .nulls(&["generation_expression"])
        .all_text(&["is_updatable"], "NO")
        .done()
}

/// Digits of a number, their base, and how many of them stand behind the point.
fn precision(kind: &DataType, name: &str) -> Option<(i32, i32, Option<i32>)> {
    Some(match (kind, name) {
        (_, "int2") => (16, 2, Some(0)),
        (_, "int4") => (32, 2, Some(0)),
        (_, "int8") => (64, 2, Some(0)),
        (_, "float4") => (24, 2, None),
        (_, "float8") => (53, 2, None),
        (DataType::UInt64, _) => (20, 10, Some(0)),
        (
            DataType::Decimal32(digits, scale)
            | DataType::Decimal64(digits, scale)
            | DataType::Decimal128(digits, scale),
            _,
        ) => (i32::from(*digits), 10, Some(i32::from(*scale))),
        _ => return None,
    })
}

/// All may be read, and nothing else.
fn privileges(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    Made::new(tables.len())
        .all_text(&["grantor", "grantee"], ROLE)
        .all_text(&["table_catalog"], DATABASE)
        .texts("table_schema", tables.iter().map(|table| table.schema))
        .texts("table_name", tables.iter().map(|table| &table.name))
        .all_text(&["privilege_type"], "SELECT")
        .all_text(&["is_grantable"], "NO")
        .all_text(&["with_hierarchy"], "YES")
        .done()
}

fn column_privileges(tables: &[Table]) -> Result<RecordBatch, ArrowError> {
    let columns = columns_of(tables);
    Made::new(columns.len())
        .all_text(&["grantor", "grantee"], ROLE)
        .all_text(&["table_catalog"], DATABASE)
        .texts("table_schema", columns.iter().map(|column| column.table.schema))
        .texts("table_name", columns.iter().map(|column| &column.table.name))
        .texts("column_name", columns.iter().map(|column| column.name))
        .all_text(&["privilege_type"], "SELECT")
        .all_text(&["is_grantable"], "NO")
        .done()
}
