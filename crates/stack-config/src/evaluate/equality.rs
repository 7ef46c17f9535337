//! Equality, which never converts and may be unknown.

use std::collections::BTreeMap;

use stack_core::{Type, Unknown, Value};

use super::unknown_not_null;

/// `a == b`: a bool, unknown where parts that matter are, with the marks of both sides.
pub(crate) fn equal(a: &Value, b: &Value) -> Value {
    let marks = a.marks_deep().union(b.marks_deep());
    let result = if marks.is_empty() {
        decide(a, b)
    } else {
        decide(&a.unmark_deep(), &b.unmark_deep())
    };
    match result {
        Some(result) => Value::Bool(result),
        None => unknown_not_null(Type::Bool),
    }
    .mark(marks)
}

/// Whether two values without marks are equal; `None` where that is not known yet.
pub(crate) fn decide(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Unknown(u), known) | (known, Value::Unknown(u)) => {
            if excludes(u, known) {
                Some(false)
            } else {
                None
            }
        }
        (Value::Null(_), Value::Null(_)) => Some(true),
        (Value::Null(_), _) | (_, Value::Null(_)) => Some(false),
        _ => {
            let (a_type, b_type) = (a.ty(), b.ty());
            if a_type != b_type {
                let open = a_type.has_dynamic() || b_type.has_dynamic();
                return if open && !(a.is_wholly_known() && b.is_wholly_known()) {
                    None
                } else {
                    Some(false)
                };
            }
            same_type(a, b)
        }
    }
}

/// Whether what is known of an unknown value rules the other value out.
fn excludes(unknown: &Unknown, value: &Value) -> bool {
    match value {
        Value::Null(_) => unknown.not_null,
        Value::Unknown(_) => false,
        Value::String(text) => {
            !text.starts_with(&*unknown.prefix) || !matches!(unknown.ty, Type::String | Type::Dynamic)
        }
        Value::List(_, vs) | Value::Set(_, vs) => {
            vs.len() < unknown.min_length || unknown.max_length.is_some_and(|max| vs.len() > max)
        }
        Value::Map(_, vs) => {
            vs.len() < unknown.min_length || unknown.max_length.is_some_and(|max| vs.len() > max)
        }
        Value::Bool(_) | Value::Number(_) | Value::Tuple(_) | Value::Object(_) | Value::Marked(..) => false,
    }
}

fn same_type(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Bool(x), Value::Bool(y)) => Some(x == y),
        (Value::Number(x), Value::Number(y)) => Some(x == y),
        (Value::String(x), Value::String(y)) => Some(x == y),
        (Value::Set(_, x), Value::Set(_, y)) => {
            let known = a.is_wholly_known() && b.is_wholly_known();
            if known { Some(x == y) } else { None }
        }
        (Value::List(_, x), Value::List(_, y)) | (Value::Tuple(x), Value::Tuple(y)) => {
            if x.len() != y.len() {
                return Some(false);
            }
            all(x.iter().zip(y.iter()))
        }
        (Value::Map(_, x), Value::Map(_, y)) | (Value::Object(x), Value::Object(y)) => mappings(x, y),
        _ => Some(false),
    }
}

fn mappings(x: &BTreeMap<String, Value>, y: &BTreeMap<String, Value>) -> Option<bool> {
    if !x.keys().eq(y.keys()) {
        return Some(false);
    }
    all(x.values().zip(y.values()))
}

fn all<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<bool> {
    let mut result = Some(true);
    for (x, y) in pairs {
        match decide(x, y) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}
