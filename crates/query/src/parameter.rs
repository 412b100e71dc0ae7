//! Placeholders (`$1`) of a text: what they are, and their values put in their places. A value never becomes part of a text.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;

use crate::error::{QueryError, QueryErrorCode};
use crate::limits::Parameter;

/// Placeholders of a text.
const PARAMETERS_MAX: usize = 1_000;

/// The types of `$1` and so on; `None` where the place does not say.
pub(crate) fn types(plan: &LogicalPlan, sql: &str) -> Result<Vec<Option<DataType>>, QueryError> {
    let found = plan.get_parameter_types().map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let counted = counted(plan).map_err(|error| QueryError::from_datafusion(&error, sql))?;
    let mut types = Vec::new();
    for (name, data_type) in found {
        let data_type = data_type.or_else(|| counted.contains(&name).then_some(DataType::Int64));
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

/// The placeholders that say how many rows are meant, of which the planner knows no type.
fn counted(plan: &LogicalPlan) -> datafusion::error::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = count.as_ref() {
                    names.insert(placeholder.id.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
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
        None => ScalarValue::try_from(&declared),
        Some(text) => ScalarValue::Utf8(Some(text.clone())).cast_to(&declared),
    };
    let scalar = scalar.map_err(|_| wrong(&declared))?;
    match meant {
        Some(meant) if meant != declared => scalar.cast_to(&meant).map_err(|_| wrong(&meant)),
        _ => Ok(scalar),
    }
}
