//! Types as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{CodecError, MAX_DEPTH};
use crate::{ObjectType, Path, Type};

/// Appends a JSON string.
pub(super) fn push_string(out: &mut String, text: &str) {
    // Most strings need no escape; the check is cheaper than the general writer.
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Writes a type as compact JSON. Optional attributes of an object type follow as a list of names.
pub fn type_to_json(ty: &Type) -> String {
    let mut out = String::new();
    push(&mut out, ty);
    out
}

pub(super) fn push(out: &mut String, ty: &Type) {
    let mut element = |word: &str, t: &Type| {
        out.push_str("[\"");
        out.push_str(word);
        out.push_str("\",");
        push(out, t);
        out.push(']');
    };
    match ty {
        Type::Dynamic => out.push_str("\"dynamic\""),
        Type::Bool => out.push_str("\"bool\""),
        Type::Number => out.push_str("\"number\""),
        Type::String => out.push_str("\"string\""),
        Type::List(t) => element("list", t),
        Type::Set(t) => element("set", t),
        Type::Map(t) => element("map", t),
        Type::Tuple(ts) => {
            out.push_str("[\"tuple\",[");
            for (i, t) in ts.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push(out, t);
            }
            out.push_str("]]");
        }
        Type::Object(o) => {
            out.push_str("[\"object\",{");
            for (i, (name, t)) in o.attributes.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                push_string(out, name);
                out.push(':');
                push(out, t);
            }
            out.push('}');
            for (i, name) in o.optional.iter().enumerate() {
                out.push_str(if i == 0 { ",[" } else { "," });
                push_string(out, name);
            }
            out.push_str(if o.optional.is_empty() { "]" } else { "]]" });
        }
    }
}

/// Reads a type.
///
/// # Errors
/// The text is not what [`type_to_json`] writes.
pub fn type_from_json(json: &str) -> Result<Type, CodecError> {
    parse(json, 0)
}

fn malformed(json: &str) -> CodecError {
    let shown: String = json.chars().take(60).collect();
    CodecError::Malformed {
        path: Path::root(),
        message: format!("`{shown}` is no type"),
    }
}

fn parse(json: &str, depth: usize) -> Result<Type, CodecError> {
    if depth > MAX_DEPTH {
        return Err(CodecError::TooDeep { path: Path::root() });
    }
    let error = |_| malformed(json);
    match json.trim_start().as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<&str>(json).map_err(error)? {
            "dynamic" => Ok(Type::Dynamic),
            "bool" => Ok(Type::Bool),
            "number" => Ok(Type::Number),
            "string" => Ok(Type::String),
            _ => Err(malformed(json)),
        },
        Some(b'[') => {
            let parts: Vec<&RawValue> = serde_json::from_str(json).map_err(error)?;
            let (word, of, optional) = match parts[..] {
                [word, of] => (word, of, None),
                [word, of, optional] => (word, of, Some(optional)),
                _ => return Err(malformed(json)),
            };
            let word: &str = serde_json::from_str(word.get()).map_err(error)?;
            match (word, optional) {
                ("list", None) => Ok(Type::list(parse(of.get(), depth + 1)?)),
                ("set", None) => Ok(Type::set(parse(of.get(), depth + 1)?)),
                ("map", None) => Ok(Type::map(parse(of.get(), depth + 1)?)),
                ("tuple", None) => {
                    let members: Vec<&RawValue> = serde_json::from_str(of.get()).map_err(error)?;
                    let members: Result<_, _> = members.iter().map(|m| parse(m.get(), depth + 1)).collect();
                    Ok(Type::tuple(members?))
                }
                ("object", optional) => {
                    let members: BTreeMap<String, &RawValue> =
                        serde_json::from_str(of.get()).map_err(error)?;
                    let attributes: Result<_, CodecError> = members
                        .into_iter()
                        .map(|(k, t)| Ok((k, parse(t.get(), depth + 1)?)))
                        .collect();
                    let optional = match optional {
                        None => BTreeSet::new(),
                        Some(names) => serde_json::from_str(names.get()).map_err(error)?,
                    };
                    Ok(Type::Object(Arc::new(ObjectType {
                        attributes: attributes?,
                        optional,
                    })))
                }
                _ => Err(malformed(json)),
            }
        }
        _ => Err(malformed(json)),
    }
}
