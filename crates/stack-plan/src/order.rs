//! The only place that decides what waits for what.
//!
//! 1. What makes or changes an object waits for what makes or changes what it depends on.
//! 2. What ends an object waits for what ends the objects that depended on it, and where that makes no cycle for updates
//!    that lead away from it.
//! 3. Delete-then-create: the create waits for the delete.
//! 4. Create-then-delete: the delete waits for the create and for everything that depends on the resource.
//! 5. Forgetting an object that ends with its container waits for the container's delete. Nothing waits for it, but what
//!    depended on the object must end before the deletes that come before it.

use std::collections::{BTreeMap, BTreeSet};

use stack_core::graph::{Cycle, Graph};
use stack_core::{Diagnostic, Diagnostics, ResourceAddress};

use crate::change::{Action, Reason};
use crate::dependencies::without_keys;
use crate::operations::{Operation, Places, Work, by_resource, container_of};
use crate::planner::Walk;

/// Groups larger than this are waited for through a gate, so that the number of edges stays linear.
const GATE_FROM: usize = 8;

/// Fills in what each operation waits for and sorts them.
pub(crate) fn arrange(
    walk: &Walk<'_, '_>,
    places: &Places<'_>,
    operations: &[Operation],
) -> Result<Vec<Operation>, Diagnostics> {
    let groups = by_resource(walk, operations);
    let attempt = |updates: bool| {
        let mut order = Order {
            walk,
            places,
            groups: &groups,
            operations: operations.to_vec(),
            graph: Graph::new(operations.len()),
        };
        order.forward();
        order.backward(updates);
        order.within();
        order.sorted()
    };
    attempt(true).or_else(|_| attempt(false)).map_err(|cycle| {
        let names: BTreeSet<String> = cycle
            .0
            .iter()
            .filter_map(|n| operations.get(*n)?.change)
            .map(|c| walk.changes[c].address.to_string())
            .collect();
        let names: Vec<String> = names.into_iter().collect();
        let detail = "These changes wait for each other. Apply some of them first with --target.";
        Diagnostic::error("STK0326", format!("Cycle: {}", names.join(", ")), detail).into()
    })
}

struct Order<'o, 'w, 'a> {
    walk: &'o Walk<'w, 'a>,
    places: &'o Places<'o>,
    groups: &'o BTreeMap<ResourceAddress, Vec<usize>>,
    operations: Vec<Operation>,
    graph: Graph,
}

/// What of a resource others wait for when their objects end.
#[derive(Default)]
struct Endings {
    /// What ends its objects.
    ends: Vec<usize>,
    /// What changes them in place.
    updates: Vec<usize>,
    /// Some of its objects are only dropped from the state, after their container's end.
    contained: bool,
}

impl Order<'_, '_, '_> {
    fn of_resource(&self, resource: &ResourceAddress) -> &[usize] {
        self.groups.get(resource).map_or(&[], Vec::as_slice)
    }

    /// Lets every one of `operations` wait for all of `on`.
    fn depend(&mut self, operations: &[usize], on: &BTreeSet<usize>) {
        let gate;
        let on = if operations.len() > GATE_FROM && on.len() > GATE_FROM {
            gate = BTreeSet::from([self.gate(on.iter().copied())]);
            &gate
        } else {
            on
        };
        for operation in operations {
            for before in on {
                self.graph.depend(*operation, *before);
            }
        }
    }

    /// An operation that does nothing and waits for many.
    fn gate(&mut self, on: impl IntoIterator<Item = usize>) -> usize {
        let gate = self.graph.add_node();
        self.operations.push(Operation::gate());
        for operation in on {
            self.graph.depend(gate, operation);
        }
        gate
    }

    /// The operations themselves, or a gate before which all of them end.
    fn few(&mut self, operations: Vec<usize>) -> Vec<usize> {
        if operations.len() <= GATE_FROM {
            return operations;
        }
        vec![self.gate(operations)]
    }

    /// Rule 1. A resource without operations of its own passes on what it depends on.
    fn forward(&mut self) {
        let dependencies = self.walk.dependencies;
        let mut waits: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &node in &dependencies.order {
            let Some(address) = dependencies.nodes[node].address() else {
                continue;
            };
            let near = dependencies.resources.get(&node).into_iter().flatten();
            let on: BTreeSet<usize> = near
                .flat_map(|dependency| waits.get(dependency).into_iter().flatten().copied())
                .collect();
            let own: Vec<usize> = self
                .of_resource(&address)
                .iter()
                .copied()
                .filter(|n| self.operations[*n].is_forward())
                .collect();
            self.depend(&own, &on);
            let result = if own.is_empty() {
                on.into_iter().collect()
            } else {
                own
            };
            let result = self.few(result);
            waits.insert(node, result);
        }
    }

    /// Rules 2, 4 and 5.
    fn backward(&mut self, updates: bool) {
        let dependents = recorded_dependents(self.walk);
        let current = current_dependents(self.walk);
        let groups = self.groups;
        let mut endings: BTreeMap<&ResourceAddress, Endings> = BTreeMap::new();
        for (resource, operations) in groups {
            let of_resource = self.endings(operations);
            endings.insert(resource, of_resource);
        }
        for (resource, operations) in groups {
            let backward = |n: &usize| self.operations[*n].is_backward();
            let ending: Vec<usize> = operations.iter().copied().filter(backward).collect();
            if ending.is_empty() {
                continue;
            }
            let (mut ends, mut leaving) = (BTreeSet::new(), BTreeSet::new());
            let mut seen = BTreeSet::from([resource]);
            let mut todo: Vec<&ResourceAddress> = dependents.get(resource).into_iter().flatten().collect();
            while let Some(dependent) = todo.pop() {
                if !seen.insert(dependent) {
                    continue;
                }
                let Some(of_dependent) = endings.get(dependent) else {
                    continue;
                };
                ends.extend(of_dependent.ends.iter().copied());
                leaving.extend(of_dependent.updates.iter().copied());
                if of_dependent.contained {
                    // Nothing is done to it, so nothing waits for it; what depended on it still has to end before.
                    todo.extend(dependents.get(dependent).into_iter().flatten());
                }
            }
            self.depend(&ending, &ends);
            let with_action = |order: &Self, wanted: fn(Action) -> bool| -> Vec<usize> {
                let action = |n: &usize| order.operations[*n].change.map(|c| order.walk.changes[c].action);
                ending
                    .iter()
                    .copied()
                    .filter(|n| action(n).is_some_and(wanted))
                    .collect()
            };
            if updates {
                // A replacement that deletes first comes before the updates that follow it.
                let last = with_action(self, |action| action != Action::DeleteThenCreate);
                self.depend(&last, &leaving);
            }
            let replaced = with_action(self, |action| action == Action::CreateThenDelete);
            if !replaced.is_empty() {
                let near = current.get(resource).into_iter().flatten();
                let following: BTreeSet<usize> = near
                    .flat_map(|dependent| self.of_resource(dependent).iter().copied())
                    .filter(|n| self.operations[*n].is_forward())
                    .collect();
                self.depend(&replaced, &following);
            }
        }
    }

    fn endings(&mut self, operations: &[usize]) -> Endings {
        let mut out = Endings::default();
        for &number in operations {
            let operation = &self.operations[number];
            let Some(change) = operation.change.map(|c| &self.walk.changes[c]) else {
                continue;
            };
            let forgets = matches!(operation.work, Work::Forget { .. });
            if forgets && change.reason == Some(Reason::ContainerEnds) {
                out.contained = true;
            } else if operation.is_backward() {
                out.ends.push(number);
            } else if operation.work == Work::Update {
                out.updates.push(number);
            }
        }
        out.ends = self.few(out.ends);
        out.updates = self.few(out.updates);
        out
    }

    /// Rules 3, 4 and 5 between the operations of one change, and between an object and its container.
    fn within(&mut self) {
        let mut by_change: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, operation) in self.operations.iter().enumerate() {
            if let Some(change) = operation.change {
                by_change.entry(change).or_default().push(number);
            }
        }
        for numbers in by_change.values() {
            for pair in numbers.windows(2) {
                self.graph.depend(pair[1], pair[0]);
            }
        }
        for (number, operation) in self.operations.iter().enumerate() {
            let (Work::Forget { .. }, Some(index)) = (&operation.work, operation.change) else {
                continue;
            };
            let change = &self.walk.changes[index];
            if change.reason != Some(Reason::ContainerEnds) {
                // Left alone in a container that stays, or that is only forgotten too.
                continue;
            }
            let making = by_change.get(&index).into_iter().flatten();
            let making = making.filter(|n| self.operations[**n].is_forward() && **n < number);
            let making: Vec<usize> = making.copied().collect();
            let mut at = container_of(self.walk, &change.address, change.deposed.as_ref());
            // Bounded, should recorded identities ever form a ring.
            for depth in 0..16 {
                let Some((address, deposed)) = at else { break };
                let around = self.places.get(&(&address, deposed.as_ref()));
                for &other in around.and_then(|c| by_change.get(c)).into_iter().flatten() {
                    if !self.operations[other].is_backward() {
                        continue;
                    }
                    if depth == 0 {
                        self.graph.depend(number, other);
                    }
                    // The state drops the old object with what is around it, so it must have made room by then.
                    for making in &making {
                        self.graph.depend(other, *making);
                    }
                }
                at = container_of(self.walk, &address, deposed.as_ref());
            }
        }
    }

    /// The operations in order, each with what it waits for.
    fn sorted(self) -> Result<Vec<Operation>, Cycle> {
        let order = self.graph.order()?;
        let mut position = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            position[*old] = new;
        }
        let mut sorted: Vec<(usize, Operation)> = self.operations.into_iter().enumerate().collect();
        for (old, operation) in &mut sorted {
            operation.after = self
                .graph
                .dependencies(*old)
                .iter()
                .map(|on| position[*on])
                .collect();
            operation.after.sort_unstable();
        }
        sorted.sort_by_key(|(old, _)| position[*old]);
        Ok(sorted.into_iter().map(|(_, operation)| operation).collect())
    }
}

/// Resources by the resource they are recorded to depend on, all under the addresses they have now.
fn recorded_dependents(walk: &Walk<'_, '_>) -> BTreeMap<ResourceAddress, BTreeSet<ResourceAddress>> {
    let moved: BTreeMap<ResourceAddress, ResourceAddress> = walk
        .moves
        .previous
        .iter()
        .map(|(to, from)| (without_keys(from), without_keys(to)))
        .collect();
    let mut out: BTreeMap<ResourceAddress, BTreeSet<ResourceAddress>> = BTreeMap::new();
    for (address, instance) in &walk.moves.instances {
        let objects = instance.current.iter().chain(instance.deposed.values());
        for on in objects.flat_map(|o| &o.dependencies) {
            let dependents = out.entry(moved.get(on).unwrap_or(on).clone()).or_default();
            dependents.insert(without_keys(address));
        }
    }
    out
}

/// Resources by the nearest resource that the configuration makes them depend on.
fn current_dependents(walk: &Walk<'_, '_>) -> BTreeMap<ResourceAddress, Vec<ResourceAddress>> {
    let dependencies = walk.dependencies;
    let mut out: BTreeMap<ResourceAddress, Vec<ResourceAddress>> = BTreeMap::new();
    for (dependent, near) in &dependencies.resources {
        let Some(address) = dependencies.nodes[*dependent].address() else {
            continue;
        };
        for on in near.iter().filter_map(|n| dependencies.nodes[*n].address()) {
            out.entry(on).or_default().push(address.clone());
        }
    }
    out
}
