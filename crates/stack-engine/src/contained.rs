//! What ends together with an object: everything that lives inside it.

use std::collections::BTreeSet;

use stack_core::Value;
use stack_state::{Object, Record, State};

/// Records that forget every object inside the one that has just ended, at any depth. They belong into the same batch as
/// the record of that end: a state in which the container is gone and its content is not would lead to systems that
/// cannot be reached any more.
pub(crate) fn forget(state: &State, ended: &Object) -> Vec<Record> {
    let mut gone: BTreeSet<String> = id(ended).into_iter().collect();
    let mut out = Vec::new();
    let mut left: Vec<_> = state.objects().collect();
    loop {
        let (inside, rest): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(_, _, object)| lives_in(object, &gone));
        if inside.is_empty() {
            return out;
        }
        for (address, deposed, object) in inside {
            gone.extend(id(object));
            out.push(Record::Forget {
                address: address.clone(),
                deposed: deposed.cloned(),
            });
        }
        left = rest;
    }
}

/// Ids that identities of objects name: of everything that contains something.
pub(crate) fn containers(state: &State) -> BTreeSet<String> {
    let identities = state
        .objects()
        .filter_map(|(_, _, object)| object.identity.as_mapping());
    let names = identities
        .flat_map(|members| members.values())
        .filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// Whether an object is one of these.
pub(crate) fn is_among(object: &Object, containers: &BTreeSet<String>) -> bool {
    !containers.is_empty() && id(object).is_some_and(|id| containers.contains(&id))
}

fn id(object: &Object) -> Option<String> {
    object
        .attributes
        .attribute("id")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn lives_in(object: &Object, gone: &BTreeSet<String>) -> bool {
    let identity = object.identity.as_mapping();
    identity
        .into_iter()
        .flat_map(|m| m.values())
        .filter_map(Value::as_str)
        .any(|id| gone.contains(id))
}
