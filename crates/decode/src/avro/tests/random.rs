//! Random types with random values, as the oracle has them, and what they should become.

use std::collections::HashMap;

use apache_avro::Decimal;
use apache_avro::types::Value as Avro;
use serde_json::{Map, Value, json};

use crate::typed::shown::hex;
use crate::typed::trial::Dice;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ty {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Date,
    TimeMillis,
    TimeMicros,
    Instant(&'static str, i64),
    Decimal(u8, u8),
    FixedDecimal(String),
    Fixed(String, usize),
    Enum(String, usize),
    Array(Box<Ty>),
    Map(Box<Ty>),
    Nullable(Box<Ty>),
    /// Null, text, numbers and a record.
    Choice(Box<Ty>),
    Record(String, Vec<(String, Ty)>),
}

const INSTANTS: [(&str, i64); 6] = [
    ("timestamp-millis", 1_000),
    ("timestamp-micros", 1),
    ("timestamp-nanos", 1),
    ("local-timestamp-millis", 1_000),
    ("local-timestamp-micros", 1),
    ("local-timestamp-nanos", 1),
];

impl Ty {
    /// A record of up to five fields, so deep.
    pub(super) fn record(dice: &mut Dice, names: &mut usize, depth: usize) -> Self {
        let name = fresh(names);
        let fields = (0..=dice.below(5)).map(|index| (format!("f{index}"), Self::any(dice, names, depth)));
        Self::Record(name, fields.collect())
    }

    fn any(dice: &mut Dice, names: &mut usize, depth: usize) -> Self {
        let kinds = if depth == 0 { 15 } else { 20 };
        match dice.below(kinds) {
            0 => Self::Boolean,
            1 => Self::Int,
            2 => Self::Long,
            3 => Self::Float,
            4 => Self::Double,
            5 => Self::Bytes,
            6 => Self::Text,
            7 => Self::Date,
            8 => Self::TimeMillis,
            9 => Self::TimeMicros,
            10 => {
                let (word, unit) = INSTANTS[dice.below(6) as usize];
                Self::Instant(word, unit)
            }
            11 => Self::Decimal(2 + dice.below(60) as u8, dice.below(3) as u8),
            12 => Self::FixedDecimal(fresh(names)),
            13 => Self::Fixed(fresh(names), dice.below(20) as usize),
            14 => Self::Enum(fresh(names), 1 + dice.below(4) as usize),
            15 => Self::Array(Box::new(Self::any(dice, names, depth - 1))),
            16 => Self::Map(Box::new(Self::any(dice, names, depth - 1))),
            17 => match Self::any(dice, names, depth - 1) {
                union @ (Self::Nullable(_) | Self::Choice(_)) => union,
                other => Self::Nullable(Box::new(other)),
            },
            18 => Self::Choice(Box::new(Self::record(dice, names, depth - 1))),
            _ => Self::record(dice, names, depth - 1),
        }
    }

    pub(super) fn schema(&self) -> Value {
        let logical = |of: &str, word: &str| json!({ "type": of, "logicalType": word });
        match self {
            Self::Boolean => json!("boolean"),
            Self::Int => json!("int"),
            Self::Long => json!("long"),
            Self::Float => json!("float"),
            Self::Double => json!("double"),
            Self::Bytes => json!("bytes"),
            Self::Text => json!("string"),
            Self::Date => logical("int", "date"),
            Self::TimeMillis => logical("int", "time-millis"),
            Self::TimeMicros => logical("long", "time-micros"),
            Self::Instant(word, _) => logical("long", word),
            Self::Decimal(precision, scale) => {
                json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale })
            }
            Self::FixedDecimal(name) => {
                json!({ "type": "fixed", "name": name, "size": 8, "logicalType": "decimal", "precision": 18, "scale": 2 })
            }
            Self::Fixed(name, size) => json!({ "type": "fixed", "name": name, "size": size }),
            Self::Enum(name, symbols) => {
                let symbols: Vec<String> = (0..*symbols).map(symbol).collect();
                json!({ "type": "enum", "name": name, "symbols": symbols })
            }
            Self::Array(items) => json!({ "type": "array", "items": items.schema() }),
            Self::Map(values) => json!({ "type": "map", "values": values.schema() }),
            Self::Nullable(of) => json!(["null", of.schema()]),
            Self::Choice(record) => json!(["null", "string", "long", record.schema()]),
            Self::Record(name, fields) => {
                let field = |(name, ty): &(String, Ty)| json!({ "name": name, "type": ty.schema() });
                json!({ "type": "record", "name": name, "fields": fields.iter().map(field).collect::<Vec<_>>() })
            }
        }
    }

    pub(super) fn value(&self, dice: &mut Dice) -> Avro {
        match self {
            Self::Boolean => Avro::Boolean(dice.below(2) == 1),
            Self::Int => Avro::Int(dice.long() as i32),
            Self::Long => Avro::Long(dice.long()),
            Self::Float => Avro::Float(dice.long() as f32 / 8.0),
            Self::Double => Avro::Double(dice.long() as f64 / 8.0),
            Self::Bytes => Avro::Bytes(bytes(dice)),
            Self::Text => Avro::String(words(dice)),
            Self::Date => Avro::Date(dice.long() as i32),
            Self::TimeMillis => Avro::TimeMillis(dice.below(86_400_000) as i32),
            Self::TimeMicros => Avro::TimeMicros(dice.below(86_400_000_000) as i64),
            Self::Instant(word, unit) => {
                let value = dice.long() / unit;
                match *word {
                    "timestamp-millis" => Avro::TimestampMillis(value),
                    "timestamp-micros" => Avro::TimestampMicros(value),
                    "timestamp-nanos" => Avro::TimestampNanos(value),
                    "local-timestamp-millis" => Avro::LocalTimestampMillis(value),
                    "local-timestamp-micros" => Avro::LocalTimestampMicros(value),
                    _ => Avro::LocalTimestampNanos(value),
                }
            }
            Self::Decimal(precision, _) => Avro::Decimal(Decimal::from(digits(dice, *precision))),
            Self::FixedDecimal(_) => {
                let value = dice.long() % 1_000_000_000_000_000_000;
                Avro::Decimal(Decimal::from(value.to_be_bytes()))
            }
            Self::Fixed(_, size) => Avro::Fixed(*size, (0..*size).map(|_| dice.next() as u8).collect()),
            Self::Enum(_, symbols) => {
                let index = dice.below(*symbols as u64) as usize;
                Avro::Enum(index as u32, symbol(index))
            }
            Self::Array(items) => Avro::Array((0..dice.below(4)).map(|_| items.value(dice)).collect()),
            Self::Map(values) => {
                let entries = (0..dice.below(4)).map(|index| (format!("k{index}"), values.value(dice)));
                Avro::Map(entries.collect::<HashMap<_, _>>())
            }
            Self::Nullable(of) => match dice.below(3) {
                0 => Avro::Union(0, Box::new(Avro::Null)),
                _ => Avro::Union(1, Box::new(of.value(dice))),
            },
            Self::Choice(record) => match dice.below(4) {
                0 => Avro::Union(0, Box::new(Avro::Null)),
                1 => Avro::Union(1, Box::new(Self::Text.value(dice))),
                2 => Avro::Union(2, Box::new(Self::Long.value(dice))),
                _ => Avro::Union(3, Box::new(record.value(dice))),
            },
            Self::Record(_, fields) => {
                Avro::Record(fields.iter().map(|(name, ty)| (name.clone(), ty.value(dice))).collect())
            }
        }
    }

    /// What the value should be as a column.
    pub(super) fn column(&self, value: &Avro) -> Value {
        match (self, value) {
            (_, Avro::Null) => Value::Null,
            (Self::Choice(record), Avro::Union(branch, value)) => {
                let Self::Record(name, _) = &**record else { unreachable!("a choice has a record") };
                let mut members = Map::new();
                for (index, (word, ty)) in
                    [("string", &Self::Text), ("long", &Self::Long), (name, &**record)].into_iter().enumerate()
                {
                    let is_it = *branch as usize == index + 1;
                    members.insert(word.to_owned(), if is_it { ty.column(value) } else { Value::Null });
                }
                if *branch == 0 { Value::Null } else { Value::Object(members) }
            }
            (Self::Nullable(of), Avro::Union(_, value)) => of.column(value),
            (_, Avro::Boolean(value)) => json!(value),
            (Self::Float | Self::Double, Avro::Int(value)) => json!(f64::from(*value)),
            (Self::Float | Self::Double, Avro::Long(value)) => json!(*value as f64),
            (_, Avro::Int(value) | Avro::Date(value)) => json!(value),
            (_, Avro::Long(value)) => json!(value),
            (_, Avro::Float(value)) => json!(f64::from(*value)),
            (_, Avro::Double(value)) => json!(value),
            (_, Avro::Bytes(bytes) | Avro::Fixed(_, bytes)) => hex(bytes),
            (_, Avro::String(text)) => json!(text),
            (_, Avro::Enum(_, symbol)) => json!(symbol),
            (_, Avro::TimeMillis(value)) => json!(i64::from(*value) * 1_000),
            (_, Avro::TimeMicros(value)) => json!(value),
            (Self::Instant(_, unit), Avro::TimestampMillis(value) | Avro::LocalTimestampMillis(value)) => {
                json!(value * unit)
            }
            (
                _,
                Avro::TimestampMicros(value)
                | Avro::TimestampNanos(value)
                | Avro::LocalTimestampMicros(value)
                | Avro::LocalTimestampNanos(value),
            ) => json!(value),
            (_, Avro::Decimal(decimal)) => {
                let bytes = <Vec<u8>>::try_from(decimal).expect("its bytes");
                let mut whole = [if bytes.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 }; 32];
                whole[32 - bytes.len()..].copy_from_slice(&bytes);
                json!(arrow::datatypes::i256::from_be_bytes(whole).to_string())
            }
            (Self::Array(items), Avro::Array(values)) => values.iter().map(|value| items.column(value)).collect(),
            (Self::Map(of), Avro::Map(values)) => {
                Value::Object(values.iter().map(|(key, value)| (key.clone(), of.column(value))).collect())
            }
            (Self::Record(_, fields), Avro::Record(values)) => {
                let find = |name: &str| values.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                let member = |(name, ty): &(String, Ty)| (name.clone(), ty.column(find(name).expect("every field")));
                Value::Object(fields.iter().map(member).collect())
            }
            (ty, value) => panic!("{value:?} is no {ty:?}"),
        }
    }
}

pub(super) fn fresh(names: &mut usize) -> String {
    *names += 1;
    format!("N{names}")
}

fn symbol(index: usize) -> String {
    format!("S{index}")
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    (0..dice.below(30)).map(|_| dice.next() as u8).collect()
}

fn words(dice: &mut Dice) -> String {
    (0..dice.below(20)).map(|_| ['a', 'ß', '"', '\n', '漢', '😀', ' '][dice.below(7) as usize]).collect()
}

/// A number of no more than so many digits, big-endian.
fn digits(dice: &mut Dice, precision: u8) -> Vec<u8> {
    // Each byte is more than two digits.
    let bytes = 1 + dice.below((u64::from(precision) / 3).max(1)) as usize;
    let mut digits: Vec<u8> = (0..bytes).map(|_| dice.next() as u8).collect();
    if precision < 3 {
        digits = vec![dice.below(10) as u8];
    }
    digits
}
