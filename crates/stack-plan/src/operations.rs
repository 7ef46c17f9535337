//! From changes to the work of an apply: single operations with everything they wait for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stack_core::{Diagnostics, ResourceAddress};
use stack_state::{DeleteSettings, DeposedKey};

use crate::Mode;
use crate::change::{Action, Change, Reason};
use crate::container::Place;
use crate::dependencies::without_keys;
use crate::order;
use crate::planner::Walk;
use crate::prevent::prevents_end;

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

impl Work {
    /// Whether it makes an object that did not exist or was not managed.
    pub fn makes(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Adopt)
    }
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
/// gives one plan. Keys sort by age, so that recovery knows which object made room last.
fn deposed_key(walk: &Walk<'_, '_>, address: &ResourceAddress) -> DeposedKey {
    // FNV-1a: short, stable across versions of the compiler, and collisions only matter within one instance.
    let serial = walk.input.state.serial;
    let text = format!("{}/{serial}/{address}", walk.input.state.lineage);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    DeposedKey::from(format!("{serial:08x}{:08x}", hash >> 32))
}

/// What the configuration says about an object besides its arguments, recorded with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The resource instance.
    pub address: ResourceAddress,
    /// Managed resources (without instance key) that must exist while the object does.
    pub dependencies: BTreeSet<ResourceAddress>,
    /// A later replacement creates first.
    pub create_before_destroy: bool,
    /// What applies when the object is deleted.
    pub delete: DeleteSettings,
}

/// Changes by the object they are about, as indexes into the plan's changes.
pub(crate) type Places<'w> = HashMap<(&'w ResourceAddress, Option<&'w DeposedKey>), usize>;

/// All operations of the changes, in an order that satisfies what each waits for.
pub(crate) fn unfold(walk: &Walk<'_, '_>) -> Result<Vec<Operation>, Diagnostics> {
    let places: Places<'_> = walk
        .changes
        .iter()
        .enumerate()
        .map(|(number, change)| ((&change.address, change.deposed.as_ref()), number))
        .collect();
    let attempt = |early: bool| {
        let mut operations = Vec::new();
        for (number, change) in walk.changes.iter().enumerate() {
            let works = works(walk, &places, change, early);
            if works.is_empty() {
                continue;
            }
            let settings = settings_of(walk, &change.address);
            operations.extend(works.into_iter().map(|work| Operation {
                work,
                change: Some(number),
                after: Vec::new(),
                dependencies: settings.dependencies.clone(),
                create_before_destroy: settings.create_before_destroy,
                delete: settings.delete,
            }));
        }
        order::arrange(walk, &places, &operations)
    };
    attempt(true).or_else(|_| attempt(false))
}

fn works(walk: &Walk<'_, '_>, places: &Places<'_>, change: &Change, early: bool) -> Vec<Work> {
    let deposed = change.deposed.clone();
    let room = || {
        let key = deposed_key(walk, &change.address);
        let create = Work::Create {
            depose: Some(key.clone()),
        };
        (create, Some(key))
    };
    let create = Work::Create { depose: None };
    let mut works = match change.action {
        Action::NoOp => Vec::new(),
        Action::Read => vec![Work::Read],
        Action::Create => vec![create],
        Action::Update => vec![Work::Update],
        Action::Delete => vec![Work::Delete { deposed }],
        Action::Forget => vec![Work::Forget { deposed }],
        Action::DeleteThenCreate => vec![Work::Delete { deposed }, create],
        Action::CreateThenDelete => {
            let (create, deposed) = room();
            vec![create, Work::Delete { deposed }]
        }
        Action::ForgetThenCreate if makes_room(walk, places, change, early) => {
            let (create, deposed) = room();
            vec![create, Work::Forget { deposed }]
        }
        Action::ForgetThenCreate => vec![Work::Forget { deposed }, create],
    };
    if change.importing.is_some() {
        works.insert(0, Work::Adopt);
    }
    works
}

/// Whether the new object of a change is made while the old one is still recorded, as deposed: what is around the old one
/// is deleted only after its replacement is complete, or, where that makes no cycle (`early`), is not replaced at all.
fn makes_room(walk: &Walk<'_, '_>, places: &Places<'_>, change: &Change, early: bool) -> bool {
    if change.reason != Some(Reason::ContainerEnds) {
        return false;
    }
    let mut at = container_of(walk, &change.address, change.deposed.as_ref());
    // Bounded, should recorded identities ever form a ring.
    for _ in 0..16 {
        let Some((address, deposed)) = at else {
            return early;
        };
        let around = places.get(&(&address, deposed.as_ref()));
        match around.map(|number| walk.changes[*number].action) {
            Some(Action::CreateThenDelete) => return true,
            // Its content is dropped from the state with it, before anything is made.
            Some(Action::DeleteThenCreate | Action::Create) => return false,
            None if walk.is_gone(&address, deposed.as_ref()) => return false,
            None | Some(Action::NoOp | Action::Update | Action::Read | Action::Delete) => return early,
            Some(Action::Forget | Action::ForgetThenCreate) => {}
        }
        at = container_of(walk, &address, deposed.as_ref());
    }
    false
}

/// The object that contains a recorded object.
pub(crate) fn container_of(
    walk: &Walk<'_, '_>,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
) -> Option<Place> {
    let object = walk.moves.instances.get(address)?.object(deposed)?;
    walk.containers.container(object).cloned()
}

/// What the configuration says now about an object.
fn settings_of(walk: &Walk<'_, '_>, address: &ResourceAddress) -> Settings {
    let node = walk.node_of(address);
    let resource = walk.input.configuration.resource(address);
    Settings {
        address: address.clone(),
        dependencies: node.map(|n| walk.dependencies.managed(n)).unwrap_or_default(),
        create_before_destroy: node.is_some_and(|n| walk.create_first.contains(&n)),
        delete: DeleteSettings {
            prevent_destroy: resource.is_some_and(|r| prevents_end(walk, address, r)),
            keep: resource.is_some_and(|r| !r.lifecycle.destroy),
            timeout: resource.and_then(|r| r.timeouts.delete),
        },
    }
}

/// What the configuration says now about objects that do not change, where that is not what is recorded.
pub(crate) fn settings(walk: &Walk<'_, '_>) -> Vec<Settings> {
    if walk.input.options.mode != Mode::Normal {
        return Vec::new();
    }
    let unchanged = walk
        .changes
        .iter()
        .filter(|change| change.action.is_no_op() && change.importing.is_none())
        .filter(|change| !walk.left_out.contains(&change.address));
    unchanged
        .filter_map(|change| {
            let object = walk.current(&change.address)?;
            let now = settings_of(walk, &change.address);
            let same = now.dependencies == object.dependencies
                && now.create_before_destroy == object.create_before_destroy
                && now.delete == object.delete;
            (!same).then_some(now)
        })
        .collect()
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
