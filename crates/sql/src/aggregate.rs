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
    /// How many literals come before the arguments.
    pub parameters: usize,
    /// How many arguments it takes.
    pub arguments: usize,
    /// Whether `*` may stand for the argument.
    pub star: bool,
    /// Whether its arguments are numbers.
    pub numeric: bool,
}

impl AggregateShape {
    const fn of(name: &'static str, usage: &'static str) -> Self {
        Self { name, usage, parameters: 0, arguments: 1, star: false, numeric: false }
    }

    const fn numbers(name: &'static str, usage: &'static str) -> Self {
        Self { numeric: true, ..Self::of(name, usage) }
    }

    const fn pairs(name: &'static str, usage: &'static str) -> Self {
        Self { arguments: 2, ..Self::numbers(name, usage) }
    }
}

/// Every aggregate of the engine.
pub const AGGREGATES: [AggregateShape; 14] = [
    AggregateShape { star: true, ..AggregateShape::of("count", "count(*) or count(x)") },
    AggregateShape::numbers("sum", "sum(x)"),
    AggregateShape::numbers("avg", "avg(x)"),
    AggregateShape::of("min", "min(x)"),
    AggregateShape::of("max", "max(x)"),
    AggregateShape { parameters: 1, ..AggregateShape::numbers("quantile", "quantile(0.95, x)") },
    AggregateShape::numbers("median", "median(x)"),
    AggregateShape::numbers("variance", "variance(x)"),
    AggregateShape::numbers("stddev", "stddev(x)"),
    AggregateShape::of("first", "first(x)"),
    AggregateShape::of("last", "last(x)"),
    AggregateShape::of("count_distinct", "count_distinct(x)"),
    AggregateShape::of("approx_distinct", "approx_distinct(x)"),
    AggregateShape { parameters: 1, ..AggregateShape::of("top_k", "top_k(10, x)") },
];

/// Aggregates that DataFusion brings. The last digits of those of floats, from `corr` on, depend on how rows were cut
/// into batches; all others are the same to the bit.
pub const BROUGHT: [AggregateShape; 19] = [
    AggregateShape::of("bool_and", "bool_and(x)"),
    AggregateShape::of("bool_or", "bool_or(x)"),
    AggregateShape::of("bit_and", "bit_and(x)"),
    AggregateShape::of("bit_or", "bit_or(x)"),
    AggregateShape::of("bit_xor", "bit_xor(x)"),
    AggregateShape::pairs("corr", "corr(y, x)"),
    AggregateShape::pairs("covar_pop", "covar_pop(y, x)"),
    AggregateShape::pairs("covar_samp", "covar_samp(y, x)"),
    AggregateShape::pairs("regr_slope", "regr_slope(y, x)"),
    AggregateShape::pairs("regr_intercept", "regr_intercept(y, x)"),
    AggregateShape::pairs("regr_count", "regr_count(y, x)"),
    AggregateShape::pairs("regr_r2", "regr_r2(y, x)"),
    AggregateShape::pairs("regr_avgx", "regr_avgx(y, x)"),
    AggregateShape::pairs("regr_avgy", "regr_avgy(y, x)"),
    AggregateShape::pairs("regr_sxx", "regr_sxx(y, x)"),
    AggregateShape::pairs("regr_syy", "regr_syy(y, x)"),
    AggregateShape::pairs("regr_sxy", "regr_sxy(y, x)"),
    AggregateShape::numbers("var_pop", "var_pop(x)"),
    AggregateShape::numbers("stddev_pop", "stddev_pop(x)"),
];

/// What people write elsewhere, and what it is here.
const ALIASES: [(&str, &str); 24] = [
    ("mean", "avg(x)"),
    ("average", "avg(x)"),
    ("percentile", "quantile(0.95, x)"),
    ("percentile_cont", "quantile(0.95, x)"),
    ("approx_percentile_cont", "quantile(0.95, x)"),
    ("var", "variance(x)"),
    ("var_samp", "variance(x)"),
    ("var_sample", "variance(x)"),
    ("variance_pop", "var_pop(x)"),
    ("std", "stddev(x)"),
    ("stdev", "stddev(x)"),
    ("stddev_samp", "stddev(x)"),
    ("first_value", "first(x)"),
    ("earliest", "first(x)"),
    ("any_value", "first(x)"),
    ("last_value", "last(x)"),
    ("latest", "last(x)"),
    ("approx_median", "median(x)"),
    ("approx_count_distinct", "approx_distinct(x)"),
    ("distinct", "count_distinct(x)"),
    ("uniq", "approx_distinct(x)"),
    ("approx_top_k", "top_k(10, x)"),
    ("topk", "top_k(10, x)"),
    ("mode", "top_k(1, x)"),
];

/// What DataFusion has and a stream cannot have, and why.
const REFUSED: [(&str, &str); 5] = [
    (
        "array_agg",
        "its result depends on the order of rows, and it keeps them all; top_k(10, x) keeps the most frequent",
    ),
    (
        "string_agg",
        "its result depends on the order of rows, and it keeps them all; top_k(10, x) keeps the most frequent",
    ),
    ("nth_value", "its result depends on the order of rows; first(x) and last(x) go by event time"),
    ("approx_percentile_cont_with_weight", "its result depends on the order of rows; quantile(0.95, x) does not"),
    ("grouping", "it tells grouping sets apart, and a window has one"),
];

pub(crate) fn is_brought(name: &str) -> bool {
    BROUGHT.iter().any(|shape| shape.name == name)
}

/// What an aggregate that is called otherwise elsewhere is here.
pub(crate) fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, meant)| *meant)
}

/// Why there is no such aggregate.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}

fn shapes() -> impl Iterator<Item = &'static AggregateShape> {
    AGGREGATES.iter().chain(&BROUGHT)
}

/// The most values that `top_k` tells of.
const TOP_K_MAX: f64 = 100.0;

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
    /// Its name in lower case; one of [`AGGREGATES`] or [`BROUGHT`].
    pub function: String,
    /// The literals before the argument.
    pub parameters: Vec<Parameter>,
    /// The arguments as SQL texts; none for `count(*)`.
    pub arguments: Vec<String>,
    /// The condition of `FILTER (WHERE ...)` as SQL text.
    pub filter: Option<String>,
}

impl AggregateCall {
    /// Which columns the argument and the filter use; a bare column under `sum` is a number.
    ///
    /// # Errors
    /// As [`columns`].
    pub fn columns(&self) -> Result<Vec<ColumnUse>, SqlError> {
        let numeric = shapes().any(|shape| shape.name == self.function && shape.numeric);
        let mut uses: Vec<ColumnUse> = Vec::new();
        for argument in &self.arguments {
            let mut own = columns(argument)?;
            if let [only] = own.as_mut_slice() {
                only.numeric |= numeric && only.name.len() == argument.trim_matches('"').len();
            }
            join(&mut uses, own);
        }
        join(&mut uses, self.filter.as_deref().map(columns).transpose()?.unwrap_or_default());
        Ok(uses)
    }
}

fn join(uses: &mut Vec<ColumnUse>, more: Vec<ColumnUse>) {
    for used in more {
        match uses.iter_mut().find(|known| known.name == used.name) {
            Some(known) => {
                known.numeric |= used.numeric;
                known.boolean |= used.boolean;
            }
            None => uses.push(used),
        }
    }
}

/// Takes the call of an aggregate apart.
///
/// # Errors
/// When `text` is not one call of one of [`AGGREGATES`] or [`BROUGHT`] as its usage says.
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
    let shape = shapes().find(|shape| shape.name == name).ok_or_else(|| unknown(&name).at(at))?;
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
        let error = refuse("DISTINCT or ALL");
        return Err(if name == "count" { error.hint("write count_distinct(x) or approx_distinct(x)") } else { error });
    }
    if !list.clauses.is_empty() {
        return Err(refuse("ORDER BY or another clause"));
    }
    let arguments = arguments(&function).ok_or_else(|| refuse("a named argument"))?;
    if arguments.len() != shape.parameters + shape.arguments {
        let takes = shape.parameters + shape.arguments;
        let message = format!("{name} takes {takes} argument(s), not {}", arguments.len());
        return Err(SqlError::new(SqlErrorKind::NotAllowed, message).at(at).hint(format!("write {}", shape.usage)));
    }
    let (parameters, arguments) = arguments.split_at(shape.parameters);
    let parameters: Option<Vec<Parameter>> = parameters.iter().map(|parameter| literal((*parameter)?)).collect();
    let Some(parameters) = parameters else { return Err(refuse("a parameter that is not a literal")) };
    if let (true, Some(value)) = (name == "quantile", parameters.first())
        && !matches!(value, Parameter::Number(share) if (0.0..=1.0).contains(share))
    {
        return Err(refuse("a share that is not a number from 0 to 1"));
    }
    if let (true, Some(value)) = (name == "top_k", parameters.first())
        && !matches!(value, Parameter::Number(k) if k.fract() == 0.0 && (1.0..=TOP_K_MAX).contains(k))
    {
        return Err(refuse("a number of values that is not a whole one from 1 to 100"));
    }
    if arguments.contains(&None) && !shape.star {
        return Err(refuse("\"*\""));
    }
    Ok(AggregateCall {
        parameters,
        arguments: arguments.iter().flatten().map(ToString::to_string).collect(),
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

pub(crate) fn unknown(name: &str) -> SqlError {
    let error = SqlError::new(SqlErrorKind::UnknownFunction, format!("there is no aggregate \"{name}\""));
    if let Some(reason) = refused(name) {
        return error.hint(reason);
    }
    let meant = alias(name).or_else(|| nearest(name, shapes().map(|shape| shape.name)));
    error.hint(match meant {
        Some(meant) => format!("did you mean {meant}? There are {}", usages()),
        None => format!("there are {}", usages()),
    })
}

fn usages() -> String {
    shapes().map(|shape| shape.usage).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
