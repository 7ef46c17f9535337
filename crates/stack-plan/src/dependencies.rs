//! What depends on what in a configuration, before any value is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use stack_config::configuration::{Configuration, Module, ModuleCall, ProviderName, ResourceKey};
use stack_config::provider::provider_for;
use stack_config::reference::{Access, Reference, Subject};
use stack_core::graph::Graph;
use stack_core::{Diagnostic, Diagnostics, ModulePath, ResourceAddress};

/// Labels of the calls from the root to a module.
pub(crate) type ModuleNames = Vec<Arc<str>>;

/// One thing with a value, in a module without regard to instances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Variable(Arc<str>),
    Local(Arc<str>),
    Output(Arc<str>),
    /// `count` or `for_each` of a module call.
    Call(Arc<str>),
    Provider(ProviderName),
    Resource(ResourceKey),
    Check(Arc<str>),
}

/// An item and its module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node {
    pub(crate) module: ModuleNames,
    pub(crate) item: Item,
}

/// The graph over all nodes of a configuration.
pub(crate) struct Dependencies {
    pub(crate) nodes: Vec<Node>,
    pub(crate) graph: Graph,
    index: HashMap<Node, usize>,
    /// All nodes, dependencies first.
    pub(crate) order: Vec<usize>,
    /// For each node that is a resource: the resources it depends on through anything but resources.
    pub(crate) resources: BTreeMap<usize, BTreeSet<usize>>,
    /// For each resource with `depends_on` of its own or of a module around it: the resources named there.
    pub(crate) explicit: BTreeMap<usize, BTreeSet<usize>>,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in &self.module {
            write!(f, "module.{name}.")?;
        }
        match &self.item {
            Item::Variable(name) => write!(f, "var.{name}"),
            Item::Local(name) => write!(f, "local.{name}"),
            Item::Output(name) => write!(f, "output.{name}"),
            Item::Call(name) => write!(f, "module.{name} (expand)"),
            Item::Provider((name, None)) => write!(f, "provider.{name}"),
            Item::Provider((name, Some(alias))) => write!(f, "provider.{name}.{alias}"),
            Item::Resource(key) => write!(f, "{key}"),
            Item::Check(name) => write!(f, "check.{name}"),
        }
    }
}

/// An address with the instance keys of its modules and its own left out.
pub(crate) fn without_keys(address: &ResourceAddress) -> ResourceAddress {
    let mut module = ModulePath::root();
    for name in address.module.names() {
        module = module.child(name, stack_core::InstanceKey::None);
    }
    ResourceAddress {
        module,
        ..address.resource()
    }
}

impl Node {
    /// The resource as an address without any instance key.
    pub(crate) fn address(&self) -> Option<ResourceAddress> {
        let Item::Resource(key) = &self.item else {
            return None;
        };
        let mut module = ModulePath::root();
        for name in &self.module {
            module = module.child(name, stack_core::InstanceKey::None);
        }
        Some(key.address(module))
    }
}

struct Builder<'c> {
    configuration: &'c Configuration,
    nodes: Vec<Node>,
    index: HashMap<Node, usize>,
    graph: Graph,
    explicit: BTreeMap<usize, BTreeSet<usize>>,
}

impl Dependencies {
    /// The graph of a configuration. References to things that do not exist are left to validation.
    ///
    /// # Errors
    /// A cycle, with the names of its members.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self, Diagnostics> {
        let mut builder = Builder {
            configuration,
            nodes: Vec::new(),
            index: HashMap::new(),
            graph: Graph::default(),
            explicit: BTreeMap::new(),
        };
        builder.declare(&configuration.root);
        builder.connect(&configuration.root, None);
        let Builder {
            nodes,
            index,
            graph,
            explicit,
            ..
        } = builder;
        let order = graph.order().map_err(|cycle| {
            let names: Vec<String> = cycle.0.iter().map(|n| nodes[*n].to_string()).collect();
            // In the order of the path; it begins with the name that sorts first, so that it is told the same each time.
            let first = (0..names.len()).min_by_key(|i| &names[*i]).unwrap_or(0);
            let path: Vec<&str> = names[first..]
                .iter()
                .chain(&names[..first])
                .map(String::as_str)
                .collect();
            let detail =
                "Each of these depends on the next, and the last on the first. Remove one of the references.";
            Diagnostics::from(Diagnostic::error(
                "STK0310",
                format!("Cycle: {}", path.join(", ")),
                detail,
            ))
        })?;
        chains_end(&nodes, &graph, &order)?;
        let resources = between_resources(&nodes, &graph, &order);
        Ok(Self {
            nodes,
            graph,
            index,
            order,
            resources,
            explicit,
        })
    }

    /// The node of a resource.
    pub(crate) fn resource(&self, module: &[Arc<str>], key: &ResourceKey) -> Option<usize> {
        let node = Node {
            module: module.to_vec(),
            item: Item::Resource(key.clone()),
        };
        self.index.get(&node).copied()
    }

    /// Managed resources (without keys) that must exist while this one does: data sources in between are passed through.
    pub(crate) fn managed(&self, node: usize) -> BTreeSet<ResourceAddress> {
        let mut out = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo: Vec<usize> = self.resources.get(&node).into_iter().flatten().copied().collect();
        while let Some(next) = todo.pop() {
            if !seen.insert(next) {
                continue;
            }
            match self.nodes[next].address() {
                Some(address) if address.mode == stack_core::Mode::Managed => {
                    out.insert(address);
                }
                _ => todo.extend(self.resources.get(&next).into_iter().flatten().copied()),
            }
        }
        out
    }
}

/// Values that are evaluated for the sake of one another form no chain that is too long. Resources end a chain: theirs are
/// there before they are asked for. It is told here, so that an apply meets no chain that a plan had no trouble with.
fn chains_end(nodes: &[Node], graph: &Graph, order: &[usize]) -> Result<(), Diagnostics> {
    let mut lengths = vec![0; nodes.len()];
    for node in order {
        if matches!(nodes[*node].item, Item::Resource(_)) {
            continue;
        }
        let behind = graph.dependencies(*node).iter().map(|on| lengths[*on]).max();
        lengths[*node] = behind.unwrap_or(0) + 1;
        if lengths[*node] > crate::depth::MAX_DEPTH {
            return Err(crate::depth::too_long(
                &ModulePath::root(),
                &nodes[*node].to_string(),
            ));
        }
    }
    Ok(())
}

/// For each resource the nearest resources it depends on, whatever lies between.
fn between_resources(nodes: &[Node], graph: &Graph, order: &[usize]) -> BTreeMap<usize, BTreeSet<usize>> {
    let is_resource = |n: usize| matches!(nodes[n].item, Item::Resource(_));
    let mut near: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); nodes.len()];
    for node in order {
        let mut set = BTreeSet::new();
        for on in graph.dependencies(*node) {
            if is_resource(*on) {
                set.insert(*on);
            } else {
                set.extend(near[*on].iter().copied());
            }
        }
        near[*node] = set;
    }
    let wanted = |n: usize| {
        is_resource(n)
            || matches!(
                nodes[n].item,
                Item::Provider(_) | Item::Check(_) | Item::Output(_)
            )
    };
    near.into_iter().enumerate().filter(|(n, _)| wanted(*n)).collect()
}

impl Builder<'_> {
    fn declare(&mut self, module: &Module) {
        let variables = module.variables.keys().cloned().map(Item::Variable);
        let locals = module.locals.keys().cloned().map(Item::Local);
        let outputs = module.outputs.keys().cloned().map(Item::Output);
        let calls = module.calls.keys().cloned().map(Item::Call);
        let providers = module.providers.keys().cloned().map(Item::Provider);
        let resources = module.resources.keys().cloned().map(Item::Resource);
        let checks = module.checks.keys().cloned().map(Item::Check);
        let items = variables
            .chain(locals)
            .chain(outputs)
            .chain(calls)
            .chain(providers)
            .chain(resources)
            .chain(checks);
        for item in items {
            let node = Node {
                module: module.names.clone(),
                item,
            };
            let number = self.graph.add_node();
            self.nodes.push(node.clone());
            self.index.insert(node, number);
        }
        for call in module.calls.values() {
            self.declare(&call.module);
        }
    }

    fn find(&self, module: &[Arc<str>], item: Item) -> Option<usize> {
        self.index
            .get(&Node {
                module: module.to_vec(),
                item,
            })
            .copied()
    }

    fn child(names: &[Arc<str>], name: &Arc<str>) -> ModuleNames {
        names.iter().cloned().chain([name.clone()]).collect()
    }

    /// The nodes a reference leads to.
    fn targets(&self, module: &Module, reference: &Reference) -> Vec<usize> {
        let names = &module.names;
        let one = |item: Item| self.find(names, item).into_iter().collect();
        match &reference.subject {
            Subject::Variable(name) => one(Item::Variable(name.clone())),
            Subject::Local(name) => one(Item::Local(name.clone())),
            Subject::Resource { mode, ty, name } => one(Item::Resource(ResourceKey {
                mode: *mode,
                ty: ty.clone(),
                name: name.clone(),
            })),
            Subject::Module(name) => {
                let Some(call) = module.calls.get(name) else {
                    return Vec::new();
                };
                let child = Self::child(names, name);
                let repeated = call.count.is_some() || call.for_each.is_some();
                let output = match (repeated, reference.rest.as_slice()) {
                    (false, [first, ..]) => first.name(),
                    (true, [_, Access::Attribute(second) | Access::Key(second), ..]) => Some(second.as_ref()),
                    _ => None,
                };
                let mut out: Vec<usize> = self.find(names, Item::Call(name.clone())).into_iter().collect();
                match output.and_then(|o| call.module.outputs.get_key_value(o)) {
                    Some((output, _)) => out.extend(self.find(&child, Item::Output(output.clone()))),
                    None => out.extend(
                        call.module
                            .outputs
                            .keys()
                            .filter_map(|o| self.find(&child, Item::Output(o.clone()))),
                    ),
                }
                out
            }
            Subject::Each(_)
            | Subject::CountIndex
            | Subject::SelfObject
            | Subject::Path(_)
            | Subject::Stack(_) => Vec::new(),
        }
    }

    /// What `depends_on` names: resources, and of a module every resource in it.
    fn named(&self, module: &Module, references: &[Reference]) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        for reference in references {
            match &reference.subject {
                Subject::Module(name) => {
                    let child = Self::child(&module.names, name);
                    out.extend(self.nodes.iter().enumerate().filter_map(|(number, node)| {
                        let inside = node.module.starts_with(&child);
                        (inside && matches!(node.item, Item::Resource(_) | Item::Output(_))).then_some(number)
                    }));
                }
                _ => out.extend(self.targets(module, reference)),
            }
        }
        out
    }

    fn depend(&mut self, module: &Module, node: usize, references: &[Reference]) {
        for reference in references {
            for on in self.targets(module, reference) {
                if on != node {
                    self.graph.depend(node, on);
                }
            }
        }
    }

    /// Adds the edges of a module. `call` is the call it is made by, with the calling module.
    fn connect(&mut self, module: &Module, call: Option<(&Module, &ModuleCall)>) {
        let expansion =
            call.and_then(|(parent, call)| self.find(&parent.names, Item::Call(call.name.clone())));
        let inherited = call
            .map(|(parent, call)| self.named(parent, &call.depends_on))
            .unwrap_or_default();
        self.connect_values(module, call);
        for (key, resource) in &module.resources {
            let Some(node) = self.find(&module.names, Item::Resource(key.clone())) else {
                continue;
            };
            // A condition may name the resource itself; that is `self` and no dependency.
            self.depend(module, node, &resource.references());
            if let Some((holder, name)) = provider_for(self.configuration, &module.names, &resource.provider)
                && let Some(on) = self.find(&holder, Item::Provider(name))
            {
                self.graph.depend(node, on);
            }
            let mut explicit = self.named(module, &resource.depends_on);
            explicit.extend(inherited.iter().copied());
            for on in &explicit {
                self.graph.depend(node, *on);
            }
            if !explicit.is_empty() {
                self.explicit.insert(node, explicit);
            }
        }
        if let Some(expansion) = expansion {
            let inside: Vec<usize> = (0..self.nodes.len())
                .filter(|n| self.nodes[*n].module == module.names)
                .collect();
            for node in inside {
                self.graph.depend(node, expansion);
            }
        }
        for (name, call) in &module.calls {
            if let Some(node) = self.find(&module.names, Item::Call(name.clone())) {
                let references: Vec<Reference> = call
                    .count
                    .iter()
                    .chain(&call.for_each)
                    .flat_map(|e| e.references())
                    .collect();
                self.depend(module, node, &references);
            }
            self.connect(&call.module, Some((module, call)));
        }
    }

    fn connect_values(&mut self, module: &Module, call: Option<(&Module, &ModuleCall)>) {
        let names = module.names.clone();
        for (name, variable) in &module.variables {
            let Some(node) = self.find(&names, Item::Variable(name.clone())) else {
                continue;
            };
            if let Some((parent, call)) = call
                && let Some(argument) = call.arguments.get(name)
            {
                self.depend(parent, node, &argument.expr.references());
            }
            let _ = variable;
        }
        for (name, local) in &module.locals {
            if let Some(node) = self.find(&names, Item::Local(name.clone())) {
                for on in self.all_targets(module, &local.expr.references()) {
                    self.graph.depend(node, on);
                }
            }
        }
        for (name, output) in &module.outputs {
            let Some(node) = self.find(&names, Item::Output(name.clone())) else {
                continue;
            };
            let mut references = output.value.references();
            references.extend(output.preconditions.iter().flat_map(|c| c.references()));
            self.depend(module, node, &references);
            for on in self.named(module, &output.depends_on) {
                self.graph.depend(node, on);
            }
        }
        for (name, block) in &module.providers {
            if let Some(node) = self.find(&names, Item::Provider(name.clone())) {
                self.depend(module, node, &block.body.references());
            }
        }
        for (name, check) in &module.checks {
            let Some(node) = self.find(&names, Item::Check(name.clone())) else {
                continue;
            };
            for assertion in &check.assertions {
                self.depend(module, node, &assertion.references());
            }
        }
    }

    /// The targets of several references, a reference to the item itself included: that is a cycle of one.
    fn all_targets(&self, module: &Module, references: &[Reference]) -> Vec<usize> {
        references.iter().flat_map(|r| self.targets(module, r)).collect()
    }
}
