//! `format` and `formatlist`.

use stack_core::convert::convert;
use stack_core::{Number, Type, Unknown, Value};
use unicode_segmentation::UnicodeSegmentation as _;

use super::json_text::json_text;
use super::string::str_of;
use super::{CallContext, Called, Function, FunctionError, any, string};
use crate::evaluate::unknown_not_null;
use crate::syntax::template::text;

pub(super) fn functions() -> Vec<Function> {
    let arguments = || any("args").nullable().unknown();
    vec![
        Function::new("format", vec![string("format")], Type::String, format).variadic(arguments()),
        Function::new(
            "formatlist",
            vec![string("format")],
            Type::list(Type::String),
            formatlist,
        )
        .variadic(arguments()),
    ]
}

/// The widest a verb may pad to.
const MAX_WIDTH: usize = 100_000;

/// `%` with flags, index, width, precision and letter.
#[derive(Clone, Debug)]
struct Verb {
    raw: String,
    offset: usize,
    argument: usize,
    sharp: bool,
    zero: bool,
    minus: bool,
    plus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
    letter: char,
}

enum Piece {
    Text(String),
    Verb(Verb),
}

/// Cuts a format into texts and verbs.
fn pieces(format: &str) -> Result<Vec<Piece>, FunctionError> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut next = 0;
    let mut at = 0;
    while let Some(c) = format[at..].chars().next() {
        if c != '%' {
            literal.push(c);
            at += c.len_utf8();
            continue;
        }
        if format[at..].starts_with("%%") {
            literal.push('%');
            at += 2;
            continue;
        }
        if !literal.is_empty() {
            out.push(Piece::Text(std::mem::take(&mut literal)));
        }
        let verb = verb(format, at, next)?;
        next = verb.argument + 1;
        at += verb.raw.len();
        out.push(Piece::Verb(verb));
    }
    if !literal.is_empty() {
        out.push(Piece::Text(literal));
    }
    Ok(out)
}

fn verb(format: &str, start: usize, next: usize) -> Result<Verb, FunctionError> {
    let rest = &format[start + 1..];
    let fail = |at: usize| match rest[at..].chars().next() {
        None => FunctionError::argument(
            0,
            format!("unterminated verb {:?} at end of string", &format[start..]),
        ),
        Some(c) => FunctionError::argument(
            0,
            format!("unrecognized format character {c:?} at offset {}", start + 1 + at),
        ),
    };
    let mut verb = Verb {
        raw: String::new(),
        offset: start,
        argument: next,
        sharp: false,
        zero: false,
        minus: false,
        plus: false,
        space: false,
        width: None,
        precision: None,
        letter: ' ',
    };
    let mut at = 0;
    while let Some(flag) = rest[at..].chars().next() {
        match flag {
            '#' => verb.sharp = true,
            '0' => verb.zero = true,
            '-' => verb.minus = true,
            '+' => verb.plus = true,
            ' ' => verb.space = true,
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| -> Result<Option<usize>, FunctionError> {
        let digits: String = rest[*at..].chars().take_while(char::is_ascii_digit).collect();
        *at += digits.len();
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse::<usize>().ok().filter(|n| *n <= MAX_WIDTH);
        number
            .map(Some)
            .ok_or_else(|| FunctionError::argument(0, format!("{digits} is too large a width")))
    };
    verb.width = number(&mut at)?;
    if rest[at..].starts_with('.') {
        at += 1;
        verb.precision = Some(number(&mut at)?.unwrap_or(0));
    }
    if rest[at..].starts_with('[') {
        at += 1;
        let index = number(&mut at)?.filter(|n| *n > 0).ok_or_else(|| fail(at))?;
        if !rest[at..].starts_with(']') {
            return Err(fail(at));
        }
        at += 1;
        verb.argument = index - 1;
    }
    let letter = rest[at..]
        .chars()
        .next()
        .filter(char::is_ascii_alphabetic)
        .ok_or_else(|| fail(at))?;
    verb.letter = letter;
    verb.raw = format[start..start + 2 + at].to_owned();
    if !"vtbdoxXeEfgGsq".contains(letter) {
        return Err(FunctionError::argument(
            0,
            format!(
                "unsupported format verb {letter:?} in {:?} at offset {start}",
                verb.raw
            ),
        ));
    }
    Ok(verb)
}

fn format(_: &CallContext<'_>, args: &[Value]) -> Called {
    let format = str_of(args, 0);
    if !args.iter().all(Value::is_wholly_known) {
        let mut unknown = Unknown::of(Type::String);
        unknown.not_null = true;
        if let Some(at) = format.find('%') {
            unknown.prefix = format[..at].into();
        }
        return Ok(Value::Unknown(Box::new(unknown)));
    }
    Ok(text(render(format, &args[1..])?))
}

fn render(format: &str, args: &[Value]) -> Result<String, FunctionError> {
    let mut out = String::new();
    let mut highest = 0;
    let pieces = pieces(format)?;
    let mut verbs = false;
    for piece in &pieces {
        match piece {
            Piece::Text(literal) => out.push_str(literal),
            Piece::Verb(verb) => {
                verbs = true;
                highest = highest.max(verb.argument + 1);
                out.push_str(&render_verb(verb, args)?);
            }
        }
    }
    if highest < args.len() {
        let message = if verbs {
            format!("too many arguments; only {highest} used by format string")
        } else {
            "too many arguments; no verbs in format string".to_owned()
        };
        return Err(FunctionError::argument(highest + 1, message));
    }
    Ok(out)
}

fn render_verb(verb: &Verb, args: &[Value]) -> Result<String, FunctionError> {
    let Some(arg) = args.get(verb.argument) else {
        return Err(FunctionError::new(format!(
            "not enough arguments for {:?} at {}: need index {} but have {} total",
            verb.raw,
            verb.offset,
            verb.argument + 1,
            args.len()
        )));
    };
    let unsupported = |why: &str| {
        FunctionError::new(format!(
            "unsupported value for {:?} at {}: {why}",
            verb.raw, verb.offset
        ))
    };
    if verb.letter != 'v' && arg.is_null() {
        return Err(unsupported("null value cannot be formatted"));
    }
    let as_type = |ty: &Type| convert(arg, ty).map_err(|e| unsupported(&e.to_string()));
    match verb.letter {
        'v' => Ok(pad(verb, as_is(verb, arg))),
        't' => {
            let value = as_type(&Type::Bool)?;
            Ok(pad(verb, value.as_bool().unwrap_or_default().to_string()))
        }
        's' | 'q' => {
            let value = as_type(&Type::String)?;
            let mut piece = value.as_str().unwrap_or_default().to_owned();
            if let Some(length) = verb.precision.filter(|p| *p > 0) {
                piece = piece.graphemes(true).take(length).collect();
            }
            Ok(pad(
                verb,
                if verb.letter == 'q' {
                    json_text(&Value::from(piece))
                } else {
                    piece
                },
            ))
        }
        letter => {
            let value = as_type(&Type::Number)?;
            let Some(number) = value.as_number() else {
                return Err(unsupported("a number is required"));
            };
            if "bdoxX".contains(letter) {
                integer(verb, number).ok_or_else(|| unsupported("an integer is required"))
            } else {
                Ok(float(verb, number))
            }
        }
    }
}

fn as_is(verb: &Verb, arg: &Value) -> String {
    match arg {
        Value::String(piece) if !verb.sharp => piece.to_string(),
        Value::Number(number) if !verb.sharp => number.to_general(None),
        other => json_text(other),
    }
}

/// Pads to the width in characters as a reader counts them.
fn pad(verb: &Verb, piece: String) -> String {
    let missing = verb
        .width
        .unwrap_or(0)
        .saturating_sub(piece.graphemes(true).count());
    let padding = (if verb.zero { "0" } else { " " }).repeat(missing);
    if verb.minus {
        piece + &padding
    } else {
        padding + &piece
    }
}

fn sign(verb: &Verb, negative: bool) -> &'static str {
    match (negative, verb.plus, verb.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn integer(verb: &Verb, number: &Number) -> Option<String> {
    let value = number.as_integer()?;
    let magnitude = number.absolute().as_integer()?;
    let (base, prefix) = match verb.letter {
        'b' => (2, "0b"),
        'o' => (8, "0"),
        'x' => (16, "0x"),
        'X' => (16, "0X"),
        _ => (10, ""),
    };
    let mut digits = magnitude.in_radix(base).to_string();
    if verb.letter == 'X' {
        digits = digits.to_uppercase();
    }
    let sign = sign(verb, value < dashu_int::IBig::ZERO);
    let prefix = if verb.sharp { prefix } else { "" };
    let mut zeros = 0;
    if let Some(precision) = verb.precision {
        if digits == "0" && precision == 0 {
            return Some(String::new());
        }
        zeros = precision.saturating_sub(digits.len());
    }
    let length = sign.len() + prefix.len() + zeros + digits.len();
    let missing = verb.width.unwrap_or(0).saturating_sub(length);
    let (mut left, mut right) = (0, 0);
    if verb.minus {
        right = missing;
    } else if verb.zero && verb.precision.is_none() {
        zeros += missing;
    } else {
        left = missing;
    }
    Some(format!(
        "{}{sign}{prefix}{}{digits}{}",
        " ".repeat(left),
        "0".repeat(zeros),
        " ".repeat(right)
    ))
}

fn float(verb: &Verb, number: &Number) -> String {
    let precision = verb.precision;
    let written = match verb.letter {
        'e' | 'E' => number.to_exponential(precision.unwrap_or(6)),
        'f' => number.to_fixed(precision.unwrap_or(6)),
        _ => number.to_general(precision),
    };
    let digits = written.trim_start_matches(['-', '+']).to_owned();
    let digits = if matches!(verb.letter, 'E' | 'G') {
        digits.to_uppercase().replace("INF", "Inf")
    } else {
        digits
    };
    let sign = match (written.starts_with('-'), written.starts_with('+')) {
        (false, true) => {
            if verb.space {
                " "
            } else {
                "+"
            }
        }
        (negative, _) => sign(verb, negative),
    };
    let padding = verb.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
    if verb.zero && !number.is_infinite() && !verb.minus {
        format!("{sign}{}{digits}", "0".repeat(padding))
    } else if verb.minus {
        format!("{sign}{digits}{}", " ".repeat(padding))
    } else {
        format!("{}{sign}{digits}", " ".repeat(padding))
    }
}

/// One format for every member; arguments that are no sequences stand in each.
fn formatlist(_: &CallContext<'_>, args: &[Value]) -> Called {
    let format = str_of(args, 0);
    let mut length: Option<(usize, usize)> = None;
    let mut sequences = false;
    let mut unknown = false;
    for (i, arg) in args.iter().enumerate().skip(1) {
        let members = match arg {
            Value::Unknown(u) => {
                unknown = true;
                sequences |= !u.ty.is_primitive();
                continue;
            }
            Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => members.len(),
            _ => continue,
        };
        sequences = true;
        match length {
            None => length = Some((members, i)),
            Some((expected, first)) if expected != members => {
                return Err(FunctionError::argument(
                    i,
                    format!(
                        "argument {i} has length {members}, which is inconsistent with argument {first} of length {expected}"
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    if unknown {
        return Ok(unknown_not_null(Type::list(Type::String)));
    }
    let length = match length {
        Some((length, _)) => length,
        None if sequences => 0,
        None => 1,
    };
    let mut out = Vec::with_capacity(length);
    for at in 0..length {
        let row: Vec<Value> = args[1..]
            .iter()
            .map(|arg| {
                arg.as_sequence()
                    .and_then(|members| members.get(at))
                    .unwrap_or(arg)
                    .clone()
            })
            .collect();
        if !row.iter().all(Value::is_wholly_known) {
            out.push(unknown_not_null(Type::String));
            continue;
        }
        let line = render(format, &row)
            .map_err(|e| FunctionError::new(format!("error on format iteration {at}: {}", e.message)))?;
        out.push(text(line));
    }
    Ok(Value::list(Type::String, out))
}
