//! A fixed-point number wide enough for every `f64`, so that any number of them add up exactly, in any order.
//! It refuses to round until the end.
//!
//! The idea is Kulisch's long accumulator; the digits are 32 bits wide in 64-bit words, so that carries wait
//! (Neal, "Fast exact summation using small and large superaccumulators", 2015).

/// Digit 0 has the weight of the smallest subnormal, 2^-1074; the top leaves room for 2^64 times the largest `f64`.
const DIGITS: usize = 68;
const DIGIT_BITS: u32 = 32;
const DIGIT_MASK: i64 = 0xffff_ffff;
/// Each addition puts less than 2^32 into a digit, so that so many fit before carries must move.
const ADDITIONS_BEFORE_CARRY: u32 = 1 << 30;
/// The exponent of digit 0, as a power of two.
pub(crate) const LOWEST: i32 = -1074;
const BYTES: usize = DIGITS * 8 + 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wide {
    digits: Box<[i64; DIGITS]>,
    additions: u32,
    not_a_number: bool,
    infinite: bool,
    minus_infinite: bool,
}

impl Wide {
    pub(crate) fn zero() -> Self {
        Self {
            digits: Box::new([0; DIGITS]),
            additions: 0,
            not_a_number: false,
            infinite: false,
            minus_infinite: false,
        }
    }

    /// Adds a float exactly.
    pub(crate) fn add(&mut self, value: f64) {
        if value.is_finite() {
            let bits = value.to_bits();
            let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
            let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
            self.add_bits(u128::from(mantissa), exponent.max(1) - 1, value < 0.0);
        } else if value.is_nan() {
            self.not_a_number = true;
        } else if value > 0.0 {
            self.infinite = true;
        } else {
            self.minus_infinite = true;
        }
    }

    /// Adds `value * 2^exponent`.
    pub(crate) fn add_fixed(&mut self, value: i128, exponent: i32) {
        self.add_bits(value.unsigned_abs(), exponent - LOWEST, value < 0);
    }

    /// Adds `magnitude * 2^(LOWEST + shift)`.
    fn add_bits(&mut self, magnitude: u128, shift: i32, negative: bool) {
        let (mut digit, within) = ((shift as u32 / DIGIT_BITS) as usize, shift as u32 % DIGIT_BITS);
        let low = (magnitude as u64 as u128) << within;
        let high = (magnitude >> 64) << within;
        for part in [low, high] {
            for (place, shift) in [0, 32, 64].into_iter().enumerate() {
                let bits = (part >> shift) as i64 & DIGIT_MASK;
                if bits != 0 {
                    self.digits[digit + place] += if negative { -bits } else { bits };
                }
            }
            digit += 2;
        }
        self.additions += 2;
        if self.additions >= ADDITIONS_BEFORE_CARRY {
            self.carry();
        }
    }

    /// Moves carries up: every digit but the last is in `0..2^32` afterwards, and equal numbers have equal digits.
    fn carry(&mut self) {
        let mut carry = 0;
        let (last, lower) = self.digits.split_last_mut().expect("there are digits");
        for digit in lower {
            let sum = *digit + carry;
            *digit = sum & DIGIT_MASK;
            carry = sum >> DIGIT_BITS;
        }
        *last += carry;
        self.additions = 0;
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        self.carry();
        other.carry();
        for (own, other) in self.digits.iter_mut().zip(other.digits.iter()) {
            *own += other;
        }
        self.carry();
        self.not_a_number |= other.not_a_number;
        self.infinite |= other.infinite;
        self.minus_infinite |= other.minus_infinite;
    }

    /// The nearest `f64`, ties to even.
    pub(crate) fn value(mut self) -> f64 {
        match (self.not_a_number, self.infinite, self.minus_infinite) {
            (true, _, _) | (_, true, true) => return f64::NAN,
            (_, true, _) => return f64::INFINITY,
            (_, _, true) => return f64::NEG_INFINITY,
            (false, false, false) => self.carry(),
        }
        let negative = self.digits[DIGITS - 1] < 0;
        if negative {
            self.digits.iter_mut().for_each(|digit| *digit = -*digit);
            self.carry();
        }
        let magnitude = self.magnitude();
        if negative { -magnitude } else { magnitude }
    }

    /// The nearest `f64` of a number whose digits are all positive and carried.
    fn magnitude(&self) -> f64 {
        let Some(top) = self.digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        // The top three digits hold at least 65 significant bits; whether anything lies below decides ties.
        let digit = |back: usize| top.checked_sub(back).map_or(0, |index| self.digits[index] as u128);
        let head = digit(0) << 64 | digit(1) << 32 | digit(2);
        let rest = self.digits[..top.saturating_sub(2)].iter().any(|digit| *digit != 0);
        let exponent = LOWEST + 32 * (top as i32 - 2);
        if top < 2 {
            // Below 2^-1010: a multiple of the smallest subnormal. Whole if it has at most 53 bits.
            return scale((head >> (32 * (2 - top))) as f64, LOWEST);
        }
        // A sticky bit below the head stands for the rest. `as f64` rounds to nearest, ties to even.
        scale((head << 1 | u128::from(rest)) as f64, exponent - 1)
    }

    pub(crate) fn write(mut self, bytes: &mut Vec<u8>) {
        self.carry();
        self.digits.iter().for_each(|digit| bytes.extend_from_slice(&digit.to_le_bytes()));
        bytes.push(u8::from(self.not_a_number) | u8::from(self.infinite) << 1 | u8::from(self.minus_infinite) << 2);
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (digits, [flags]) = bytes.split_at_checked(BYTES - 1)? else { return None };
        let mut wide = Self::zero();
        for (digit, bytes) in wide.digits.iter_mut().zip(digits.chunks_exact(8)) {
            *digit = i64::from_le_bytes(bytes.try_into().ok()?);
        }
        (wide.not_a_number, wide.infinite, wide.minus_infinite) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        Some(wide)
    }

    pub(crate) const fn size() -> usize {
        size_of::<Self>() + DIGITS * 8
    }
}

/// `value * 2^exponent`, in steps that stay inside the range of exponents; exact unless the result overflows.
fn scale(mut value: f64, mut exponent: i32) -> f64 {
    while exponent != 0 {
        let step = exponent.clamp(-1000, 1000);
        value *= power_of_two(step);
        exponent -= step;
    }
    value
}

/// 2^`exponent`, for exponents of normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
