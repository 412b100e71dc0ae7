//! Functions that clients of PostgreSQL call while they look around. Most say the same whatever they are asked: there is one
//! role, which may read everything, and nothing that would have a definition.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::tables::{ROLE, TYPES, table_oid};
use crate::statement::SCHEMA;

/// What the server is set to, as far as clients ask.
pub(super) const SETTINGS: [(&str, &str); 11] = [
    ("server_version", "16.0"),
    ("server_version_num", "160000"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("search_path", "public"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("standard_conforming_strings", "on"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("transaction_isolation", "read committed"),
];

/// Where names without a schema are looked for.
pub(super) const SCHEMAS: [&str; 2] = [super::PG_CATALOG, SCHEMA];

/// What a function says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Says {
    Text(&'static str),
    Yes(bool),
    Number(i64),
    /// Nothing: a text that is null.
    Null,
    /// The schemas in which names are looked for.
    Schemas,
    /// What it is asked, as text.
    Same,
    /// The name of a type, by its number.
    TypeName,
    /// The number of a table, by its name.
    TableNumber,
    /// What a setting is set to.
    Setting,
}

const FUNCTIONS: [(&str, Says); 37] = [
    ("version", Says::Text(concat!("PostgreSQL 16.0 (Weir ", env!("CARGO_PKG_VERSION"), ")"))),
    ("current_database", Says::Text("weir")),
    ("current_catalog", Says::Text("weir")),
    ("current_schema", Says::Text(SCHEMA)),
    ("current_user", Says::Text(ROLE)),
    ("session_user", Says::Text(ROLE)),
    ("pg_get_userbyid", Says::Text(ROLE)),
    ("pg_encoding_to_char", Says::Text("UTF8")),
    ("current_schemas", Says::Schemas),
    ("pg_table_is_visible", Says::Yes(true)),
    ("pg_type_is_visible", Says::Yes(true)),
    ("has_table_privilege", Says::Yes(true)),
    ("has_any_column_privilege", Says::Yes(true)),
    ("has_column_privilege", Says::Yes(true)),
    ("has_schema_privilege", Says::Yes(true)),
    ("has_database_privilege", Says::Yes(true)),
    ("pg_is_in_recovery", Says::Yes(false)),
    ("pg_relation_is_publishable", Says::Yes(false)),
    ("pg_backend_pid", Says::Number(0)),
    ("pg_relation_size", Says::Number(0)),
    ("pg_stat_get_numscans", Says::Number(0)),
    ("pg_table_size", Says::Number(0)),
    ("pg_total_relation_size", Says::Number(0)),
    ("pg_get_expr", Says::Null),
    ("pg_get_indexdef", Says::Null),
    ("pg_get_constraintdef", Says::Null),
    ("pg_get_viewdef", Says::Null),
    ("pg_get_partkeydef", Says::Null),
    ("pg_get_ruledef", Says::Null),
    ("pg_get_serial_sequence", Says::Null),
    ("obj_description", Says::Null),
    ("col_description", Says::Null),
    ("shobj_description", Says::Null),
    ("quote_ident", Says::Same),
    ("format_type", Says::TypeName),
    ("current_setting", Says::Setting),
    (REGCLASS, Says::TableNumber),
];

/// What `::regclass` becomes.
pub(super) const REGCLASS: &str = "weir_regclass";

/// All of them.
pub(crate) fn functions() -> impl Iterator<Item = ScalarUDF> {
    FUNCTIONS.into_iter().map(|(name, says)| {
        let takes = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        ScalarUDF::new_from_impl(Told { name, says, signature: Signature::one_of(takes, Volatility::Stable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Told {
    name: &'static str,
    says: Says,
    signature: Signature,
}

impl ScalarUDFImpl for Told {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.says {
            Says::Yes(_) => DataType::Boolean,
            Says::Number(_) | Says::TableNumber => DataType::Int64,
            Says::Schemas => DataType::new_list(DataType::Utf8, true),
            Says::Text(_) | Says::Null | Says::Same | Says::TypeName | Says::Setting => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |value| Ok(ColumnarValue::Scalar(value));
        match self.says {
            Says::Text(text) => scalar(ScalarValue::Utf8(Some(text.to_owned()))),
            Says::Null => scalar(ScalarValue::Utf8(None)),
            Says::Yes(yes) => scalar(ScalarValue::Boolean(Some(yes))),
            Says::Number(number) => scalar(ScalarValue::Int64(Some(number))),
            Says::Schemas => {
                let names = SCHEMAS.map(|name| ScalarValue::Utf8(Some(name.to_owned())));
                scalar(ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8)))
            }
            Says::Same => self.each(&arguments, |text| Some(text.to_owned())),
            Says::Setting => self.each(&arguments, |name| {
                let found = SETTINGS.iter().find(|(setting, _)| setting.eq_ignore_ascii_case(name));
                found.map(|(_, value)| (*value).to_owned())
            }),
            Says::TypeName => self.each(&arguments, |oid| {
                let found = oid.parse().ok().and_then(|oid: i64| TYPES.iter().find(|of| of.0 == oid));
                Some(found.map_or_else(|| "???".to_owned(), |of| of.2.to_owned()))
            }),
            Says::TableNumber => {
                let numbers: Int64Array = self
                    .texts(&arguments)?
                    .as_string::<i32>()
                    .iter()
                    .map(|name| name.map(|name| name.parse().unwrap_or_else(|_| table_oid(name))))
                    .collect();
                Ok(ColumnarValue::Array(Arc::new(numbers)))
            }
        }
    }
}

impl Told {
    /// The first argument as texts.
    fn texts(&self, arguments: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let first = arguments.args.first();
        let first = first.ok_or_else(|| DataFusionError::Plan(format!("{} needs an argument", self.name)))?;
        Ok(cast(&first.to_array(arguments.number_rows)?, &DataType::Utf8)?)
    }

    fn each(&self, arguments: &ScalarFunctionArgs, say: impl Fn(&str) -> Option<String>) -> Result<ColumnarValue> {
        let texts = self.texts(arguments)?;
        let said: StringArray = texts.as_string::<i32>().iter().map(|text| text.and_then(&say)).collect();
        Ok(ColumnarValue::Array(Arc::new(said)))
    }
}
