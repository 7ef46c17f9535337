//! Numbers of the language: binary floats of 512 bits, exact for integers far beyond 2^64.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use dashu_base::{BitTest as _, Sign, UnsignedAbs as _};
use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use dashu_int::{IBig, UBig};

use crate::decimal::Decimal;

/// Precision in bits, as in the language `stack` is compatible with.
pub const PRECISION: usize = 512;

/// Decimal exponents beyond this are no numbers; the language knows no use for them, and they would take gigabytes.
const MAX_EXPONENT: i64 = 200_000;
/// The same for binary exponents of results; larger ones are infinite, smaller ones are zero.
const MAX_BINARY_EXPONENT: isize = 4_000_000;

/// The float underneath.
pub type Float = FBig<HalfEven, 2>;

/// A number; infinities occur (`1/0`), NaN does not.
///
/// It keeps the precision it came with: numbers written in text have 512 bits, integers made by functions 64, results of
/// `pow` and `log` 53, and a result has the greater precision of its operands. It decides how many digits are printed.
#[derive(Clone)]
pub struct Number(Float);

impl Number {
    /// Positive infinity.
    pub const INFINITY: Self = Self(Float::INFINITY);
    /// Negative infinity.
    pub const NEGATIVE_INFINITY: Self = Self(Float::NEG_INFINITY);

    /// Wraps a float, rounding it to [`PRECISION`] bits.
    pub fn new(float: Float) -> Self {
        if float.repr().is_infinite() {
            Self(float)
        } else {
            Self(float.with_precision(PRECISION).value())
        }
    }

    /// A double; `None` for NaN. It prints with as many digits as a double needs.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_nan() {
            return None;
        }
        if value.is_infinite() {
            return Some(if value > 0.0 {
                Self::INFINITY
            } else {
                Self::NEGATIVE_INFINITY
            });
        }
        let float = Float::try_from(value).ok()?;
        Some(Self(float.with_precision(f64::MANTISSA_DIGITS as usize).value()))
    }

    /// An integer of any size, rounded to 512 bits where it is longer.
    pub fn from_integer(value: IBig) -> Self {
        Self::new(Float::from_parts(value, 0))
    }

    /// Reads decimal digits with sign, fraction and exponent, or `Inf`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if matches!(digits, "Inf" | "inf") {
            return Some(if negative {
                Self::NEGATIVE_INFINITY
            } else {
                Self::INFINITY
            });
        }
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], digits[at + 1..].parse::<i64>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let integer: IBig = format!("{whole}{fraction}").parse::<UBig>().ok()?.into();
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        if exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let number = Self::scaled(integer, exponent);
        Some(if negative { number.negate() } else { number })
    }

    /// `integer * 10^exponent`, rounded once.
    fn scaled(integer: IBig, exponent: i64) -> Self {
        let power = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
        if integer == IBig::ZERO {
            return Self::new(Float::ZERO);
        }
        if exponent >= 0 {
            return Self::from_integer(integer * IBig::from(10).pow(power));
        }
        let divisor = IBig::from(10).pow(power);
        let shift = (PRECISION + 2 + divisor.bit_len()).saturating_sub(integer.bit_len());
        let dividend = integer << shift;
        let quotient = &dividend / &divisor;
        // A last bit for "there is more" keeps the rounding below exact.
        let more = IBig::from(u8::from(&quotient * &divisor != dividend));
        let significand = (quotient << 1) + more;
        Self::new(Float::from_parts(
            significand,
            -isize::try_from(shift + 1).unwrap_or(isize::MAX),
        ))
    }

    /// The float underneath.
    pub fn float(&self) -> &Float {
        &self.0
    }

    /// The number as an `i64`, if it is an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_integer().and_then(|int| i64::try_from(int).ok())
    }

    /// The number as an integer of any size, if it is one.
    pub fn as_integer(&self) -> Option<IBig> {
        self.is_integer().then(|| self.0.to_int().value())
    }

    /// The nearest `f64`; infinities stay.
    pub fn as_f64(&self) -> f64 {
        if self.is_infinite() {
            return if self.is_negative() {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
        }
        self.0.to_f64().value()
    }

    /// Whether the number has no fraction (infinities have none but are no integers).
    pub fn is_integer(&self) -> bool {
        !self.is_infinite() && self.0.repr().is_int()
    }

    /// Positive or negative infinity.
    pub fn is_infinite(&self) -> bool {
        self.0.repr().is_infinite()
    }

    /// Less than zero; zero is not, whatever its sign.
    pub fn is_negative(&self) -> bool {
        !self.is_zero() && self.0.repr().sign() == Sign::Negative
    }

    /// Zero of either sign.
    pub fn is_zero(&self) -> bool {
        !self.is_infinite() && self.0.repr().significand().is_zero()
    }

    /// `-self`
    #[must_use]
    pub fn negate(&self) -> Self {
        Self(-self.0.clone())
    }

    /// The number without its sign.
    #[must_use]
    pub fn absolute(&self) -> Self {
        if self.0.repr().sign() == Sign::Negative {
            self.negate()
        } else {
            self.clone()
        }
    }

    /// `self + other`; `None` where infinities cancel.
    pub fn add(&self, other: &Self) -> Option<Self> {
        match (self.is_infinite(), other.is_infinite()) {
            (true, true) => (self == other).then(|| self.clone()),
            (true, false) => Some(self.clone()),
            (false, true) => Some(other.clone()),
            (false, false) => Some(Self(&self.0 + &other.0)),
        }
    }

    /// `self - other`; `None` where infinities cancel.
    pub fn subtract(&self, other: &Self) -> Option<Self> {
        self.add(&other.negate())
    }

    /// `self * other`; `None` for zero times infinity.
    pub fn multiply(&self, other: &Self) -> Option<Self> {
        if self.is_infinite() || other.is_infinite() {
            return self.infinite_product(other);
        }
        Some(Self(&self.0 * &other.0).bounded())
    }

    fn infinite_product(&self, other: &Self) -> Option<Self> {
        if self.is_zero() || other.is_zero() {
            return None;
        }
        let negative = self.is_negative() != other.is_negative();
        Some(if negative {
            Self::NEGATIVE_INFINITY
        } else {
            Self::INFINITY
        })
    }

    /// `self / other`; infinite for a division by zero, `None` for `0/0` and for infinity by infinity.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        match (self.is_infinite(), other.is_infinite()) {
            (true, true) => None,
            (true, false) if other.is_zero() => Some(self.clone()),
            (true, false) => self.infinite_product(other),
            (false, true) => Some(Self::from(0)),
            (false, false) if other.is_zero() => {
                if self.is_zero() {
                    return None;
                }
                let negative = self.is_negative() != (other.0.repr().sign() == Sign::Negative);
                Some(if negative {
                    Self::NEGATIVE_INFINITY
                } else {
                    Self::INFINITY
                })
            }
            (false, false) => Some(Self(&self.0 / &other.0).bounded()),
        }
    }

    /// The remainder of the division truncated towards zero, with the sign of `self`; `self` where `other` is zero or
    /// infinite, `None` where `self` is infinite.
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        if self.is_infinite() {
            return None;
        }
        if other.is_zero() || other.is_infinite() {
            return Some(self.clone());
        }
        let quotient = self.divide(other)?.truncate();
        self.subtract(&quotient.multiply(other)?)
    }

    /// The number without its fraction.
    #[must_use]
    pub fn truncate(&self) -> Self {
        if self.is_infinite() || self.is_integer() {
            self.clone()
        } else {
            self.with_float(self.0.trunc())
        }
    }

    /// The greatest integer that is not greater.
    #[must_use]
    pub fn floor(&self) -> Self {
        if self.is_infinite() || self.is_integer() {
            self.clone()
        } else {
            self.with_float(self.0.floor())
        }
    }

    /// The least integer that is not less.
    #[must_use]
    pub fn ceil(&self) -> Self {
        if self.is_infinite() || self.is_integer() {
            self.clone()
        } else {
            self.with_float(self.0.ceil())
        }
    }

    /// The float with the precision of this number.
    fn with_float(&self, float: Float) -> Self {
        Self(float.with_precision(self.0.precision().max(64)).value())
    }

    fn bounded(self) -> Self {
        let repr = self.0.repr();
        if repr.is_infinite() || repr.exponent().abs() <= MAX_BINARY_EXPONENT {
            return self;
        }
        match (repr.exponent() > 0, repr.sign()) {
            (false, _) => Self::from(0),
            (true, Sign::Negative) => Self::NEGATIVE_INFINITY,
            (true, Sign::Positive) => Self::INFINITY,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Float::from(value).with_precision(64).value())
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            _ => self.0.cmp(&other.0),
        }
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.is_zero() {
            return 0_u8.hash(state);
        }
        let repr = self.0.repr();
        repr.significand().hash(state);
        repr.exponent().hash(state);
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shortest decimal form that reads back as the same number at its precision; never an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decimal() {
            Some(decimal) => f.write_str(&decimal.plain()),
            None => f.write_str(self.infinity_text()),
        }
    }
}

impl Number {
    /// `+Inf` or `-Inf`.
    fn infinity_text(&self) -> &'static str {
        if self.0.repr().sign() == Sign::Negative {
            "-Inf"
        } else {
            "+Inf"
        }
    }

    /// The shortest digits that read back as the same number; `None` for infinities.
    pub fn decimal(&self) -> Option<Decimal> {
        let repr = self.0.repr();
        if repr.is_infinite() {
            return None;
        }
        let precision = match self.0.precision() {
            0 => PRECISION,
            precision => precision,
        };
        let magnitude = repr.significand().clone().unsigned_abs();
        let negative = repr.sign() == Sign::Negative;
        Some(Decimal::shortest(
            negative,
            &magnitude,
            repr.exponent(),
            precision,
        ))
    }

    /// All digits of the number; `None` for infinities.
    pub fn exact_decimal(&self) -> Option<Decimal> {
        let repr = self.0.repr();
        if repr.is_infinite() {
            return None;
        }
        let magnitude = repr.significand().clone().unsigned_abs();
        Some(Decimal::exact(
            repr.sign() == Sign::Negative,
            magnitude,
            repr.exponent(),
        ))
    }

    /// With this many digits behind the point, rounded half to even.
    pub fn to_fixed(&self, digits: usize) -> String {
        self.exact_decimal()
            .map_or_else(|| self.infinity_text().to_owned(), |d| d.fixed(digits))
    }

    /// `1.5e+03` with this many digits behind the point.
    pub fn to_exponential(&self, digits: usize) -> String {
        self.exact_decimal().map_or_else(
            || self.infinity_text().to_owned(),
            |d| d.exponential(Some(digits)),
        )
    }

    /// With this many significant digits (`None`: as many as it takes), and with an exponent where it is large.
    pub fn to_general(&self, digits: Option<usize>) -> String {
        let decimal = if digits.is_some() {
            self.exact_decimal()
        } else {
            self.decimal()
        };
        decimal.map_or_else(|| self.infinity_text().to_owned(), |d| d.general(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn decimals_print_as_written() {
        for text in [
            "0",
            "1",
            "-1",
            "0.1",
            "1.5",
            "123.456",
            "0.000001",
            "9007199254740993",
            "18446744073709551616",
        ] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("2.50").to_string(), "2.5");
        assert_eq!(number("1E-3").to_string(), "0.001");
        assert_eq!(number("-0").to_string(), "-0");
        assert_eq!(number("Inf").to_string(), "+Inf");
    }

    #[test]
    fn texts_that_are_no_numbers_are_refused() {
        for text in [
            "",
            "-",
            ".",
            "1_000",
            "0x10",
            "1e",
            "1 ",
            " 1",
            "abc",
            "1e999999999999",
            "--1",
        ] {
            assert!(Number::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_rounds_at_512_bits() {
        assert_eq!(number("0.1").add(&number("0.2")).unwrap(), number("0.3"));
        let third = number("1").divide(&number("3")).unwrap();
        assert_eq!(third.multiply(&number("3")).unwrap(), number("1"));
        assert_eq!(third.to_string().len(), 157);
        assert_eq!(number("-7").remainder(&number("3")).unwrap(), number("-1"));
        assert_eq!(number("1").remainder(&number("0")).unwrap(), number("1"));
        assert!(number("1").divide(&number("0")).unwrap().is_infinite());
        assert!(number("0").divide(&number("0")).is_none());
    }

    #[test]
    fn doubles_print_with_the_digits_of_a_double() {
        assert_eq!(
            Number::from_f64(9_223_372_036_854_775_807.0).unwrap().to_string(),
            "9223372036854776000"
        );
        assert_eq!(Number::from_f64(0.1).unwrap().to_string(), "0.1");
        assert_eq!(
            Number::from_f64(2.999_999_999_999_999_6).unwrap().to_string(),
            "2.9999999999999996"
        );
        assert!(Number::from_f64(f64::NAN).is_none());
    }

    #[test]
    fn equal_numbers_hash_alike_whatever_their_precision() {
        let hash = |n: &Number| {
            let mut hasher = std::collections::hash_map::DefaultHasher::new();
            n.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&number("2")), hash(&Number::from(2)));
        assert_eq!(hash(&number("0")), hash(&number("-0")));
        assert_eq!(number("0"), number("-0"));
    }
}
