//! The plan that removes everything.
//!
//! The configuration is evaluated for provider arguments, `prevent_destroy` and `removed`; no resource is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stack_config::configuration::ResourceKey;
use stack_core::{InstanceKey, ModulePath, ResourceAddress, Value};

use crate::dependencies::without_keys;
use crate::expansion::Expansion;
use crate::orphans::{Ending, end_all, end_left_out};
use crate::planner::Walk;
use crate::prevent::prevents_end;

/// Plans the end of every recorded object.
pub(crate) fn walk(walk: &mut Walk<'_, '_>) {
    put_in_recorded(walk);
    let moves = walk.moves;
    let along = taken_along(walk);
    let kept = kept_along(walk);
    let mut endings = Vec::new();
    let mut refusals = Vec::new();
    for (address, instance) in &moves.instances {
        let excluded = walk
            .input
            .options
            .excludes
            .iter()
            .any(|target| target.covers(address))
            || kept.contains(&without_keys(address));
        let targets = &walk.input.options.targets;
        let targeted = targets.is_empty()
            || targets.iter().any(|target| target.covers(address))
            || along.contains(&without_keys(address));
        if excluded || !targeted {
            walk.left_out.insert(address.clone());
            continue;
        }
        if let Some(resource) = walk.input.configuration.resource(address)
            && instance.current.is_some()
            && prevents_end(walk, address, resource)
        {
            refusals.push(crate::instance::refused(address, resource));
            continue;
        }
        if let Some(object) = &instance.current {
            endings.push(Ending {
                address,
                deposed: None,
                object,
                reason: None,
            });
        }
        for (key, object) in &instance.deposed {
            endings.push(Ending {
                address,
                deposed: Some(key),
                object,
                reason: None,
            });
        }
    }
    end_all(walk, endings);
    end_left_out(walk);
    // Evaluating providers against the state may fail where it matters to no object; only refusals stop a destroy.
    let evaluation = walk.evaluator.take_diagnostics();
    walk.warnings.extend(
        evaluation
            .into_iter()
            .filter(|d| d.severity == stack_core::Severity::Warning)
            .collect::<Vec<_>>()
            .into(),
    );
    for refusal in refusals {
        walk.evaluator.report(refusal);
    }
}

/// Resources (without instance key) that a target takes along: in a destroy what depends on it, not what it depends on.
fn taken_along(walk: &Walk<'_, '_>) -> BTreeSet<ResourceAddress> {
    let options = walk.input.options;
    let mut dependents: BTreeMap<&ResourceAddress, BTreeSet<ResourceAddress>> = BTreeMap::new();
    let mut todo = Vec::new();
    for (address, instance) in &walk.moves.instances {
        if options.targets.iter().any(|target| target.covers(address)) {
            todo.push(without_keys(address));
        }
        for on in instance
            .current
            .iter()
            .chain(instance.deposed.values())
            .flat_map(|o| &o.dependencies)
        {
            dependents.entry(on).or_default().insert(without_keys(address));
        }
    }
    let mut out = BTreeSet::new();
    let mut seen = BTreeSet::new();
    while let Some(next) = todo.pop() {
        if seen.insert(next.clone()) {
            let more = dependents.get(&next).into_iter().flatten().cloned();
            out.extend(more.clone());
            todo.extend(more);
        }
    }
    out
}

/// Resources (without instance key) that excluded objects depend on, and that stay with them.
pub(crate) fn kept_along(walk: &Walk<'_, '_>) -> BTreeSet<ResourceAddress> {
    let excludes = &walk.input.options.excludes;
    if excludes.is_empty() {
        return BTreeSet::new();
    }
    let mut dependencies: BTreeMap<ResourceAddress, BTreeSet<&ResourceAddress>> = BTreeMap::new();
    let mut todo: Vec<&ResourceAddress> = Vec::new();
    for (address, instance) in &walk.moves.instances {
        let objects = instance.current.iter().chain(instance.deposed.values());
        let on: Vec<&ResourceAddress> = objects.flat_map(|o| &o.dependencies).collect();
        if excludes.iter().any(|target| target.covers(address)) {
            todo.extend(on.iter().copied());
        }
        dependencies.entry(without_keys(address)).or_default().extend(on);
    }
    let mut out = BTreeSet::new();
    while let Some(next) = todo.pop() {
        if out.insert(next.clone()) {
            todo.extend(dependencies.get(next).into_iter().flatten().copied());
        }
    }
    out
}

/// Gives the evaluator the recorded objects, so that provider arguments that refer to them are known.
fn put_in_recorded(walk: &Walk<'_, '_>) {
    let mut keys: BTreeMap<(ModulePath, ResourceKey), Vec<InstanceKey>> = BTreeMap::new();
    for (address, instance) in &walk.moves.instances {
        if let Some(object) = &instance.current {
            keys.entry((address.module.clone(), ResourceKey::of(address)))
                .or_default()
                .push(address.key.clone());
            walk.evaluator.set_object(address, object.attributes.clone());
        }
    }
    for ((module, key), instances) in keys {
        walk.evaluator.set_expansion(&module, &key, expansion(&instances));
    }
}

/// The expansion that a resource must have had to have these instances.
fn expansion(keys: &[InstanceKey]) -> Expansion {
    let names: Vec<(Arc<str>, Value)> = keys
        .iter()
        .filter_map(|key| match key {
            InstanceKey::Name(name) => Some((name.clone(), Value::NULL)),
            InstanceKey::Index(_) | InstanceKey::None => None,
        })
        .collect();
    if !names.is_empty() {
        return Expansion::ForEach(names);
    }
    let indexes = keys.iter().filter_map(|key| match key {
        InstanceKey::Index(index) => Some(*index + 1),
        InstanceKey::Name(_) | InstanceKey::None => None,
    });
    indexes.max().map_or(Expansion::Single, Expansion::Count)
}
