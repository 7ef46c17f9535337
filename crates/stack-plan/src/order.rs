//! The only place that decides what waits for what.
//!
//! 1. What makes or changes an object waits for what makes or changes what it depends on.
//! 2. What ends an object waits for what ends the objects that depended on it, and for updates that lead away from it.
//! 3. Delete-then-create: the create waits for the delete.
//! 4. Create-then-delete: the delete waits for the create and for everything that depends on the resource.
//! 5. Forgetting an object that ends with its container waits for the container's delete. Nothing waits for it, but what
//!    depended on the object must end before the deletes that come before it.

use std::collections::{BTreeMap, BTreeSet};

use stack_core::graph::Graph;
use stack_core::{Diagnostic, Diagnostics, ResourceAddress};

use crate::change::{Action, Change, Reason};
use crate::dependencies::without_keys;
use crate::operations::{Operation, Work, by_resource, container_of};
use crate::planner::Walk;

/// Groups larger than this are waited for through a gate, so that the number of edges stays linear.
const GATE_FROM: usize = 8;

/// Fills in what each operation waits for and sorts them.
pub(crate) fn arrange(
    walk: &Walk<'_, '_>,
    mut operations: Vec<Operation>,
) -> Result<Vec<Operation>, Diagnostics> {
    let groups = by_resource(walk, &operations);
    let mut graph = Graph::new(operations.len());
    forward(walk, &mut operations, &groups, &mut graph);
    backward(walk, &operations, &groups, &mut graph);
    within(walk, &operations, &groups, &mut graph);
    let order = graph.order().map_err(|cycle| {
        let names: Vec<String> = cycle
            .0
            .iter()
            .filter_map(|n| operations[*n].change)
            .map(|c| walk.changes[c].address.to_string())
            .collect();
        let detail = "These changes wait for each other. Apply some of them first with --target.";
        Diagnostics::from(Diagnostic::error(
            "STK0326",
            format!("Cycle: {}", names.join(", ")),
            detail,
        ))
    })?;
    let mut position = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        position[*old] = new;
    }
    let mut sorted: Vec<(usize, Operation)> = operations.into_iter().enumerate().collect();
    for (old, operation) in &mut sorted {
        operation.after = graph.dependencies(*old).iter().map(|on| position[*on]).collect();
        operation.after.sort_unstable();
    }
    sorted.sort_by_key(|(old, _)| position[*old]);
    Ok(sorted.into_iter().map(|(_, operation)| operation).collect())
}

/// Rule 1. A resource without operations of its own passes on what it depends on.
fn forward(
    walk: &Walk<'_, '_>,
    operations: &mut Vec<Operation>,
    groups: &BTreeMap<ResourceAddress, Vec<usize>>,
    graph: &mut Graph,
) {
    let mut waits: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for &node in &walk.dependencies.order {
        let Some(address) = walk.dependencies.nodes[node].address() else {
            continue;
        };
        let mut on = BTreeSet::new();
        for dependency in walk.dependencies.resources.get(&node).into_iter().flatten() {
            on.extend(waits.get(dependency).into_iter().flatten().copied());
        }
        let own: Vec<usize> = groups
            .get(&address)
            .into_iter()
            .flatten()
            .copied()
            .filter(|n| operations[*n].is_forward())
            .collect();
        for operation in &own {
            for before in &on {
                graph.depend(*operation, *before);
            }
        }
        let result = if own.is_empty() {
            on
        } else if own.len() <= GATE_FROM {
            own.into_iter().collect()
        } else {
            let gate = graph.add_node();
            operations.push(Operation::gate());
            for operation in own {
                graph.depend(gate, operation);
            }
            BTreeSet::from([gate])
        };
        waits.insert(node, result);
    }
}

/// Rules 2, 4 and 5.
fn backward(
    walk: &Walk<'_, '_>,
    operations: &[Operation],
    groups: &BTreeMap<ResourceAddress, Vec<usize>>,
    graph: &mut Graph,
) {
    let dependents = recorded_dependents(walk);
    for (number, operation) in operations.iter().enumerate() {
        if !operation.is_backward() {
            continue;
        }
        let Some(change) = operation.change.map(|c| &walk.changes[c]) else {
            continue;
        };
        let resource = without_keys(&change.address);
        let mut seen = BTreeSet::new();
        let mut todo: Vec<&ResourceAddress> = dependents.get(&resource).into_iter().flatten().collect();
        while let Some(dependent) = todo.pop() {
            if !seen.insert(dependent) {
                continue;
            }
            for &other in groups.get(dependent).into_iter().flatten() {
                let Some(other_change) = operations[other].change.map(|c| &walk.changes[c]) else {
                    continue;
                };
                if ends_with_its_container(&operations[other], other_change) {
                    // Nothing is done to it, so nothing waits for it; what depended on it still has to end before.
                    todo.extend(dependents.get(dependent).into_iter().flatten());
                } else if operations[other].is_backward()
                    || (operations[other].work == Work::Update && change.action != Action::DeleteThenCreate)
                {
                    graph.depend(number, other);
                }
            }
        }
        if change.action == Action::CreateThenDelete {
            for other in current_dependents(walk, &resource, operations, groups) {
                graph.depend(number, other);
            }
        }
    }
}

/// Whether an operation only drops from the state what ends with the object it lives in.
fn ends_with_its_container(operation: &Operation, change: &Change) -> bool {
    let forgets = matches!(operation.work, Work::Forget { .. });
    forgets && change.reason == Some(Reason::ContainerEnds)
}

/// Resources by the resource they are recorded to depend on.
fn recorded_dependents(walk: &Walk<'_, '_>) -> BTreeMap<ResourceAddress, BTreeSet<ResourceAddress>> {
    let mut out: BTreeMap<ResourceAddress, BTreeSet<ResourceAddress>> = BTreeMap::new();
    for (address, instance) in &walk.moves.instances {
        let objects = instance.current.iter().chain(instance.deposed.values());
        for on in objects.flat_map(|o| &o.dependencies) {
            out.entry(on.clone()).or_default().insert(without_keys(address));
        }
    }
    out
}

/// Forward operations of everything that the configuration makes depend on a resource.
fn current_dependents(
    walk: &Walk<'_, '_>,
    resource: &ResourceAddress,
    operations: &[Operation],
    groups: &BTreeMap<ResourceAddress, Vec<usize>>,
) -> Vec<usize> {
    let dependencies = walk.dependencies;
    let node =
        (0..dependencies.nodes.len()).find(|n| dependencies.nodes[*n].address().as_ref() == Some(resource));
    let Some(node) = node else { return Vec::new() };
    let mut out = Vec::new();
    for (dependent, near) in &dependencies.resources {
        if !near.contains(&node) {
            continue;
        }
        let Some(address) = dependencies.nodes[*dependent].address() else {
            continue;
        };
        out.extend(
            groups
                .get(&address)
                .into_iter()
                .flatten()
                .copied()
                .filter(|n| operations[*n].is_forward()),
        );
    }
    out
}

/// Rules 3, 4 and 5 between the operations of one change, and between an object and its container.
fn within(
    walk: &Walk<'_, '_>,
    operations: &[Operation],
    groups: &BTreeMap<ResourceAddress, Vec<usize>>,
    graph: &mut Graph,
) {
    let mut by_change: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, operation) in operations.iter().enumerate() {
        if let Some(change) = operation.change {
            by_change.entry(change).or_default().push(number);
        }
    }
    for numbers in by_change.values() {
        for pair in numbers.windows(2) {
            graph.depend(pair[1], pair[0]);
        }
    }
    for (number, operation) in operations.iter().enumerate() {
        let (Work::Forget { .. }, Some(change)) = (&operation.work, operation.change) else {
            continue;
        };
        let Some(container) = container_of(walk, &walk.changes[change].address) else {
            continue;
        };
        for &other in groups.get(&without_keys(&container)).into_iter().flatten() {
            let same = operations[other]
                .change
                .is_some_and(|c| walk.changes[c].address == container);
            if same && operations[other].is_backward() {
                graph.depend(number, other);
            }
        }
    }
}
