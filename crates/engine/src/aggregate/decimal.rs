//! `sum` and `avg` of decimals: exact, in 256 bits; and other aggregates of decimals by way of floats.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Decimal128Type, Int64Type, i256};

use super::{Accumulator, each_value};

/// Places that an average has behind those of its values.
const AVG_PLACES: i8 = 4;

/// The sum or the average of decimals. One that does not fit into 38 digits is shown as null rather than as a wrong
/// number.
#[derive(Debug)]
pub(crate) struct DecimalSum {
    scale: i8,
    average: bool,
    sums: Vec<i256>,
    counts: Vec<i64>,
}

impl DecimalSum {
    pub(crate) fn new(scale: i8, average: bool) -> Self {
        Self { scale, average, sums: Vec::new(), counts: Vec::new() }
    }

    fn resize(&mut self, total_groups: usize) {
        self.sums.resize(total_groups, i256::ZERO);
        self.counts.resize(total_groups, 0);
    }

    /// Places behind the point of the result.
    fn result_scale(&self) -> i8 {
        if self.average { self.scale.saturating_add(AVG_PLACES).min(DECIMAL128_MAX_SCALE) } else { self.scale }
    }

    fn result(&self, sum: i256, count: i64) -> Option<i128> {
        if count == 0 {
            return None;
        }
        let sum = match self.average {
            true => divided(sum, u32::try_from(self.result_scale() - self.scale).ok()?, count)?,
            false => sum,
        };
        sum.to_i128().filter(|sum| sum.unsigned_abs() < 10_u128.pow(u32::from(DECIMAL128_MAX_PRECISION)))
    }
}

/// `sum` with so many places more, divided by `count`, and rounded half away from zero.
fn divided(sum: i256, places: u32, count: i64) -> Option<i256> {
    let (ten, two, count) = (i256::from_i128(10), i256::from_i128(2), i256::from_i128(count.into()));
    let sum = sum.checked_mul(ten.checked_pow(places)?)?;
    let (quotient, rest) = (sum.checked_div(count)?, sum.checked_rem(count)?);
    let away = if rest.is_negative() { i256::MINUS_ONE } else { i256::ONE };
    let rounds_away = rest.checked_abs()?.checked_mul(two)? >= count;
    if rounds_away { quotient.checked_add(away) } else { Some(quotient) }
}

impl Accumulator for DecimalSum {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.resize(total_groups);
        let values = arguments[0].as_primitive::<Decimal128Type>();
        each_value(values, groups, filter, |group, row| {
            // 2^127 rows would have to come before this wraps.
            self.sums[group] = self.sums[group].wrapping_add(i256::from_i128(values.value(row)));
            self.counts[group] += 1;
        });
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.resize(total_groups);
        let [sums, counts] = states else { return Err(format!("{} state columns where there are two", states.len())) };
        let (Some(sums), Some(counts)) = (sums.as_binary_opt::<i32>(), counts.as_primitive_opt::<Int64Type>()) else {
            return Err(format!("states of {} and {}", sums.data_type(), counts.data_type()));
        };
        for (row, &group) in groups.iter().enumerate() {
            let sum = sums.value(row).try_into().map_err(|_| "a sum that is not 32 bytes")?;
            let group = group as usize;
            self.sums[group] = self.sums[group].wrapping_add(i256::from_le_bytes(sum));
            self.counts[group] += counts.value(row);
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.resize(total_groups);
        let sums = std::mem::take(&mut self.sums).into_iter().map(|sum| Some(sum.to_le_bytes()));
        vec![Arc::new(sums.collect::<BinaryArray>()), Arc::new(Int64Array::from(std::mem::take(&mut self.counts)))]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.resize(total_groups);
        let (sums, counts) = (std::mem::take(&mut self.sums), std::mem::take(&mut self.counts));
        let results = sums.into_iter().zip(counts).map(|(sum, count)| self.result(sum, count));
        let data_type = DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.result_scale());
        Arc::new(results.collect::<Decimal128Array>().with_data_type(data_type))
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i256>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// An aggregate of floats that takes decimals.
#[derive(Debug)]
pub(crate) struct AsFloat(pub(crate) Box<dyn Accumulator>);

impl Accumulator for AsFloat {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let floats = cast(&arguments[0], &DataType::Float64).expect("every decimal has a nearest float");
        self.0.update_batch(&[floats], groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.0.merge_batch(states, groups, total_groups)
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.0.state(total_groups)
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.0.evaluate(total_groups)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
