//! Numbers as text, exactly.

use std::str::FromStr as _;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use dashu_int::IBig;

use crate::Number;
use crate::number::{Float, PRECISION};

/// Binary exponents beyond this are not written as decimal digits, which would be as many.
const PLAIN_EXPONENT: isize = 2048;

/// Reads a decimal number (`12`, `-0.5`, `1e30`), rounded to the precision of [`Number`]; `None` if it is none.
pub fn parse_number(text: &str) -> Option<Number> {
    if let Ok(int) = text.parse::<i64>() {
        return Some(Number::from(int));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !digits
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
    {
        return None;
    }
    // An exponent of many digits would take all memory to expand.
    if let Some((_, exponent)) = digits.split_once(['e', 'E'])
        && exponent.parse::<i64>().ok()?.abs() > 100_000
    {
        return None;
    }
    let decimal = FBig::<HalfEven, 10>::from_str(&text.replace('E', "e").replace("e+", "e")).ok()?;
    Some(Number::new(
        decimal.with_base_and_precision::<2>(PRECISION).value(),
    ))
}

/// The decimal digits of a number, if they read back as the same number.
pub(super) fn exact_digits(number: &Number) -> Option<String> {
    if number.is_infinite() || number.float().repr().exponent().abs() > PLAIN_EXPONENT {
        return None;
    }
    let text = number.to_string();
    let exact = number.as_i64().is_some() || parse_number(&text).as_ref() == Some(number);
    exact.then_some(text)
}

/// Significand and binary exponent (`31p-3` for 31·2⁻³), or an infinity.
pub(super) fn to_binary_text(number: &Number) -> String {
    let repr = number.float().repr();
    if number.is_infinite() {
        return if *number < Number::from(0) {
            "-inf".to_owned()
        } else {
            "inf".to_owned()
        };
    }
    format!("{}p{}", repr.significand(), repr.exponent())
}

/// Reads what [`to_binary_text`] writes.
pub(super) fn from_binary_text(text: &str) -> Option<Number> {
    match text {
        "inf" => Some(Number::new(Float::INFINITY)),
        "-inf" => Some(Number::new(Float::NEG_INFINITY)),
        _ => {
            let (significand, exponent) = text.split_once('p')?;
            let significand = IBig::from_str(significand).ok()?;
            Some(Number::new(Float::from_parts(
                significand,
                exponent.parse().ok()?,
            )))
        }
    }
}
