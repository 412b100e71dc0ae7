//! Placeholders (`$1`) of a text: what they are, and their values put in their places. A value never becomes part of a text.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Statement, Value, ValueWithSpan, Visit, Visitor};

use crate::error::{QueryError, QueryErrorCode};
use crate::limits::Parameter;
use crate::pg_catalog::written;

/// Placeholders of a text.
const PARAMETERS_MAX: usize = 1_000;

/// The types of `$1` and so on; `None` where the place does not say.
pub(crate) fn types(plan: &LogicalPlan, sql: &str) -> Result<Vec<Option<DataType>>, QueryError> {
    let found = plan.get_parameter_types().map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let guessed = guessed(plan).map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let mut types = Vec::new();
    for (name, data_type) in found {
        let data_type = data_type.or_else(|| guessed.get(&name).cloned());
        let place = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()).filter(|number| *number > 0);
        let Some(place) = place.filter(|place| *place <= PARAMETERS_MAX) else {
            let message = format!("the placeholder {name} is none: they are called $1 to ${PARAMETERS_MAX}");
            return Err(QueryError::new(QueryErrorCode::InvalidQuery, message).at_word(sql, &name));
        };
        types.resize(types.len().max(place), None);
        types[place - 1] = data_type;
    }
    Ok(types)
}

/// How many placeholders a statement that needs no plan has.
pub(crate) fn count(statement: &Statement) -> usize {
    let mut highest = Highest(0);
    let _ = statement.visit(&mut highest);
    highest.0
}

struct Highest(usize);

impl Visitor for Highest {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value {
            let place = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            self.0 = self.0.max(place.filter(|place| *place <= PARAMETERS_MAX).unwrap_or(0));
        }
        ControlFlow::Continue(())
    }
}

/// The types of placeholders of which the planner knows none: those that say how many rows are meant, lists that have to
/// have a value (`n = ANY($1)`), and what is cast.
fn guessed(plan: &LogicalPlan) -> datafusion::error::Result<BTreeMap<String, DataType>> {
    let mut types = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = count.as_ref() {
                    types.insert(placeholder.id.clone(), DataType::Int64);
                }
            }
        }
        let mut schema = DFSchema::empty();
        node.inputs().iter().for_each(|input| schema.merge(input.schema()));
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Some((name, data_type)) = by_use(expression, &schema) {
                    types.entry(name).or_insert(data_type);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}

/// What a placeholder is by the expression that it stands in.
fn by_use(expression: &Expr, schema: &DFSchema) -> Option<(String, DataType)> {
    match expression {
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "array_has" => match args.as_slice() {
            [Expr::Placeholder(list), needle] => {
                let element = needle.get_type(schema).ok()?;
                Some((list.id.clone(), DataType::new_list(element, true)))
            }
            _ => None,
        },
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Placeholder(value) => Some((value.id.clone(), cast.field.data_type().clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The plan with nulls in the places of its placeholders, of the types that they have: what it answers, and as what. Where
/// a place does not say what it has to be, it is what is `declared`.
pub(crate) fn outlined(
    plan: LogicalPlan,
    declared: &[Option<DataType>],
    sql: &str,
) -> Result<(LogicalPlan, Vec<Option<DataType>>), QueryError> {
    let mut types = types(&plan, sql)?;
    for (meant, declared) in types.iter_mut().zip(declared) {
        if meant.is_none() {
            meant.clone_from(declared);
        }
    }
    let nulls: Vec<Parameter> =
        types.iter().map(|data_type| Parameter { value: None, data_type: data_type.clone() }).collect();
    Ok((filled(plan, &nulls, sql)?, types))
}

/// The plan with values in the places of its placeholders.
pub(crate) fn filled(plan: LogicalPlan, parameters: &[Parameter], sql: &str) -> Result<LogicalPlan, QueryError> {
    let types = types(&plan, sql)?;
    if types.len() > parameters.len() {
        let message = format!("the text has ${}, and {} parameters are given", types.len(), parameters.len());
        return Err(QueryError::new(QueryErrorCode::InvalidRequest, message));
    }
    if types.is_empty() {
        return Ok(plan);
    }
    let places = parameters.iter().zip(types.into_iter().chain(std::iter::repeat(None)));
    let values = places.enumerate().map(|(index, (parameter, meant))| value(index + 1, parameter, meant));
    let values = values.collect::<Result<Vec<ScalarValue>, QueryError>>()?;
    plan.with_param_values(values).map_err(|error| QueryError::from_datafusion(&error, sql))
}

fn value(number: usize, parameter: &Parameter, meant: Option<DataType>) -> Result<ScalarValue, QueryError> {
    let declared = parameter.data_type.clone().or_else(|| meant.clone()).unwrap_or(DataType::Utf8);
    let wrong = |target: &DataType| {
        let shown = parameter.value.as_deref().unwrap_or("null");
        let message = format!("${number} is {shown:?}, which cannot be {target}");
        QueryError::new(QueryErrorCode::InvalidRequest, message)
    };
    let scalar = match &parameter.value {
        None => ScalarValue::try_from(&declared).map_err(|error| error.to_string()),
        Some(text) => read(text, &declared),
    };
    let scalar = scalar.map_err(|_| wrong(&declared))?;
    match meant {
        Some(meant) if meant != declared => scalar.cast_to(&meant).map_err(|_| wrong(&meant)),
        _ => Ok(scalar),
    }
}

/// A value from a text, as clients of PostgreSQL write it too.
fn read(text: &str, data_type: &DataType) -> Result<ScalarValue, String> {
    let cast =
        |text: &str| ScalarValue::Utf8(Some(text.to_owned())).cast_to(data_type).map_err(|error| error.to_string());
    match data_type {
        DataType::List(field) if text.trim_start().starts_with('{') => list(text, field),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => match text.strip_prefix("\\x") {
            Some(digits) => {
                ScalarValue::Binary(Some(unhex(digits)?)).cast_to(data_type).map_err(|error| error.to_string())
            }
            None => cast(text),
        },
        // `2026-01-01 +00`: a day with a zone, which means nothing for a day, and its beginning for a time.
        DataType::Date32 | DataType::Date64 => cast(day_and_zone(text).map_or(text, |(day, _)| day)),
        DataType::Timestamp(..) => match day_and_zone(text) {
            Some((day, zone)) => cast(&format!("{day} 00:00:00{zone}")),
            None => cast(text),
        },
        _ => cast(text),
    }
}

fn day_and_zone(text: &str) -> Option<(&str, &str)> {
    let (day, zone) = text.trim().split_once(' ')?;
    zone.starts_with(['+', '-']).then_some((day, zone))
}

fn list(text: &str, field: &Arc<Field>) -> Result<ScalarValue, String> {
    let element = |element: Option<String>| match element {
        Some(element) => read(&element, field.data_type()),
        None => ScalarValue::try_from(field.data_type()).map_err(|error| error.to_string()),
    };
    let values = written::elements(text)?.into_iter().map(element).collect::<Result<Vec<_>, _>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, field.data_type())))
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(|| "not hexadecimal digits".to_owned())
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_become_values_as_clients_of_postgresql_write_them() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        let shown = |text: &str, kind: &DataType| read(text, kind).map(|value| value.to_string());
        for text in ["2026-01-02 03:00:00+00", "2026-01-02 08:00:00+05", "2026-01-02T03:00:00Z", "2026-01-02 03:00:00"]
        {
            assert_eq!(shown(text, &utc), shown("2026-01-02T03:00:00+00:00", &utc), "{text}");
        }
        assert_eq!(shown("2026-01-02 +00", &utc), shown("2026-01-02T00:00:00Z", &utc));
        assert_eq!(shown("2026-01-02 +05:30", &DataType::Date32), shown("2026-01-02", &DataType::Date32));
        assert!(shown("2026-01-02 +00", &DataType::Date32).is_ok());
        assert_eq!(read("\\x00fF", &DataType::Binary), Ok(ScalarValue::Binary(Some(vec![0, 255]))));
        assert!(read("\\x0", &DataType::Binary).is_err());
        for (text, wanted) in [("t", true), ("FALSE", false), ("on", true), ("0", false)] {
            assert_eq!(read(text, &DataType::Boolean), Ok(ScalarValue::Boolean(Some(wanted))), "{text}");
        }
        assert_eq!(shown("{1,NULL}", &DataType::new_list(DataType::Int64, true)), Ok("[1, ]".to_owned()));
        assert!(read("{1,x}", &DataType::new_list(DataType::Int64, true)).is_err());
    }
}
