//! `column ILIKE 'text'` with nothing special in the text, which is what searches for `service:checkout` come to: compared as a
//! whole value instead of as a pattern. Changes no answer.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, StringViewArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::needle::text_of;

/// The function that such conditions become.
pub(crate) const WHOLE_VALUE: &str = "equals_ignoring_case";
/// A view of at most so many bytes is the value itself.
const INLINE_BYTES_MAX: usize = 12;
/// The bit in which the cases of an ASCII letter differ.
const CASE: u8 = 0x20;
/// The characters outside of ASCII that are letters of ASCII to who ignores case, and these letters.
const FOLDED: [(char, u8); 2] = [('\u{212a}', b'k'), ('\u{17f}', b's')];

/// The plan with such conditions compared as values. What scans are told of them stays as it is: indexes know patterns.
pub(crate) fn as_values(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::Filter(mut filter) = node else { return Ok(Transformed::no(node)) };
        let schema = Arc::clone(filter.input.schema());
        let condition = filter.predicate.transform_down(|part| {
            Ok(match value_of(&part, &schema) {
                Some((column, value)) => Transformed::yes(Whole::new(&value).into_function().call(vec![column])),
                None => Transformed::no(part),
            })
        })?;
        filter.predicate = condition.data;
        Ok(Transformed::new_transformed(LogicalPlan::Filter(filter), condition.transformed))
    });
    Ok(changed?.data)
}

/// The column of texts, and the value that it must have whatever the case of its letters.
fn value_of(condition: &Expr, schema: &DFSchema) -> Option<(Expr, String)> {
    let Expr::Like(Like { negated: false, expr, pattern, escape_char, case_insensitive: true }) = condition else {
        return None;
    };
    let Expr::Column(column) = expr.as_ref() else { return None };
    if *schema.field_from_column(column).ok()?.data_type() != DataType::Utf8View {
        return None;
    }
    let value = literal(text_of(pattern)?, escape_char.unwrap_or('\\'))?;
    value.is_ascii().then(|| (expr.as_ref().clone(), value))
}

/// What a pattern in which nothing is special stands for.
fn literal(pattern: &str, escape: char) -> Option<String> {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => text.push(chars.next()?),
            '%' | '_' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// A text of ASCII in lower case.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    text: String,
    /// Its view, and the bits of a view in which case shows, if the text is short.
    view: Option<(u128, u128)>,
    /// Longer texts may be the same when case is ignored.
    may_be_longer: bool,
    signature: Signature,
}

impl Whole {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let view = (text.len() <= INLINE_BYTES_MAX).then(|| {
            let (mut view, mut case) = ([0; 16], [0; 16]);
            // A view begins with the length.
            view[0] = text.len() as u8;
            for (at, byte) in text.bytes().enumerate() {
                view[4 + at] = byte;
                case[4 + at] = if byte.is_ascii_alphabetic() { CASE } else { 0 };
            }
            (u128::from_le_bytes(view), u128::from_le_bytes(case))
        });
        let may_be_longer = text.bytes().any(|byte| FOLDED.iter().any(|(_, letter)| byte == *letter));
        Self { text, view, may_be_longer, signature: Signature::any(1, Volatility::Immutable) }
    }

    fn into_function(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }

    fn find(&self, texts: &StringViewArray) -> BooleanArray {
        let length = self.text.len();
        let is = |row: usize| {
            let view = texts.views()[row];
            // The low bits are the length.
            let there = view as u32 as usize;
            if there == length {
                return match self.view {
                    Some((value, case)) => view | case == value,
                    None => texts.value(row).eq_ignore_ascii_case(&self.text),
                };
            }
            self.may_be_longer && there > length && self.is_folded(texts.value(row))
        };
        BooleanArray::new(BooleanBuffer::collect_bool(texts.len(), is), texts.nulls().cloned())
    }

    /// Whether `text` is the same with the characters that fold to letters of ASCII.
    fn is_folded(&self, text: &str) -> bool {
        let fold = |c: char| match FOLDED.iter().find(|(folded, _)| *folded == c) {
            Some((_, letter)) => char::from(*letter),
            None => c.to_ascii_lowercase(),
        };
        text.chars().map(fold).eq(self.text.chars())
    }
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        WHOLE_VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let texts = arguments.args.remove(0).into_array(rows)?;
        let texts = cast(&texts, &DataType::Utf8View)?;
        Ok(ColumnarValue::Array(Arc::new(self.find(texts.as_string_view()))))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Scalar;
    use proptest::prelude::*;

    use super::*;
    use crate::logs::escaped;

    #[test]
    fn patterns_stand_for_a_value_unless_something_is_special_in_them() {
        assert_eq!(literal("a\\_b\\%\\\\c", '\\').as_deref(), Some("a_b%\\c"));
        assert_eq!(literal("a!_b\\", '!').as_deref(), Some("a_b\\"));
        for special in ["a%", "_a", "a\\"] {
            assert_eq!(literal(special, '\\'), None, "{special}");
        }
    }

    proptest! {
        #[test]
        fn values_are_the_same_as_by_the_pattern(
            texts in proptest::collection::vec(proptest::option::of("[aAkK\u{212a}sS\u{17f}_%ä0\\\\]{0,3}(kS-service-7)?"), 1..40),
            asked in "[aksAKS_%0\\\\]{0,3}(Ks-SERVICE-7)?",
        ) {
            let texts = StringViewArray::from(texts);
            let pattern = escaped(&asked);
            let right = arrow::compute::ilike(&texts, &Scalar::new(StringViewArray::from(vec![pattern.as_str()])));
            let value = literal(&pattern, '\\').expect("nothing in it is special");
            prop_assert_eq!(Whole::new(&value).find(&texts), right.expect("compared"), "{}", asked);
        }
    }
}
