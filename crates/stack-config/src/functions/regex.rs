//! Regular expressions in the syntax of RE2.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use regex::{Captures, Regex};
use stack_core::{ObjectType, Type, Value};

use super::string::str_of;
use super::{CallContext, Called, Function, FunctionError, string};
use crate::syntax::template::text;

pub(super) fn functions() -> Vec<Function> {
    let parameters = || vec![string("pattern"), string("string")];
    vec![
        Function::generic("regex", parameters(), |args| result_type(&args[0]), regex).not_null(),
        Function::generic(
            "regexall",
            parameters(),
            |args| result_type(&args[0]).map(Type::list),
            regexall,
        )
        .not_null(),
    ]
}

/// How many compiled patterns are kept.
const KEPT: usize = 64;

thread_local! {
    static COMPILED: RefCell<VecDeque<(String, Regex)>> = const { RefCell::new(VecDeque::new()) };
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let kept = COMPILED.with_borrow(|kept| kept.iter().find(|(p, _)| p == pattern).map(|(_, r)| r.clone()));
    if let Some(regex) = kept {
        return Ok(regex);
    }
    let wrong = |reason: &str| format!("invalid regexp pattern: {reason} in {pattern:?}");
    let translated = translate(pattern).map_err(wrong)?;
    let regex = regex::RegexBuilder::new(&translated)
        .octal(true)
        .build()
        .map_err(|e| {
            let message = e.to_string();
            wrong(
                message
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: "),
            )
        })?;
    COMPILED.with_borrow_mut(|kept| {
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((pattern.to_owned(), regex.clone()));
    });
    Ok(regex)
}

/// The pattern in the syntax of the crate used: classes of escapes are ASCII, brackets and set operators inside a class
/// are literal, `\Q…\E` quotes, a brace that is no repetition is literal, a repetition cannot be repeated.
fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    let mut after_repetition = false;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let repeated = std::mem::take(&mut after_repetition);
        if !in_class && let Some(operator) = repetition(rest)? {
            if repeated {
                return Err("invalid nested repetition operator");
            }
            let lazy = usize::from(rest[operator..].starts_with('?'));
            out.push_str(&rest[..operator + lazy]);
            rest = &rest[operator + lazy..];
            after_repetition = true;
            continue;
        }
        match c {
            '\\' => {
                let next = rest[1..].chars().next();
                length += next.map_or(0, char::len_utf8);
                match next {
                    Some('Q') if !in_class => {
                        let quoted = &rest[2..];
                        let end = quoted.find("\\E").unwrap_or(quoted.len());
                        out.push_str(&regex::escape(&quoted[..end]));
                        length = (2 + end + 2).min(rest.len());
                    }
                    // Braces that belong to the escape; `{^L}` negates it.
                    Some(kind @ ('p' | 'P' | 'x')) if rest[2..].starts_with('{') && rest.contains('}') => {
                        length = rest.find('}').map_or(length, |end| end + 1);
                        let name = &rest[3..length - 1];
                        match (kind, name.strip_prefix('^')) {
                            ('p', Some(name)) => out.extend(["\\P{", name, "}"]),
                            ('P', Some(name)) => out.extend(["\\p{", name, "}"]),
                            _ => out.push_str(&rest[..length]),
                        }
                    }
                    Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                    Some('w') => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                    Some('s') => out.push_str(if in_class {
                        "\\t\\n\\f\\r "
                    } else {
                        "[\\t\\n\\f\\r ]"
                    }),
                    Some('D') => out.push_str("[^0-9]"),
                    Some('W') => out.push_str("[^0-9A-Za-z_]"),
                    Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                    Some('b') => out.push_str("(?-u:\\b)"),
                    Some('B') => out.push_str("(?-u:\\B)"),
                    Some('<') => out.push('<'),
                    Some('>') => out.push('>'),
                    // A back reference must stay a mistake, although digits are octal otherwise.
                    Some('1'..='7') if !rest[2..].starts_with(|c: char| c.is_digit(8)) => out.push_str("\\8"),
                    _ => out.push_str(&rest[..length]),
                }
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                let mut inside = &rest[1..];
                if let Some(negated) = inside.strip_prefix('^') {
                    out.push('^');
                    inside = negated;
                    length += 1;
                }
                if inside.starts_with(']') {
                    out.push_str("\\]");
                    length += 1;
                }
            }
            '[' if rest.starts_with("[:") && rest.contains(":]") => {
                length = rest.find(":]").map_or(2, |end| end + 2);
                out.push_str(&rest[..length]);
            }
            '[' => out.push_str("\\["),
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && rest.starts_with("--") => out.push_str("\\-"),
            '{' if !in_class => out.push_str("\\{"),
            c => out.push(c),
        }
        rest = &rest[length.min(rest.len())..];
    }
    Ok(out)
}

/// The most often something may be repeated.
const MAX_REPETITION: u32 = 1000;

/// Length of the repetition operator here: `*`, `+`, `?`, `{2}`, `{2,}`, `{2,3}`.
fn repetition(text: &str) -> Result<Option<usize>, &'static str> {
    if text.starts_with(['*', '+', '?']) {
        return Ok(Some(1));
    }
    if !text.starts_with('{') {
        return Ok(None);
    }
    let Some(end) = text.find('}') else {
        return Ok(None);
    };
    let (low, high) = text[1..end].split_once(',').unwrap_or((&text[1..end], ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if low.is_empty() || !digits(low) || !digits(high) {
        return Ok(None);
    }
    let too_many =
        |s: &str| !s.is_empty() && s.parse::<u32>().is_ok_and(|n| n > MAX_REPETITION) || s.len() > 9;
    if too_many(low) || too_many(high) {
        Err("invalid repeat count")
    } else {
        Ok(Some(end + 1))
    }
}

/// What a match gives: a text, a tuple of groups, or an object of named groups.
enum Shape {
    Text,
    Groups(usize),
    Names(Vec<String>),
}

fn shape(regex: &Regex) -> Result<Shape, FunctionError> {
    let names: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
    let groups = regex.captures_len() - 1;
    match (groups, names.len()) {
        (0, _) => Ok(Shape::Text),
        (groups, 0) => Ok(Shape::Groups(groups)),
        (groups, named) if groups == named => Ok(Shape::Names(names)),
        _ => Err(FunctionError::argument(
            0,
            "invalid regexp pattern: cannot mix both named and unnamed capture groups",
        )),
    }
}

fn prepare(pattern: &str) -> Result<(Regex, Shape), FunctionError> {
    let regex = compile(pattern).map_err(|e| FunctionError::argument(0, e))?;
    let shape = shape(&regex)?;
    Ok((regex, shape))
}

fn type_of(shape: &Shape) -> Type {
    match shape {
        Shape::Text => Type::String,
        Shape::Groups(n) => Type::tuple(vec![Type::String; *n]),
        Shape::Names(names) => {
            let attributes: BTreeMap<String, Type> =
                names.iter().map(|n| (n.clone(), Type::String)).collect();
            Type::Object(std::sync::Arc::new(ObjectType {
                attributes,
                ..ObjectType::default()
            }))
        }
    }
}

fn result_type(pattern: &Value) -> Result<Type, FunctionError> {
    match pattern.as_str() {
        None => Ok(Type::Dynamic),
        Some(pattern) => Ok(type_of(&prepare(pattern)?.1)),
    }
}

fn result(shape: &Shape, captures: &Captures<'_>) -> Value {
    let group =
        |found: Option<regex::Match<'_>>| found.map_or(Value::Null(Type::String), |m| text(m.as_str()));
    match shape {
        Shape::Text => group(captures.get(0)),
        Shape::Groups(n) => Value::tuple((1..=*n).map(|i| group(captures.get(i))).collect()),
        Shape::Names(names) => Value::object(names.iter().map(|n| (n.clone(), group(captures.name(n))))),
    }
}

fn regex(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (regex, shape) = prepare(str_of(args, 0))?;
    match regex.captures(str_of(args, 1)) {
        Some(captures) => Ok(result(&shape, &captures)),
        None => Err(FunctionError::new(
            "pattern did not match any part of the given string",
        )),
    }
}

fn regexall(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (regex, shape) = prepare(str_of(args, 0))?;
    let found = regex
        .captures_iter(str_of(args, 1))
        .map(|captures| result(&shape, &captures))
        .collect();
    Ok(Value::list(type_of(&shape), found))
}

/// Replaces every match; `$1`, `$name` and `${name}` stand for groups.
pub(super) fn replace_pattern(whole: &str, pattern: &str, by: &str) -> Result<String, FunctionError> {
    let regex = compile(pattern).map_err(|e| FunctionError::argument(1, e))?;
    Ok(regex
        .replace_all(whole, |captures: &Captures<'_>| expand(by, captures))
        .into_owned())
}

fn expand(template: &str, captures: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braces = rest.starts_with('{');
        let inner = if braces { &rest[1..] } else { rest };
        let length = inner
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        if length == 0 || braces && !inner[length..].starts_with('}') {
            out.push('$');
            continue;
        }
        let name = &inner[..length];
        let group = name
            .parse::<usize>()
            .map_or_else(|_| captures.name(name), |i| captures.get(i));
        let _ = write!(out, "{}", group.map_or("", |m| m.as_str()));
        rest = &inner[length + usize::from(braces)..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(pattern: &str, text: &str) -> Option<String> {
        compile(pattern).ok()?.find(text).map(|m| m.as_str().to_owned())
    }

    #[test]
    fn patterns_mean_what_they_mean_in_re2() {
        for (pattern, text, found) in [
            ("\\d+", "a\u{661}2", "2"),
            ("[\\w-]+", "é a-b", "a-b"),
            ("[[]", "x[", "["),
            ("[]a]+", "b]a", "]a"),
            ("[a&&b]+", "c&a", "&a"),
            ("a{,2}", "a{,2}", "a{,2}"),
            ("{x}", "{x}", "{x}"),
            ("\\Qa.b\\E.", "a.bc", "a.bc"),
            ("(?:a|b)+?c", "abc", "abc"),
            ("[[:digit:]]{2,}", "1 234", "234"),
        ] {
            assert_eq!(first(pattern, text).as_deref(), Some(found), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_re2_refuses_are_refused() {
        for pattern in [
            "a**", "a++", "a{2}{3}", "a{1001}", "(a)\\1", "(?=a)", "(?<!a)b", "(", "[z-a]",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
