//! `has_words(text, 'words')`: whether each of the words is one of the text's, ignoring the case of ASCII letters. The
//! search index knows words, so rare ones are found without looking at other rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use weir_store::is_in_word;

/// The name of the function.
pub(crate) const HAS_WORDS: &str = "has_words";

/// The words of `text`: runs of letters, digits, `_` and characters outside of ASCII.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii() && !is_in_word(c as u8)).filter(|word| !word.is_empty())
}

/// The function.
pub(crate) fn has_words() -> ScalarUDF {
    ScalarUDF::new_from_impl(HasWords { signature: Signature::string(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HasWords {
    signature: Signature,
}

impl ScalarUDFImpl for HasWords {
    fn name(&self) -> &str {
        HAS_WORDS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let [texts, asked] = arguments.args.as_slice() else {
            return Err(DataFusionError::Execution("has_words needs a text and words".to_owned()));
        };
        let as_views = |value: &ColumnarValue, rows: usize| -> Result<ArrayRef> {
            Ok(cast(&value.clone().into_array(rows)?, &DataType::Utf8View)?)
        };
        let texts = as_views(texts, rows)?;
        let texts = texts.as_string_view();
        // Words that are written out are taken apart once.
        let is_one = matches!(asked, ColumnarValue::Scalar(_));
        let asked = as_views(asked, if is_one { 1 } else { rows })?;
        let asked = asked.as_string_view();
        let once = (is_one && asked.is_valid(0)).then(|| words(asked.value(0)).collect::<Vec<_>>());
        let found = (0..rows).map(|row| {
            let at = if is_one { 0 } else { row };
            if texts.is_null(row) || asked.is_null(at) {
                return None;
            }
            Some(match &once {
                Some(wanted) => has_all(texts.value(row), wanted),
                None => has_all(texts.value(row), &words(asked.value(at)).collect::<Vec<_>>()),
            })
        });
        Ok(ColumnarValue::Array(Arc::new(found.collect::<BooleanArray>())))
    }
}

fn has_all(text: &str, wanted: &[&str]) -> bool {
    wanted.iter().all(|wanted| words(text).any(|word| word.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Stage, logs, value};

    #[test]
    fn words_are_found_whole_whatever_their_case_and_place() {
        let rows = [
            (1, "INFO", "Task task_7 of order 4711 ended"),
            (2, "INFO", "task-7 of order 47110 ended"),
            (3, "INFO", "Überlauf: größe 3"),
            (4, "INFO", ""),
        ];
        let engine = Stage::with_logs(&[], &[logs(&rows)]).engine();
        let count =
            |words: &str| value(&engine, &format!("SELECT count(*) FROM logs WHERE has_words(message, {words})"));
        assert_eq!(count("'4711'"), "1");
        assert_eq!(count("'TASK'"), "2");
        assert_eq!(count("'ended, order'"), "2");
        assert_eq!(count("'task_7'"), "1");
        assert_eq!(count("'größe'"), "1");
        assert_eq!(count("'gr'"), "0");
        assert_eq!(count("''"), "4");
        assert_eq!(count("NULL"), "0");
        assert_eq!(count("message"), "4");
    }
}
