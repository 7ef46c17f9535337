//! Texts.

use stack_core::{Type, Value};
use unicode_segmentation::UnicodeSegmentation as _;

use super::numeric::whole;
use super::regex::replace_pattern;
use super::{CallContext, Called, Function, FunctionError, Parameter, number, string};
use crate::evaluate::unknown_not_null;
use crate::syntax::template::text;

pub(super) fn functions() -> Vec<Function> {
    let one = |name, call| Function::new(name, vec![string("str")], Type::String, call);
    let two =
        |name, second, call| Function::new(name, vec![string("str"), string(second)], Type::String, call);
    let ask = |name, second, call| {
        Function::new(
            name,
            vec![string("str").unknown(), string(second)],
            Type::Bool,
            call,
        )
    };
    vec![
        one("chomp", |_, args| {
            Ok(text(str_of(args, 0).trim_end_matches(['\r', '\n'])))
        }),
        one("lower", |_, args| {
            Ok(text(str_of(args, 0).chars().map(lower).collect::<String>()))
        }),
        one("upper", |_, args| {
            Ok(text(str_of(args, 0).chars().map(upper).collect::<String>()))
        }),
        one("title", |_, args| Ok(text(title(str_of(args, 0))))),
        one("trimspace", |_, args| Ok(text(str_of(args, 0).trim()))),
        one("strrev", |_, args| {
            Ok(text(str_of(args, 0).graphemes(true).rev().collect::<String>()))
        }),
        two("trim", "cutset", |_, args| {
            let set: Vec<char> = str_of(args, 1).chars().collect();
            Ok(text(str_of(args, 0).trim_matches(set.as_slice())))
        }),
        two("trimprefix", "prefix", |_, args| {
            let whole = str_of(args, 0);
            Ok(text(whole.strip_prefix(str_of(args, 1)).unwrap_or(whole)))
        }),
        two("trimsuffix", "suffix", |_, args| {
            let whole = str_of(args, 0);
            Ok(text(whole.strip_suffix(str_of(args, 1)).unwrap_or(whole)))
        }),
        ask("startswith", "prefix", startswith),
        ask("endswith", "suffix", |_, args| {
            known(args, |whole, part| whole.ends_with(part))
        }),
        ask("strcontains", "substr", |_, args| {
            known(args, |whole, part| whole.contains(part))
        }),
        Function::new(
            "indent",
            vec![number("spaces"), string("str")],
            Type::String,
            indent,
        ),
        Function::new("join", vec![string("separator")], Type::String, join)
            .variadic(Parameter::new("lists", Type::list(Type::String)).unknown()),
        Function::new(
            "split",
            vec![string("separator"), string("str")],
            Type::list(Type::String),
            split,
        ),
        Function::new(
            "substr",
            vec![string("str"), number("offset"), number("length")],
            Type::String,
            substr,
        ),
        Function::new(
            "replace",
            vec![string("str"), string("substr"), string("replace")],
            Type::String,
            replace,
        ),
    ]
}

/// The text of an argument.
pub(crate) fn str_of(args: &[Value], index: usize) -> &str {
    args.get(index).and_then(Value::as_str).unwrap_or_default()
}

fn known(args: &[Value], test: fn(&str, &str) -> bool) -> Called {
    Ok(if args[0].is_known() {
        Value::Bool(test(str_of(args, 0), str_of(args, 1)))
    } else {
        unknown_not_null(Type::Bool)
    })
}

/// What is known of the start of an unknown text may decide.
fn startswith(_: &CallContext<'_>, args: &[Value]) -> Called {
    let prefix = str_of(args, 1);
    if let Value::Unknown(unknown) = &args[0] {
        if unknown.prefix.starts_with(prefix) {
            return Ok(Value::Bool(true));
        }
        if unknown.prefix.len() >= prefix.len() || !prefix.starts_with(&*unknown.prefix) {
            return Ok(Value::Bool(false));
        }
    }
    known(args, |whole, part| whole.starts_with(part))
}

/// Characters with an upper case of one character that a full mapping to several hides.
fn titled_greek(c: char) -> Option<char> {
    let offset = match u32::from(c) {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => 9,
        _ => return None,
    };
    char::from_u32(u32::from(c) + offset)
}

/// One character to one.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => titled_greek(c).unwrap_or(c),
    }
}

/// One character to one, without regard to what stands around it.
fn lower(c: char) -> char {
    if c == '\u{130}' {
        return 'i';
    }
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let starts = is_separator(before);
            before = c;
            if starts { title_case(c) } else { c }
        })
        .collect()
}

fn title_case(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10ff}' => c,
        c => upper(c),
    }
}

/// Letters, digits and underscores do not separate words; beyond ASCII only spaces do.
fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        !(c.is_ascii_alphanumeric() || c == '_')
    } else {
        c.is_whitespace()
    }
}

fn indent(_: &CallContext<'_>, args: &[Value]) -> Called {
    let spaces = usize::try_from(whole(args, 0)?)
        .ok()
        .filter(|n| *n <= 10_000)
        .ok_or_else(|| {
            FunctionError::new("the number of spaces must not be negative or larger than 10000")
        })?;
    Ok(text(
        str_of(args, 1).replace('\n', &format!("\n{}", " ".repeat(spaces))),
    ))
}

fn join(_: &CallContext<'_>, args: &[Value]) -> Called {
    let separator = str_of(args, 0);
    if args.len() < 2 {
        return Err(FunctionError::new("at least one list is required"));
    }
    if !args[1..].iter().all(Value::is_wholly_known) {
        return Ok(unknown_not_null(Type::String));
    }
    let mut pieces = Vec::new();
    for (i, list) in args.iter().enumerate().skip(1) {
        for (at, member) in list.as_sequence().unwrap_or_default().iter().enumerate() {
            match member.as_str() {
                Some(piece) => pieces.push(piece),
                None if args.len() > 2 => {
                    let message = format!(
                        "element {at} of list {} is null; cannot concatenate null values",
                        i - 1
                    );
                    return Err(FunctionError::argument(i, message));
                }
                None => {
                    let message = format!("element {at} is null; cannot concatenate null values");
                    return Err(FunctionError::argument(i, message));
                }
            }
        }
    }
    Ok(text(pieces.join(separator)))
}

fn split(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (separator, whole) = (str_of(args, 0), str_of(args, 1));
    let pieces: Vec<Value> = if separator.is_empty() {
        whole.chars().map(|c| text(c.to_string())).collect()
    } else {
        whole.split(separator).map(text).collect()
    };
    Ok(Value::list(Type::String, pieces))
}

fn substr(_: &CallContext<'_>, args: &[Value]) -> Called {
    let whole_text = str_of(args, 0);
    let offset = whole(args, 1).map_err(|e| FunctionError {
        argument: Some(1),
        ..e
    })?;
    let length = whole(args, 2).map_err(|e| FunctionError {
        argument: Some(2),
        ..e
    })?;
    let offset = if offset < 0 {
        let total = i64::try_from(whole_text.graphemes(true).count()).unwrap_or(i64::MAX);
        usize::try_from(offset.saturating_add(total)).unwrap_or(0)
    } else {
        usize::try_from(offset).unwrap_or(usize::MAX)
    };
    // A negative length is all that is left.
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(text(
        whole_text
            .graphemes(true)
            .skip(offset)
            .take(length)
            .collect::<String>(),
    ))
}

fn replace(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (whole, part, by) = (str_of(args, 0), str_of(args, 1), str_of(args, 2));
    if part.len() > 1
        && let Some(pattern) = part.strip_prefix('/').and_then(|p| p.strip_suffix('/'))
    {
        return replace_pattern(whole, pattern, by).map(text);
    }
    Ok(text(whole.replace(part, by)))
}
