//! The values of numbers, whose text is known to be a number of JSON. Floats are correctly rounded.

/// Every power of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Whole numbers up to here are floats exactly.
const EXACT_MAX: u64 = 1 << 53;

/// The value of `text`, or `None` if it is too large for a float.
#[inline]
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    match short_float(text) {
        Some(value) => Some(value),
        None => any_float(text),
    }
}

/// The value of a number with few digits and no exponent: both the digits and the power of ten are floats exactly, so
/// that one division rounds once (Clinger, "How to read floating point numbers accurately").
#[inline]
fn short_float(text: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut value, mut point) = (0_u64, digits.len());
    for (i, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' => point = i + 1,
            _ => return None,
        }
    }
    if value > EXACT_MAX {
        return None;
    }
    let value = value as f64 / POWERS[digits.len() - point];
    Some(if is_negative { -value } else { value })
}

#[cold]
fn any_float(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The value of `text` if it is written as a whole number and fits.
#[inline]
pub(crate) fn int(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.len() > 18 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut value = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if is_negative { -value } else { value })
}

/// Whether `text` is written as a whole number, whatever its size.
pub(crate) fn is_int(text: &[u8]) -> bool {
    !text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

/// The value of `text` if it is a whole number that fits, also when it is written as `5.0` or `1e3`.
pub(crate) fn whole(text: &[u8]) -> Option<i64> {
    int(text).or_else(|| {
        if is_int(text) {
            return None;
        }
        let value = float(text)?;
        (value.fract() == 0.0 && value.abs() <= EXACT_MAX as f64).then_some(value as i64)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_at_the_limits() {
        assert_eq!(int(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(int(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(int(b"9223372036854775808"), None);
        assert_eq!(int(b"1.0"), None);
        assert_eq!(
            (whole(b"1.0"), whole(b"1e3"), whole(b"1.5"), whole(b"9223372036854775808")),
            (Some(1), Some(1000), None, None)
        );
        assert_eq!((float(b"1e400"), float(b"-1e400"), float(b"1e-400")), (None, None, Some(0.0)));
        assert_eq!(float(b"-0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    proptest! {
        #[test]
        fn floats_agree_with_the_standard_library(value in any::<f64>().prop_filter("finite", |f| f.is_finite()), digits in 0_usize..20) {
            for text in [format!("{value}"), format!("{value:e}"), format!("{:.digits$}", value % 1e9)] {
                let right: f64 = text.parse().expect("a float");
                prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), Some(right.to_bits()), "{}", text);
            }
        }
    }
}
