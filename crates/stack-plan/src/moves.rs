//! New addresses for existing objects: `moved` blocks, and `count` added or removed.

use std::collections::{BTreeMap, BTreeSet};

use stack_config::configuration::{Configuration, Module, Moved, ResourceKey};
use stack_core::address::Target;
use stack_core::graph::Graph;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, ModulePath, ModuleStep, ResourceAddress};
use stack_state::{Instance, State};

use crate::change::{Action, Change};
use crate::planner::Walk;

/// The recorded instances under the addresses they have now.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// Instances by their address now.
    pub(crate) instances: BTreeMap<ResourceAddress, Instance>,
    /// For each that moved: its address so far.
    pub(crate) previous: BTreeMap<ResourceAddress, ResourceAddress>,
    pub(crate) warnings: Diagnostics,
}

/// Applies every move of the configuration to the state's instances.
pub(crate) fn apply(configuration: &Configuration, state: &State) -> Moves {
    let mut moves = Moves {
        instances: state.instances.clone(),
        ..Moves::default()
    };
    for (module, moved) in in_order(configuration) {
        moves.one(module, moved);
    }
    moves.repetitions(configuration);
    moves
}

/// Tells the moves of instances that nothing else is told of, because they are left out: their address changes all the same.
pub(crate) fn tell(walk: &mut Walk<'_, '_>) {
    if walk.moves.previous.is_empty() {
        return;
    }
    let told: BTreeSet<ResourceAddress> = walk.changes.iter().map(|c| c.address.clone()).collect();
    let moves = walk.moves;
    for (address, previous) in &moves.previous {
        let Some(object) = walk.current(address).filter(|_| !told.contains(address)) else {
            continue;
        };
        walk.change(Change {
            previous_address: Some(previous.clone()),
            before: Some(object.attributes.clone()),
            after: Some(object.attributes.clone()),
            ..Change::new(address, object.provider.clone(), Action::NoOp)
        });
    }
}

/// All `moved` blocks, each after those that lead to where it starts: `a -> b` before `b -> c`, wherever they stand.
fn in_order(configuration: &Configuration) -> Vec<(&Module, &Moved)> {
    let blocks: Vec<(&Module, &Moved)> = configuration
        .modules()
        .into_iter()
        .flat_map(|module| module.moved.iter().map(move |moved| (module, moved)))
        .collect();
    let mut graph = Graph::new(blocks.len());
    for (later, (module, moved)) in blocks.iter().enumerate() {
        for (earlier, (other_module, other)) in blocks.iter().enumerate() {
            if earlier != later && leads_to(&names(other_module, &other.to), &names(module, &moved.from)) {
                graph.depend(later, earlier);
            }
        }
    }
    // A ring is an error of validation; in any case the order of the files is as good as any.
    let order = graph.order().unwrap_or_else(|_| (0..blocks.len()).collect());
    order.into_iter().map(|n| blocks[n]).collect()
}

/// The steps of a target from the root, without instance keys.
fn names(module: &Module, target: &Target) -> Vec<String> {
    let around = module.names.iter().map(|name| format!("module.{name}"));
    let within =
        |path: &ModulePath| -> Vec<String> { path.names().map(|name| format!("module.{name}")).collect() };
    match target {
        Target::Module(path) => around.chain(within(path)).collect(),
        Target::Resource(resource) => {
            let own = ResourceKey::of(resource).to_string();
            around.chain(within(&resource.module)).chain([own]).collect()
        }
    }
}

/// Whether one of two targets is the other or inside it.
fn leads_to(to: &[String], from: &[String]) -> bool {
    to.starts_with(from) || from.starts_with(to)
}

/// The relative path at the end of `path` if `path` is an instance of `prefix`'s module with anything before it.
fn matches_names(path: &[ModuleStep], names: &[std::sync::Arc<str>]) -> bool {
    path.len() >= names.len() && path.iter().zip(names).all(|(step, name)| step.name == *name)
}

/// The address that `from -> to` gives to an instance in a module instance, if it is covered.
fn moved_to(
    base: &[ModuleStep],
    from: &Target,
    to: &Target,
    address: &ResourceAddress,
) -> Option<ResourceAddress> {
    let relative = ResourceAddress {
        module: ModulePath(address.module.0[base.len()..].into()),
        ..address.clone()
    };
    let join = |module: &[ModuleStep]| ModulePath(base.iter().chain(module).cloned().collect());
    match (from, to) {
        (Target::Resource(f), Target::Resource(t)) => {
            let same = f.module == relative.module
                && (f.mode, &f.ty, &f.name) == (relative.mode, &relative.ty, &relative.name);
            if !same {
                return None;
            }
            let key = if f.key == InstanceKey::None && t.key == InstanceKey::None {
                relative.key
            } else if f.key == relative.key {
                t.key.clone()
            } else {
                return None;
            };
            Some(ResourceAddress {
                module: join(&t.module.0),
                mode: t.mode,
                ty: t.ty.clone(),
                name: t.name.clone(),
                key,
            })
        }
        (Target::Module(f), Target::Module(t)) => {
            let depth = f.0.len();
            if relative.module.0.len() < depth {
                return None;
            }
            let (head, tail) = relative.module.0.split_at(depth);
            let (last_from, last) = (f.0.last()?, head.last()?);
            if f.0[..depth - 1] != head[..depth - 1] || last_from.name != last.name {
                return None;
            }
            let last_to = t.0.last()?;
            let key = if last_from.key == InstanceKey::None && last_to.key == InstanceKey::None {
                last.key.clone()
            } else if last_from.key == last.key {
                last_to.key.clone()
            } else {
                return None;
            };
            let mut steps: Vec<ModuleStep> = t.0.to_vec();
            if let Some(step) = steps.last_mut() {
                step.key = key;
            }
            steps.extend(tail.iter().cloned());
            Some(ResourceAddress {
                module: join(&steps),
                ..relative
            })
        }
        (Target::Resource(_), Target::Module(_)) | (Target::Module(_), Target::Resource(_)) => None,
    }
}

impl Moves {
    fn one(&mut self, module: &Module, moved: &Moved) {
        let candidates: Vec<(ResourceAddress, ResourceAddress)> = self
            .instances
            .keys()
            .filter(|address| matches_names(&address.module.0, &module.names))
            .filter_map(|address| {
                let base = &address.module.0[..module.names.len()];
                moved_to(base, &moved.from, &moved.to, address).map(|to| (address.clone(), to))
            })
            .collect();
        for (from, to) in candidates {
            if self.instances.contains_key(&to) {
                let detail = format!(
                    "{from} cannot move to {to}, because there is an object at {to} already. The object at {from} is planned to be destroyed."
                );
                self.warnings.push(
                    Diagnostic::warning("STK0312", "Unresolved resource instance address changes", detail)
                        .at(moved.span),
                );
                continue;
            }
            self.relocate(&from, to);
        }
    }

    fn relocate(&mut self, from: &ResourceAddress, to: ResourceAddress) {
        if let Some(instance) = self.instances.remove(from) {
            let origin = self.previous.remove(from).unwrap_or_else(|| from.clone());
            if origin != to {
                self.previous.insert(to.clone(), origin);
            }
            self.instances.insert(to, instance);
        }
    }

    /// `a` becomes `a[0]` when `count` was added, and the other way round when it was removed.
    fn repetitions(&mut self, configuration: &Configuration) {
        let moved = |address: &ResourceAddress| {
            let resource = configuration.resource(address)?;
            let (old, new) = match (&resource.count, &resource.for_each) {
                (Some(_), _) => (InstanceKey::None, InstanceKey::Index(0)),
                (None, None) => (InstanceKey::Index(0), InstanceKey::None),
                (None, Some(_)) => return None,
            };
            (address.key == old).then(|| (address.clone(), address.instance(new)))
        };
        let candidates: Vec<(ResourceAddress, ResourceAddress)> =
            self.instances.keys().filter_map(moved).collect();
        for (from, to) in candidates {
            if !self.instances.contains_key(&to) {
                self.relocate(&from, to);
            }
        }
    }
}
