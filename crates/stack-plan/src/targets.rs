//! What `--target` and `--exclude` leave in.

use std::collections::{BTreeMap, BTreeSet};

use stack_core::address::Target;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, ModulePath, ResourceAddress};

use crate::dependencies::{Dependencies, without_keys};
use crate::plan::{Options, PlanInput};

/// Which instances of a node are left in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All, because something else that is left in depends on them.
    All,
    /// Those that a target covers.
    Targeted,
}

/// Nodes that are left in.
pub(crate) struct Included {
    nodes: BTreeMap<usize, Part>,
}

/// The target without instance keys: the whole resource or module.
fn keyless(target: &Target) -> Target {
    match target {
        Target::Resource(resource) => Target::Resource(without_keys(resource)),
        Target::Module(module) => {
            let path = module.names().fold(ModulePath::root(), |path, name| {
                path.child(name, InstanceKey::None)
            });
            Target::Module(path)
        }
    }
}

impl Included {
    /// `None` if neither option was given. A target takes along what it depends on; what is excluded takes along what
    /// depends on it.
    pub(crate) fn of(input: &PlanInput<'_>, dependencies: &Dependencies) -> Option<Self> {
        let options = input.options;
        if options.targets.is_empty() && options.excludes.is_empty() {
            return None;
        }
        let resources: Vec<(usize, ResourceAddress)> = dependencies
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(number, node)| Some((number, node.address()?)))
            .collect();
        let covered = |targets: &[Target]| -> BTreeSet<usize> {
            let whole: Vec<Target> = targets.iter().map(keyless).collect();
            resources
                .iter()
                .filter(|(_, address)| whole.iter().any(|target| target.covers(address)))
                .map(|(number, _)| *number)
                .collect()
        };
        let mut nodes: BTreeMap<usize, Part> = if options.targets.is_empty() {
            resources.iter().map(|(number, _)| (*number, Part::All)).collect()
        } else {
            let named = covered(&options.targets);
            let mut nodes: BTreeMap<usize, Part> = named.iter().map(|n| (*n, Part::Targeted)).collect();
            for node in named {
                let needed = dependencies.graph.ancestors(node);
                nodes.extend(needed.into_iter().map(|n| (n, Part::All)));
            }
            nodes
        };
        let excluded = covered(&options.excludes);
        let whole: Vec<&Target> = options
            .excludes
            .iter()
            .filter(|target| keyless(target) == **target)
            .collect();
        for (number, address) in &resources {
            let is_whole = whole.iter().any(|target| target.covers(address));
            if is_whole || !excluded.is_disjoint(&dependencies.graph.ancestors(*number)) {
                nodes.remove(number);
            }
        }
        Some(Self { nodes })
    }

    /// Whether any instance of a node may be left in.
    pub(crate) fn has_node(&self, node: usize) -> bool {
        self.nodes.contains_key(&node)
    }

    /// Whether an instance is left in; `node` is that of its resource, if it is configured.
    pub(crate) fn has(&self, node: Option<usize>, address: &ResourceAddress, options: &Options) -> bool {
        if options.excludes.iter().any(|target| target.covers(address)) {
            return false;
        }
        let targeted =
            || options.targets.is_empty() || options.targets.iter().any(|target| target.covers(address));
        match node {
            None => targeted(),
            Some(node) => match self.nodes.get(&node) {
                Some(Part::All) => true,
                Some(Part::Targeted) => targeted(),
                None => false,
            },
        }
    }
}

/// Warns of `--target` and `--exclude` for what is neither configured nor recorded: a misspelt one would go unnoticed.
pub(crate) fn unmatched(input: &PlanInput<'_>, dependencies: &Dependencies) -> Diagnostics {
    let configured: Vec<ResourceAddress> = dependencies
        .nodes
        .iter()
        .filter_map(|node| node.address())
        .collect();
    let names_nothing = |target: &&Target| {
        let whole = keyless(target);
        !configured.iter().any(|address| whole.covers(address))
            && !input.state.instances.keys().any(|address| target.covers(address))
    };
    let options = input.options;
    let all = options.targets.iter().chain(&options.excludes);
    Diagnostics(
        all.filter(names_nothing)
            .map(|target| {
                let detail = format!(
                    "{target} is neither configured nor recorded, so the option has no effect for it."
                );
                Diagnostic::warning("STK0331", "Target names nothing", detail)
                    .hint("`stack state list` shows the addresses of what is recorded")
            })
            .collect(),
    )
}
