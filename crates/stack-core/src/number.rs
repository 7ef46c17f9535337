//! Numbers of the language: binary floats of 512 bits, exact for integers far beyond 2^64.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

/// Precision in bits, as in the language `stack` is compatible with.
pub const PRECISION: usize = 512;

/// The float underneath.
pub type Float = FBig<HalfEven, 2>;

/// A number; infinities occur (`1/0`), NaN does not.
#[derive(Clone)]
pub struct Number(Float);

impl Number {
    /// Wraps a float, rounding it to [`PRECISION`] bits.
    pub fn new(float: Float) -> Self {
        if float.repr().is_infinite() {
            Self(float)
        } else {
            Self(float.with_precision(PRECISION).value())
        }
    }

    /// The float underneath.
    pub fn float(&self) -> &Float {
        &self.0
    }

    /// The number as an `i64`, if it is an integer and fits.
    pub fn as_i64(&self) -> Option<i64> {
        if !self.is_integer() {
            return None;
        }
        let int = self.0.to_int().value();
        i64::try_from(int).ok()
    }

    /// The nearest `f64`; infinities stay.
    pub fn as_f64(&self) -> f64 {
        self.0.to_f64().value()
    }

    /// Whether the number has no fraction (infinities have none but are no integers).
    pub fn is_integer(&self) -> bool {
        !self.is_infinite() && self.0.fract() == Float::ZERO
    }

    /// Positive or negative infinity.
    pub fn is_infinite(&self) -> bool {
        self.0.repr().is_infinite()
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::new(Float::from(value))
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
        self.0.cmp(&other.0)
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_string().hash(state);
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shortest decimal form that reads back as the same number; never an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(int) = self.as_i64() {
            return write!(f, "{int}");
        }
        write!(f, "{}", self.0.to_decimal().value())
    }
}
