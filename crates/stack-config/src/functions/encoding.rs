//! Texts in other forms: base64, JSON, YAML, CSV, URLs, character sets.

mod charset;
mod csv;
mod yaml_read;
mod yaml_write;

use std::io::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use stack_core::{Type, Value};

use super::{Called, Function, FunctionError, any, string};
use crate::evaluate::unknown_not_null;
use crate::json;
use crate::syntax::template::text as normalized;

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new("base64encode", vec![string("str")], Type::String, |_, args| {
            Ok(Value::from(STANDARD.encode(super::text(&args[0])?)))
        }),
        Function::new("base64decode", vec![string("str")], Type::String, |_, args| {
            base64_decode(super::text(&args[0])?)
        }),
        Function::new("base64gzip", vec![string("str")], Type::String, |_, args| {
            gzip(super::text(&args[0])?)
        }),
        Function::new("urlencode", vec![string("str")], Type::String, |_, args| {
            Ok(Value::from(url_encode(super::text(&args[0])?)))
        }),
        Function::new(
            "textencodebase64",
            vec![string("string"), string("encoding")],
            Type::String,
            |_, args| {
                let bytes = charset::encode(super::text(&args[0])?, super::text(&args[1])?)?;
                Ok(Value::from(STANDARD.encode(bytes)))
            },
        ),
        Function::new(
            "textdecodebase64",
            vec![string("source"), string("encoding")],
            Type::String,
            |_, args| {
                let bytes = base64_bytes(super::text(&args[0])?).map_err(|cause| {
                    FunctionError::argument(0, format!("the given value is not valid base64: {cause}"))
                })?;
                Ok(normalized(charset::decode(&bytes, super::text(&args[1])?)?))
            },
        ),
        Function::new(
            "jsonencode",
            vec![any("val").nullable().unknown().dynamic()],
            Type::String,
            |_, args| encode(&args[0], |value| json::write(value).map_err(FunctionError::new)),
        ),
        Function::generic(
            "jsondecode",
            vec![string("str")],
            |_| Ok(Type::Dynamic),
            |_, args| {
                let value = json::parse(super::text(&args[0])?).map_err(FunctionError::new)?;
                Ok(normalize(&value))
            },
        ),
        Function::new(
            "yamlencode",
            vec![any("value").nullable().unknown().dynamic()],
            Type::String,
            |_, args| encode(&args[0], |value| Ok(yaml_write::write(value))),
        ),
        Function::generic(
            "yamldecode",
            vec![string("src")],
            |_| Ok(Type::Dynamic),
            |_, args| {
                let value = yaml_read::read(super::text(&args[0])?).map_err(FunctionError::new)?;
                Ok(normalize(&value))
            },
        ),
        Function::generic(
            "csvdecode",
            vec![string("str")],
            |_| Ok(Type::Dynamic),
            |_, args| csv_decode(super::text(&args[0])?),
        ),
    ]
}

/// Texts from outside are normalised as literals are.
fn normalize(value: &Value) -> Value {
    value.map_parts(&|part| match part {
        Value::String(s) => normalized(&*s),
        other => other,
    })
}

/// A text that is known once the whole value is.
fn encode(value: &Value, write: impl Fn(&Value) -> Result<String, FunctionError>) -> Called {
    if !value.is_wholly_known() {
        return Ok(unknown_not_null(Type::String));
    }
    Ok(Value::from(write(value)?))
}

/// The standard alphabet, in which the bits behind the last byte may be anything.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Line breaks are skipped.
fn base64_bytes(text: &str) -> Result<Vec<u8>, String> {
    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    LENIENT
        .decode(packed)
        .map_err(|error| error.to_string().to_lowercase())
}

fn base64_decode(text: &str) -> Called {
    let bytes = base64_bytes(text)
        .map_err(|cause| FunctionError::new(format!("failed to decode base64 data: {cause}")))?;
    let decoded = String::from_utf8(bytes)
        .map_err(|_| FunctionError::new("the result of decoding the provided string is not valid UTF-8"))?;
    Ok(normalized(decoded))
}

fn gzip(text: &str) -> Called {
    let failed = |error: std::io::Error| FunctionError::new(format!("failed to write gzip data: {error}"));
    // No time and no system in the header: the result depends on the text alone.
    let mut encoder = flate2::GzBuilder::new()
        .operating_system(255)
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    Ok(Value::from(STANDARD.encode(encoder.finish().map_err(failed)?)))
}

/// Query escaping: a space is `+`, everything but letters, digits and `-_.~` is `%XX`.
fn url_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn csv_decode(text: &str) -> Called {
    let (header, rows) = csv::parse(text).map_err(FunctionError::new)?;
    let ty = Type::object(header.iter().map(|name| (name.clone(), Type::String)));
    let rows = rows
        .into_iter()
        .map(|row| Value::object(header.iter().cloned().zip(row.into_iter().map(normalized))));
    Ok(Value::list(ty, rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        assert_eq!(url_encode("a b+c/é~"), "a+b%2Bc%2F%C3%A9~");
    }

    #[test]
    fn gzip_starts_with_the_same_header_always() {
        let text = gzip("hello").unwrap();
        assert!(text.as_str().unwrap().starts_with("H4sIAAAAAAAA/"), "{text:?}");
    }

    #[test]
    fn base64_is_strict_but_for_line_breaks() {
        assert_eq!(base64_decode("aGVs\nbG8=").unwrap(), Value::from("hello"));
        for bad in ["!!!", "_-8=", "aGVsbG8", "gA=="] {
            assert!(base64_decode(bad).is_err(), "{bad}");
        }
    }
}
