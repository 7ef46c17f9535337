//! Numbers.

use std::f64::consts::FRAC_1_SQRT_2;

use stack_core::convert::convert;
use stack_core::{Number, Type, Value};

use super::{CallContext, Called, Function, FunctionError, any, number};
use crate::evaluate::unknown_not_null;

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("abs", vec![number("num")], Type::Number, |_, args| {
            map(&args[0], Number::absolute)
        }),
        Function::new("ceil", vec![number("num")], Type::Number, |_, args| {
            map(&args[0], Number::ceil)
        }),
        Function::new("floor", vec![number("num")], Type::Number, |_, args| {
            map(&args[0], Number::floor)
        }),
        Function::new("log", vec![number("num"), number("base")], Type::Number, log),
        Function::new("pow", vec![number("num"), number("power")], Type::Number, power),
        Function::new("max", vec![], Type::Number, |_, args| extreme(args, |a, b| a > b))
            .variadic(number("numbers")),
        Function::new("min", vec![], Type::Number, |_, args| extreme(args, |a, b| a < b))
            .variadic(number("numbers")),
        Function::new(
            "parseint",
            vec![any("number"), number("base")],
            Type::Number,
            parseint,
        ),
        Function::new("range", vec![], Type::list(Type::Number), range).variadic(number("params")),
        Function::new("signum", vec![number("num")], Type::Number, signum),
        Function::new("sum", vec![any("list")], Type::Number, sum),
    ]
}

fn map(value: &Value, f: impl Fn(&Number) -> Number) -> Called {
    Ok(value
        .as_number()
        .map_or_else(|| value.clone(), |n| Value::Number(f(n))))
}

/// A whole number argument that fits.
pub(crate) fn whole(args: &[Value], index: usize) -> Result<i64, FunctionError> {
    let number = args.get(index).and_then(Value::as_number);
    number
        .and_then(Number::as_i64)
        .ok_or_else(|| FunctionError::new("value must be a whole number"))
}

fn double(args: &[Value], index: usize) -> f64 {
    args.get(index)
        .and_then(Value::as_number)
        .map_or(f64::NAN, Number::as_f64)
}

fn of_double(value: f64) -> Called {
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| FunctionError::new("the result is not a number"))
}

fn log(_: &CallContext<'_>, args: &[Value]) -> Called {
    of_double(natural_logarithm(double(args, 0)) / natural_logarithm(double(args, 1)))
}

fn power(_: &CallContext<'_>, args: &[Value]) -> Called {
    of_double(raise(double(args, 0), double(args, 1)))
}

/// Mantissa in `[0.5, 1)` and binary exponent.
fn split(x: f64) -> (f64, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    if x.is_subnormal() {
        let (mantissa, exponent) = split(x * 2f64.powi(60));
        return (mantissa, exponent - 60);
    }
    let bits = x.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | (1022 << 52)), exponent)
}

/// `mantissa * 2^exponent`, in two steps so that neither factor overflows.
fn join(mantissa: f64, exponent: i32) -> f64 {
    let exponent = exponent.clamp(-2200, 2200);
    let half = exponent / 2;
    mantissa * 2f64.powi(half) * 2f64.powi(exponent - half)
}

/// The natural logarithm to the bit as the language's first implementation computes it (the FreeBSD algorithm).
fn natural_logarithm(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 || x.is_infinite() {
        return x.ln();
    }
    let (mut mantissa, mut exponent) = split(x);
    if mantissa < FRAC_1_SQRT_2 {
        mantissa *= 2.0;
        exponent -= 1;
    }
    let f = mantissa - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2
        * (0.666_666_666_666_673_5
            + s4 * (0.285_714_287_436_623_9
                + s4 * (0.181_835_721_616_180_5 + s4 * 0.147_981_986_051_165_86)));
    let even =
        s4 * (0.399_999_999_994_094_2 + s4 * (0.222_221_984_321_497_84 + s4 * 0.153_138_376_992_093_73));
    let r = odd + even;
    let half_square = 0.5 * f * f;
    k * 0.693_147_180_369_123_8
        - ((half_square - (s * (half_square + r) + k * 1.908_214_929_270_587_7e-10)) - f)
}

/// `x^y` to the bit as the language's first implementation computes it: by repeated squaring.
fn raise(x: f64, y: f64) -> f64 {
    if x == 0.0 || !x.is_finite() || !y.is_finite() || y == 0.0 || x == 1.0 || y.abs() >= 2f64.powi(63) {
        return x.powf(y);
    }
    if y == 0.5 {
        return x.sqrt();
    }
    if y == -0.5 {
        return 1.0 / x.sqrt();
    }
    let (mut whole, mut fraction) = (y.abs().trunc(), y.abs().fract());
    if fraction != 0.0 && x < 0.0 {
        return f64::NAN;
    }
    let mut result = 1.0;
    let mut result_exponent = 0_i32;
    if fraction != 0.0 {
        if fraction > 0.5 {
            fraction -= 1.0;
            whole += 1.0;
        }
        result = (fraction * natural_logarithm(x)).exp();
    }
    let (mut square, mut exponent) = split(x);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "below 2^63 and not negative"
    )]
    let mut bits = whole as u64;
    while bits != 0 {
        if exponent.abs() > 1 << 12 {
            result_exponent = result_exponent.saturating_add(exponent);
            break;
        }
        if bits & 1 == 1 {
            result *= square;
            result_exponent += exponent;
        }
        square *= square;
        exponent <<= 1;
        if square < 0.5 {
            square += square;
            exponent -= 1;
        }
        bits >>= 1;
    }
    if y < 0.0 {
        join(1.0 / result, -result_exponent)
    } else {
        join(result, result_exponent)
    }
}

fn extreme(args: &[Value], better: fn(&Number, &Number) -> bool) -> Called {
    let mut numbers = args.iter().filter_map(Value::as_number);
    let Some(mut best) = numbers.next() else {
        return Err(FunctionError::new("must pass at least one number"));
    };
    for number in numbers {
        if better(number, best) {
            best = number;
        }
    }
    Ok(Value::Number(best.clone()))
}

fn signum(_: &CallContext<'_>, args: &[Value]) -> Called {
    Ok(Value::from(whole(args, 0)?.signum()))
}

fn parseint(_: &CallContext<'_>, args: &[Value]) -> Called {
    let Some(text) = args[0].as_str() else {
        let name = args[0].ty().friendly_name();
        return Err(FunctionError::argument(
            0,
            format!("first argument must be a string, not {name}"),
        ));
    };
    let base = args[1]
        .as_number()
        .and_then(Number::as_i64)
        .and_then(|b| u32::try_from(b).ok());
    let Some(base) = base.filter(|b| (2..=62).contains(b)) else {
        return Err(FunctionError::argument(
            1,
            "base must be a whole number between 2 and 62 inclusive",
        ));
    };
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let wrong = || FunctionError::argument(0, format!("cannot parse {text:?} as a base {base} integer"));
    let mut total = dashu_int::IBig::ZERO;
    if digits.is_empty() {
        return Err(wrong());
    }
    for c in digits.chars() {
        let digit = match c {
            '0'..='9' => u32::from(c) - u32::from('0'),
            'a'..='z' => u32::from(c) - u32::from('a') + 10,
            'A'..='Z' if base <= 36 => u32::from(c) - u32::from('A') + 10,
            'A'..='Z' => u32::from(c) - u32::from('A') + 36,
            _ => return Err(wrong()),
        };
        if digit >= base {
            return Err(wrong());
        }
        total = total * dashu_int::IBig::from(base) + dashu_int::IBig::from(digit);
    }
    let number = Number::from_integer(total);
    Ok(Value::Number(if sign.is_empty() {
        number
    } else {
        number.negate()
    }))
}

fn sum(_: &CallContext<'_>, args: &[Value]) -> Called {
    let wrong = |message: &str| FunctionError::argument(0, message.to_owned());
    let Some(members) = args[0].as_sequence() else {
        return Err(match &args[0] {
            Value::Map(..) | Value::Object(_) => {
                let name = args[0].ty().friendly_name();
                wrong(&format!("argument must be list, set, or tuple. Received {name}"))
            }
            _ => wrong("cannot sum noniterable"),
        });
    };
    if members.is_empty() {
        return Err(wrong("cannot sum an empty list"));
    }
    if !args[0].is_wholly_known() {
        return Ok(unknown_not_null(Type::Number));
    }
    let mut total: Option<Number> = None;
    for member in members {
        let member = convert(member, &Type::Number).ok();
        let Some(number) = member.as_ref().and_then(Value::as_number) else {
            return Err(wrong("argument must be list, set, or tuple of number values"));
        };
        total = Some(match total {
            None => number.clone(),
            Some(total) => total
                .add(number)
                .ok_or_else(|| FunctionError::new("can't compute sum of opposing infinities"))?,
        });
    }
    Ok(total.map_or(Value::from(0), Value::Number))
}

/// The most members a range has.
const MAX_RANGE: usize = 1024;

fn range(_: &CallContext<'_>, args: &[Value]) -> Called {
    let numbers: Vec<&Number> = args.iter().filter_map(Value::as_number).collect();
    let zero = Number::from(0);
    let towards = |start: &Number, end: &Number| Number::from(if end < start { -1 } else { 1 });
    let (start, end, step) = match numbers.as_slice() {
        [end] => (zero.clone(), (*end).clone(), towards(&zero, end)),
        [start, end] => ((*start).clone(), (*end).clone(), towards(start, end)),
        [start, end, step] => ((*start).clone(), (*end).clone(), (*step).clone()),
        _ => return Err(FunctionError::new("must have one, two, or three arguments")),
    };
    if step.is_zero() {
        return Err(FunctionError::argument(2, "step must not be zero"));
    }
    let down = step.is_negative();
    if down && end > start {
        return Err(FunctionError::argument(
            1,
            "end must be less than start when step is negative",
        ));
    }
    if !down && end < start {
        return Err(FunctionError::argument(
            1,
            "end must be greater than start when step is positive",
        ));
    }
    let mut members = Vec::new();
    let mut at = start;
    while if down { at > end } else { at < end } {
        if members.len() >= MAX_RANGE {
            return Err(FunctionError::new(format!(
                "more than {MAX_RANGE} values were generated; either decrease the difference between start and end or use a smaller step"
            )));
        }
        members.push(Value::Number(at.clone()));
        at = at
            .add(&step)
            .ok_or_else(|| FunctionError::new("the members are not finite"))?;
    }
    Ok(Value::list(Type::Number, members))
}
