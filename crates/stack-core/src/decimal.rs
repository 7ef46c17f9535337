//! Decimal digits of binary numbers.

use dashu_base::BitTest as _;
use dashu_int::UBig;

/// Decimal digits with a point: `0.d₁d₂d₃… · 10^point`. Zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: isize,
}

fn signed(n: usize) -> isize {
    isize::try_from(n).unwrap_or(isize::MAX)
}

impl Decimal {
    fn of_text(negative: bool, text: String, scale: usize) -> Self {
        let point = signed(text.len()) - signed(scale);
        Self {
            negative,
            digits: text.into_bytes(),
            point,
        }
        .trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
        self
    }

    /// All digits of `magnitude * 2^exponent`.
    pub(crate) fn exact(negative: bool, magnitude: UBig, exponent: isize) -> Self {
        let power = exponent.unsigned_abs();
        if exponent >= 0 {
            Self::of_text(negative, (magnitude << power).to_string(), 0)
        } else {
            Self::of_text(
                negative,
                (magnitude * UBig::from(5_u8).pow(power)).to_string(),
                power,
            )
        }
    }

    /// The shortest digits between the neighbours of `magnitude * 2^exponent` at this precision, nearest to it.
    pub(crate) fn shortest(negative: bool, magnitude: &UBig, exponent: isize, precision: usize) -> Self {
        if magnitude.is_zero() {
            return Self {
                negative,
                digits: Vec::new(),
                point: 0,
            };
        }
        if let Ok(shift) = usize::try_from(exponent)
            && magnitude.bit_len() + shift <= precision
        {
            return Self::exact(negative, magnitude.clone(), exponent);
        }
        // One bit more than the precision, so that adding or subtracting one is half a unit in the last place.
        let shift = (precision + 1).saturating_sub(magnitude.bit_len());
        let scaled = magnitude.clone() << shift;
        let exponent = exponent - signed(shift);
        let inclusive = !scaled.bit(1);
        let lower = Self::exact(negative, &scaled - UBig::ONE, exponent).digits;
        let upper = Self::exact(negative, &scaled + UBig::ONE, exponent).digits;
        let exact = Self::exact(negative, scaled, exponent);
        for (i, digit) in exact.digits.iter().copied().enumerate() {
            let low = lower.get(i).copied().unwrap_or(b'0');
            let high = upper.get(i).copied().unwrap_or(b'0');
            let down = low != digit || inclusive && i + 1 == lower.len();
            let up = digit != high && (inclusive || digit + 1 < high || i + 1 < upper.len());
            match (down, up) {
                (true, true) => return exact.rounded(i + 1),
                (true, false) => return exact.cut(i + 1).trimmed(),
                (false, true) => return exact.cut(i + 1).incremented(),
                (false, false) => {}
            }
        }
        exact
    }

    fn cut(&self, length: usize) -> Self {
        Self {
            digits: self.digits.get(..length).unwrap_or(&self.digits).to_vec(),
            ..*self
        }
    }

    /// At most this many digits, rounded half to even.
    fn rounded(&self, length: usize) -> Self {
        let up = match self.digits.get(length..).and_then(<[u8]>::split_first) {
            None => return self.clone(),
            Some((b'5', [])) => length > 0 && (self.digits[length - 1] - b'0') % 2 == 1,
            Some((first, _)) => *first >= b'5',
        };
        let cut = self.cut(length);
        if up { cut.incremented() } else { cut.trimmed() }
    }

    fn incremented(mut self) -> Self {
        while let Some(last) = self.digits.pop() {
            if last < b'9' {
                self.digits.push(last + 1);
                return self;
            }
        }
        Self {
            digits: vec![b'1'],
            point: self.point + 1,
            ..self
        }
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// The digit at a position; zero outside.
    fn at(&self, position: isize) -> char {
        let digit = usize::try_from(position).ok().and_then(|i| self.digits.get(i));
        char::from(digit.copied().unwrap_or(b'0'))
    }

    /// As many digits as there are, without an exponent.
    pub fn plain(&self) -> String {
        let fraction = (signed(self.digits.len()) - self.point).max(0);
        self.write_fixed(fraction.unsigned_abs())
    }

    /// With this many digits behind the point.
    pub fn fixed(&self, digits: usize) -> String {
        let keep = self.point.saturating_add(signed(digits));
        match usize::try_from(keep) {
            Ok(keep) => self.rounded(keep).write_fixed(digits),
            Err(_) => Self {
                negative: self.negative,
                digits: Vec::new(),
                point: 0,
            }
            .write_fixed(digits),
        }
    }

    fn write_fixed(&self, digits: usize) -> String {
        let mut out = self.sign().to_owned();
        if self.point > 0 && !self.digits.is_empty() {
            out.extend((0..self.point).map(|i| self.at(i)));
        } else {
            out.push('0');
        }
        if digits > 0 {
            out.push('.');
            let point = if self.digits.is_empty() { 0 } else { self.point };
            out.extend((0..signed(digits)).map(|i| self.at(point + i)));
        }
        out
    }

    /// With one digit before the point, this many behind it (`None`: as many as there are), and an exponent.
    pub fn exponential(&self, digits: Option<usize>) -> String {
        let decimal = digits.map_or_else(|| self.clone(), |digits| self.rounded(digits + 1));
        let digits = digits.unwrap_or_else(|| decimal.digits.len().saturating_sub(1));
        let mut out = decimal.sign().to_owned();
        out.push(decimal.at(0));
        if digits > 0 {
            out.push('.');
            out.extend((1..=signed(digits)).map(|i| decimal.at(i)));
        }
        let exponent = if decimal.digits.is_empty() {
            0
        } else {
            decimal.point - 1
        };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{out}e{sign}{:02}", exponent.unsigned_abs())
    }

    /// With this many significant digits (`None`: as many as there are), with an exponent where that is shorter.
    pub fn general(&self, digits: Option<usize>) -> String {
        let decimal = digits.map_or_else(|| self.clone(), |digits| self.rounded(digits.max(1)));
        let length = signed(decimal.digits.len());
        let mut limit = digits.map_or(6, |digits| signed(digits.max(1)));
        if digits.is_some() && limit > length && length >= decimal.point {
            limit = length;
        }
        let exponent = decimal.point - 1;
        if !decimal.digits.is_empty() && (exponent < -4 || exponent >= limit) {
            return decimal.exponential(None);
        }
        decimal.plain()
    }
}

#[cfg(test)]
mod tests {
    use crate::Number;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn fixed_rounds_half_to_even() {
        for (text, digits, expected) in [
            ("2.5", 0, "2"),
            ("3.5", 0, "4"),
            ("0.5", 0, "0"),
            ("0.25", 1, "0.2"),
            ("9.99", 1, "10.0"),
            ("0", 2, "0.00"),
        ] {
            assert_eq!(number(text).to_fixed(digits), expected, "{text}");
        }
        assert_eq!(number("0.0001").to_fixed(2), "0.00");
        assert_eq!(number("-1.5").to_fixed(3), "-1.500");
        assert_eq!(number("0.6").to_fixed(0), "1");
    }

    #[test]
    fn exponents_have_two_digits() {
        assert_eq!(number("1500").to_exponential(1), "1.5e+03");
        assert_eq!(number("0").to_exponential(1), "0.0e+00");
        assert_eq!(number("0.00012").to_exponential(0), "1e-04");
    }

    #[test]
    fn general_takes_an_exponent_for_large_and_small_numbers() {
        assert_eq!(number("1000000").to_general(None), "1e+06");
        assert_eq!(number("123456").to_general(None), "123456");
        assert_eq!(number("1234567").to_general(None), "1.234567e+06");
        assert_eq!(number("0.0001").to_general(None), "0.0001");
        assert_eq!(number("0.00001").to_general(None), "1e-05");
        assert_eq!(number("1234.5").to_general(Some(3)), "1.23e+03");
        assert_eq!(number("100").to_general(Some(10)), "100");
    }
}
