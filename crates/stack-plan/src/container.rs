//! Objects that live inside another object, and end with it.
//!
//! A provider configuration names the system it reaches by its identity arguments. Where one of them is the id of a
//! managed object (an instance), that object is the container of everything made through the configuration.

use std::collections::{BTreeMap, HashMap, HashSet};

use stack_core::{ResourceAddress, Schema, Value};
use stack_state::{Instance, Object};

/// Which recorded objects contain which, and which of the containers end in this plan.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    by_id: HashMap<String, ResourceAddress>,
    ending: HashSet<String>,
}

/// The identity arguments of a provider configuration; null if it has none.
pub fn identity(schema: &Schema, arguments: &Value) -> Value {
    let members: Vec<(String, Value)> = schema
        .attributes
        .iter()
        .filter(|(_, a)| a.identity)
        .map(|(name, a)| {
            (
                name.clone(),
                arguments
                    .attribute(name)
                    .cloned()
                    .unwrap_or_else(|| Value::Null(a.ty.clone())),
            )
        })
        .collect();
    if members.is_empty() {
        Value::NULL
    } else {
        Value::object(members)
    }
}

fn id(object: &Object) -> Option<String> {
    object
        .attributes
        .attribute("id")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn names(identity: &Value) -> impl Iterator<Item = &str> {
    identity
        .as_mapping()
        .into_iter()
        .flat_map(BTreeMap::values)
        .filter_map(Value::as_str)
}

impl Containers {
    pub(crate) fn of(instances: &BTreeMap<ResourceAddress, Instance>) -> Self {
        let mut by_id = HashMap::new();
        for (address, instance) in instances {
            if let Some(id) = instance.current.as_ref().and_then(id) {
                by_id.insert(id, address.clone());
            }
        }
        Self {
            by_id,
            ending: HashSet::new(),
        }
    }

    /// The object that contains this one, if it is managed too.
    pub(crate) fn container(&self, object: &Object) -> Option<&ResourceAddress> {
        names(&object.identity).find_map(|id| self.by_id.get(id))
    }

    /// Says that an object ends in this plan, or is gone already.
    pub(crate) fn end(&mut self, object: &Object) {
        self.ending.extend(id(object));
    }

    /// Whether an object ends with its container.
    pub(crate) fn ends(&self, object: &Object) -> bool {
        names(&object.identity).any(|id| self.ending.contains(id))
    }
}
