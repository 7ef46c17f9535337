//! Values of the language as JSON and back.

use stack_core::codec::{Layout, parse_number, to_plain_json};
use stack_core::{Marks, Value};
use stack_kube::Json;

/// A wholly known value as JSON, marks dropped.
pub(crate) fn to_json(value: &Value) -> Json {
    serde_json::from_str(&to_plain_json(value, true, Layout::Compact)).unwrap_or_default()
}

/// JSON as a value: arrays become tuples, objects objects.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::NULL,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => parse_number(&n.to_string()).map_or(Value::NULL, Value::Number),
        Json::String(s) => Value::string(s),
        Json::Array(members) => Value::tuple(members.iter().map(from_json).collect()),
        Json::Object(members) => Value::object(members.iter().map(|(k, v)| (k.clone(), from_json(v)))),
    }
}

/// Marks the parts of `value` that are sensitive in `guide`, a value of like shape.
pub(crate) fn shade(value: Value, guide: &Value) -> Value {
    if guide.marks().contains(Marks::SENSITIVE) {
        return value.sensitive();
    }
    if !guide.marks_deep().contains(Marks::SENSITIVE) {
        return value;
    }
    match (&value, guide.unmarked()) {
        (Value::Object(parts), Value::Object(guides) | Value::Map(_, guides)) => {
            Value::object(parts.iter().map(|(name, part)| {
                let shaded = match guides.get(name) {
                    Some(guide) => shade(part.clone(), guide),
                    None => part.clone(),
                };
                (name.clone(), shaded)
            }))
        }
        (Value::Tuple(parts), Value::Tuple(guides) | Value::List(_, guides))
            if parts.len() == guides.len() =>
        {
            Value::tuple(
                parts
                    .iter()
                    .zip(guides.iter())
                    .map(|(p, g)| shade(p.clone(), g))
                    .collect(),
            )
        }
        // The shapes differ: which part is the secret one cannot be told.
        _ => value.sensitive(),
    }
}

/// Puts what has changed between `recorded` and `now` into `prior`, which keeps its spelling, types and marks
/// everywhere else. `None`: the part is gone.
pub(crate) fn overlay(prior: &Value, recorded: Option<&Json>, now: Option<&Json>) -> Option<Value> {
    if recorded == now {
        return Some(prior.clone());
    }
    let now = now?;
    let marks = prior.marks();
    let changed = match (prior.unmarked(), recorded, now) {
        (Value::Object(parts), Some(Json::Object(old)), Json::Object(new)) => Value::object(
            parts
                .iter()
                .filter_map(|(k, p)| Some((k.clone(), overlay(p, old.get(k), new.get(k))?))),
        ),
        (Value::Map(ty, parts), Some(Json::Object(old)), Json::Object(new)) => Value::map(
            ty.clone(),
            parts
                .iter()
                .filter_map(|(k, p)| Some((k.clone(), overlay(p, old.get(k), new.get(k))?)))
                .collect(),
        ),
        (Value::Tuple(parts), Some(Json::Array(old)), Json::Array(new))
            if parts.len() == old.len() && old.len() == new.len() =>
        {
            Value::tuple(members(parts, old, new))
        }
        (Value::List(ty, parts), Some(Json::Array(old)), Json::Array(new))
            if parts.len() == old.len() && old.len() == new.len() =>
        {
            Value::list(ty.clone(), members(parts, old, new))
        }
        _ => from_json(now),
    };
    Some(changed.mark(marks))
}

fn members(parts: &[Value], old: &[Json], new: &[Json]) -> Vec<Value> {
    let triples = parts.iter().zip(old).zip(new);
    triples
        .filter_map(|((p, o), n)| overlay(p, Some(o), Some(n)))
        .collect()
}

/// Merges `over` into `base`: objects member by member, everything else as a whole.
pub(crate) fn merge(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (name, part) in over {
                merge(base.entry(name).or_insert(Json::Null), part);
            }
        }
        (base, over) => *base = over,
    }
}

/// The value without members that are null, at any depth.
pub(crate) fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(members) => members
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_nulls(v)))
            .collect(),
        Json::Array(members) => members.into_iter().map(without_nulls).collect(),
        leaf => leaf,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_back() {
        let json = json!({"a": [1, "x", true, null], "b": {"c": 1.5}});
        assert_eq!(to_json(&from_json(&json)), json);
    }

    #[test]
    fn only_what_changed_is_overlaid() {
        let prior = Value::object([
            ("cpu".into(), Value::string("1000m")),
            ("replicas".into(), Value::from(2)),
            ("secret".into(), Value::string("old").sensitive()),
        ]);
        let recorded = json!({"cpu": "1", "replicas": 2, "secret": "old"});
        assert_eq!(
            overlay(&prior, Some(&recorded), Some(&recorded)),
            Some(prior.clone())
        );
        let now = json!({"cpu": "1", "replicas": 3, "secret": "new"});
        let drifted = overlay(&prior, Some(&recorded), Some(&now)).unwrap();
        assert_eq!(drifted.attribute("cpu"), Some(&Value::string("1000m")));
        assert_eq!(drifted.attribute("replicas"), Some(&Value::from(3)));
        assert_eq!(
            drifted.attribute("secret"),
            Some(&Value::string("new").sensitive())
        );
        let gone = overlay(&prior, Some(&recorded), Some(&json!({"cpu": "1"}))).unwrap();
        assert_eq!(gone.attribute("replicas"), None);
    }

    #[test]
    fn secrets_stay_marked() {
        let guide = Value::object([
            (
                "data".into(),
                Value::object([("k".into(), Value::string("x").sensitive())]),
            ),
            ("kind".into(), Value::string("Secret")),
        ]);
        let shaded = shade(from_json(&json!({"data": {"k": "y"}, "kind": "Secret"})), &guide);
        let part = shaded.attribute("data").and_then(|d| d.attribute("k")).unwrap();
        assert!(part.marks().contains(Marks::SENSITIVE));
        assert!(
            !shaded
                .attribute("kind")
                .unwrap()
                .marks()
                .contains(Marks::SENSITIVE)
        );
        let reshaped = shade(from_json(&json!([1])), &guide);
        assert!(reshaped.marks().contains(Marks::SENSITIVE));
    }

    #[test]
    fn nulls_are_left_out() {
        assert_eq!(
            without_nulls(json!({"a": null, "b": [{"c": null, "d": 1}]})),
            json!({"b": [{"d": 1}]})
        );
    }
}
