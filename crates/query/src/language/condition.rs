//! What a condition means for the columns of a table; reads no rows.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;
use weir_sql::nearest;

use super::cursor::error_at;
use super::{At, Comparison, Condition, Test, Word};
use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorCode, listed};
use crate::logs::{escaped, is_text, message_like};

/// What rows with `schema` have to fulfil; `None` when all do. `text` is the search, for errors.
pub(crate) fn matches(condition: &Condition, schema: &Schema, text: &str) -> Result<Option<Expr>, QueryError> {
    Meaning { schema, text }.of(condition)
}

/// The column called `name`, or, if only one fits, the one that is called so in other capitals.
pub(crate) fn column_named<'a>(name: &str, schema: &'a Schema) -> Option<&'a Field> {
    if let Ok(field) = schema.field_with_name(name) {
        return Some(field);
    }
    let mut alike = schema.fields().iter().filter(|field| field.name().eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some(field), None) => Some(field),
        _ => None,
    }
}

pub(super) fn column<'a>(name: &At<String>, schema: &'a Schema, text: &str) -> Result<&'a Field, QueryError> {
    if let Some(field) = column_named(&name.what, schema) {
        return Ok(field);
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let message = format!("there is no column \"{}\"; there are {}", name.what, listed(&names));
    let error = error_at(text, name.nth, QueryErrorCode::UnknownColumn, message);
    Err(match nearest(&name.what, names) {
        Some(near) => error.hint(format!("did you mean {near}? A text with a colon goes in quotes")),
        None => error.hint("a text with a colon goes in quotes"),
    })
}

struct Meaning<'a> {
    schema: &'a Schema,
    text: &'a str,
}

impl Meaning<'_> {
    fn of(&self, condition: &Condition) -> Result<Option<Expr>, QueryError> {
        Ok(match condition {
            Condition::Everything => None,
            Condition::All(all) => self.each(all)?.into_iter().reduce(Expr::and),
            Condition::Any(any) => self.each(any)?.into_iter().reduce(Expr::or),
            // what is not known to match does not match
            Condition::Not(inner) => self.of(inner)?.map(|inner| Expr::IsNotTrue(Box::new(inner))),
            Condition::Text(word) => Some(message_like(&format!("%{}%", pattern(word)), self.schema)),
            Condition::Column(name, test) => Some(self.test(column(name, self.schema, self.text)?, test)?),
        })
    }

    fn each(&self, conditions: &[Condition]) -> Result<Vec<Expr>, QueryError> {
        conditions.iter().filter_map(|condition| self.of(condition).transpose()).collect()
    }

    fn test(&self, field: &Field, test: &Test) -> Result<Expr, QueryError> {
        let this = || ident(field.name().as_str());
        Ok(match test {
            Test::Exists => this().is_not_null(),
            Test::OneOf(values) => {
                let each = values.iter().map(|value| self.equals(field, value));
                let any = each.collect::<Result<Vec<_>, _>>()?.into_iter().reduce(Expr::or);
                any.unwrap_or_else(|| lit(false))
            }
            Test::Compared(comparison, value) => {
                let (operator, negated) = match comparison {
                    Comparison::Equal => (Operator::Eq, false),
                    Comparison::NotEqual => (Operator::Eq, true),
                    Comparison::Greater => (Operator::Gt, false),
                    Comparison::GreaterOrEqual => (Operator::GtEq, false),
                    Comparison::Less => (Operator::Lt, false),
                    Comparison::LessOrEqual => (Operator::LtEq, false),
                };
                let compared = binary_expr(this(), operator, self.literal(field, value)?);
                if negated { Expr::IsNotTrue(Box::new(compared)) } else { compared }
            }
            Test::Between(from, to) => {
                this().gt_eq(self.literal(field, from)?).and(this().lt_eq(self.literal(field, to)?))
            }
            Test::Matches(regex) if is_text(field.data_type()) => {
                binary_expr(cast(this(), DataType::Utf8View), Operator::RegexMatch, lit(regex.what.as_str()))
            }
            Test::Matches(regex) => {
                let kind = type_name(field.data_type());
                let message = format!("{} is a {kind}; regular expressions look into texts", field.name());
                return Err(self.error(regex.nth, message));
            }
        })
    }

    fn equals(&self, field: &Field, value: &Word) -> Result<Expr, QueryError> {
        let this = ident(field.name().as_str());
        if !is_text(field.data_type()) {
            return Ok(this.eq(self.literal(field, value)?));
        }
        Ok(Expr::Like(Like::new(false, Box::new(this), Box::new(lit(pattern(value))), None, true)))
    }

    /// `value` as a value of the column.
    fn literal(&self, field: &Field, value: &Word) -> Result<Expr, QueryError> {
        let written = value.text.what.as_str();
        let found = match field.data_type() {
            kind if is_text(kind) => Some(lit(written)),
            kind if kind.is_integer() || kind.is_floating() || is_decimal(kind) => {
                let whole = written.parse::<i64>().map(lit).ok();
                whole.or_else(|| written.parse::<f64>().ok().filter(|number| number.is_finite()).map(lit))
            }
            DataType::Boolean => written.to_ascii_lowercase().parse::<bool>().ok().map(lit),
            DataType::Timestamp(..) => string_to_timestamp_nanos(written)
                .ok()
                .map(|nanos| lit(ScalarValue::TimestampMicrosecond(Some(nanos.div_euclid(1_000)), Some("UTC".into())))),
            kind => {
                let message = format!("{} is a {}; it can be tested with :* only", field.name(), type_name(kind));
                return Err(self.error(value.text.nth, message).hint("SQL can look inside"));
            }
        };
        found.ok_or_else(|| {
            let kind = type_name(field.data_type());
            let error = self.error(value.text.nth, format!("{} is a {kind}, and \"{written}\" is none", field.name()));
            match field.data_type() {
                DataType::Timestamp(..) => error.hint("2026-01-31T10:00:00Z"),
                DataType::Boolean => error.hint("true or false"),
                _ => error,
            }
        })
    }

    fn error(&self, nth: usize, message: impl Into<String>) -> QueryError {
        error_at(self.text, nth, QueryErrorCode::InvalidQuery, message)
    }
}

fn is_decimal(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

/// The pattern of `LIKE` for a word: `*` is anything, unless it is quoted.
fn pattern(word: &Word) -> String {
    let escaped = escaped(&word.text.what);
    if word.quoted { escaped } else { escaped.replace('*', "%") }
}
