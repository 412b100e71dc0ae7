//! Which segments a condition on the time column rules out, before any of them is opened; evaluates nothing else.

use datafusion::logical_expr::expr::Between;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

/// The event times that rows must have to pass a condition, in microseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBounds {
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// Rows without a time may pass.
    pub(crate) null_passes: bool,
}

impl TimeBounds {
    const ALL: Self = Self { min: i64::MIN, max: i64::MAX, null_passes: true };

    /// What all of `filters` together leave.
    pub(crate) fn of(filters: &[Expr], column: &str) -> Self {
        filters.iter().fold(Self::ALL, |bounds, filter| bounds.and(bounds_of(filter, column)))
    }

    /// Whether a segment with this range may have rows that pass. A segment may always have rows without a time.
    pub(crate) fn may_pass(self, range: Option<(i64, i64)>) -> bool {
        self.null_passes || range.is_some_and(|(min, max)| min <= self.max && self.min <= max)
    }

    fn and(self, other: Self) -> Self {
        Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
            null_passes: self.null_passes && other.null_passes,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            null_passes: self.null_passes || other.null_passes,
        }
    }

    fn between(min: i64, max: i64) -> Self {
        Self { min, max, null_passes: false }
    }
}

/// Whether `filter` says nothing but between which times of `column` a row must lie, so that [`TimeBounds::of`] says the
/// same.
pub(crate) fn is_comparison(filter: &Expr, column: &str) -> bool {
    let is_known = |this: &Expr, that: &Expr| is_column(this, column) && floor_and_ceiling(that).is_some();
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let is_order = matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
            is_order && (is_known(left, right) || is_known(right, left))
        }
        Expr::Between(Between { expr, negated: false, low, high }) => is_known(expr, low) && is_known(expr, high),
        Expr::IsNotNull(inner) => is_column(inner, column),
        _ => false,
    }
}

fn bounds_of(filter: &Expr, column: &str) -> TimeBounds {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            bounds_of(left, column).and(bounds_of(right, column))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            bounds_of(left, column).or(bounds_of(right, column))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let straight = is_column(left, column).then(|| (*op, floor_and_ceiling(right)));
            let swapped = || is_column(right, column).then(|| (op.swap().unwrap_or(*op), floor_and_ceiling(left)));
            match straight.or_else(swapped) {
                Some((op, Some((floor, ceiling)))) => comparison(op, floor, ceiling),
                _ => TimeBounds::ALL,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_column(expr, column) => {
            match (floor_and_ceiling(low), floor_and_ceiling(high)) {
                (Some((_, low)), Some((high, _))) => TimeBounds::between(low, high),
                _ => TimeBounds::ALL,
            }
        }
        Expr::IsNotNull(inner) if is_column(inner, column) => TimeBounds::between(i64::MIN, i64::MAX),
        _ => TimeBounds::ALL,
    }
}

fn comparison(op: Operator, floor: i64, ceiling: i64) -> TimeBounds {
    match op {
        Operator::Eq => TimeBounds::between(floor, ceiling),
        Operator::Lt if floor == ceiling => TimeBounds::between(i64::MIN, floor.saturating_sub(1)),
        Operator::Lt | Operator::LtEq => TimeBounds::between(i64::MIN, floor),
        Operator::Gt if floor == ceiling => TimeBounds::between(ceiling.saturating_add(1), i64::MAX),
        Operator::Gt | Operator::GtEq => TimeBounds::between(ceiling, i64::MAX),
        _ => TimeBounds::ALL,
    }
}

/// The column itself, or a cast of it to another timestamp that keeps the order of times.
fn is_column(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Column(column) if column.name == name)
}

/// The last microsecond not after, and the first not before, a literal instant.
fn floor_and_ceiling(expression: &Expr) -> Option<(i64, i64)> {
    let Expr::Literal(literal, _) = expression else { return None };
    match literal {
        ScalarValue::TimestampSecond(Some(value), _) => twice(value.checked_mul(1_000_000)?),
        ScalarValue::TimestampMillisecond(Some(value), _) => twice(value.checked_mul(1_000)?),
        ScalarValue::TimestampMicrosecond(Some(value), _) => twice(*value),
        ScalarValue::TimestampNanosecond(Some(value), _) => {
            Some((value.div_euclid(1_000), value.div_euclid(1_000) + i64::from(value.rem_euclid(1_000) != 0)))
        }
        _ => None,
    }
}

fn twice(value: i64) -> Option<(i64, i64)> {
    Some((value, value))
}

#[cfg(test)]
mod tests;
