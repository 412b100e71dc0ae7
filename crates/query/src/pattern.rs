//! `pattern(text)`: the template that a log line was made from, with what changes from line to line put aside: numbers,
//! addresses, identifiers. Lines of one template have one pattern; each line is looked at by itself, so the pattern of a
//! line never changes.
//!
//! | in the text | in the pattern |
//! |---|---|
//! | `4711`, `3.14`, `-7` is `-` and a number | `<n>` |
//! | `10.0.0.1` | `<ip>` |
//! | `3f2a9c1b04`, `0x7ffe` (8 or more hexadecimal digits with one of 0-9, or after `0x`) | `<hex>` |
//! | `0d3c2b1a-....-............` | `<uuid>` |
//! | digits inside of a word: `rdd_5_6` | `rdd_<n>_<n>` |

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The name of the function.
pub(crate) const PATTERN: &str = "pattern";
/// Only the beginning of a longer text is looked at: a pattern says what kind of line it is.
const TEXT_BYTES_MAX: usize = 4 << 10;
const HEX_DIGITS_MIN: usize = 8;
/// Lengths of the parts of an UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// The function.
pub(crate) fn pattern() -> ScalarUDF {
    ScalarUDF::new_from_impl(Pattern { signature: Signature::string(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pattern {
    signature: Signature,
}

impl ScalarUDFImpl for Pattern {
    fn name(&self) -> &str {
        PATTERN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = arguments.args.as_slice() else {
            return Err(DataFusionError::Execution("pattern needs a text".to_owned()));
        };
        let texts = cast(&texts.clone().into_array(arguments.number_rows)?, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let mut patterns = StringViewBuilder::with_capacity(texts.len()).with_deduplicate_strings();
        let mut made = String::new();
        for text in texts {
            match text {
                None => patterns.append_null(),
                Some(text) => {
                    made.clear();
                    write_pattern(text, &mut made);
                    patterns.append_value(&made);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(patterns.finish())))
    }
}

/// Writes the pattern of `text` behind what is in `out`.
fn write_pattern(text: &str, out: &mut String) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &text[..end];
    while !rest.is_empty() {
        let word = rest.bytes().take_while(|byte| is_in_word(*byte)).count();
        let taken = if word == 0 {
            let other = rest.bytes().take_while(|byte| !is_in_word(*byte)).count();
            out.push_str(&rest[..other]);
            other
        } else if let Some(length) = uuid(rest) {
            out.push_str("<uuid>");
            length
        } else if is_hex(&rest[..word]) {
            out.push_str("<hex>");
            word
        } else if let Some((length, is_address)) = number(rest, word) {
            out.push_str(if is_address { "<ip>" } else { "<n>" });
            length
        } else {
            write_word(&rest[..word], out);
            word
        };
        rest = &rest[taken..];
    }
}

fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How long the UUID is that `text` begins with.
fn uuid(text: &str) -> Option<usize> {
    let mut parts = text.splitn(6, '-');
    for (at, length) in UUID.into_iter().enumerate() {
        let part = parts.next()?.as_bytes();
        let ends = if at == 4 { part.get(length).is_none_or(|byte| !is_in_word(*byte)) } else { part.len() == length };
        if !ends || !part.get(..length)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    Some(UUID.iter().sum::<usize>() + 4)
}

fn is_hex(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_long = digits.len() >= HEX_DIGITS_MIN || (digits.len() < word.len() && !digits.is_empty());
    let letters = digits.bytes().filter(u8::is_ascii_alphabetic).count();
    let mixes = letters < digits.len() && (letters > 0 || digits.len() < word.len());
    is_long && mixes && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How long the number is that `text` begins with, and whether it is an address of four parts. `first` is the length of
/// its first word.
fn number(text: &str, first: usize) -> Option<(usize, bool)> {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(&text[..first]) {
        return None;
    }
    let (mut length, mut parts) = (first, 1);
    while let Some(rest) = text[length..].strip_prefix('.') {
        let word = rest.bytes().take_while(|byte| is_in_word(*byte)).count();
        if !is_number(&rest[..word]) {
            break;
        }
        length += 1 + word;
        parts += 1;
    }
    Some((length, parts == 4))
}

/// A word with its digits left out.
fn write_word(word: &str, out: &mut String) {
    let mut is_in_number = false;
    for c in word.chars() {
        match (c.is_ascii_digit(), is_in_number) {
            (true, true) => {}
            (true, false) => out.push_str("<n>"),
            (false, _) => out.push(c),
        }
        is_in_number = c.is_ascii_digit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, logs, shown};

    fn of(text: &str) -> String {
        let mut out = String::new();
        write_pattern(text, &mut out);
        out
    }

    #[test]
    fn what_changes_from_line_to_line_is_put_aside() {
        assert_eq!(
            of("Finished task 12 in stage 3.0 (TID 99) in 7 ms"),
            "Finished task <n> in stage <n> (TID <n>) in <n> ms"
        );
        assert_eq!(of("Block rdd_5_6 stored"), "Block rdd_<n>_<n> stored");
        assert_eq!(of("from 10.45.24.91:8080"), "from <ip>:<n>");
        assert_eq!(of("version 1.2.3-rc1"), "version <n>-rc<n>");
        assert_eq!(of("trace 3f2a9c1b04d5 at 0x7ffe"), "trace <hex> at <hex>");
        assert_eq!(of("deadbeef is a word and 12345678 a number"), "deadbeef is a word and <n> a number");
        assert_eq!(of("id 0d3c2b1a-1111-4222-8333-0123456789ab."), "id <uuid>.");
        assert_eq!(of("id 0d3c2b1a-1111-4222-8333-0123456789abc"), "id <hex>-<n>-<n>-<n>-<hex>");
        assert_eq!(of("Größe 7 µs"), "Größe <n> µs");
        assert_eq!(of("-7 +3 a=4"), "-<n> +<n> a=<n>");
        assert_eq!(of(""), "");
        assert_eq!(of("5."), "<n>.");
    }

    #[test]
    fn a_pattern_has_a_limit_and_is_its_own_pattern() {
        let long = "größe ".repeat(5_000);
        assert!(of(&long).len() <= TEXT_BYTES_MAX);
        for text in ["task 7 of 10.0.0.1", "rdd_1_2", "0d3c2b1a-1111-4222-8333-0123456789ab"] {
            assert_eq!(of(&of(text)), of(text));
        }
    }

    #[test]
    fn sql_groups_by_it() {
        let rows = [(1, "INFO", "task 7 took 5 ms"), (2, "INFO", "task 8 took 16 ms"), (3, "INFO", "done")];
        let engine = Stage::with_logs(&[], &[logs(&rows)]).engine();
        let sql = "SELECT pattern(message) AS p, count(*) AS n FROM logs GROUP BY p ORDER BY n DESC";
        let table = shown(&engine, sql);
        assert!(
            table.contains("| task <n> took <n> ms | 2 |") && table.contains("| done                 | 1 |"),
            "{table}"
        );
    }
}
