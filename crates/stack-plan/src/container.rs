//! Objects that live inside another object, and end with it.
//!
//! A provider configuration names the system it reaches by its identity arguments. Where one of them is the id of a
//! managed object (an instance), that object is the container of everything made through the configuration.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use stack_core::{Diagnostic, ProviderAddress, ResourceAddress, Schema, Value};
use stack_state::{DeposedKey, Instance, Object};

use crate::Mode;
use crate::change::{Action, Change};
use crate::planner::Walk;

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

/// Whether arguments with this identity lead to the system an object is in. What was not recorded or is not set cannot
/// tell systems apart.
pub fn same_system(now: &Value, then: &Value) -> bool {
    let (now, then) = (now.unmark_deep(), then.unmark_deep());
    let (Some(now), Some(then)) = (now.as_mapping(), then.as_mapping()) else {
        return true;
    };
    then.iter().all(|(name, then)| match now.get(name) {
        Some(now) => then == now || then.is_null(),
        None => true,
    })
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

/// A recorded object: its address, and its key if it is deposed.
pub(crate) type Place = (ResourceAddress, Option<DeposedKey>);

/// Which recorded objects contain which, and which of the containers end in this plan.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    /// By id: the object, and the provider configuration it was made through.
    by_id: HashMap<String, (Place, ProviderAddress)>,
    /// By id: the provider configuration that each ending object was made through.
    ending: HashMap<String, ProviderAddress>,
}

impl Containers {
    pub(crate) fn of(instances: &BTreeMap<ResourceAddress, Instance>) -> Self {
        let identities = instances
            .values()
            .flat_map(|i| i.current.iter().chain(i.deposed.values()))
            .flat_map(|object| names(&object.identity));
        let identities: HashSet<&str> = identities.collect();
        let mut by_id = HashMap::new();
        for (address, instance) in instances {
            let current = instance.current.iter().map(|o| (None, o));
            for (deposed, object) in current.chain(instance.deposed.iter().map(|(k, o)| (Some(k), o))) {
                if let Some(id) = id(object)
                    && identities.contains(id.as_str())
                {
                    let place = (address.clone(), deposed.cloned());
                    by_id.insert(id, (place, object.provider.clone()));
                }
            }
        }
        Self {
            by_id,
            ending: HashMap::new(),
        }
    }

    /// The object that contains this one, if it is managed too. What was made through the same provider configuration
    /// is beside it, not around it.
    pub(crate) fn container(&self, object: &Object) -> Option<&Place> {
        names(&object.identity)
            .filter_map(|id| self.by_id.get(id))
            .find(|(_, provider)| *provider != object.provider)
            .map(|(place, _)| place)
    }

    /// Says that an object ends in this plan, or is gone already.
    pub(crate) fn end(&mut self, object: &Object) {
        self.ending
            .extend(id(object).map(|id| (id, object.provider.clone())));
    }

    /// Whether an object ends with its container.
    pub(crate) fn ends(&self, object: &Object) -> bool {
        self.container(object).is_some() && names(&object.identity).any(|id| self.ending.contains_key(id))
    }
}

/// One error for each object that would be made, changed or kept in something that this plan ends: its provider
/// configuration still leads there.
pub(crate) fn made_in_what_ends(walk: &Walk<'_, '_>) -> Vec<Diagnostic> {
    let containers = &walk.containers;
    if containers.ending.is_empty() || walk.input.options.mode != Mode::Normal {
        return Vec::new();
    }
    let leads_to_end = |provider: &ProviderAddress| {
        let schema = walk.input.catalog.provider(&provider.name)?;
        let identity = identity(schema, walk.providers.get(provider)?);
        let mut ending = names(&identity).filter_map(|id| Some((id.to_owned(), containers.ending.get(id)?)));
        ending
            .find(|(_, made_through)| *made_through != provider)
            .map(|(id, _)| id)
    };
    let providers: BTreeSet<&ProviderAddress> = walk.changes.iter().map(|change| &change.provider).collect();
    let ending: BTreeMap<&ProviderAddress, String> = providers
        .into_iter()
        .filter_map(|provider| Some((provider, leads_to_end(provider)?)))
        .collect();
    // A replacement may have the id of what it replaces.
    let remade = |change: &&Change| matches!(change.action, Action::Create) || change.action.is_replace();
    let remade: HashSet<&str> = walk
        .changes
        .iter()
        .filter(remade)
        .filter_map(|change| change.after.as_ref()?.attribute("id")?.as_str())
        .collect();
    let stays = |action: Action| !matches!(action, Action::Read | Action::Delete | Action::Forget);
    let changes = walk.changes.iter().filter(|change| stays(change.action));
    changes
        .filter_map(|change| {
            let id = ending.get(&change.provider).filter(|id| !remade.contains(id.as_str()))?;
            let detail = format!(
                "{} is configured to be in the object \"{id}\", which ends in this plan: {} leads there.",
                change.address, change.provider
            );
            let error = Diagnostic::error("STK0335", "Configured inside an object that ends", detail)
                .address(change.address.clone())
                .hint("take it out of the configuration as well, let its provider lead to what replaces the object, or keep the object with --exclude");
            Some(match walk.input.configuration.resource(&change.address) {
                Some(resource) => error.at(resource.span),
                None => error,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[(&str, Value)]) -> Value {
        Value::object(members.iter().map(|(n, v)| ((*n).to_owned(), v.clone())))
    }

    #[test]
    fn systems_differ_in_what_was_recorded_only() {
        let a = of(&[("host", Value::string("a"))]);
        let b = of(&[("host", Value::string("b"))]);
        let newer = of(&[("host", Value::string("a")), ("port", Value::string("1"))]);
        let unset = of(&[("host", Value::NULL)]);
        let unknown = of(&[("host", Value::unknown(stack_core::Type::String))]);
        assert!(same_system(&a, &a));
        assert!(!same_system(&b, &a));
        assert!(same_system(&newer, &a));
        assert!(same_system(&a, &newer));
        assert!(same_system(&a, &unset));
        assert!(!same_system(&unset, &a));
        assert!(!same_system(&unknown, &a));
        assert!(same_system(&Value::NULL, &a));
    }
}
