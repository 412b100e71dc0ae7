//! What is computed of a group: one file per function, behind one trait in the shape of DataFusion's `GroupsAccumulator`.
//!
//! A new function is a file here, an arm of [`Aggregate`] and of the two `match`es below, and a story. Its laws, which
//! `tests.rs` checks for every function: merging is associative and commutative, a whole equals its merged parts, and
//! a state that is read back is the state that was written. So results do not depend on order, batching or crashes.

mod avg;
mod count;
mod decimal;
mod distinct;
mod edge;
mod exact;
mod min_max;
mod quantile;
mod sketch;
mod sum;
#[cfg(test)]
mod tests;
mod top_k;
mod value;
mod variance;
mod wide;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
pub(crate) use weir_model::Accumulator;
use weir_model::Compiler;

use crate::plan::Aggregate;

pub use sketch::Sketch;
pub(crate) use top_k::K_MAX;

/// What the values of an argument are to an accumulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentType {
    /// Integers, as `Int64`.
    Whole,
    /// Floats, as `Float64`.
    Float,
    /// Decimals of this precision and scale, as `Decimal128`.
    Decimal(u8, i8),
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
            data_type if data_type.is_floating() => Some(Self::Float),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => Some(Self::Decimal(*precision, *scale)),
            DataType::Decimal256(..) => Some(Self::Float),
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
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
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
            (Self::Whole | Self::Decimal(..), Self::Float) => true, // among floats
            (Self::Whole, Self::Decimal(..)) => true,
            (Self::Decimal(_, came), Self::Decimal(_, own)) => came <= own, // no digit is lost
            (kind, own) => kind == own,
        });
        let taken = fit.then(|| cast(values, &physical).ok()).flatten();
        taken
            .filter(|taken| taken.logical_null_count() == values.logical_null_count())
            .ok_or_else(|| format!("a value of type {} came where {} came before", values.data_type(), self.shown()))
    }
}

/// The accumulator of `function` over arguments of these types (none for `count(*)`).
///
/// # Errors
/// When the function does not take such arguments; the message says what it takes.
pub(crate) fn accumulator(
    function: &Aggregate,
    arguments: &[ArgumentType],
    compiler: &dyn Compiler,
) -> Result<Box<dyn Accumulator>, String> {
    use ArgumentType::{Decimal, Float, Ordered, Text, Whole};
    if let Aggregate::Other { name, arguments: texts } = function {
        let types: Vec<DataType> = arguments.iter().map(ArgumentType::shown).collect();
        return compiler.accumulator(name, texts, &types).map_err(|error| error.full());
    }
    let Some(argument) = arguments.first() else {
        return match function {
            Aggregate::Count => Ok(Box::<count::Count>::default()),
            _ => Err(format!("{} needs an argument", function.name())),
        };
    };
    let kind = argument.clone();
    Ok(match (function, argument) {
        (Aggregate::Count, _) => Box::<count::Count>::default(),
        (Aggregate::Sum, Whole) => Box::<sum::WholeSum>::default(),
        (Aggregate::Sum, Float) => Box::<sum::FloatSum>::default(),
        (Aggregate::Sum, Decimal(_, scale)) => Box::new(decimal::DecimalSum::new(*scale, false)),
        (Aggregate::Avg, Decimal(_, scale)) => Box::new(decimal::DecimalSum::new(*scale, true)),
        (Aggregate::Avg, Whole | Float) => Box::new(avg::Avg::new(kind)),
        (Aggregate::Quantile(_) | Aggregate::Variance | Aggregate::Stddev, Decimal(..)) => {
            Box::new(decimal::AsFloat(accumulator(function, &[Float], compiler)?))
        }
        (Aggregate::Quantile(q), Whole | Float) => Box::new(quantile::Quantile::new(*q, kind)),
        (Aggregate::Variance, Whole | Float) => Box::new(variance::Variance::new(kind, false)),
        (Aggregate::Stddev, Whole | Float) => Box::new(variance::Variance::new(kind, true)),
        (Aggregate::Min, _) => extreme(Ordering::Less, kind),
        (Aggregate::Max, _) => extreme(Ordering::Greater, kind),
        (Aggregate::First, _) => Box::new(edge::Edge::new(Ordering::Less, kind)),
        (Aggregate::Last, _) => Box::new(edge::Edge::new(Ordering::Greater, kind)),
        (Aggregate::CountDistinct, _) => Box::<distinct::CountDistinct<distinct::All>>::default(),
        (Aggregate::ApproxDistinct, _) => Box::<distinct::CountDistinct<distinct::Approx>>::default(),
        (Aggregate::TopK(k), _) => Box::new(top_k::TopK::new(*k, kind)),
        (
            Aggregate::Sum | Aggregate::Avg | Aggregate::Quantile(_) | Aggregate::Variance | Aggregate::Stddev,
            Text | Ordered(_),
        ) => return Err(format!("{} takes numbers, not {}", function.name(), argument.shown())),
        (Aggregate::Other { .. }, _) => unreachable!("it was made by the compiler above"),
    })
}

fn extreme(wanted: Ordering, argument: ArgumentType) -> Box<dyn Accumulator> {
    match argument {
        ArgumentType::Whole | ArgumentType::Ordered(_) => {
            Box::new(min_max::NumberExtreme::<Int64Type>::new(wanted, argument))
        }
        ArgumentType::Float => Box::new(min_max::NumberExtreme::<Float64Type>::new(wanted, argument)),
        ArgumentType::Decimal(..) => Box::new(min_max::NumberExtreme::<Decimal128Type>::new(wanted, argument)),
        ArgumentType::Text => Box::new(min_max::TextExtreme::new(wanted)),
    }
}

/// The type of the results of `function` over arguments of these types (none for `count(*)`), as a window gives them.
///
/// # Errors
/// When it does not take such arguments, or there is no such function.
pub fn result_type(function: &Aggregate, arguments: &[DataType], compiler: &dyn Compiler) -> Result<DataType, String> {
    let kind =
        |data_type: &DataType| ArgumentType::of(data_type).ok_or_else(|| format!("{data_type} cannot be aggregated"));
    let kinds: Vec<ArgumentType> = arguments.iter().map(kind).collect::<Result<_, _>>()?;
    Ok(accumulator(function, &kinds, compiler)?.evaluate(0).data_type().clone())
}

/// The results of `function` for so many groups, when no value was ever seen and the argument's type is not known.
pub(crate) fn results_unseen(function: &Aggregate, groups: usize) -> ArrayRef {
    let data_type = match function {
        // Of values that nobody has seen there are none.
        Aggregate::Count | Aggregate::CountDistinct | Aggregate::ApproxDistinct => {
            return Arc::new(Int64Array::from(vec![0; groups]));
        }
        Aggregate::Sum
        | Aggregate::Avg
        | Aggregate::Min
        | Aggregate::Max
        | Aggregate::Quantile(_)
        | Aggregate::Variance
        | Aggregate::Stddev
        | Aggregate::First
        | Aggregate::Last => DataType::Float64,
        Aggregate::TopK(_) | Aggregate::Other { .. } => DataType::Null,
    };
    new_null_array(&data_type, groups)
}

/// What an accumulator takes of each row besides its arguments, behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// Its event time, in microseconds.
    Time,
    /// A hash of its partition and offset: which row it is, whenever it is read.
    Place,
}

/// What `function` takes besides its arguments.
pub(crate) fn extra(function: &Aggregate) -> Option<Extra> {
    match function {
        Aggregate::First | Aggregate::Last => Some(Extra::Time),
        Aggregate::TopK(_) => Some(Extra::Place),
        Aggregate::Count
        | Aggregate::Sum
        | Aggregate::Avg
        | Aggregate::Min
        | Aggregate::Max
        | Aggregate::Quantile(_)
        | Aggregate::Variance
        | Aggregate::Stddev
        | Aggregate::CountDistinct
        | Aggregate::ApproxDistinct
        | Aggregate::Other { .. } => None,
    }
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
