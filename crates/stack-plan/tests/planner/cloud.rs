//! A cloud in memory: answers the planner's questions and carries out operations.

use std::collections::BTreeMap;

use stack_core::{Schema, Value};
use stack_plan::{Answer, Catalog as _, Request, identity};

use crate::kinds::Kinds;

/// The system an object is in: the identity of the provider configuration.
pub(crate) type System = String;

#[derive(Clone, Default)]
pub(crate) struct Cloud {
    /// By system, type and id.
    pub(crate) objects: BTreeMap<(System, String, String), Value>,
    made: BTreeMap<String, usize>,
    /// Every question so far, as a line.
    pub(crate) asked: Vec<String>,
    /// Questions that went to a system that does not exist, or through arguments that are not known.
    pub(crate) misled: Vec<String>,
}

/// The system that arguments lead to.
pub(crate) fn system(kinds: &Kinds, provider: &str, arguments: &Value) -> System {
    let schema = kinds.provider(provider).cloned().unwrap_or_default();
    system_of(&identity(&schema, arguments))
}

/// The system of a recorded identity.
pub(crate) fn system_of(identity: &Value) -> System {
    let members = identity.as_mapping().into_iter().flatten();
    members
        .map(|(_, value)| value.as_str().unwrap_or("?"))
        .collect::<Vec<_>>()
        .join(" ")
}

impl Cloud {
    /// Whether a system can be reached: the cloud itself, or something that exists.
    fn exists(&self, system: &str) -> bool {
        system.is_empty() || self.objects.keys().any(|(_, _, id)| id == system)
    }

    pub(crate) fn answer(&mut self, kinds: &Kinds, request: &Request) -> Answer {
        let (provider, arguments) = request.provider();
        let at = system(kinds, &provider.name, arguments);
        let ty = request.address().ty.to_string();
        let place = if at.is_empty() {
            String::new()
        } else {
            format!(" in {at}")
        };
        let what = match request {
            Request::Read { .. } => "read",
            Request::Data { .. } => "data",
            Request::Preview { .. } => "preview",
            Request::Import { .. } => "import",
        };
        self.asked.push(format!("{what} {}{place}", request.address()));
        if !self.exists(&at) || !arguments.is_wholly_known() {
            self.misled.push(format!("{what} {}{place}", request.address()));
            return Answer::Failed(format!("There is no way to {at}."), None);
        }
        match request {
            Request::Read { prior, .. } => {
                let id = prior
                    .attribute("id")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                Answer::Object(self.objects.get(&(at, ty, id)).cloned())
            }
            Request::Import { id, .. } => Answer::Object(self.objects.get(&(at, ty, id.clone())).cloned()),
            Request::Data { config, .. } => match config.attribute("name").and_then(Value::as_str) {
                Some("missing") => Answer::Failed("There is no image \"missing\".".to_owned(), None),
                name => {
                    let id = format!("img-{}", name.unwrap_or_default());
                    Answer::Object(Some(config.with_attribute("id", Value::string(id))))
                }
            },
            Request::Preview { proposed, .. } => {
                let refused = proposed.attribute("content").and_then(Value::as_str) == Some("refused");
                if refused {
                    return Answer::Failed(
                        "The content is refused.".to_owned(),
                        Some(stack_core::Path::of(&["content"])),
                    );
                }
                Answer::Preview {
                    planned: None,
                    warnings: Vec::new(),
                    rendered: Some("as previewed".to_owned()),
                    not_checked: None,
                }
            }
        }
    }

    /// Makes an object: everything unknown becomes known.
    pub(crate) fn create(&mut self, schema: &Schema, system: &str, ty: &str, planned: &Value) -> Value {
        assert!(
            self.exists(system),
            "{ty} is made in {system:?}, which does not exist"
        );
        let short = ty.rsplit('_').next().unwrap_or(ty);
        let number = self.made.entry(short.to_owned()).or_default();
        *number += 1;
        let id = format!("{short}-{number}");
        let value = fill(schema, planned, &id);
        if ty != "stack_data" {
            self.objects
                .insert((system.to_owned(), ty.to_owned(), id), value.clone());
        }
        value
    }

    pub(crate) fn update(&mut self, schema: &Schema, system: &str, ty: &str, planned: &Value) -> Value {
        let id = planned
            .attribute("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let value = fill(schema, planned, &id);
        if ty != "stack_data" {
            let old = self
                .objects
                .insert((system.to_owned(), ty.to_owned(), id.clone()), value.clone());
            assert!(
                old.is_some(),
                "{ty} {id} is updated and does not exist in {system:?}"
            );
        }
        value
    }

    /// Ends an object and everything inside it.
    pub(crate) fn delete(&mut self, system: &str, ty: &str, id: &str) {
        if ty == "stack_data" {
            return;
        }
        let old = self
            .objects
            .remove(&(system.to_owned(), ty.to_owned(), id.to_owned()));
        assert!(
            old.is_some(),
            "{ty} {id} is deleted and does not exist in {system:?}"
        );
        self.end_content(id);
    }

    pub(crate) fn end_content(&mut self, id: &str) {
        let inside: Vec<_> = self
            .objects
            .keys()
            .filter(|(system, _, _)| system == id)
            .cloned()
            .collect();
        for key in inside {
            self.objects.remove(&key);
            self.end_content(&key.2);
        }
    }
}

fn fill(schema: &Schema, planned: &Value, id: &str) -> Value {
    let mut value = planned.clone();
    for (name, attribute) in &schema.attributes {
        let Some(member) = planned.attribute(name) else {
            continue;
        };
        if member.is_wholly_known() {
            continue;
        }
        let new = match name.as_str() {
            "id" => Value::string(id),
            "output" => planned.attribute("input").cloned().unwrap_or(Value::NULL),
            "revision" => Value::string("next"),
            other => {
                assert!(attribute.computed, "{other} is an argument and not known");
                Value::string(format!("{other} of {id}"))
            }
        };
        value = value.with_attribute(name, new);
    }
    value
}
