//! Random JSON: both ways of decoding agree with `serde_json` on what is JSON and on every value.

use arrow::array::cast::AsArray;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        "[a-z\"\\\\/\u{0}-\u{1f}é😀 ]{0,20}".prop_map(Value::from),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abcd]{1,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A line that is an object, mostly, with members that the plan wants, and with faults at times.
fn line() -> impl Strategy<Value = String> {
    let object = prop::collection::vec(("(k|n|x|t|b|o|[a-d]{1,2})", any_value()), 0..6);
    let faults =
        prop_oneof![8 => Just(None), 2 => (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(Some)];
    (object, any::<bool>(), faults).prop_map(|(members, is_spaced, fault)| {
        let (comma, colon) = if is_spaced { (" , ", " : ") } else { (",", ":") };
        let members: Vec<String> =
            members.iter().map(|(key, value)| format!("{}{colon}{value}", Value::from(key.as_str()))).collect();
        let mut text = format!("{{{}}}", members.join(comma));
        if let Some((at, other)) = fault {
            let characters: Vec<char> = text.chars().collect();
            let (at, other) = (at.index(characters.len()), other.index(characters.len()));
            let mut broken = characters.clone();
            broken[at] = characters[other];
            text = broken.into_iter().collect();
        }
        text
    })
}

/// Where the two differ on purpose: half a surrogate pair is a character here and a fault there, and a number too large
/// for a float is a fault here only where it is wanted.
fn is_beyond_comparison(line: &str) -> bool {
    let is_half =
        line.match_indices("\\ud").any(|(at, _)| line[at + 3..].starts_with(['8', '9', 'a', 'b', 'c', 'd', 'e', 'f']));
    let error = serde_json::from_str::<Value>(line).err();
    is_half || error.is_some_and(|error| error.to_string().starts_with("number out of range"))
}

/// What the plan makes of `line`, or `None` if it has to be rejected.
fn expected(line: &str) -> Option<[Option<String>; 5]> {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(line) else { return None };
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        // as it is written
        Some(Value::Bool(value)) => Some(Some(value.to_string())),
        Some(Value::Number(_)) => Some(Some("number".to_owned())),
        Some(Value::Array(_) | Value::Object(_)) => None,
    };
    let int = match members.get("n") {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => match number.as_i64() {
            Some(value) => Some(value.to_string()),
            None => {
                let value = number.as_f64().filter(|value| {
                    number.is_f64() && value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0
                })?;
                Some((value as i64).to_string())
            }
        },
        Some(_) => return None,
    };
    let float = match members.get("x") {
        None | Some(Value::Null) => None,
        // serde_json does not round floats correctly unless it is asked to; the standard library does
        Some(Value::Number(_)) => Some(written(line, "x")?.parse::<f64>().ok()?.to_string()),
        Some(_) => return None,
    };
    let nested = match members.get("o") {
        Some(Value::Object(inner)) => text(inner.get("a"))?,
        _ => None,
    };
    Some([text(members.get("k"))?, int, float, text(members.get("t"))?, nested])
}

/// The value of a member as it is written.
fn written(line: &str, name: &str) -> Option<String> {
    let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(line).ok()?;
    members.get(name).map(|value| value.get().to_owned())
}

/// The same of the decoder's row.
fn found(batch: &RecordBatch) -> [Option<String>; 5] {
    let texts = |column: usize| {
        let column = batch.column(column);
        match column.data_type() {
            DataType::Utf8View => {
                column.as_string_view().is_valid(0).then(|| column.as_string_view().value(0).to_owned())
            }
            _ => {
                let keys = column.as_dictionary::<Int32Type>();
                keys.is_valid(0)
                    .then(|| keys.values().as_string::<i32>().value(keys.keys().value(0) as usize).to_owned())
            }
        }
    };
    let int = batch.column(1).as_primitive::<Int64Type>();
    let float = batch.column(2).as_primitive::<Float64Type>();
    [
        texts(0),
        int.is_valid(0).then(|| int.value(0).to_string()),
        float.is_valid(0).then(|| float.value(0).to_string()),
        texts(3),
        texts(4),
    ]
}

/// Whether two texts are the same, when numbers may be written in other ways.
fn is_same(found: &Option<String>, expected: &Option<String>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) if expected == "number" => found.parse::<f64>().is_ok() || found == expected,
        (found, expected) => found == expected,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_projected_decoder_agrees_with_serde_json(line in line()) {
        prop_assume!(!is_beyond_comparison(&line));
        let these = vec![key("k"), value("n", DataType::Int64), value("x", DataType::Float64), value("t", DataType::Utf8View), key("o.a")];
        let decoded = decode_these(&line, None, these);
        match expected(&line) {
            Some(expected) => {
                prop_assert_eq!(&decoded.rejected, &Vec::new(), "{}", line);
                let found = found(&decoded.batches[0].columns);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!(is_same(found, expected), "{line}: {found:?} is not {expected:?}");
                }
            }
            None => prop_assert_eq!(decoded.rejected.len(), 1, "{}", line),
        }
    }

    #[test]
    fn decoding_every_field_accepts_what_is_an_object_and_no_more(lines in prop::collection::vec(line(), 1..20)) {
        let lines: Vec<String> = lines.into_iter().filter(|line| !is_beyond_comparison(line)).collect();
        let text = lines.join("\n");
        let mut decoder = FormatConfig::default().decoder(wanted(None, Fields::All)).expect("a valid plan");
        let decoded = decoder.decode(&raw_of(text.as_bytes()));
        let good = lines.iter().filter(|line| matches!(serde_json::from_str(line), Ok(Value::Object(_)))).count();
        prop_assert_eq!(decoded.batches.iter().map(weir_model::Batch::rows).sum::<usize>(), good);
        prop_assert_eq!(decoded.rejected.len(), lines.len() - good);
    }
}
