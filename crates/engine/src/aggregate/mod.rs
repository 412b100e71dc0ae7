//! What is computed of a group: one file per function, behind one trait in the shape of DataFusion's `GroupsAccumulator`.
//!
//! A new function is a file here, an arm of [`Aggregate`] and of the two `match`es below, and a story. Its laws, which
//! `tests.rs` checks for every function: merging is associative and commutative, a whole equals its merged parts, and
//! a state that is read back is the state that was written. So results do not depend on order, batching or crashes.

mod avg;
mod count;
mod edge;
mod exact;
mod min_max;
mod quantile;
mod sketch;
mod sum;
#[cfg(test)]
mod tests;
mod variance;
mod wide;

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::plan::Aggregate;

pub(crate) use edge::timed;

/// Computes one aggregate for many groups at once. Groups are numbered from 0 without gaps.
pub(crate) trait Accumulator: Debug + Send {
    /// Adds rows: `groups[row]` is each row's group, all below `total_groups`. `values` is of the type that the
    /// accumulator was made for; only rows that `filter` (without nulls) holds true are taken.
    fn update_batch(
        &mut self,
        values: Option<&ArrayRef>,
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    );

    /// Adds states as [`Accumulator::state`] gave them.
    ///
    /// # Errors
    /// When they are not states of this aggregate.
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String>;

    /// Takes the states of all groups out, a row per group, and starts anew.
    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef>;

    /// Takes the results of all groups out, a row per group, and starts anew.
    fn evaluate(&mut self, total_groups: usize) -> ArrayRef;

    /// About how many bytes it holds.
    fn size(&self) -> usize;
}

/// What the values of an argument are to an accumulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentType {
    /// Integers, as `Int64`.
    Whole,
    /// Floats and decimals, as `Float64`.
    Float,
    /// Text, as `Utf8`.
    Text,
    /// Instants, dates and booleans: ordered like integers, shown as the type they came as.
    Ordered(DataType),
}

impl ArgumentType {
    /// What values of `data_type` are, or `None` if they cannot be aggregated.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            data_type if data_type.is_integer() => Some(Self::Whole),
            data_type if data_type.is_floating() || data_type.is_decimal() => Some(Self::Float),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Some(Self::Text),
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Boolean | DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
                Some(Self::Ordered(data_type.clone()))
            }
            _ => None,
        }
    }

    /// The Arrow type in which accumulators take values of this kind.
    fn physical(&self) -> DataType {
        match self {
            Self::Whole | Self::Ordered(_) => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
        }
    }

    /// The Arrow type in which results of this kind are shown.
    pub(crate) fn shown(&self) -> DataType {
        match self {
            Self::Ordered(data_type) => data_type.clone(),
            kind => kind.physical(),
        }
    }

    /// `values` as accumulators take them.
    ///
    /// # Errors
    /// When a value does not fit, with the types.
    pub(crate) fn take(&self, values: &ArrayRef) -> Result<ArrayRef, String> {
        let physical = self.physical();
        if *values.data_type() == physical {
            return Ok(values.clone());
        }
        let fit = ArgumentType::of(values.data_type()).is_some_and(|kind| match (&kind, self) {
            (Self::Whole, Self::Float) => true, // a whole number among floats
            (kind, own) => kind == own,
        });
        let taken = fit.then(|| cast(values, &physical).ok()).flatten();
        taken
            .filter(|taken| taken.logical_null_count() == values.logical_null_count())
            .ok_or_else(|| format!("a value of type {} came where {} came before", values.data_type(), self.shown()))
    }
}

/// The accumulator of `function` over arguments of `argument` (`None` for `count(*)`).
///
/// # Errors
/// When the function does not take such arguments; the message says what it takes.
pub(crate) fn accumulator(
    function: Aggregate,
    argument: Option<&ArgumentType>,
) -> Result<Box<dyn Accumulator>, String> {
    use ArgumentType::{Float, Ordered, Text, Whole};
    let wrong =
        |name: &str| Err(format!("{name} takes numbers, not {}", argument.map_or(DataType::Null, ArgumentType::shown)));
    match (function, argument) {
        (Aggregate::Count, _) => Ok(Box::<count::Count>::default()),
        (Aggregate::Sum, Some(Whole)) => Ok(Box::<sum::WholeSum>::default()),
        (Aggregate::Sum, Some(Float)) => Ok(Box::<sum::FloatSum>::default()),
        (Aggregate::Avg, Some(kind @ (Whole | Float))) => Ok(Box::new(avg::Avg::new(kind.clone()))),
        (Aggregate::Quantile(q), Some(kind @ (Whole | Float))) => {
            Ok(Box::new(quantile::Quantile::new(q, kind.clone())))
        }
        (Aggregate::Variance | Aggregate::Stddev, Some(kind @ (Whole | Float))) => {
            Ok(Box::new(variance::Variance::new(kind.clone(), function == Aggregate::Stddev)))
        }
        (Aggregate::First, Some(kind)) => Ok(Box::new(edge::Edge::new(std::cmp::Ordering::Less, kind.clone()))),
        (Aggregate::Last, Some(kind)) => Ok(Box::new(edge::Edge::new(std::cmp::Ordering::Greater, kind.clone()))),
        (Aggregate::Min | Aggregate::Max, Some(kind)) => {
            let wanted =
                if function == Aggregate::Min { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
            Ok(match kind {
                Whole | Ordered(_) => Box::new(min_max::WholeExtreme::new(wanted, kind.shown())),
                Float => Box::new(min_max::FloatExtreme::new(wanted)),
                Text => Box::new(min_max::TextExtreme::new(wanted)),
            })
        }
        (Aggregate::Sum, _) => wrong("sum"),
        (Aggregate::Avg, _) => wrong("avg"),
        (Aggregate::Quantile(_), _) => wrong("quantile"),
        (Aggregate::Variance, _) => wrong("variance"),
        (Aggregate::Stddev, _) => wrong("stddev"),
        (Aggregate::First, None) => wrong("first"),
        (Aggregate::Last, None) => wrong("last"),
        (Aggregate::Min, None) => wrong("min"),
        (Aggregate::Max, None) => wrong("max"),
    }
}

/// The type of the results of `function` when no value was ever seen and the argument's type is not known.
pub(crate) fn result_type_unseen(function: Aggregate) -> DataType {
    match function {
        Aggregate::Count => DataType::Int64,
        Aggregate::Sum
        | Aggregate::Avg
        | Aggregate::Min
        | Aggregate::Max
        | Aggregate::Quantile(_)
        | Aggregate::Variance
        | Aggregate::Stddev
        | Aggregate::First
        | Aggregate::Last => DataType::Float64,
    }
}

/// Whether `function` takes each value with its event time, as [`timed`] puts them together.
pub(crate) fn takes_times(function: Aggregate) -> bool {
    matches!(function, Aggregate::First | Aggregate::Last)
}

/// Calls `take(group, row)` for every row that has a value and passes the filter. The common cases have no branches.
#[inline]
pub(crate) fn each_value(
    values: &dyn Array,
    groups: &[u32],
    filter: Option<&BooleanArray>,
    mut take: impl FnMut(usize, usize),
) {
    match (values.nulls(), filter) {
        (None, None) => groups.iter().enumerate().for_each(|(row, &group)| take(group as usize, row)),
        (Some(nulls), None) => groups
            .iter()
            .enumerate()
            .filter(|(row, _)| nulls.is_valid(*row))
            .for_each(|(row, &group)| take(group as usize, row)),
        (nulls, Some(filter)) => groups
            .iter()
            .enumerate()
            .filter(|(row, _)| filter.value(*row) && nulls.is_none_or(|nulls| nulls.is_valid(*row)))
            .for_each(|(row, &group)| take(group as usize, row)),
    }
}

/// The only state column, as the array type it must be.
pub(crate) fn only_state<T: Array + 'static>(states: &[ArrayRef]) -> Result<&T, String> {
    match states {
        [state] => state.as_any().downcast_ref().ok_or_else(|| format!("the state is {}", state.data_type())),
        _ => Err(format!("{} state columns where there is one", states.len())),
    }
}
