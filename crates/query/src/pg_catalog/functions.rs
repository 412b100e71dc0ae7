//! Functions that clients of PostgreSQL call while they look around. Most say the same whatever they are asked: there is one
//! role, which may read everything, and nothing that would have a definition.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::settings::setting;
use super::tables::{ROLE, TYPES, table_oid};
use super::written;
use crate::statement::SCHEMA;

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
    /// Whether all the rights that it is asked about, by the last of what it is asked, are to read.
    MayRead,
    /// A name as it has to be written: in quotes if it is not plain.
    Identifier,
    /// A text as it has to be written, in quotes.
    Literal,
    /// The second of what it is told.
    Second,
    /// Texts put into their places in a text.
    Format,
    /// A number of bytes as people write it.
    Pretty,
    /// No time.
    NullTime,
    /// The name of a type, by its number.
    TypeName,
    /// The number of a table, by its name.
    TableNumber,
    /// What a setting is set to.
    Setting,
}

const FUNCTIONS: [(&str, Says); 66] = [
    ("version", Says::Text(concat!("PostgreSQL 16.0 (Weir ", env!("CARGO_PKG_VERSION"), ")"))),
    ("current_database", Says::Text("weir")),
    ("current_catalog", Says::Text("weir")),
    ("current_schema", Says::Text(SCHEMA)),
    ("current_role", Says::Text(ROLE)),
    ("current_user", Says::Text(ROLE)),
    ("session_user", Says::Text(ROLE)),
    ("pg_get_userbyid", Says::Text(ROLE)),
    ("pg_encoding_to_char", Says::Text("UTF8")),
    ("current_schemas", Says::Schemas),
    ("pg_table_is_visible", Says::Yes(true)),
    ("pg_type_is_visible", Says::Yes(true)),
    ("pg_function_is_visible", Says::Yes(true)),
    ("pg_operator_is_visible", Says::Yes(true)),
    ("pg_opclass_is_visible", Says::Yes(true)),
    ("pg_collation_is_visible", Says::Yes(true)),
    ("pg_has_role", Says::Yes(true)),
    ("has_function_privilege", Says::MayRead),
    ("has_sequence_privilege", Says::MayRead),
    ("has_tablespace_privilege", Says::MayRead),
    ("has_type_privilege", Says::MayRead),
    ("has_table_privilege", Says::MayRead),
    ("has_any_column_privilege", Says::MayRead),
    ("has_column_privilege", Says::MayRead),
    ("has_schema_privilege", Says::MayRead),
    ("has_database_privilege", Says::MayRead),
    ("pg_is_in_recovery", Says::Yes(false)),
    ("pg_relation_is_publishable", Says::Yes(false)),
    ("pg_backend_pid", Says::Number(0)),
    ("pg_client_encoding", Says::Text("UTF8")),
    ("txid_current", Says::Number(0)),
    ("pg_database_size", Says::Number(0)),
    ("pg_indexes_size", Says::Number(0)),
    ("pg_tablespace_size", Says::Number(0)),
    ("pg_size_pretty", Says::Pretty),
    ("pg_postmaster_start_time", Says::NullTime),
    ("pg_conf_load_time", Says::NullTime),
    ("inet_client_addr", Says::Null),
    ("inet_server_addr", Says::Null),
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
    ("pg_get_triggerdef", Says::Null),
    ("pg_get_functiondef", Says::Null),
    ("pg_get_function_arguments", Says::Null),
    ("pg_get_function_identity_arguments", Says::Null),
    ("pg_get_function_result", Says::Null),
    ("pg_tablespace_location", Says::Text("")),
    ("pg_get_serial_sequence", Says::Null),
    ("obj_description", Says::Null),
    ("col_description", Says::Null),
    ("shobj_description", Says::Null),
    ("quote_ident", Says::Identifier),
    ("quote_literal", Says::Literal),
    ("set_config", Says::Second),
    ("format", Says::Format),
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
            Says::Yes(_) | Says::MayRead => DataType::Boolean,
            Says::NullTime => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Says::Number(_) | Says::TableNumber => DataType::Int64,
            Says::Schemas => DataType::new_list(DataType::Utf8, true),
            Says::Text(_) | Says::Null | Says::TypeName | Says::Setting => DataType::Utf8,
            Says::Identifier | Says::Literal | Says::Second | Says::Format | Says::Pretty => DataType::Utf8,
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
            Says::NullTime => scalar(ScalarValue::TimestampMicrosecond(None, Some("+00:00".into()))),
            Says::MayRead => {
                let last = arguments.args.len().saturating_sub(1);
                let may: BooleanArray = self
                    .texts(&arguments, last)?
                    .as_string::<i32>()
                    .iter()
                    .map(|rights| rights.map(|rights| rights.split(',').all(is_to_read)))
                    .collect();
                Ok(ColumnarValue::Array(Arc::new(may)))
            }
            Says::Identifier => self.each(&arguments, 0, |name| Some(written::identifier(name))),
            Says::Literal => self.each(&arguments, 0, |text| Some(written::literal(text))),
            Says::Second => self.each(&arguments, 1, |text| Some(text.to_owned())),
            Says::Pretty => self.each(&arguments, 0, |bytes| bytes.parse().ok().map(written::bytes)),
            Says::Format => self.format(&arguments),
            Says::Setting => self.each(&arguments, 0, |name| setting(name).map(str::to_owned)),
            Says::TypeName => self.each(&arguments, 0, |oid| {
                let found = oid.parse().ok().and_then(|oid: i64| TYPES.iter().find(|of| of.0 == oid));
                Some(found.map_or_else(|| "???".to_owned(), |of| of.2.to_owned()))
            }),
            Says::TableNumber => {
                let numbers: Int64Array = self
                    .texts(&arguments, 0)?
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
    /// An argument as texts.
    fn texts(&self, arguments: &ScalarFunctionArgs, index: usize) -> Result<ArrayRef> {
        let found = arguments.args.get(index);
        let missing = || DataFusionError::Plan(format!("{} needs {} arguments", self.name, index + 1));
        Ok(cast(&found.ok_or_else(missing)?.to_array(arguments.number_rows)?, &DataType::Utf8)?)
    }

    fn each(
        &self,
        arguments: &ScalarFunctionArgs,
        index: usize,
        say: impl Fn(&str) -> Option<String>,
    ) -> Result<ColumnarValue> {
        let texts = self.texts(arguments, index)?;
        let said: StringArray = texts.as_string::<i32>().iter().map(|text| text.and_then(&say)).collect();
        Ok(ColumnarValue::Array(Arc::new(said)))
    }

    fn format(&self, arguments: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts: Vec<ArrayRef> =
            (0..arguments.args.len().max(1)).map(|index| self.texts(arguments, index)).collect::<Result<_>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|texts| texts.as_string::<i32>()).collect();
        let rows = texts[0].iter().enumerate().map(|(row, pattern)| {
            let values: Vec<Option<&str>> =
                texts[1..].iter().map(|texts| texts.is_valid(row).then(|| texts.value(row))).collect();
            pattern.map(|pattern| written::format(pattern, &values)).transpose()
        });
        let said = rows.collect::<std::result::Result<StringArray, String>>().map_err(DataFusionError::Execution)?;
        Ok(ColumnarValue::Array(Arc::new(said)))
    }
}

/// Whether a right, as PostgreSQL names it, changes nothing.
fn is_to_read(right: &str) -> bool {
    let right = right.trim().to_ascii_uppercase();
    matches!(right.as_str(), "SELECT" | "USAGE" | "CONNECT" | "EXECUTE" | "MEMBER")
}
