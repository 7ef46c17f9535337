//! Attributes that say again what a sensitive one says: the output of a command that was given a secret, an address made
//! of one.

use std::collections::BTreeMap;

use stack_core::{Marks, Value};

/// Shorter texts occur by chance.
const SHORTEST: usize = 8;

/// The members of an object, those marked that hold the text of a sensitive part of it or of its configuration.
pub(crate) fn with_echoes_marked(
    members: BTreeMap<String, Value>,
    config: Option<&Value>,
) -> BTreeMap<String, Value> {
    let mut secrets = Vec::new();
    for value in members.values().chain(config) {
        collect(value, &mut secrets);
    }
    if secrets.is_empty() {
        return members;
    }
    let marked = |(name, member): (String, Value)| {
        let is_echo = !member.marks_deep().contains(Marks::SENSITIVE) && says(&member, &secrets);
        (name, if is_echo { member.sensitive() } else { member })
    };
    members.into_iter().map(marked).collect()
}

/// The texts in a value that are sensitive by themselves; parts of what is sensitive as a whole may be common words.
fn collect(value: &Value, out: &mut Vec<String>) {
    if let Some(members) = value.as_sequence() {
        for member in members {
            collect(member, out);
        }
    } else if let Some(members) = value.as_mapping() {
        for member in members.values() {
            collect(member, out);
        }
    } else if let Some(text) = value.as_str()
        && value.marks().contains(Marks::SENSITIVE)
    {
        let text = text.trim();
        if text.len() >= SHORTEST {
            out.push(text.to_owned());
        }
    }
}

/// Whether one of these texts stands in a value.
fn says(value: &Value, secrets: &[String]) -> bool {
    if let Some(members) = value.as_sequence() {
        members.iter().any(|member| says(member, secrets))
    } else if let Some(members) = value.as_mapping() {
        members
            .iter()
            .any(|(name, member)| says(&Value::string(name), secrets) || says(member, secrets))
    } else {
        let text = value.as_str().unwrap_or_default();
        secrets.iter().any(|secret| text.contains(secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_a_secret_is_one() {
        let members = BTreeMap::from([
            ("id".to_owned(), Value::string("7")),
            ("stdout".to_owned(), Value::string("password: long-canary\n")),
            (
                "labels".to_owned(),
                Value::object([("long-canary".to_owned(), Value::Bool(true))]),
            ),
        ]);
        let config = Value::object([("command".to_owned(), Value::string("long-canary").sensitive())]);
        let marked = with_echoes_marked(members.clone(), Some(&config));
        let names = |all: &BTreeMap<String, Value>| -> Vec<String> {
            let marked = all.iter().filter(|(_, v)| !v.marks().is_empty());
            marked.map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&marked), ["labels", "stdout"]);
        assert!(names(&with_echoes_marked(members, None)).is_empty());
    }
}
