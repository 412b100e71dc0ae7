//! Exact sums of floats, one per group: order, batching and merging do not change a bit of the result.
//!
//! A sum is held as a 128-bit fixed-point number with 72 binary places, which takes every float between about 1e-6 and
//! 1e16 without loss; a value or a sum that does not fit goes into a [`Wide`] of its group, which takes every float.

use std::collections::BTreeMap;

use super::wide::Wide;

/// Binary places of the fast sum. A float of 53 bits fits exactly down to 2^-19, and up to 2^53.
const PLACES: i32 = 72;
/// 2^-PLACES.
const LAST_PLACE: f64 = f64::from_bits(((1023 - PLACES) as u64) << 52);

/// A square from here on is so large that the last place is less than 2^-52 of what a float can tell of it.
const SQUARE_MIN: f64 = 1.0 / 524_288.0;
/// The rest of a square below this fits with all places.
const REST_MAX: f64 = 9_007_199_254_740_992.0;

/// Sums of groups 0, 1, 2 ...
#[derive(Debug, Default)]
pub(crate) struct ExactSums {
    fixed: Vec<i128>,
    wide: BTreeMap<u32, Wide>,
}

/// A sum in two floats: the nearest one, and the nearest one to the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl ExactSums {
    pub(crate) fn resize(&mut self, total_groups: usize) {
        self.fixed.resize(total_groups, 0);
    }

    #[inline]
    pub(crate) fn add(&mut self, group: usize, value: f64) {
        let sum = to_fixed(value).and_then(|value| self.fixed[group].checked_add(value));
        match sum {
            Some(sum) => self.fixed[group] = sum,
            None => self.add_wide(group, value),
        }
    }

    /// Adds the square of `value`, of which nothing above 2^-73 is lost, nor above 2^-105 of itself.
    #[inline]
    pub(crate) fn add_square(&mut self, group: usize, value: f64) {
        let square = value * value;
        self.add(group, square);
        if !square.is_finite() {
            return;
        }
        let rest = value.mul_add(value, -square);
        if square >= SQUARE_MIN && rest.abs() < REST_MAX {
            // Rounded to the last place, which makes no difference beside the square.
            let sum = self.fixed[group].checked_add((rest / LAST_PLACE).round_ties_even() as i128);
            match sum {
                Some(sum) => self.fixed[group] = sum,
                None => self.add_wide(group, rest),
            }
        } else if rest != 0.0 {
            self.add_wide(group, rest);
        }
    }

    /// Adds a whole number.
    #[inline]
    pub(crate) fn add_whole(&mut self, group: usize, value: i64) {
        if (-1 << 53..=1 << 53).contains(&value) {
            self.add(group, value as f64);
        } else {
            // Two floats that hold the value between them.
            let high = value >> 32 << 32;
            self.add(group, high as f64);
            self.add(group, (value - high) as f64);
        }
    }

    #[cold]
    fn add_wide(&mut self, group: usize, value: f64) {
        self.wide.entry(group as u32).or_insert_with(Wide::zero).add(value);
    }

    /// Adds a sum as [`ExactSums::take_states`] wrote it.
    pub(crate) fn merge(&mut self, group: usize, state: &[u8]) -> Result<(), String> {
        let damaged = || format!("a sum of {} bytes", state.len());
        let (fixed, wide) = state.split_first_chunk::<16>().ok_or_else(damaged)?;
        let fixed = i128::from_le_bytes(*fixed);
        match self.fixed[group].checked_add(fixed) {
            Some(sum) => self.fixed[group] = sum,
            None => self.wide.entry(group as u32).or_insert_with(Wide::zero).add_fixed(fixed, -PLACES),
        }
        if !wide.is_empty() {
            let wide = Wide::read(wide).ok_or_else(damaged)?;
            self.wide.entry(group as u32).or_insert_with(Wide::zero).merge(wide);
        }
        Ok(())
    }

    /// Takes the sums out, each rounded once.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = f64> + use<> {
        self.take_parts().map(|(fixed, wide)| match wide {
            None => fixed as f64 * LAST_PLACE,
            Some(mut wide) => {
                wide.add_fixed(fixed, -PLACES);
                wide.value()
            }
        })
    }

    /// Takes the sums out as bytes: 16 of the fixed-point number, then those of the wide one if there is one.
    pub(crate) fn take_states(&mut self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.take_parts().map(|(fixed, wide)| {
            let mut bytes = fixed.to_le_bytes().to_vec();
            if let Some(wide) = wide {
                wide.write(&mut bytes);
            }
            bytes
        })
    }

    /// Takes the sums out, each with about twice the digits of a float.
    pub(crate) fn take_pairs(&mut self) -> impl Iterator<Item = Pair> + use<> {
        self.take_parts().map(|(fixed, wide)| match wide {
            None => {
                let high = fixed as f64;
                Pair { high: high * LAST_PLACE, low: fixed.wrapping_sub(high as i128) as f64 * LAST_PLACE }
            }
            Some(mut wide) => {
                wide.add_fixed(fixed, -PLACES);
                let high = wide.clone().value();
                if high.is_finite() {
                    wide.add(-high);
                    Pair { high, low: wide.value() }
                } else {
                    Pair { high, low: 0.0 }
                }
            }
        })
    }

    fn take_parts(&mut self) -> impl Iterator<Item = (i128, Option<Wide>)> + use<> {
        let mut wide = std::mem::take(&mut self.wide);
        std::mem::take(&mut self.fixed).into_iter().zip(0u32..).map(move |(fixed, group)| (fixed, wide.remove(&group)))
    }

    pub(crate) fn size(&self) -> usize {
        self.fixed.capacity() * 16 + self.wide.len() * Wide::size()
    }
}

/// `value` with [`PLACES`] binary places, if that is exact and small enough to leave room for sums.
#[inline]
fn to_fixed(value: f64) -> Option<i128> {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let mantissa = (bits & ((1 << 52) - 1) | 1 << 52) as i64;
    let signed = if value < 0.0 { -mantissa } else { mantissa };
    // value = mantissa * 2^(exponent - 1075)
    let shift = exponent - 1075 + PLACES;
    if (0..=PLACES).contains(&shift) {
        Some(i128::from(signed) << shift)
    } else if value == 0.0 {
        Some(0)
    } else if (-52..0).contains(&shift) && mantissa.trailing_zeros() as i32 >= -shift {
        Some(i128::from(signed >> -shift))
    } else {
        None
    }
}
