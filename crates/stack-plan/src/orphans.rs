//! Objects that end: those no longer configured, those replaced earlier, and in a destroy all of them.

use stack_config::configuration::ResourceKey;
use stack_core::address::Target;
use stack_core::{InstanceKey, ModulePath, ResourceAddress};
use stack_state::{DeposedKey, Object};

use crate::change::{Action, Change, Reason};
use crate::dependencies::without_keys;
use crate::planner::Walk;
use crate::request::Answer;
use crate::{Drift, instance};

/// An object that is to end, and why.
pub(crate) struct Ending<'w> {
    pub(crate) address: &'w ResourceAddress,
    pub(crate) deposed: Option<&'w DeposedKey>,
    pub(crate) object: &'w Object,
    pub(crate) reason: Option<Reason>,
}

/// Plans the end of everything that is not configured. What is not configured is certain only once every `count` and
/// `for_each` is known, so nothing happens before `complete`.
pub(crate) fn plan(walk: &mut Walk<'_, '_>, complete: bool) {
    if !complete {
        return;
    }
    let moves = walk.moves;
    let mut endings = Vec::new();
    for (address, instance) in &moves.instances {
        if !walk.is_included(address) {
            continue;
        }
        if let Some(object) = &instance.current
            && !walk.wanted.contains(address)
        {
            let reason = Some(reason(walk, address));
            endings.push(Ending {
                address,
                deposed: None,
                object,
                reason,
            });
        }
        for (key, object) in &instance.deposed {
            endings.push(Ending {
                address,
                deposed: Some(key),
                object,
                reason: Some(Reason::Deposed),
            });
        }
    }
    end_all(walk, endings);
}

/// Plans the end of several objects, containers before what they contain.
pub(crate) fn end_all(walk: &mut Walk<'_, '_>, mut endings: Vec<Ending<'_>>) {
    endings.sort_by_key(|ending| depth(walk, ending.object));
    for ending in &endings {
        end(walk, ending);
    }
}

/// How many containers are around an object; bounded, should recorded identities ever form a ring.
fn depth(walk: &Walk<'_, '_>, object: &Object) -> usize {
    let mut object = object;
    for depth in 0..16 {
        let Some(container) = walk
            .containers
            .container(object)
            .and_then(|address| walk.current(address))
        else {
            return depth;
        };
        object = container;
    }
    16
}

fn end(walk: &mut Walk<'_, '_>, ending: &Ending<'_>) {
    let Ending {
        address,
        deposed,
        object,
        reason,
    } = ending;
    let contained = walk.containers.ends(object);
    let mut before = object.attributes.clone();
    if !contained && walk.is_read(address) {
        match walk.read(address, *deposed) {
            None => {
                walk.ask_read(address, *deposed, object);
                return;
            }
            Some(Answer::Object(Some(now))) => before = now.clone(),
            Some(Answer::Object(None)) => {
                walk.containers.end(object);
                walk.drift.push(Drift {
                    address: (*address).clone(),
                    before,
                    after: None,
                    paths: Vec::new(),
                });
                walk.refreshed.push(((*address).clone(), deposed.cloned(), None));
                return;
            }
            Some(Answer::Failed(message, _)) => {
                let detail = format!("The object could not be read before it is removed: {message}");
                let warning = stack_core::Diagnostic::warning("STK0325", "Object not read", detail);
                walk.warnings.push(warning.address((*address).clone()));
            }
            Some(Answer::Preview { .. }) => {}
        }
    }
    walk.containers.end(object);
    let keeps = object.delete.keep || removed_keeps(walk, address);
    let (action, reason) = match (contained, keeps) {
        (true, _) => (Action::Forget, Some(Reason::ContainerEnds)),
        (false, true) => (Action::Forget, reason.clone()),
        (false, false) => (Action::Delete, reason.clone()),
    };
    if let Some(schema) = walk.input.catalog.resource(&address.ty).map(|ty| ty.schema())
        && before == object.attributes
    {
        before = instance::upgraded(object, schema);
    }
    walk.changes.push(Change {
        address: (*address).clone(),
        previous_address: walk.moves.previous.get(*address).cloned(),
        deposed: deposed.cloned(),
        action,
        reason,
        before: Some(before),
        after: None,
        replace_paths: Vec::new(),
        provider: object.provider.clone(),
        importing: None,
        rendered: None,
        not_checked: None,
        config: None,
    });
}

/// Whether a `removed` block keeps the object.
fn removed_keeps(walk: &Walk<'_, '_>, address: &ResourceAddress) -> bool {
    let keyless = without_keys(address);
    walk.input.configuration.modules().iter().any(|module| {
        let names: Vec<&str> = module.names.iter().map(AsRef::as_ref).collect();
        let inside = keyless.module.names().take(names.len()).eq(names.iter().copied());
        inside
            && module.removed.iter().any(|removed| {
                let relative = ResourceAddress {
                    module: ModulePath(keyless.module.0[names.len()..].into()),
                    ..keyless.clone()
                };
                !removed.destroy && Target::covers(&removed.from, &relative)
            })
    })
}

fn reason(walk: &Walk<'_, '_>, address: &ResourceAddress) -> Reason {
    let Some(module) = walk.input.configuration.module_at(&address.module) else {
        return Reason::NoModule;
    };
    let Some(resource) = module.resources.get(&ResourceKey::of(address)) else {
        return Reason::NoResource;
    };
    let names: Vec<_> = module.names.clone();
    if !walk.evaluator.module_instances(&names).contains(&address.module) {
        return Reason::NoModule;
    }
    match (&address.key, &resource.count, &resource.for_each) {
        (InstanceKey::Index(_), Some(_), _) => Reason::CountIndex,
        (InstanceKey::Name(_), None, Some(_)) => Reason::EachKey,
        _ => Reason::WrongRepetition,
    }
}
