//! What an expression is by its looks: a number, a time, a logical connective; knows no types of columns.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Value};

/// Functions whose arguments and results are numbers.
const NUMERIC_FUNCTIONS: [&str; 40] = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "mod",
    "nanvl",
    "pow",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "sum",
    "avg",
];

/// Functions whose results are numbers, of arguments of other kinds.
const COUNTING_FUNCTIONS: [&str; 12] = [
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "bit_length",
    "strpos",
    "position",
    "ascii",
    "date_part",
    "array_length",
    "cardinality",
    "levenshtein",
];

/// Functions whose result is one of their arguments.
const CHOOSING_FUNCTIONS: [&str; 6] = ["coalesce", "nullif", "nvl", "ifnull", "greatest", "least"];

const TEMPORAL_FUNCTIONS: [&str; 10] = [
    "date_trunc",
    "date_bin",
    "to_timestamp",
    "to_timestamp_seconds",
    "to_timestamp_millis",
    "to_timestamp_micros",
    "to_timestamp_nanos",
    "from_unixtime",
    "to_date",
    "make_date",
];

pub(super) fn is_numeric_function(name: &str) -> bool {
    NUMERIC_FUNCTIONS.contains(&name)
}

pub(super) fn passes_through(name: &str) -> bool {
    CHOOSING_FUNCTIONS.contains(&name)
}

pub(super) fn is_logical(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor)
}

pub(super) fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{
        BitwiseAnd, BitwiseOr, BitwiseXor, Divide, DuckIntegerDivide, Minus, Modulo, Multiply, MyIntegerDivide,
        PGBitwiseShiftLeft, PGBitwiseShiftRight, PGBitwiseXor, Plus,
    };
    matches!(op, Plus | Minus | Multiply | Divide | Modulo | DuckIntegerDivide | MyIntegerDivide)
        || matches!(op, BitwiseAnd | BitwiseOr | BitwiseXor | PGBitwiseXor | PGBitwiseShiftLeft | PGBitwiseShiftRight)
}

pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, Spaceship};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | Spaceship)
}

/// Whether it can only be a number.
pub(super) fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::Nested(inner) => is_number(inner),
        Expr::UnaryOp { op, expr } => !op.to_string().eq_ignore_ascii_case("not") && is_number(expr),
        Expr::BinaryOp { left, op, right } => is_arithmetic(op) && !is_temporal(left) && !is_temporal(right),
        Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            is_numeric_function(&name) || COUNTING_FUNCTIONS.contains(&name.as_str())
        }
        Expr::Ceil { .. } | Expr::Floor { .. } | Expr::Extract { .. } | Expr::Position { .. } => true,
        Expr::Cast { data_type, .. } => is_number_type(data_type),
        _ => false,
    }
}

/// Whether it can only be a time or an interval.
pub(super) fn is_temporal(expression: &Expr) -> bool {
    match expression {
        Expr::Interval(_) | Expr::AtTimeZone { .. } => true,
        Expr::TypedString(typed) => is_temporal_type(&typed.data_type),
        Expr::Cast { data_type, .. } => is_temporal_type(data_type),
        Expr::Nested(inner) => is_temporal(inner),
        Expr::BinaryOp { left, op, right } => is_arithmetic(op) && (is_temporal(left) || is_temporal(right)),
        Expr::Function(function) => {
            TEMPORAL_FUNCTIONS.contains(&function.name.to_string().to_ascii_lowercase().as_str())
        }
        _ => false,
    }
}

fn is_temporal_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(..)
            | DataType::TimestampNtz(..)
            | DataType::Date
            | DataType::Time(..)
            | DataType::Datetime(_)
            | DataType::Interval { .. }
    )
}

fn is_number_type(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_ascii_uppercase();
    ["INT", "BIGINT", "SMALLINT", "TINYINT", "DOUBLE", "FLOAT", "REAL", "DECIMAL", "NUMERIC"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
