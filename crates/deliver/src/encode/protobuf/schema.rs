//! The schema of columns, as the text of a `.proto` file. A field keeps its number for ever: those of an earlier schema are
//! taken over by name, and the number of a column that is gone is not given to another.

use std::collections::BTreeSet;
use std::fmt::Write;

use arrow::datatypes::{DataType, Field, Fields};
use weir_schema::protobuf::{Message, Schema};

use crate::encode::avro::names;

/// The numbers that Protobuf keeps for itself.
const RESERVED: std::ops::RangeInclusive<u32> = 19_000..=19_999;

/// The schema of rows with these columns, as a message `name`, which may have a package.
pub(crate) fn schema_of(name: &str, columns: &Fields, earlier: Option<&Schema>) -> String {
    let (package, short) = match name.rsplit_once('.') {
        Some((package, short)) => (Some(package), short),
        None => (None, name),
    };
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if let Some(package) = package {
        let _ = writeln!(text, "package {package};");
    }
    if columns.iter().any(|column| has_time(column.data_type())) {
        text.push_str("import \"google/protobuf/timestamp.proto\";\n");
    }
    let mut writer = Writer { earlier, text };
    writer.message(short, name, columns, 0);
    writer.text
}

fn has_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, zone) => zone.is_some(),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => has_time(item.data_type()),
        DataType::Struct(members) => members.iter().any(|member| has_time(member.data_type())),
        DataType::Dictionary(_, values) => has_time(values),
        _ => false,
    }
}

struct Writer<'a> {
    earlier: Option<&'a Schema>,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, depth: usize, text: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{:width$}{text}", "", width = depth * 2);
    }

    /// A message `short`, which is `full` with all that it lies in.
    fn message(&mut self, short: &str, full: &str, columns: &Fields, depth: usize) {
        self.line(depth, format_args!("message {short} {{"));
        let names = names(columns);
        let known = self.earlier.and_then(|schema| Some(schema.message(schema.find(full)?)));
        let numbers = numbers(known, &names);
        for ((field, name), number) in columns.iter().zip(&names).zip(numbers) {
            self.field(field, name, number, full, depth + 1);
        }
        self.line(depth, format_args!("}}"));
    }

    fn field(&mut self, field: &Field, name: &str, number: u32, outer: &str, depth: usize) {
        let of = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        match of {
            DataType::List(item) | DataType::LargeList(item) => {
                let of = self.single(item.data_type(), name, outer, depth);
                self.line(depth, format_args!("repeated {of} {name} = {number};"));
            }
            DataType::Map(entries, _) => {
                let value = match entries.data_type() {
                    DataType::Struct(members) => members.get(1).map(|member| member.data_type().clone()),
                    _ => None,
                };
                let of = self.single(&value.unwrap_or(DataType::Utf8), name, outer, depth);
                self.line(depth, format_args!("map<string, {of}> {name} = {number};"));
            }
            of => {
                let of = self.single(of, name, outer, depth);
                self.line(depth, format_args!("optional {of} {name} = {number};"));
            }
        }
    }

    /// The type of one value; messages that it needs are written down first.
    fn single(&mut self, data_type: &DataType, name: &str, outer: &str, depth: usize) -> String {
        let inner = format!("{}Of", camel(name));
        match data_type {
            DataType::Dictionary(_, values) => self.single(values, name, outer, depth),
            DataType::Boolean => "bool".to_owned(),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => "int32".to_owned(),
            DataType::Int64 => "int64".to_owned(),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => "uint32".to_owned(),
            DataType::UInt64 => "uint64".to_owned(),
            DataType::Float16 | DataType::Float32 => "float".to_owned(),
            DataType::Float64 => "double".to_owned(),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                "bytes".to_owned()
            }
            DataType::Timestamp(_, Some(_)) => "google.protobuf.Timestamp".to_owned(),
            DataType::Struct(members) => {
                self.message(&inner, &format!("{outer}.{inner}"), members, depth);
                inner
            }
            // A list within a list is a message of its own.
            DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) => {
                let member = Fields::from(vec![Field::new("value", data_type.clone(), true)]);
                self.message(&inner, &format!("{outer}.{inner}"), &member, depth);
                inner
            }
            // Decimals keep their digits as text; dates and times of day are text as people write them.
            _ => "string".to_owned(),
        }
    }
}

/// The numbers of fields: those that they had, and new ones behind all that ever were.
fn numbers(known: Option<&Message>, names: &[String]) -> Vec<u32> {
    let had = |name: &str| known?.fields.iter().find(|field| *field.name == *name).map(|field| field.number);
    let used: BTreeSet<u32> = known.iter().flat_map(|message| &message.fields).map(|field| field.number).collect();
    let mut next = used.last().map_or(1, |last| last + 1);
    let mut fresh = || {
        if RESERVED.contains(&next) {
            next = RESERVED.end() + 1;
        }
        next += 1;
        next - 1
    };
    names.iter().map(|name| had(name).unwrap_or_else(&mut fresh)).collect()
}

/// `a_name` as `AName`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    if camel.starts_with(|c: char| c.is_ascii_alphabetic()) { camel } else { format!("M{camel}") }
}
