//! From changes to the work of an apply: single operations with everything they wait for.

use std::collections::{BTreeMap, BTreeSet};

use stack_config::configuration::ResourceKey;
use stack_core::{Diagnostics, ResourceAddress};
use stack_state::{DeleteSettings, DeposedKey};

use crate::change::{Action, Change};
use crate::dependencies::without_keys;
use crate::order;
use crate::planner::Walk;

/// What one operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Makes the object; the one that is there now is kept as deposed under this key first, if one is given.
    Create {
        /// Key for the object that makes room.
        depose: Option<DeposedKey>,
    },
    /// Changes the object in place.
    Update,
    /// Ends the current object (`None`) or a deposed one.
    Delete {
        /// The deposed object.
        deposed: Option<DeposedKey>,
    },
    /// Stops managing the current object (`None`) or a deposed one.
    Forget {
        /// The deposed object.
        deposed: Option<DeposedKey>,
    },
    /// Reads a data source.
    Read,
    /// Takes an existing object into the state as it is.
    Adopt,
    /// Nothing: stands for many operations where others wait for all of them.
    Gate,
}

/// One step of an apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub work: Work,
    /// The change it belongs to, as an index into the plan's changes; `None` for a gate.
    pub change: Option<usize>,
    /// Operations that must have ended before, as indexes into the plan's operations; all smaller than its own.
    pub after: Vec<usize>,
    /// Managed resources (without instance key) that must exist while the object does; to be recorded with it.
    pub dependencies: BTreeSet<ResourceAddress>,
    /// A later replacement creates first; to be recorded with the object.
    pub create_before_destroy: bool,
    /// What applies when the object is deleted; to be recorded with it.
    pub delete: DeleteSettings,
}

impl Operation {
    pub(crate) fn gate() -> Self {
        Self {
            work: Work::Gate,
            change: None,
            after: Vec::new(),
            dependencies: BTreeSet::new(),
            create_before_destroy: false,
            delete: DeleteSettings::default(),
        }
    }

    /// Whether it makes something exist, rather than end.
    pub(crate) fn is_forward(&self) -> bool {
        matches!(
            self.work,
            Work::Create { .. } | Work::Update | Work::Read | Work::Adopt
        )
    }

    /// Whether it ends an object.
    pub(crate) fn is_backward(&self) -> bool {
        matches!(self.work, Work::Delete { .. } | Work::Forget { .. })
    }
}

/// A key for an object that makes room in this plan: the same for the same state and address, so that planning twice
/// gives one plan.
fn deposed_key(walk: &Walk<'_, '_>, address: &ResourceAddress) -> DeposedKey {
    // FNV-1a: short, stable across versions of the compiler, and collisions only matter within one instance.
    let text = format!(
        "{}/{}/{address}",
        walk.input.state.lineage, walk.input.state.serial
    );
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    DeposedKey::from(format!("{:08x}", hash >> 32))
}

/// All operations of the changes, in an order that satisfies what each waits for.
pub(crate) fn unfold(walk: &Walk<'_, '_>) -> Result<Vec<Operation>, Diagnostics> {
    let mut operations = Vec::new();
    for (number, change) in walk.changes.iter().enumerate() {
        for work in works(walk, change) {
            operations.push(operation(walk, number, change, work));
        }
    }
    order::arrange(walk, operations)
}

fn works(walk: &Walk<'_, '_>, change: &Change) -> Vec<Work> {
    let deposed = change.deposed.clone();
    match change.action {
        Action::NoOp if change.importing.is_some() => vec![Work::Adopt],
        Action::NoOp => Vec::new(),
        Action::Read => vec![Work::Read],
        Action::Create => vec![Work::Create { depose: None }],
        Action::Update => vec![Work::Update],
        Action::Delete => vec![Work::Delete { deposed }],
        Action::Forget => vec![Work::Forget { deposed }],
        Action::DeleteThenCreate => vec![Work::Delete { deposed }, Work::Create { depose: None }],
        Action::CreateThenDelete => {
            let key = deposed_key(walk, &change.address);
            vec![
                Work::Create {
                    depose: Some(key.clone()),
                },
                Work::Delete { deposed: Some(key) },
            ]
        }
        Action::ForgetThenCreate if outlives(walk, change) => {
            let key = deposed_key(walk, &change.address);
            vec![
                Work::Create {
                    depose: Some(key.clone()),
                },
                Work::Forget { deposed: Some(key) },
            ]
        }
        Action::ForgetThenCreate => vec![Work::Forget { deposed }, Work::Create { depose: None }],
    }
}

/// Whether the container of a changed object is deleted only after its replacement is complete; the old object is then
/// kept as deposed until that delete has ended.
fn outlives(walk: &Walk<'_, '_>, change: &Change) -> bool {
    container_of(walk, &change.address)
        .is_some_and(|container| action_at(walk, &container) == Some(Action::CreateThenDelete))
}

/// The object that contains the recorded object at an address.
pub(crate) fn container_of(walk: &Walk<'_, '_>, address: &ResourceAddress) -> Option<ResourceAddress> {
    walk.current(address)
        .and_then(|object| walk.containers.container(object))
        .cloned()
}

fn action_at(walk: &Walk<'_, '_>, address: &ResourceAddress) -> Option<Action> {
    walk.changes
        .iter()
        .find(|c| c.address == *address && c.deposed.is_none())
        .map(|c| c.action)
}

fn operation(walk: &Walk<'_, '_>, number: usize, change: &Change, work: Work) -> Operation {
    let names: Vec<_> = change.address.module.0.iter().map(|s| s.name.clone()).collect();
    let node = walk
        .dependencies
        .resource(&names, &ResourceKey::of(&change.address));
    let lifecycle = walk
        .input
        .configuration
        .resource(&change.address)
        .map(|r| &r.lifecycle);
    let delete = DeleteSettings {
        prevent_destroy: lifecycle.is_some_and(|l| l.prevent_destroy),
        keep: lifecycle.is_some_and(|l| !l.destroy),
        timeout: None,
    };
    Operation {
        work,
        change: Some(number),
        after: Vec::new(),
        dependencies: node.map(|n| walk.dependencies.managed(n)).unwrap_or_default(),
        create_before_destroy: node.is_some_and(|n| walk.create_first.contains(&n)),
        delete,
    }
}

/// Operations by the resource they belong to, without instance keys.
pub(crate) fn by_resource(
    walk: &Walk<'_, '_>,
    operations: &[Operation],
) -> BTreeMap<ResourceAddress, Vec<usize>> {
    let mut out: BTreeMap<ResourceAddress, Vec<usize>> = BTreeMap::new();
    for (number, operation) in operations.iter().enumerate() {
        if let Some(change) = operation.change {
            out.entry(without_keys(&walk.changes[change].address))
                .or_default()
                .push(number);
        }
    }
    out
}
