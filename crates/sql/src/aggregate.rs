//! What an aggregate call asks for: `quantile(0.95, duration_ms) FILTER (WHERE level = 'ERROR')`; computes nothing.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value,
};

use crate::error::position_of_word;
use crate::parse::parse_expression;
use crate::{ColumnUse, SqlError, SqlErrorKind, columns, nearest, on_planning_stack};

/// One aggregate that may be written in `compute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateShape {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// How many literals come before the argument.
    pub parameters: usize,
    /// Whether `*` may stand for the argument.
    pub star: bool,
    /// Whether its argument is a number.
    pub numeric: bool,
}

/// Every aggregate there is.
pub const AGGREGATES: [AggregateShape; 10] = [
    AggregateShape { name: "count", usage: "count(*) or count(x)", parameters: 0, star: true, numeric: false },
    AggregateShape { name: "sum", usage: "sum(x)", parameters: 0, star: false, numeric: true },
    AggregateShape { name: "avg", usage: "avg(x)", parameters: 0, star: false, numeric: true },
    AggregateShape { name: "min", usage: "min(x)", parameters: 0, star: false, numeric: false },
    AggregateShape { name: "max", usage: "max(x)", parameters: 0, star: false, numeric: false },
    AggregateShape { name: "quantile", usage: "quantile(0.95, x)", parameters: 1, star: false, numeric: true },
    AggregateShape { name: "variance", usage: "variance(x)", parameters: 0, star: false, numeric: true },
    AggregateShape { name: "stddev", usage: "stddev(x)", parameters: 0, star: false, numeric: true },
    AggregateShape { name: "first", usage: "first(x)", parameters: 0, star: false, numeric: false },
    AggregateShape { name: "last", usage: "last(x)", parameters: 0, star: false, numeric: false },
];

/// What people write elsewhere, and what it is here.
const ALIASES: [(&str, &str); 20] = [
    ("mean", "avg(x)"),
    ("average", "avg(x)"),
    ("median", "quantile(0.5, x)"),
    ("percentile", "quantile(0.95, x)"),
    ("percentile_cont", "quantile(0.95, x)"),
    ("approx_percentile_cont", "quantile(0.95, x)"),
    ("var", "variance(x)"),
    ("var_samp", "variance(x)"),
    ("var_sample", "variance(x)"),
    ("var_pop", "variance(x), which is that of a sample"),
    ("std", "stddev(x)"),
    ("stdev", "stddev(x)"),
    ("stddev_samp", "stddev(x)"),
    ("stddev_pop", "stddev(x), which is that of a sample"),
    ("first_value", "first(x)"),
    ("earliest", "first(x)"),
    ("any_value", "first(x)"),
    ("last_value", "last(x)"),
    ("latest", "last(x)"),
    ("approx_median", "quantile(0.5, x)"),
];

/// A literal argument of an aggregate.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// `0.95`
    Number(f64),
    /// `'text'`
    Text(String),
}

/// A call of an aggregate, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// Its name in lower case; one of [`AGGREGATES`].
    pub function: String,
    /// The literals before the argument.
    pub parameters: Vec<Parameter>,
    /// The argument as SQL text; `None` for `count(*)`.
    pub argument: Option<String>,
    /// The condition of `FILTER (WHERE ...)` as SQL text.
    pub filter: Option<String>,
}

impl AggregateCall {
    /// Which columns the argument and the filter use; a bare column under `sum` is a number.
    ///
    /// # Errors
    /// As [`columns`].
    pub fn columns(&self) -> Result<Vec<ColumnUse>, SqlError> {
        let mut uses = Vec::new();
        if let Some(argument) = &self.argument {
            uses = columns(argument)?;
            let numeric = AGGREGATES.iter().any(|shape| shape.name == self.function && shape.numeric);
            if let [only] = uses.as_mut_slice() {
                only.numeric |= numeric && only.name.len() == argument.trim_matches('"').len();
            }
        }
        for used in self.filter.as_deref().map(columns).transpose()?.unwrap_or_default() {
            match uses.iter_mut().find(|known| known.name == used.name) {
                Some(known) => {
                    known.numeric |= used.numeric;
                    known.boolean |= used.boolean;
                }
                None => uses.push(used),
            }
        }
        Ok(uses)
    }
}

/// Takes the call of an aggregate apart.
///
/// # Errors
/// When `text` is not one call of one of [`AGGREGATES`] as its usage says.
pub fn parse_aggregate(text: &str) -> Result<AggregateCall, SqlError> {
    on_planning_stack(|| parse(text))
}

fn parse(text: &str) -> Result<AggregateCall, SqlError> {
    let Expr::Function(function) = parse_expression(text)? else {
        return Err(SqlError::new(SqlErrorKind::NotAllowed, format!("\"{text}\" is not the call of an aggregate"))
            .at(1)
            .hint(format!("write one of {}; compute with the results in a `select` step after it", usages())));
    };
    let name = function.name.to_string().to_ascii_lowercase();
    let at = position_of_word(text, &name);
    let shape = AGGREGATES.iter().find(|shape| shape.name == name).ok_or_else(|| unknown(&name).at(at))?;
    let refuse = |what: &str| {
        let message = format!("{what} cannot be used with {name}");
        SqlError::new(SqlErrorKind::NotAllowed, message).at(at).hint(format!("write {}", shape.usage))
    };
    if function.over.is_some() {
        return Err(refuse("OVER"));
    }
    if !function.within_group.is_empty() || function.null_treatment.is_some() {
        return Err(refuse("WITHIN GROUP or a treatment of nulls"));
    }
    let FunctionArguments::List(list) = &function.args else { return Err(refuse("no argument list")) };
    if list.duplicate_treatment.is_some() {
        return Err(refuse("DISTINCT or ALL"));
    }
    if !list.clauses.is_empty() {
        return Err(refuse("ORDER BY or another clause"));
    }
    let arguments = arguments(&function).ok_or_else(|| refuse("a named argument"))?;
    if arguments.len() != shape.parameters + 1 {
        let message = format!("{name} takes {} argument(s), not {}", shape.parameters + 1, arguments.len());
        return Err(SqlError::new(SqlErrorKind::NotAllowed, message).at(at).hint(format!("write {}", shape.usage)));
    }
    let (parameters, argument) = arguments.split_at(shape.parameters);
    let parameters: Option<Vec<Parameter>> = parameters.iter().map(|parameter| literal((*parameter)?)).collect();
    let Some(parameters) = parameters else { return Err(refuse("a parameter that is not a literal")) };
    if let (true, Some(value)) = (name == "quantile", parameters.first())
        && !matches!(value, Parameter::Number(share) if (0.0..=1.0).contains(share))
    {
        return Err(refuse("a share that is not a number from 0 to 1"));
    }
    if argument[0].is_none() && !shape.star {
        return Err(refuse("\"*\""));
    }
    Ok(AggregateCall {
        parameters,
        argument: argument[0].map(ToString::to_string),
        filter: function.filter.as_ref().map(ToString::to_string),
        function: name,
    })
}

/// The arguments in order, `None` for `*`; nothing when one is of another kind.
fn arguments(function: &Function) -> Option<Vec<Option<&Expr>>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args.iter().map(plain_argument).collect()
}

fn plain_argument(argument: &FunctionArg) -> Option<Option<&Expr>> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(Some(expression)),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Some(None),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<Parameter> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok().map(Parameter::Number),
            Value::SingleQuotedString(text) => Some(Parameter::Text(text.clone())),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Parameter::Number(number) => Some(Parameter::Number(-number)),
            Parameter::Text(_) => None,
        },
        _ => None,
    }
}

fn unknown(name: &str) -> SqlError {
    let meant = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, meant)| *meant);
    let meant = meant.or_else(|| nearest(name, AGGREGATES.iter().map(|shape| shape.name)));
    let hint = match meant {
        Some(meant) => format!("did you mean {meant}? There are {}", usages()),
        None => format!("there are {}", usages()),
    };
    SqlError::new(SqlErrorKind::UnknownFunction, format!("there is no aggregate \"{name}\"")).hint(hint)
}

fn usages() -> String {
    AGGREGATES.iter().map(|shape| shape.usage).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
