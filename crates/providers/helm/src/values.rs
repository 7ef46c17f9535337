//! Values of a chart: what the configuration gives, merged as Helm does.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use stack_provider::ProviderError;

/// A JSON value.
pub(crate) type Json = serde_json::Value;

/// One `set` block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    /// Path of the value: `a.b[0].c`; a dot inside a name is written `\.`.
    pub(crate) name: &'a str,
    /// Its text.
    pub(crate) value: &'a str,
    /// It stays a text, whatever it looks like.
    pub(crate) is_text: bool,
}

/// Merges documents in YAML, later ones over earlier ones, then single settings.
///
/// # Errors
/// A document is no YAML mapping, or a path cannot be read. The text never carries a value.
pub(crate) fn merged(documents: &[String], settings: &[Setting<'_>]) -> Result<Json, ProviderError> {
    let mut all = Json::Object(serde_json::Map::new());
    for (index, document) in documents.iter().enumerate() {
        if document.trim().is_empty() {
            continue;
        }
        let parsed: Json = serde_saphyr::from_str(document).map_err(|error| {
            // Only the place: the error's text may quote the document, which may hold secrets.
            let place = error
                .location()
                .map(|l| format!(", line {} column {}", l.line(), l.column()))
                .unwrap_or_default();
            ProviderError::invalid(
                "values",
                format!("document {} is no valid YAML{place}", index + 1),
            )
        })?;
        match parsed {
            Json::Null => {}
            Json::Object(_) => merge(&mut all, parsed),
            _ => {
                let text = format!("document {} must be a mapping of names to values", index + 1);
                return Err(ProviderError::invalid("values", text));
            }
        }
    }
    for setting in settings {
        let steps = parse_path(setting.name).ok_or_else(|| {
            let text = format!("{:?} is not a path; write it like a.b[0].c", setting.name);
            ProviderError::invalid("set", text)
        })?;
        put(&mut all, &steps, scalar(setting));
    }
    Ok(all)
}

/// Objects member by member, everything else as a whole. A null stays: it takes a default of the chart away.
fn merge(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (name, part) in over {
                merge(base.entry(name).or_insert(Json::Null), part);
            }
        }
        (base, over) => *base = over,
    }
}

/// Digest of values, whatever order their names stand in: SHA-256 in hexadecimal.
pub(crate) fn digest_of(values: &Json) -> String {
    let mut text = String::new();
    canonical(values, &mut text);
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    nibbles.map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

fn canonical(value: &Json, out: &mut String) {
    match value {
        Json::Object(members) => {
            out.push('{');
            let sorted: BTreeMap<_, _> = members.iter().collect();
            for (name, part) in sorted {
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push(':');
                canonical(part, out);
                out.push(',');
            }
            out.push('}');
        }
        Json::Array(members) => {
            out.push('[');
            for part in members {
                canonical(part, out);
                out.push(',');
            }
            out.push(']');
        }
        // Helm reads every number as a float and may give 1 back as 1.0.
        Json::Number(number) => match number.as_f64() {
            Some(float) => out.push_str(&format_float(float)),
            None => out.push_str(&number.to_string()),
        },
        leaf => out.push_str(&leaf.to_string()),
    }
}

fn format_float(float: f64) -> String {
    format!("{float}")
}

#[derive(Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

fn parse_path(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut chars = path.chars().peekable();
    let mut after_index = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.push(chars.next()?),
            '.' | '[' => {
                if !name.is_empty() {
                    steps.push(Step::Name(std::mem::take(&mut name)));
                } else if !after_index {
                    return None;
                }
                after_index = false;
                if c == '[' {
                    let digits: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
                    (chars.next()? == ']').then_some(())?;
                    steps.push(Step::Index(digits.parse().ok().filter(|i| *i < 65_536)?));
                    after_index = true;
                }
            }
            c => name.push(c),
        }
    }
    if !name.is_empty() {
        steps.push(Step::Name(name));
    } else if !after_index {
        return None;
    }
    matches!(steps.first(), Some(Step::Name(_))).then_some(steps)
}

fn put(place: &mut Json, steps: &[Step], value: Json) {
    let Some((step, rest)) = steps.split_first() else {
        *place = value;
        return;
    };
    match step {
        Step::Name(name) => {
            if !place.is_object() {
                *place = Json::Object(serde_json::Map::new());
            }
            if let Some(members) = place.as_object_mut() {
                put(members.entry(name.clone()).or_insert(Json::Null), rest, value);
            }
        }
        Step::Index(index) => {
            if !place.is_array() {
                *place = Json::Array(Vec::new());
            }
            if let Some(members) = place.as_array_mut() {
                if members.len() <= *index {
                    members.resize(index + 1, Json::Null);
                }
                put(&mut members[*index], rest, value);
            }
        }
    }
}

/// The value of a setting as `--set` reads it: whole numbers, `true`, `false` and `null` are what they look like,
/// `{a,b}` is a list.
fn scalar(setting: &Setting<'_>) -> Json {
    if setting.is_text {
        return setting.value.into();
    }
    let text = setting.value;
    if let Some(members) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        let parts = members.split(',').filter(|part| !part.is_empty());
        return parts
            .map(|value| scalar(&Setting { value, ..*setting }))
            .collect();
    }
    match text {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        "null" => Json::Null,
        // A leading zero makes it a text.
        _ if text != "0" && text.trim_start_matches('-').starts_with('0') => text.into(),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Json::from),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set<'a>(name: &'a str, value: &'a str) -> Setting<'a> {
        Setting {
            name,
            value,
            is_text: false,
        }
    }

    #[test]
    fn later_documents_win_member_by_member() {
        let documents = ["a: {b: 1, c: [1, 2]}\n", "", "a: {c: [3], d: null}\n"].map(String::from);
        assert_eq!(
            merged(&documents, &[]).unwrap(),
            json!({"a": {"b": 1, "c": [3], "d": null}})
        );
    }

    #[test]
    fn settings_are_read_as_helm_reads_them() {
        let settings = [
            set("a.b", "5671"),
            set("l[1].n", "true"),
            set(r"annotations.stack\.dev/x", "007"),
            set("hosts", "{a,2}"),
            Setting {
                is_text: true,
                ..set("text", "12")
            },
        ];
        assert_eq!(
            merged(&[], &settings).unwrap(),
            json!({"a": {"b": 5671}, "l": [null, {"n": true}], "annotations": {"stack.dev/x": "007"},
                "hosts": ["a", 2], "text": "12"})
        );
    }

    #[test]
    fn a_path_that_makes_no_sense_is_refused() {
        for path in ["", ".a", "a..b", "a[", "a[x]", "[0]"] {
            assert!(parse_path(path).is_none(), "{path}");
        }
        assert!(parse_path("a[0][1].b").is_some());
    }

    #[test]
    fn an_error_does_not_quote_the_document() {
        let error = merged(&["password: hunter2\n\t- x: [\n".to_owned()], &[]).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(error.message.contains("document 1"));
    }

    #[test]
    fn the_digest_ignores_order_and_spelling_of_numbers() {
        let one: Json = serde_json::from_str(r#"{"a": 1, "b": [1.5]}"#).unwrap();
        let other: Json = serde_json::from_str(r#"{"b": [1.50], "a": 1.0}"#).unwrap();
        assert_eq!(digest_of(&one), digest_of(&other));
        assert_ne!(digest_of(&one), digest_of(&json!({"a": 2, "b": [1.5]})));
    }
}
