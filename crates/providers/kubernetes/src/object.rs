//! What a manifest becomes on its way to the API server, and what comes back.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stack_core::Value;
use stack_kube::{Json, ObjectRef};

use crate::json::{from_json, merge, shade, to_json, without_nulls};
use crate::lists::{Merge, project};

/// Annotation with the lineage of the state that the object belongs to.
pub(crate) const LINEAGE: &str = "stack/lineage";
/// Annotation with the token of the create attempt that made the object.
pub(crate) const TOKEN: &str = "stack/token";
/// Label with the lineage, to list by.
pub(crate) const LABEL: &str = "stack-lineage";

/// The configured object: secret parts merged in, nulls left out, `stringData` of a Secret as its `data` (the API keeps
/// no `stringData`, and server-side apply would forget what was in it).
pub(crate) fn configured(manifest: &Value, sensitive: &Value) -> Json {
    let mut json = to_json(manifest);
    if !sensitive.is_null() {
        merge(&mut json, to_json(sensitive));
    }
    let mut json = without_nulls(json);
    if is_secret(&json)
        && let Some(Json::Object(texts)) = json.as_object_mut().and_then(|o| o.remove("stringData"))
    {
        let mut data = serde_json::Map::new();
        for (name, text) in texts {
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            data.insert(name, STANDARD.encode(text).into());
        }
        let own = json
            .as_object_mut()
            .map(|o| o.entry("data").or_insert_with(|| serde_json::json!({})));
        if let Some(own) = own {
            merge(own, Json::Object(data));
        }
    }
    json
}

fn is_secret(json: &Json) -> bool {
    json["kind"] == "Secret" && json["apiVersion"] == "v1"
}

/// The object with the marks of its owner.
pub(crate) fn owned(mut object: Json, ownership: Option<&BTreeMap<String, String>>) -> Json {
    let Some(ownership) = ownership else { return object };
    let (Some(lineage), Some(token)) = (ownership.get("lineage"), ownership.get("token")) else {
        return object;
    };
    merge(
        &mut object,
        serde_json::json!({"metadata": {
            "annotations": {LINEAGE: lineage, TOKEN: token},
            "labels": {LABEL: lineage},
        }}),
    );
    object
}

/// Whether the object carries this token of this lineage.
pub(crate) fn is_owned(live: &Json, lineage: &str, token: &str) -> bool {
    let annotation = |name: &str| live["metadata"]["annotations"][name].as_str();
    annotation(LINEAGE) == Some(lineage) && annotation(TOKEN) == Some(token)
}

/// Whether the object is on its way out.
pub(crate) fn is_leaving(live: &Json) -> bool {
    live["metadata"]["deletionTimestamp"].is_string()
}

/// The uid of an object.
pub(crate) fn uid(live: &Json) -> Option<String> {
    live["metadata"]["uid"].as_str().map(str::to_owned)
}

/// The configured fields as the server holds them, in the configuration's spelling (`stringData`).
pub(crate) fn seen(manifest: &Value, sensitive: &Value, live: &Json, manager: &str) -> Json {
    let configured = configured(manifest, sensitive);
    let mut seen = project(&configured, live, Merge::of_manager(live, manager));
    if !is_secret(&configured) {
        return seen;
    }
    let texts = |value: &Value| {
        let texts = value.attribute("stringData").and_then(Value::as_mapping);
        texts
            .map(|t| t.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    for name in texts(manifest).into_iter().chain(texts(sensitive)) {
        let held = seen
            .get_mut("data")
            .and_then(Json::as_object_mut)
            .and_then(|d| d.remove(&name));
        let text = held
            .as_ref()
            .and_then(Json::as_str)
            .and_then(|t| STANDARD.decode(t).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if let Some(text) = text {
            merge(&mut seen, serde_json::json!({"stringData": {name: text}}));
        }
    }
    if seen["data"] == serde_json::json!({})
        && let Some(seen) = seen.as_object_mut()
    {
        seen.remove("data");
    }
    seen
}

/// The same as a value, with everything marked that is sensitive in the configuration, and all data of a Secret.
pub(crate) fn seen_value(manifest: &Value, sensitive: &Value, seen: &Json) -> Value {
    let mut value = shade(from_json(seen), manifest);
    if !sensitive.is_null() {
        let leaves = sensitive.map_parts(&|part| match part.unmarked() {
            Value::Object(_) | Value::Map(..) => part.unmarked().clone(),
            _ => part.sensitive(),
        });
        value = shade(value, &leaves);
    }
    if is_secret(seen) {
        value = seal_secret(&value);
    }
    value
}

/// A text of the API server with every sensitive text of these values masked: it quotes what it refuses.
pub(crate) fn masked(text: &str, values: &[&Value]) -> String {
    let mut secrets = Vec::new();
    for value in values {
        collect(value, false, &mut secrets);
    }
    // The longest first, so that one secret inside another leaves nothing of it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
        .iter()
        .filter(|secret| secret.len() > 3)
        .fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "(sensitive value)")
        })
}

fn collect(value: &Value, inside: bool, out: &mut Vec<String>) {
    let inside = inside || value.marks().contains(stack_core::Marks::SENSITIVE);
    if let Some(parts) = value.as_sequence() {
        for part in parts {
            collect(part, inside, out);
        }
    } else if let Some(parts) = value.as_mapping() {
        for part in parts.values() {
            collect(part, inside, out);
        }
    } else if let Some(text) = value.as_str().filter(|_| inside) {
        out.push(text.to_owned());
        out.push(STANDARD.encode(text));
    }
}

/// Marks the data of a Secret.
pub(crate) fn seal_secret(object: &Value) -> Value {
    let mut object = object.clone();
    for name in ["data", "stringData"] {
        if let Some(part) = object.attribute(name).cloned()
            && !part.is_null()
        {
            object = object.with_attribute(name, part.sensitive());
        }
    }
    object
}

/// Whether a value is the manifest of a Secret.
pub(crate) fn is_secret_manifest(manifest: &Value) -> bool {
    let text = |name: &str| manifest.attribute(name).and_then(Value::as_str);
    text("kind") == Some("Secret") && text("apiVersion") == Some("v1")
}

/// The object that a manifest names, as far as it is known. `None`: a part of the name is unknown or missing.
pub(crate) fn reference(manifest: &Value) -> Option<ObjectRef> {
    let meta = manifest.attribute("metadata")?;
    if !manifest.is_known() || !meta.is_known() {
        return None;
    }
    let namespace = meta.attribute("namespace");
    if namespace.is_some_and(|n| !n.is_known()) {
        return None;
    }
    Some(ObjectRef {
        api_version: manifest.attribute("apiVersion")?.as_str()?.to_owned(),
        kind: manifest.attribute("kind")?.as_str()?.to_owned(),
        namespace: namespace.and_then(Value::as_str).map(str::to_owned),
        name: meta.attribute("name")?.as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stack_core::Marks;

    use super::*;

    fn secret() -> (Value, Value) {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": null});
        (
            from_json(&manifest),
            from_json(&json!({"stringData": {"password": "hunter2"}})).sensitive(),
        )
    }

    #[test]
    fn texts_of_a_secret_travel_as_data() {
        let (manifest, sensitive) = secret();
        let sent = configured(&manifest, &sensitive);
        assert_eq!(sent["data"]["password"], "aHVudGVyMg==");
        assert!(sent.get("stringData").is_none() && sent.get("type").is_none());
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "uid": "u"},
            "data": {"password": "aHVudGVyMg==", "other": "eA=="}});
        let seen = seen(&manifest, &sensitive, &live, "stack");
        assert_eq!(
            seen,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"password": "hunter2"}})
        );
        let value = seen_value(&manifest, &sensitive, &seen);
        assert!(value.marks_deep().contains(Marks::SENSITIVE));
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn what_the_server_quotes_is_masked() {
        let (manifest, sensitive) = secret();
        let text = "env: Invalid value: \"hunter2\" (aHVudGVyMg==) in Secret";
        assert_eq!(
            masked(text, &[&manifest, &sensitive]),
            "env: Invalid value: \"(sensitive value)\" ((sensitive value)) in Secret"
        );
    }

    #[test]
    fn owners_marks_are_added_and_known_again() {
        let ownership = BTreeMap::from([("lineage".into(), "l".into()), ("token".into(), "t".into())]);
        let object = owned(json!({"metadata": {"labels": {"a": "b"}}}), Some(&ownership));
        assert!(is_owned(&object, "l", "t") && !is_owned(&object, "l", "other"));
        assert_eq!(
            object["metadata"]["labels"],
            json!({"a": "b", "stack-lineage": "l"})
        );
    }

    #[test]
    fn a_name_that_is_not_known_names_nothing() {
        let mut manifest =
            from_json(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}));
        assert_eq!(reference(&manifest).unwrap().name, "x");
        let meta = Value::object([("name".into(), Value::unknown(stack_core::Type::String))]);
        manifest = manifest.with_attribute("metadata", meta);
        assert_eq!(reference(&manifest), None);
    }
}
