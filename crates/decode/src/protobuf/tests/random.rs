//! Random schemas with random messages, as the oracle has them, and what they should become.

use std::fmt::Write;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Theirs,
};
use serde_json::{Map, Value, json};

use crate::typed::shown::hex;
use crate::typed::trial::Dice;

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string", "bytes",
];
const KEYS: [&str; 5] = ["string", "int32", "uint64", "sint64", "bool"];
const KNOWN: [&str; 4] = ["Timestamp", "Duration", "Int64Value", "StringValue"];

/// A schema whose message `M` is a record.
pub(super) fn schema(dice: &mut Dice) -> String {
    let is_new = dice.below(2) == 0;
    let mut text = format!("syntax = \"proto{}\";\n", if is_new { 3 } else { 2 });
    for file in ["timestamp", "duration", "wrappers"] {
        let _ = writeln!(text, "import \"google/protobuf/{file}.proto\";");
    }
    text.push_str("enum E { NONE = 0; ONE = 1; MINUS = -1; FAR = 1000; }\n");
    message(dice, "M", 3, is_new, &mut text);
    text
}

fn message(dice: &mut Dice, name: &str, depth: usize, is_new: bool, text: &mut String) {
    let _ = writeln!(text, "message {name} {{");
    let mut number = 0;
    for index in 0..=dice.below(6) {
        number += 1 + dice.below(3) * dice.below(20);
        let inner = format!("{name}{index}");
        let (mut kind, mut is_message) = (kind(dice), false);
        if depth > 0 && dice.below(4) == 0 {
            message(dice, &inner, depth - 1, is_new, text);
            (kind, is_message) = (inner, true);
        }
        let single = if is_new { ["", "optional"][dice.below(2) as usize] } else { "optional" };
        let _ = match dice.below(6) {
            0 => writeln!(text, "map<{}, {kind}> f{index} = {number};", KEYS[dice.below(5) as usize]),
            1 => writeln!(text, "repeated {kind} f{index} = {number};"),
            2 if packs(&kind) && !is_message => {
                writeln!(text, "repeated {kind} f{index} = {number} [packed = {}];", dice.below(2) == 0)
            }
            3 => {
                let other = number;
                number += 1;
                writeln!(text, "oneof o{index} {{ {kind} f{index} = {other}; string g{index} = {number}; }}")
            }
            _ => writeln!(text, "{single} {kind} f{index} = {number};"),
        };
    }
    text.push_str("}\n");
}

fn kind(dice: &mut Dice) -> String {
    match dice.below(24) {
        index @ 0..15 => SCALARS[index as usize].to_owned(),
        index @ 15..19 => format!("google.protobuf.{}", KNOWN[index as usize - 15]),
        _ => "E".to_owned(),
    }
}

fn packs(kind: &str) -> bool {
    !matches!(kind, "string" | "bytes") && !kind.contains('.')
}

/// A random message.
pub(super) fn value(dice: &mut Dice, of: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields() {
        if dice.below(4) == 0 {
            continue;
        }
        let count = dice.below(4);
        let value = if field.is_map() {
            let (key, value) = entry(&field);
            Theirs::Map((0..count).map(|_| (map_key(dice, &key), one(dice, &value))).collect())
        } else if field.is_list() {
            Theirs::List((0..count).map(|_| one(dice, &field)).collect())
        } else {
            one(dice, &field)
        };
        message.set_field(&field, value);
    }
    message
}

fn entry(field: &FieldDescriptor) -> (FieldDescriptor, FieldDescriptor) {
    let Kind::Message(entry) = field.kind() else { unreachable!("an entry is a message") };
    (entry.map_entry_key_field(), entry.map_entry_value_field())
}

fn map_key(dice: &mut Dice, field: &FieldDescriptor) -> MapKey {
    match field.kind() {
        Kind::String => MapKey::String(format!("k{}", dice.below(3))),
        Kind::Int32 => MapKey::I32(dice.long() as i32),
        Kind::Uint64 => MapKey::U64(dice.next()),
        Kind::Sint64 => MapKey::I64(dice.long()),
        Kind::Bool => MapKey::Bool(dice.below(2) == 0),
        other => panic!("{other:?} is no key here"),
    }
}

fn one(dice: &mut Dice, field: &FieldDescriptor) -> Theirs {
    match field.kind() {
        Kind::Double => Theirs::F64(dice.long() as f64 / 8.0),
        Kind::Float => Theirs::F32(dice.long() as f32 / 8.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Theirs::I32(dice.long() as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Theirs::I64(dice.long()),
        Kind::Uint32 | Kind::Fixed32 => Theirs::U32(dice.next() as u32),
        Kind::Uint64 | Kind::Fixed64 => Theirs::U64(dice.next()),
        Kind::Bool => Theirs::Bool(dice.below(2) == 0),
        Kind::String => {
            let letter = |dice: &mut Dice| ['a', 'ß', '"', '\n', '漢', '😀'][dice.below(6) as usize];
            Theirs::String((0..dice.below(20)).map(|_| letter(dice)).collect())
        }
        Kind::Bytes => Theirs::Bytes((0..dice.below(20)).map(|_| dice.next() as u8).collect::<Vec<_>>().into()),
        Kind::Enum(_) => Theirs::EnumNumber([0, 1, -1, 1_000][dice.below(4) as usize]),
        Kind::Message(of) => {
            let mut made = value(dice, &of);
            let (seconds, nanos) = (dice.below(9_000_000_000) as i64, dice.below(1_000_000_000) as i32);
            if matches!(of.name(), "Timestamp" | "Duration") {
                made.set_field_by_number(1, Theirs::I64(seconds));
                made.set_field_by_number(2, Theirs::I32(nanos));
            }
            Theirs::Message(made)
        }
    }
}

/// What a message should be as columns.
pub(super) fn columns(message: &DynamicMessage) -> Value {
    let mut members = Map::new();
    for field in message.descriptor().fields() {
        let value = match field.supports_presence() && !message.has_field(&field) {
            true => Value::Null,
            false => column(&field, &message.get_field(&field)),
        };
        members.insert(field.name().to_owned(), value);
    }
    Value::Object(members)
}

fn column(field: &FieldDescriptor, value: &Theirs) -> Value {
    match value {
        Theirs::Bool(value) => json!(value),
        Theirs::I32(value) => json!(value),
        Theirs::I64(value) => json!(value),
        Theirs::U32(value) => json!(value),
        Theirs::U64(value) => json!(value),
        Theirs::F32(value) => json!(f64::from(*value)),
        Theirs::F64(value) => json!(value),
        Theirs::String(text) => json!(text),
        Theirs::Bytes(bytes) => hex(bytes),
        Theirs::EnumNumber(number) => {
            let Kind::Enum(of) = field.kind() else { unreachable!("it is an enum") };
            match of.get_value(*number) {
                Some(value) => json!(value.name()),
                None => json!(number.to_string()),
            }
        }
        Theirs::Message(message) => known(message),
        Theirs::List(items) => items.iter().map(|item| column(field, item)).collect(),
        Theirs::Map(entries) => {
            let (_, of) = entry(field);
            let key = |key: &MapKey| match key {
                MapKey::Bool(key) => key.to_string(),
                MapKey::I32(key) => key.to_string(),
                MapKey::I64(key) => key.to_string(),
                MapKey::U32(key) => key.to_string(),
                MapKey::U64(key) => key.to_string(),
                MapKey::String(key) => key.clone(),
            };
            Value::Object(entries.iter().map(|(name, value)| (key(name), column(&of, value))).collect())
        }
    }
}

fn known(message: &DynamicMessage) -> Value {
    let number = |number: u32| match &*message.get_field_by_number(number).expect("it has this field") {
        Theirs::I64(value) => *value,
        Theirs::I32(value) => i64::from(*value),
        other => panic!("{other:?} is no whole number"),
    };
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => json!(number(1) * 1_000_000_000 + number(2)),
        "google.protobuf.Duration" => json!((number(1) * 1_000_000_000 + number(2)).to_string()),
        "google.protobuf.Int64Value" | "google.protobuf.StringValue" => {
            let field = message.descriptor().get_field(1).expect("it has a value");
            column(&field, &message.get_field(&field))
        }
        _ => columns(message),
    }
}
