//! JSON as values of the language, exact to the digit.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use stack_core::Value;
use stack_core::codec::parse_number;

/// Deepest nesting that is read; the parser's own limit.
const MAX_DEPTH: usize = 127;

/// Reads a JSON text: arrays become tuples, objects become objects; of a repeated key the last one counts.
///
/// # Errors
/// Why the text is not JSON, as a lower case fragment.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| cause(&error))?;
    value(raw, 0)
}

/// The parser's message; its position is kept, for there is no span.
fn cause(error: &serde_json::Error) -> String {
    error.to_string()
}

fn value(raw: &RawValue, depth: usize) -> Result<Value, String> {
    let text = raw.get();
    if depth > MAX_DEPTH {
        return Err(format!("it nests more than {MAX_DEPTH} levels deep"));
    }
    match text.as_bytes().first() {
        Some(b'n') => Ok(Value::NULL),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        Some(b'"') => {
            let string = serde_json::from_str::<String>(text);
            string
                .or_else(|error| lone_surrogates(text).ok_or_else(|| cause(&error)))
                .map(Value::from)
        }
        Some(b'[') => {
            let members: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| cause(&error))?;
            let members = members.into_iter().map(|m| value(m, depth + 1));
            Ok(Value::tuple(members.collect::<Result<_, _>>()?))
        }
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(|error| cause(&error))?;
            let members = members.into_iter().map(|(k, m)| Ok((k, value(m, depth + 1)?)));
            Ok(Value::object(members.collect::<Result<Vec<_>, String>>()?))
        }
        _ => parse_number(text)
            .map(Value::Number)
            .ok_or_else(|| format!("{text} is not a number")),
    }
}

/// The string again, with the replacement character where half of a surrogate pair stands alone.
fn lone_surrogates(text: &str) -> Option<String> {
    let mut repaired = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find('\\') {
        repaired.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
        let length = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                changed = true;
                repaired.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            _ => 2,
        };
        repaired.push_str(rest.get(..length)?);
        rest = &rest[length..];
    }
    repaired.push_str(rest);
    if changed {
        serde_json::from_str(&repaired).ok()
    } else {
        None
    }
}

/// Writes a value as compact JSON, in which `<`, `>` and `&` are escaped.
///
/// # Errors
/// A part is unknown or an infinity, as a lower case fragment.
pub(crate) fn write(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_part(value, &mut out)?;
    Ok(out)
}

fn write_part(value: &Value, out: &mut String) -> Result<(), String> {
    match value {
        Value::Null(_) => out.push_str("null"),
        Value::Unknown(_) => return Err("a part of the value is not known yet".to_owned()),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) if n.is_infinite() => return Err("JSON has no infinity".to_owned()),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => write_string(s, out),
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
            out.push('[');
            for (i, member) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_part(member, out)?;
            }
            out.push(']');
        }
        Value::Map(_, members) | Value::Object(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_part(member, out)?;
            }
            out.push('}');
        }
        Value::Marked(_, inner) => write_part(inner, out)?,
    }
    Ok(())
}

/// A string, with the escapes that Go's encoder writes.
pub(crate) fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let text = r#"{"a":[12345678901234567890123,0.1,-1e3,null,true],"b":"é"}"#;
        let value = parse(text).unwrap();
        assert_eq!(
            write(&value).unwrap(),
            r#"{"a":[12345678901234567890123,0.1,-1000,null,true],"b":"é"}"#
        );
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        assert_eq!(parse(r#""\ud83d\ude00""#).unwrap(), Value::from("😀"));
        assert_eq!(
            parse(r#""a\ud83db\\u00\udc00""#).unwrap(),
            Value::from("a\u{fffd}b\\u00\u{fffd}")
        );
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            write(&Value::string("<&>\u{7}")).unwrap(),
            r#""\u003c\u0026\u003e\u0007""#
        );
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in ["", "{", "[1,]", "nul", "1 2", "01", "\"\\x\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
