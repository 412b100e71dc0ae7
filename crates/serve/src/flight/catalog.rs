//! What clients of Flight SQL ask about the server itself: its tables, and what it can do. The shapes of these answers
//! are fixed by Flight SQL.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array, UnionArray,
    new_empty_array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::like;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, UnionFields};
use arrow::error::ArrowError;
use weir_query::Snapshot;
use weir_query::encode::Plain;

use super::batches::schema_message;
use super::grpc::{Code, Failure};
use super::message::{GetSchemas, GetTables};

/// What catalog and kind of table there is.
const CATALOG: &str = "weir";
const TABLE: &str = "TABLE";

/// A question about the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum About {
    Catalogs,
    Schemas(GetSchemas),
    Tables(GetTables),
    TableTypes,
    /// Which facts; none: all.
    Server(Vec<u32>),
    /// There are no keys.
    PrimaryKeys,
    /// There are no keys.
    ForeignKeys,
    /// Types of ODBC and JDBC: none is told.
    Types,
}

fn texts(values: impl IntoIterator<Item = impl AsRef<str>>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

impl About {
    /// The columns of the answer.
    pub(super) fn schema(&self) -> SchemaRef {
        let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        let number = |name: &str| Field::new(name, DataType::Int32, false);
        let fields = match self {
            Self::Catalogs => vec![text("catalog_name", false)],
            Self::Schemas(_) => vec![text("catalog_name", true), text("db_schema_name", false)],
            Self::Tables(asked) => {
                let mut fields = vec![
                    text("catalog_name", true),
                    text("db_schema_name", true),
                    text("table_name", false),
                    text("table_type", false),
                ];
                fields.extend(asked.with_columns.then(|| Field::new("table_schema", DataType::Binary, false)));
                fields
            }
            Self::TableTypes => vec![text("table_type", false)],
            Self::Server(_) => return FACTS_SCHEMA.clone(),
            Self::PrimaryKeys => vec![
                text("catalog_name", true),
                text("db_schema_name", true),
                text("table_name", false),
                text("column_name", false),
                text("key_name", true),
                number("key_sequence"),
            ],
            Self::ForeignKeys => {
                let names =
                    [("catalog_name", true), ("db_schema_name", true), ("table_name", false), ("column_name", false)];
                let of = |side: &str| names.map(|(name, nullable)| text(&format!("{side}_{name}"), nullable));
                let rule = |name: &str| Field::new(name, DataType::UInt8, false);
                let rest = [
                    number("key_sequence"),
                    text("fk_key_name", true),
                    text("pk_key_name", true),
                    rule("update_rule"),
                    rule("delete_rule"),
                ];
                of("pk").into_iter().chain(of("fk")).chain(rest).collect()
            }
            Self::Types => xdbc_fields(),
        };
        Arc::new(Schema::new(fields))
    }

    /// The answer. `tables` is what [`Snapshot`] says of them.
    pub(super) fn answer(&self, tables: &[Shown]) -> Result<RecordBatch, Failure> {
        let made = match self {
            Self::Catalogs => self.batch(vec![texts([CATALOG])]),
            Self::Schemas(asked) => schemas(self, asked, tables),
            Self::Tables(asked) => shown(self, asked, tables),
            Self::TableTypes => self.batch(vec![texts([TABLE])]),
            Self::Server(wanted) => facts(wanted),
            Self::PrimaryKeys | Self::ForeignKeys | Self::Types => Ok(RecordBatch::new_empty(self.schema())),
        };
        made.map_err(|error| Failure::new(Code::Internal, error.to_string()))
    }

    fn batch(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(self.schema(), columns)
    }
}

/// A table as clients see it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    schema: String,
    name: String,
    columns: SchemaRef,
}

/// The tables of a moment.
pub(super) fn tables_of(snapshot: &Snapshot) -> Vec<Shown> {
    let shown = snapshot.tables.iter().map(|(name, table)| Shown {
        schema: weir_query::SCHEMA.to_owned(),
        name: name.clone(),
        columns: Arc::clone(Plain::of(&table.schema).schema()),
    });
    let live = snapshot.live.iter().flat_map(|live| live.declared()).map(|(name, columns)| Shown {
        schema: weir_query::LIVE_SCHEMA.to_owned(),
        name,
        columns: Arc::clone(Plain::of(&columns).schema()),
    });
    shown.chain(live).collect()
}

fn is_like(text: &str, pattern: Option<&String>) -> Result<bool, ArrowError> {
    let Some(pattern) = pattern else { return Ok(true) };
    Ok(like(&StringArray::new_scalar(text), &StringArray::new_scalar(pattern))?.value(0))
}

fn of_catalog(asked: Option<&String>) -> bool {
    asked.is_none_or(|asked| asked == CATALOG)
}

fn schemas(about: &About, asked: &GetSchemas, tables: &[Shown]) -> Result<RecordBatch, ArrowError> {
    let mut names: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).chain([weir_query::SCHEMA]).collect();
    names.sort_unstable();
    names.dedup();
    let mut kept = Vec::new();
    for name in names {
        if of_catalog(asked.catalog.as_ref()) && is_like(name, asked.schema.as_ref())? {
            kept.push(name);
        }
    }
    about.batch(vec![texts(vec![CATALOG; kept.len()]), texts(&kept)])
}

fn shown(about: &About, asked: &GetTables, tables: &[Shown]) -> Result<RecordBatch, ArrowError> {
    let of_type = asked.types.is_empty() || asked.types.iter().any(|kind| kind == TABLE);
    let mut kept = Vec::new();
    for table in tables {
        let matches = of_type
            && of_catalog(asked.catalog.as_ref())
            && is_like(&table.schema, asked.schema.as_ref())?
            && is_like(&table.name, asked.table.as_ref())?;
        kept.extend(matches.then_some(table));
    }
    kept.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    let mut columns = vec![
        texts(vec![CATALOG; kept.len()]),
        texts(kept.iter().map(|table| &table.schema)),
        texts(kept.iter().map(|table| &table.name)),
        texts(vec![TABLE; kept.len()]),
    ];
    if asked.with_columns {
        let schemas = kept.iter().map(|table| schema_message(&table.columns));
        columns.push(Arc::new(BinaryArray::from_iter_values(schemas)));
    }
    about.batch(columns)
}

/// What is said of the server, in ascending order of its numbers (`SqlInfo` of Flight SQL).
#[derive(Clone, Copy)]
enum Fact {
    Text(&'static str),
    Yes(bool),
    Number(i32),
}

const FACTS: [(u32, Fact); 21] = [
    (0, Fact::Text("Weir")),
    (1, Fact::Text(env!("CARGO_PKG_VERSION"))),
    // the version of the Arrow format
    (2, Fact::Text("1.3")),
    // it reads only,
    (3, Fact::Yes(true)),
    // SQL,
    (4, Fact::Yes(true)),
    // not Substrait,
    (5, Fact::Yes(false)),
    // without transactions,
    (8, Fact::Number(0)),
    // and cancels.
    (9, Fact::Yes(true)),
    (10, Fact::Yes(false)),
    (100, Fact::Number(0)),
    (101, Fact::Number(0)),
    // catalogs, schemas and tables are not made here
    (500, Fact::Yes(false)),
    (501, Fact::Yes(false)),
    (502, Fact::Yes(false)),
    // names are folded to lower case unless they are quoted
    (503, Fact::Number(3)),
    (504, Fact::Text("\"")),
    (505, Fact::Number(1)),
    (506, Fact::Yes(true)),
    // nulls come last in ascending order
    (507, Fact::Number(0)),
    (517, Fact::Text("catalog")),
    (529, Fact::Text("schema")),
];

/// The kinds of values that facts have, by their number: text, truth, number, bits, and two that are not used here.
static FACT_KINDS: LazyLock<UnionFields> = LazyLock::new(|| {
    let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let entries = Fields::from(vec![
        Field::new("keys", DataType::Int32, false),
        Field::new("values", list(DataType::Int32), true),
    ]);
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false);
    UnionFields::from_fields(vec![
        Field::new("string_value", DataType::Utf8, false),
        Field::new("bool_value", DataType::Boolean, false),
        Field::new("bigint_value", DataType::Int64, false),
        Field::new("int32_bitmask", DataType::Int32, false),
        Field::new("string_list", list(DataType::Utf8), true),
        Field::new("int32_to_int32_list_map", map, true),
    ])
});

static FACTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let value = DataType::Union(FACT_KINDS.clone(), arrow::datatypes::UnionMode::Dense);
    Arc::new(Schema::new(vec![Field::new("info_name", DataType::UInt32, false), Field::new("value", value, false)]))
});

fn facts(wanted: &[u32]) -> Result<RecordBatch, ArrowError> {
    let told = FACTS.iter().filter(|(number, _)| wanted.is_empty() || wanted.contains(number));
    let (mut names, mut kinds, mut places) = (Vec::new(), Vec::<i8>::new(), Vec::<i32>::new());
    let (mut said, mut truths, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (number, fact) in told {
        let (kind, count) = match *fact {
            Fact::Text(text) => (0, {
                said.push(text);
                said.len()
            }),
            Fact::Yes(truth) => (1, {
                truths.push(truth);
                truths.len()
            }),
            Fact::Number(value) => (3, {
                numbers.push(value);
                numbers.len()
            }),
        };
        names.push(*number);
        kinds.push(kind);
        places.push(i32::try_from(count - 1).expect("there are two dozen facts"));
    }
    let unused = |kind: usize| new_empty_array(FACT_KINDS.iter().nth(kind).expect("there are six").1.data_type());
    let children = vec![
        texts(said),
        Arc::new(BooleanArray::from(truths)),
        Arc::new(Int64Array::from(Vec::<i64>::new())),
        Arc::new(Int32Array::from(numbers)),
        unused(4),
        unused(5),
    ];
    let (kinds, places) = (ScalarBuffer::from(kinds), ScalarBuffer::from(places));
    let values = UnionArray::try_new(FACT_KINDS.clone(), kinds, Some(places), children)?;
    RecordBatch::try_new(FACTS_SCHEMA.clone(), vec![Arc::new(UInt32Array::from(names)), Arc::new(values)])
}

/// The columns of `CommandGetXdbcTypeInfo`.
fn xdbc_fields() -> Vec<Field> {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, false)));
    let columns = [
        ("type_name", DataType::Utf8, false),
        ("data_type", DataType::Int32, false),
        ("column_size", DataType::Int32, true),
        ("literal_prefix", DataType::Utf8, true),
        ("literal_suffix", DataType::Utf8, true),
        ("create_params", list, true),
        ("nullable", DataType::Int32, false),
        ("case_sensitive", DataType::Boolean, false),
        ("searchable", DataType::Int32, false),
        ("unsigned_attribute", DataType::Boolean, true),
        ("fixed_prec_scale", DataType::Boolean, false),
        ("auto_increment", DataType::Boolean, true),
        ("local_type_name", DataType::Utf8, true),
        ("minimum_scale", DataType::Int32, true),
        ("maximum_scale", DataType::Int32, true),
        ("sql_data_type", DataType::Int32, false),
        ("datetime_subcode", DataType::Int32, true),
        ("num_prec_radix", DataType::Int32, true),
        ("interval_precision", DataType::Int32, true),
    ];
    columns.map(|(name, kind, nullable)| Field::new(name, kind, nullable)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_that_are_wanted_are_told_and_all_if_none_is_named() {
        let batch = About::Server(vec![3, 0, 77]).answer(&[]).expect("it is told");
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(About::Server(Vec::new()).answer(&[]).expect("it is told").num_rows(), FACTS.len());
        assert!(FACTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn tables_are_found_by_patterns_with_their_columns() {
        let columns = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let table = |name: &str| Shown { schema: "public".into(), name: name.into(), columns: Arc::clone(&columns) };
        let tables = [table("logs"), table("errors")];
        let asked = |pattern: &str, types: &[&str]| {
            let asked = GetTables {
                table: Some(pattern.to_owned()),
                types: types.iter().map(ToString::to_string).collect(),
                with_columns: true,
                ..GetTables::default()
            };
            About::Tables(asked).answer(&tables).expect("it is told").num_rows()
        };
        assert_eq!((asked("%", &[]), asked("l_gs", &["TABLE"]), asked("l", &[]), asked("%", &["VIEW"])), (2, 1, 0, 0));
    }
}
