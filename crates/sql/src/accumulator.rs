//! Aggregates that DataFusion brings, behind the engine's seam. Only those whose result does not depend on the order of
//! rows ([`crate::BROUGHT`]); the engine has the common ones itself.
//!
//! What DataFusion's accumulators need: types as the function wants them; a state or a result for every group, also
//! those that no row came for; and to be made anew once anything was taken out of them.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use weir_model::Accumulator;

use crate::aggregate::{is_brought, unknown};
use crate::error::planning_error;
use crate::{SqlError, SqlErrorKind};

/// An aggregate of DataFusion at work.
pub(crate) struct Brought {
    function: Arc<AggregateFunctionExpr>,
    /// The types that it takes.
    types: Vec<DataType>,
    inner: Box<dyn GroupsAccumulator>,
    groups: Vec<usize>,
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brought({})", self.function.name())
    }
}

impl Brought {
    /// The aggregate `name` over values of `types`.
    ///
    /// # Errors
    /// When it is not one of [`crate::BROUGHT`], or does not take such values.
    pub(crate) fn new(name: &str, types: &[DataType]) -> Result<Self, SqlError> {
        let known = all_default_aggregate_functions().into_iter().find(|function| function.name() == name);
        let function = known.filter(|_| is_brought(name)).ok_or_else(|| unknown(name))?;
        let named = |(index, data_type): (usize, &DataType)| -> FieldRef {
            Arc::new(Field::new(format!("a{index}"), data_type.clone(), true))
        };
        let given: Vec<FieldRef> = types.iter().enumerate().map(named).collect();
        let types: Vec<DataType> = fields_with_udf(&given, function.as_ref())
            .map_err(|_| {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                SqlError::new(SqlErrorKind::Type, format!("{name} does not take {}", types.join(" and ")))
            })?
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let failed = |error| planning_error(&error, name);
        let schema = Schema::new(types.iter().enumerate().map(named).collect::<Vec<_>>());
        let columns = (0..types.len())
            .map(|index| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(&format!("a{index}"), index)) });
        let function = AggregateExprBuilder::new(function, columns.collect()).schema(Arc::new(schema)).alias(name);
        let function = Arc::new(function.build().map_err(failed)?);
        let inner = made(&function).map_err(failed)?;
        Ok(Self { function, types, inner, groups: Vec::new() })
    }

    fn number(&mut self, groups: &[u32]) {
        self.groups.clear();
        self.groups.extend(groups.iter().map(|group| *group as usize));
    }

    /// Makes the accumulator know all groups.
    fn grow(&mut self, total_groups: usize) {
        let nothing: Vec<ArrayRef> = self.types.iter().map(new_empty_array).collect();
        self.inner.update_batch(&nothing, &[], None, total_groups).expect(TYPES);
    }

    fn renew(&mut self) {
        self.inner = made(&self.function).expect("it was made so before");
    }
}

const TYPES: &str = "the values are of the types that it asked for";

/// A box per group, also for functions that have an accumulator for many groups: theirs take every group for seen as soon
/// as a batch has no nulls, and a group that no row came for would be true or 0 where it is null.
fn made(function: &Arc<AggregateFunctionExpr>) -> datafusion::error::Result<Box<dyn GroupsAccumulator>> {
    drop(function.create_accumulator()?);
    let function = Arc::clone(function);
    Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
}

impl Accumulator for Brought {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.number(groups);
        let take = |(values, data_type): (&ArrayRef, &DataType)| {
            cast(values, data_type).expect("values are cast to what they came as, or to a type that takes all of them")
        };
        let values: Vec<ArrayRef> = arguments.iter().zip(&self.types).map(take).collect();
        self.inner.update_batch(&values, &self.groups, filter, total_groups).expect(TYPES);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        let expected = self.function.state_fields().map_err(|error| error.to_string())?;
        let fits = |(state, field): (&ArrayRef, &FieldRef)| state.data_type() == field.data_type();
        if states.len() != expected.len() || !states.iter().zip(&expected).all(fits) {
            let found: Vec<String> = states.iter().map(|state| state.data_type().to_string()).collect();
            return Err(format!("states of {} where {} has {expected:?}", found.join(", "), self.function.name()));
        }
        self.number(groups);
        self.inner.merge_batch(states, &self.groups, total_groups).map_err(|error| error.strip_backtrace())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.grow(total_groups);
        let states = self.inner.state(EmitTo::All).expect("a state can always be taken out");
        self.renew();
        states
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        if total_groups == 0 {
            return new_empty_array(self.function.field().data_type());
        }
        self.grow(total_groups);
        let results = self.inner.evaluate(EmitTo::All).expect("a result can always be taken out");
        self.renew();
        results
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests;
