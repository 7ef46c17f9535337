//! Objects that end: those no longer configured, those replaced earlier, and in a destroy all of them.

use stack_config::configuration::ResourceKey;
use stack_core::address::Target;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, ModulePath, ResourceAddress, Value};
use stack_state::{DeposedKey, Object};

use crate::change::{Action, Change, Reason};
use crate::dependencies::without_keys;
use crate::planner::{Reach, Walk};
use crate::prevent::prevents_end;
use crate::propose::with_marks;
use crate::request::Answer;
use crate::{Mode, ResourceType, destroy, instance};

/// An object that is to end, and why.
pub(crate) struct Ending<'w> {
    pub(crate) address: &'w ResourceAddress,
    pub(crate) deposed: Option<&'w DeposedKey>,
    pub(crate) object: &'w Object,
    pub(crate) reason: Option<Reason>,
}

/// Plans the end of everything that is not configured.
pub(crate) fn plan(walk: &mut Walk<'_, '_>) {
    let moves = walk.moves;
    let kept = destroy::kept_along(walk);
    let mut endings = Vec::new();
    for (address, instance) in &moves.instances {
        if !walk.is_included(address) {
            walk.left_out.insert(address.clone());
            continue;
        }
        if !walk.wanted.contains(address) && kept.contains(&without_keys(address)) {
            walk.left_out.insert(address.clone());
            continue;
        }
        if let Some(object) = &instance.current
            && !walk.wanted.contains(address)
        {
            // Without a `for_each` key or below a lower `count` the block is still there, and what it says holds.
            if let Some(resource) = walk.input.configuration.resource(address)
                && walk.input.options.mode == Mode::Normal
                && prevents_end(walk, address, resource)
            {
                let refusal = instance::refused(address, resource);
                walk.evaluator.report(refusal);
                continue;
            }
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
    end_left_out(walk);
}

/// Plans the end of what `--target` or `--exclude` leave out, and that ends with its container all the same.
pub(crate) fn end_left_out(walk: &mut Walk<'_, '_>) {
    let moves = walk.moves;
    let mut left = Vec::new();
    for address in &walk.left_out {
        let Some((address, instance)) = moves.instances.get_key_value(address) else {
            continue;
        };
        let current = instance.current.iter().map(|object| (None, object));
        let deposed = instance.deposed.iter().map(|(key, object)| (Some(key), object));
        left.extend(current.chain(deposed).map(|(deposed, object)| Ending {
            address,
            deposed,
            object,
            reason: None,
        }));
    }
    left.sort_by_key(|ending| depth(walk, ending.object));
    for ending in &left {
        if !walk.containers.ends(ending.object) {
            continue;
        }
        match walk.input.configuration.resource(ending.address) {
            Some(resource) if ending.deposed.is_none() && prevents_end(walk, ending.address, resource) => {
                let refusal = instance::refused(ending.address, resource);
                let hint = "it would end with what it lives in: leave that out as well";
                walk.evaluator.report(refusal.hint(hint));
            }
            _ => end(walk, ending),
        }
    }
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
            .and_then(|(address, deposed)| walk.moves.instances.get(address)?.object(deposed.as_ref()))
        else {
            return depth;
        };
        object = container;
    }
    16
}

/// What a read says of an object that is to end.
enum Seen {
    /// It is like this, or was when it was last seen.
    Here(Value),
    /// It is gone.
    Gone,
    /// It is in a system that no configuration leads to any more.
    Elsewhere,
    /// That is not known yet, or never, which is reported.
    Unknown,
}

fn seen(walk: &mut Walk<'_, '_>, ending: &Ending<'_>, ty: &dyn ResourceType) -> Seen {
    let Ending {
        address,
        deposed,
        object,
        ..
    } = ending;
    let recorded = instance::upgraded(object, ty.schema());
    let arguments = match walk.reach(object) {
        Reach::Known(arguments) => arguments,
        Reach::Elsewhere => return Seen::Elsewhere,
        Reach::Unknown => {
            let error = instance::out_of_reach(object);
            let of_object = error.0.into_iter().map(|d| d.address((*address).clone()));
            walk.evaluator.report(Diagnostics(of_object.collect()));
            return Seen::Unknown;
        }
    };
    if !walk.is_read(address) {
        return Seen::Here(recorded);
    }
    match walk.read(address, *deposed) {
        None => {
            walk.ask_read(address, *deposed, object, arguments);
            Seen::Unknown
        }
        Some(Answer::Object(Some(now))) => {
            let now = with_marks(ty.schema(), now.clone(), Some(&recorded));
            if walk.input.options.mode == Mode::RefreshOnly {
                instance::note_drift(walk, address, *deposed, ty, &recorded, &now);
            }
            Seen::Here(now)
        }
        Some(Answer::Object(None)) => {
            instance::note_gone(walk, address, *deposed, recorded);
            Seen::Gone
        }
        Some(Answer::Failed(message, _)) => {
            let detail = format!("The object could not be read before it is removed: {message}");
            let warning = Diagnostic::warning("STK0325", "Object not read", detail);
            walk.warnings.push(warning.address((*address).clone()));
            Seen::Here(recorded)
        }
        Some(Answer::Preview { .. }) => Seen::Here(recorded),
    }
}

fn end(walk: &mut Walk<'_, '_>, ending: &Ending<'_>) {
    let Ending {
        address,
        deposed,
        object,
        reason,
    } = ending;
    let contained = walk.containers.ends(object);
    let keeps = keeps(walk, address, object);
    if (contained || !keeps) && walk.input.options.mode != Mode::RefreshOnly {
        // Gone or not, it ends, and what is inside it need not be asked for.
        walk.containers.end(object);
    }
    let ty = walk.input.catalog.resource(&address.ty);
    let seen = match ty.filter(|ty| !contained && !ty.is_local()) {
        Some(ty) => seen(walk, ending, ty),
        None => Seen::Here(match ty {
            Some(ty) => instance::upgraded(object, ty.schema()),
            None => object.attributes.clone(),
        }),
    };
    let lost = matches!(seen, Seen::Elsewhere);
    let before = match seen {
        Seen::Unknown => return,
        Seen::Gone => {
            walk.containers.end(object);
            return;
        }
        Seen::Here(value) => value,
        Seen::Elsewhere => object.attributes.clone(),
    };
    if walk.input.options.mode == Mode::RefreshOnly {
        if contained {
            instance::note_gone_along(walk, address, object, before);
        }
        return;
    }
    if lost && !keeps {
        let detail = format!(
            "It was made through {}, which now leads to another system. It is forgotten, and goes on to exist unless that system is gone.",
            object.provider
        );
        let warning = Diagnostic::warning("STK0330", "Object left behind", detail);
        walk.warnings.push(warning.address((*address).clone()));
    }
    let (action, reason) = match (contained || lost, keeps) {
        (true, _) => (Action::Forget, Some(Reason::ContainerEnds)),
        (false, true) => (Action::Forget, Some(why_kept(walk, address))),
        (false, false) => (Action::Delete, reason.clone()),
    };
    walk.change(Change {
        previous_address: walk.moves.previous.get(*address).cloned(),
        deposed: deposed.cloned(),
        reason,
        before: Some(before),
        ..Change::new(address, object.provider.clone(), action)
    });
}

/// Whether the object is kept when it is no longer managed: its block says so, or said so when it was last there, or a
/// `removed` block does.
pub(crate) fn keeps(walk: &Walk<'_, '_>, address: &ResourceAddress, object: &Object) -> bool {
    match walk.input.configuration.resource(address) {
        Some(resource) => !resource.lifecycle.destroy,
        None => object.delete.keep || removed_keeps(walk, address),
    }
}

/// What keeps an object that is no longer managed.
fn why_kept(walk: &Walk<'_, '_>, address: &ResourceAddress) -> Reason {
    let configured = walk.input.configuration.resource(address).is_some();
    if !configured && removed_keeps(walk, address) {
        Reason::Removed
    } else {
        Reason::Kept
    }
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
