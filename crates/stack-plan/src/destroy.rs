//! The plan that removes everything.
//!
//! The configuration is evaluated for provider arguments, `prevent_destroy` and `removed`; no resource is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_config::configuration::ResourceKey;
use stack_core::{InstanceKey, ModulePath, Value};

use crate::expansion::Expansion;
use crate::orphans::{Ending, end_all};
use crate::planner::Walk;

/// Plans the end of every recorded object.
pub(crate) fn walk(walk: &mut Walk<'_, '_>) {
    put_in_recorded(walk);
    let moves = walk.moves;
    let mut endings = Vec::new();
    let mut refusals = Vec::new();
    for (address, instance) in &moves.instances {
        if !is_target(walk, address) {
            walk.left_out.insert(address.clone());
            continue;
        }
        if let Some(resource) = walk.input.configuration.resource(address)
            && resource.lifecycle.prevent_destroy
            && instance.current.is_some()
        {
            let span = resource.lifecycle.prevent_destroy_span.unwrap_or(resource.span);
            refusals.push(crate::instance::refused(address, span));
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

/// In a destroy a target takes along what depends on it, not what it depends on.
fn is_target(walk: &Walk<'_, '_>, address: &stack_core::ResourceAddress) -> bool {
    let options = walk.input.options;
    if options.excludes.iter().any(|t| t.covers(address)) {
        return false;
    }
    if options.targets.is_empty() {
        return true;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut todo = vec![address.clone()];
    while let Some(next) = todo.pop() {
        if options.targets.iter().any(|t| t.covers(&next)) {
            return true;
        }
        if !seen.insert(next.clone()) {
            continue;
        }
        for (other, _, object) in walk.input.state.objects() {
            if crate::dependencies::without_keys(other) == crate::dependencies::without_keys(&next) {
                for on in &object.dependencies {
                    let covered = options.targets.iter().any(|t| t.covers(on));
                    if covered {
                        return true;
                    }
                    todo.push(on.clone());
                }
            }
        }
    }
    false
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
