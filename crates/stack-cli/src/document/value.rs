//! Values inside documents.

use serde_json::value::RawValue;
use stack_core::codec::{Layout, to_plain_json, type_to_json};
use stack_core::path::Step;
use stack_core::{Marks, Path, Type, Value};

fn raw(text: String) -> Box<RawValue> {
    // What the codec writes is JSON.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A value with its secrets; what is unknown is left out of objects and null elsewhere.
pub(crate) fn raw_value(value: &Value, reveal: bool) -> Box<RawValue> {
    raw(to_plain_json(value, reveal, Layout::Compact))
}

/// A type.
pub(crate) fn raw_type(ty: &Type) -> Box<RawValue> {
    raw(type_to_json(ty))
}

/// Which parts of a value are unknown: `true` in their place; in objects only those stand.
pub(super) fn unknown(value: &Value) -> serde_json::Value {
    flags(value, &|v| matches!(v, Value::Unknown(_)), &|_| false)
}

/// Which parts of a value are sensitive: `true` in their place; in objects only those stand.
pub(super) fn sensitive(value: &Value) -> serde_json::Value {
    flags(value, &|_| false, &|marks| marks.contains(Marks::SENSITIVE))
}

fn flags(value: &Value, part: &dyn Fn(&Value) -> bool, marked: &dyn Fn(Marks) -> bool) -> serde_json::Value {
    if marked(value.marks()) || part(value.unmarked()) {
        return true.into();
    }
    match value.unmarked() {
        Value::List(_, vs) | Value::Set(_, vs) | Value::Tuple(vs) => vs
            .iter()
            .map(|v| flags(v, part, marked))
            .collect::<Vec<_>>()
            .into(),
        Value::Map(_, vs) | Value::Object(vs) => {
            let all = vs.iter().map(|(name, v)| (name.clone(), flags(v, part, marked)));
            all.filter(|(_, flag)| *flag != serde_json::Value::Bool(false))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        _ => false.into(),
    }
}

/// A path as a list of names and positions.
pub(super) fn path(path: &Path) -> Vec<serde_json::Value> {
    let step = |step: &Step| match step {
        Step::Attribute(name) => serde_json::Value::from(&**name),
        Step::Index(index) => serde_json::Value::from(*index),
    };
    path.0.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_only_what_is_meant() {
        let object =
            |members: Vec<(&str, Value)>| Value::object(members.into_iter().map(|(k, v)| (k.to_owned(), v)));
        let value = object(vec![
            ("a", Value::unknown(Type::String)),
            (
                "b",
                Value::tuple(vec![Value::from("x"), Value::from("y").sensitive()]),
            ),
            ("c", Value::NULL),
            ("d", object(vec![])),
        ]);
        assert_eq!(
            unknown(&value),
            serde_json::json!({"a": true, "b": [false, false], "d": {}})
        );
        assert_eq!(
            sensitive(&value),
            serde_json::json!({"b": [false, true], "d": {}})
        );
        assert_eq!(
            raw_value(&value, true).get(),
            r#"{"b":["x","y"],"c":null,"d":{}}"#
        );
        assert!(!raw_value(&value, false).get().contains("\"y\""));
    }
}
