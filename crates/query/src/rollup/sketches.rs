//! Sketches of quantiles as functions: of numbers, of sketches, and the quantile itself. They are for plans, not for people.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};
use datafusion::scalar::ScalarValue;
use weir_engine::Sketch;

static OF_NUMBERS: LazyLock<AggregateUDF> =
    LazyLock::new(|| SketchOf { signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable) }.into());
static OF_SKETCHES: LazyLock<AggregateUDF> =
    LazyLock::new(|| SketchOf { signature: Signature::exact(vec![DataType::Binary], Volatility::Immutable) }.into());
static QUANTILE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let signature = Signature::exact(vec![DataType::Binary, DataType::Float64], Volatility::Immutable);
    ScalarUDF::new_from_impl(QuantileOf { signature })
});

/// A sketch of numbers.
pub(super) fn sketch_of(numbers: Expr) -> Expr {
    OF_NUMBERS.call(vec![numbers])
}

/// The sketch of all that sketches have seen.
pub(super) fn sketch_of_sketches(sketches: Expr) -> Expr {
    OF_SKETCHES.call(vec![sketches])
}

/// The value below which this part of what a sketch has seen lies.
pub(super) fn quantile_of(sketch: Expr, quantile: f64) -> Expr {
    QUANTILE.call(vec![sketch, lit(quantile)])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SketchOf {
    signature: Signature,
}

impl AggregateUDFImpl for SketchOf {
    fn name(&self) -> &str {
        "sketch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Gathering::default()))
    }
}

#[derive(Debug, Default)]
struct Gathering(Sketch);

fn unreadable() -> DataFusionError {
    DataFusionError::Execution("a sketch of quantiles cannot be read".to_owned())
}

impl Accumulator for Gathering {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values.first().ok_or_else(unreadable)?;
        match values.as_primitive_opt::<Float64Type>() {
            Some(numbers) => numbers.iter().flatten().for_each(|number| self.0.add(number)),
            None => self.merge_batch(std::slice::from_ref(values))?,
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let sketches = states.first().and_then(|states| states.as_binary_opt::<i32>()).ok_or_else(unreadable)?;
        for sketch in sketches.iter().flatten() {
            self.0.merge_written(sketch).ok_or_else(unreadable)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.0.write())))
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct QuantileOf {
    signature: Signature,
}

impl ScalarUDFImpl for QuantileOf {
    fn name(&self) -> &str {
        "quantile_of_sketch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [sketches, quantiles] = arrays.as_slice() else { return Err(unreadable()) };
        let sketches: &BinaryArray = sketches.as_binary_opt::<i32>().ok_or_else(unreadable)?;
        let quantiles = quantiles.as_primitive_opt::<Float64Type>().ok_or_else(unreadable)?;
        let values = sketches.iter().zip(quantiles.iter()).map(|(sketch, quantile)| match (sketch, quantile) {
            (Some(sketch), Some(quantile)) => Ok(Sketch::read(sketch).ok_or_else(unreadable)?.quantile(quantile)),
            _ => Ok(None),
        });
        Ok(ColumnarValue::Array(Arc::new(values.collect::<Result<Float64Array>>()?)))
    }
}
