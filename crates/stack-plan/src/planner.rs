//! The walk over a configuration that makes the plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stack_config::Expr;
use stack_config::configuration::{Module, Resource, ResourceKey};
use stack_core::{
    Diagnostic, Diagnostics, Mode as ResourceMode, ModulePath, ProviderAddress, ResourceAddress, Value,
};
use stack_state::{DeposedKey, Object};

use crate::container::Containers;
use crate::dependencies::{Dependencies, Item, Node};
use crate::expansion::Repetition;
use crate::moves::Moves;
use crate::plan::{Basis, Mode, Plan, PlanInput};
use crate::request::{Answer, Answers, Request};
use crate::targets::{self, Included};
use crate::{
    Action, Change, Drift, Evaluator, Reason, checks, container, destroy, instance, moves, operations,
    orphans, outputs, unexpanded,
};

/// What a step of planning came to.
#[derive(Debug)]
pub enum Step {
    /// These facts are needed; answer them all and step again.
    Ask(Vec<Request>),
    /// The plan.
    Done(Box<Plan>),
    /// There is no plan, for these reasons.
    Failed(Diagnostics),
}

/// Plans in rounds.
pub struct Planner<'a> {
    input: PlanInput<'a>,
    dependencies: Dependencies,
    moves: Moves,
}

impl<'a> Planner<'a> {
    /// A planner for one input.
    ///
    /// # Errors
    /// The configuration has a cycle.
    pub fn new(input: PlanInput<'a>) -> Result<Self, Diagnostics> {
        let dependencies = Dependencies::of(input.configuration)?;
        let moves = moves::apply(input.configuration, input.state);
        Ok(Self {
            input,
            dependencies,
            moves,
        })
    }

    /// Plans as far as the answers go.
    pub fn step(&self, answers: &Answers) -> Step {
        let mut walk = Walk::new(self.input, &self.dependencies, &self.moves, answers);
        match self.input.options.mode {
            Mode::Destroy => destroy::walk(&mut walk),
            Mode::Normal | Mode::RefreshOnly => walk.nodes(),
        }
        walk.finish()
    }
}

/// One round.
pub(crate) struct Walk<'w, 'a> {
    pub(crate) input: PlanInput<'a>,
    pub(crate) dependencies: &'w Dependencies,
    pub(crate) moves: &'w Moves,
    pub(crate) evaluator: Evaluator<'a>,
    answers: &'w Answers,
    reads: HashMap<(&'w ResourceAddress, Option<&'w DeposedKey>), &'w Answer>,
    pub(crate) requests: BTreeSet<Request>,
    blocked: BTreeSet<usize>,
    pub(crate) containers: Containers,
    pub(crate) changes: Vec<Change>,
    pub(crate) drift: Vec<Drift>,
    pub(crate) refreshed: Vec<(ResourceAddress, Option<DeposedKey>, Option<Value>)>,
    /// Instances that are configured.
    pub(crate) wanted: BTreeSet<ResourceAddress>,
    /// Resource nodes with a change that is not done yet.
    pub(crate) pending: BTreeSet<usize>,
    pub(crate) known: BTreeMap<ResourceAddress, Value>,
    pub(crate) providers: BTreeMap<ProviderAddress, Value>,
    pub(crate) failed_data: BTreeMap<ResourceAddress, String>,
    pub(crate) warnings: Diagnostics,
    pub(crate) included: Option<Included>,
    pub(crate) left_out: BTreeSet<ResourceAddress>,
    pub(crate) create_first: BTreeSet<usize>,
    /// What is not configured is known and planned.
    complete: bool,
    /// Changes by resource and module instance, as indexes.
    of_resource: HashMap<(ModulePath, ResourceKey), Vec<usize>>,
}

/// How an object can be reached.
pub(crate) enum Reach {
    /// With these arguments.
    Known(Value),
    /// Every known configuration of its provider leads to another system.
    Elsewhere,
    /// No arguments are known.
    Unknown,
}

/// What became of one resource instance in this round.
pub(crate) enum Outcome {
    /// It is planned.
    Planned,
    /// Facts are missing; what depends on it cannot be planned yet.
    Blocked,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(
        input: PlanInput<'a>,
        dependencies: &'w Dependencies,
        moves: &'w Moves,
        answers: &'w Answers,
    ) -> Self {
        let reads = answers
            .iter()
            .filter_map(|(request, answer)| match request {
                Request::Read { address, deposed, .. } => Some(((address, deposed.as_ref()), answer)),
                _ => None,
            })
            .collect();
        let mut containers = Containers::of(&moves.instances);
        if input.options.mode == Mode::Normal {
            let deposed = moves.instances.values().flat_map(|i| i.deposed.values());
            deposed.for_each(|object| containers.end(object));
        }
        Self {
            input,
            dependencies,
            moves,
            evaluator: Evaluator::new(input, false),
            answers,
            reads,
            requests: BTreeSet::new(),
            blocked: BTreeSet::new(),
            containers,
            changes: Vec::new(),
            drift: Vec::new(),
            refreshed: Vec::new(),
            wanted: BTreeSet::new(),
            pending: BTreeSet::new(),
            known: BTreeMap::new(),
            providers: BTreeMap::new(),
            failed_data: BTreeMap::new(),
            warnings: moves.warnings.clone(),
            included: Included::of(&input, dependencies),
            left_out: BTreeSet::new(),
            create_first: create_first(&input, dependencies),
            complete: false,
            of_resource: HashMap::new(),
        }
    }

    /// Plans every node of the configuration in order, then what is not configured any more.
    fn nodes(&mut self) {
        for &number in &self.dependencies.order {
            if self
                .dependencies
                .graph
                .dependencies(number)
                .iter()
                .any(|on| self.blocked.contains(on))
            {
                self.blocked.insert(number);
                continue;
            }
            let node = &self.dependencies.nodes[number];
            let blocked = match &node.item {
                Item::Resource(key) => self.resource(number, node, key),
                Item::Variable(name) => {
                    for path in self.evaluator.module_instances(&node.module) {
                        self.evaluator.validate_variable(&path, name);
                    }
                    false
                }
                Item::Local(name) => {
                    let paths = self.evaluator.module_instances(&node.module);
                    for path in &paths {
                        let _ = self.evaluator.local(path, name);
                    }
                    if paths.is_empty() {
                        self.without_module(node, |module| Some(&module.locals.get(name)?.expr));
                    }
                    false
                }
                Item::Output(name) => {
                    let paths = self.evaluator.module_instances(&node.module);
                    for path in &paths {
                        let _ = self.evaluator.output(path, name);
                    }
                    if paths.is_empty() {
                        self.without_module(node, |module| Some(&module.outputs.get(name)?.value));
                    }
                    false
                }
                Item::Provider((name, alias)) => {
                    for module in self.evaluator.module_instances(&node.module) {
                        let address = ProviderAddress {
                            module,
                            name: name.clone(),
                            alias: alias.clone(),
                        };
                        self.provider_arguments(&address);
                    }
                    false
                }
                Item::Call(name) => {
                    for path in self.evaluator.module_instances(&node.module) {
                        let _ = self.evaluator.call_expansion(&path, name);
                    }
                    false
                }
                Item::Check(_) => false,
            };
            if blocked {
                self.blocked.insert(number);
            }
        }
        // What is not configured is certain only once every `count` and `for_each` is known.
        self.complete = self.blocked.is_empty();
        if self.complete {
            orphans::plan(self);
        }
        self.read_ahead();
    }

    /// Plans the instances of one resource. Returns whether facts are missing.
    fn resource(&mut self, number: usize, node: &Node, key: &ResourceKey) -> bool {
        let configuration = self.input.configuration;
        let Some(module) = configuration.module(node.module.iter().map(AsRef::as_ref)) else {
            return false;
        };
        let Some(resource) = module.resources.get(key) else {
            return false;
        };
        let mut blocked = false;
        let mut instances = 0;
        for path in self.evaluator.module_instances(&node.module) {
            let expansion =
                match self
                    .evaluator
                    .expand(&path, resource.count.as_ref(), resource.for_each.as_ref())
                {
                    Ok(expansion) => expansion,
                    Err(diagnostics) => {
                        instances += 1;
                        if self.included.as_ref().is_none_or(|i| i.has_node(number)) {
                            self.evaluator.report(diagnostics);
                        }
                        continue;
                    }
                };
            self.evaluator.set_expansion(&path, key, expansion.clone());
            for repetition in expansion.repetitions() {
                instances += 1;
                let address = key.address(path.clone()).instance(repetition.key.clone());
                self.wanted.insert(address.clone());
                if !self.is_included(&address) {
                    self.leave_out(&address);
                    continue;
                }
                blocked |= self.one(number, resource, &address, repetition);
            }
        }
        if instances == 0 {
            self.without_instances(node, resource);
        }
        blocked
    }

    /// Reports mistakes in a value of a module without instances.
    fn without_module(&self, node: &Node, value: impl Fn(&'a Module) -> Option<&'a Expr>) {
        let names = node.module.iter().map(AsRef::as_ref);
        if let Some(expr) = self.input.configuration.module(names).and_then(value) {
            unexpanded::check_value(self, &node.module, expr);
        }
    }

    /// Reports mistakes in a block without instances.
    fn without_instances(&self, node: &Node, resource: &Resource) {
        let catalog = self.input.catalog;
        let ty = &resource.key.ty;
        let schema = match resource.key.mode {
            ResourceMode::Managed => catalog.resource(ty).map(|t| t.schema()),
            ResourceMode::Data => catalog.data_source(ty).map(|t| t.schema()),
        };
        if let Some(schema) = schema {
            unexpanded::check_body(self, &node.module, resource, schema);
        }
    }

    fn one(
        &mut self,
        number: usize,
        resource: &Resource,
        address: &ResourceAddress,
        repetition: Repetition,
    ) -> bool {
        let outcome = match address.mode {
            ResourceMode::Managed => instance::managed(self, number, resource, address, repetition),
            ResourceMode::Data => instance::data(self, number, resource, address, repetition),
        };
        match outcome {
            Ok(Outcome::Planned) => false,
            Ok(Outcome::Blocked) => true,
            Err(diagnostics) => {
                let of_instance = |d: Diagnostic| {
                    if d.address.is_some() {
                        d
                    } else {
                        d.address(address.clone())
                    }
                };
                let diagnostics: Vec<Diagnostic> = diagnostics.into_iter().map(of_instance).collect();
                self.evaluator.report(diagnostics.into());
                false
            }
        }
    }

    /// Keeps an instance as it is recorded.
    fn leave_out(&mut self, address: &ResourceAddress) {
        self.left_out.insert(address.clone());
        if let Some(object) = self.current(address) {
            let value = object.attributes.clone();
            self.known.insert(address.clone(), value.clone());
            self.evaluator.set_object(address, value);
        }
    }

    /// The recorded object at an address after all moves.
    pub(crate) fn current(&self, address: &ResourceAddress) -> Option<&'w Object> {
        self.moves.instances.get(address)?.current.as_ref()
    }

    /// The arguments of a provider configuration as far as known, remembered for the plan.
    pub(crate) fn provider_arguments(&mut self, address: &ProviderAddress) -> Option<Value> {
        if let Some(known) = self.providers.get(address) {
            return Some(known.clone());
        }
        let Some(schema) = self.input.catalog.provider(&address.name) else {
            let detail = format!("There is no provider \"{}\".", address.name);
            self.evaluator
                .report(Diagnostic::error("STK0313", "Unknown provider", detail).into());
            return None;
        };
        let arguments = self.evaluator.provider_arguments(address, schema).ok()?;
        self.providers.insert(address.clone(), arguments.clone());
        Some(arguments)
    }

    /// How to reach an object that was made before: with the arguments as configured if they are known, else as
    /// recorded, and only where they lead to the system it is in.
    pub(crate) fn reach(&mut self, object: &Object) -> Reach {
        let provider = &object.provider;
        let schema = self.input.catalog.provider(&provider.name);
        let leads_there = |arguments: &Value| {
            schema.is_none_or(|schema| {
                container::same_system(&container::identity(schema, arguments), &object.identity)
            })
        };
        let mut elsewhere = false;
        let configured = self.input.configuration.module_at(&provider.module).is_some();
        if configured
            && let Some(arguments) = self.provider_arguments(provider)
            && arguments.is_wholly_known()
        {
            if leads_there(&arguments) {
                return Reach::Known(arguments);
            }
            elsewhere = true;
        }
        match self.input.state.providers.get(provider) {
            Some(recorded) if leads_there(recorded) => Reach::Known(recorded.clone()),
            Some(_) => Reach::Elsewhere,
            None if elsewhere => Reach::Elsewhere,
            None => Reach::Unknown,
        }
    }

    /// Adds a change.
    pub(crate) fn change(&mut self, change: Change) {
        let resource = (change.address.module.clone(), ResourceKey::of(&change.address));
        let number = self.changes.len();
        self.of_resource.entry(resource).or_default().push(number);
        self.changes.push(change);
    }

    /// Changes of the instances of a resource in a module instance, so far.
    pub(crate) fn changes_of(&self, module: &ModulePath, key: &ResourceKey) -> impl Iterator<Item = &Change> {
        let numbers = self.of_resource.get(&(module.clone(), key.clone()));
        numbers.into_iter().flatten().map(|number| &self.changes[*number])
    }

    /// The answer to the read of an object, asked for under the address it has in the state.
    pub(crate) fn read(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> Option<&'w Answer> {
        let recorded = self.moves.previous.get(address).unwrap_or(address);
        self.reads.get(&(recorded, deposed)).copied()
    }

    /// The answer to a request, or the request is put on the list.
    pub(crate) fn ask(&mut self, request: Request) -> Option<&'w Answer> {
        let answer = self.answers.get(&request);
        if answer.is_none() {
            self.requests.insert(request);
        }
        answer
    }

    /// Whether an object of this type is read at all.
    pub(crate) fn is_read(&self, address: &ResourceAddress) -> bool {
        self.input.options.refresh
            && self
                .input
                .catalog
                .resource(&address.ty)
                .is_some_and(|ty| !ty.is_local())
    }

    /// Asks for every object whose read is still missing and can be made now: those in no container at once, the others
    /// when it is certain that they are wanted or not, and that their container stays.
    pub(crate) fn read_ahead(&mut self) {
        let moves = self.moves;
        for (address, instance) in &moves.instances {
            let current = instance.current.iter().map(|o| (None, o));
            for (deposed, object) in current.chain(instance.deposed.iter().map(|(k, o)| (Some(k), o))) {
                if !self.is_read(address)
                    || self.read(address, deposed).is_some()
                    || !self.is_included(address)
                {
                    continue;
                }
                let container_stays = match self.containers.container(object) {
                    None => true,
                    Some((container, key)) => {
                        (self.complete || self.wanted.contains(address) || self.stays(container))
                            && !self.containers.ends(object)
                            && (self.read(container, key.as_ref()).is_some()
                                || !self.is_read(container)
                                || !self.is_included(container))
                            && !self.is_blocked(container)
                    }
                };
                if container_stays && let Reach::Known(arguments) = self.reach(object) {
                    self.ask_read(address, deposed, object, arguments);
                }
            }
        }
    }

    /// Whether it is certain that an instance is configured, or kept although it is not.
    fn stays(&self, address: &ResourceAddress) -> bool {
        let kept = |object| self.node_of(address).is_none() && orphans::keeps(self, address, object);
        self.wanted.contains(address) || self.current(address).is_some_and(kept)
    }

    pub(crate) fn ask_read(
        &mut self,
        address: &ResourceAddress,
        deposed: Option<&DeposedKey>,
        object: &Object,
        arguments: Value,
    ) {
        let recorded = self.moves.previous.get(address).unwrap_or(address).clone();
        self.ask(Request::Read {
            address: recorded,
            deposed: deposed.cloned(),
            provider: object.provider.clone(),
            arguments,
            prior: object.attributes.clone(),
        });
    }

    /// Whether an object is in a container that is not configured any more, so that it ends.
    pub(crate) fn container_is_unconfigured(&self, object: &Object) -> bool {
        self.containers.container(object).is_some_and(|(address, _)| {
            self.node_of(address).is_none()
                && self.is_included(address)
                && self
                    .current(address)
                    .is_some_and(|o| !orphans::keeps(self, address, o))
        })
    }

    /// Whether a read has found that an object is gone.
    pub(crate) fn is_gone(&self, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> bool {
        let same = |(a, d, value): &(ResourceAddress, Option<DeposedKey>, Option<Value>)| {
            a == address && d.as_ref() == deposed && value.is_none()
        };
        self.refreshed.iter().any(same)
    }

    pub(crate) fn node_of(&self, address: &ResourceAddress) -> Option<usize> {
        let names: Vec<_> = address.module.0.iter().map(|s| s.name.clone()).collect();
        self.dependencies.resource(&names, &ResourceKey::of(address))
    }

    fn is_blocked(&self, address: &ResourceAddress) -> bool {
        self.node_of(address)
            .is_some_and(|node| self.blocked.contains(&node))
    }

    /// Whether `--target` and `--exclude` leave the instance in.
    pub(crate) fn is_included(&self, address: &ResourceAddress) -> bool {
        self.included
            .as_ref()
            .is_none_or(|included| included.has(self.node_of(address), address, self.input.options))
    }

    /// Nodes that could not be planned although nothing more can be asked.
    fn stuck(&self) -> Diagnostics {
        let names: Vec<String> = self
            .blocked
            .iter()
            .filter_map(|n| self.dependencies.nodes[*n].address())
            .map(|a| a.to_string())
            .collect();
        let detail = format!(
            "These wait for facts that cannot be asked for: {}. Apply first what their provider configurations depend on, with --target.",
            names.join(", ")
        );
        Diagnostic::error("STK0327", "Planning cannot go on", detail).into()
    }

    fn finish(mut self) -> Step {
        if !self.requests.is_empty() {
            return Step::Ask(self.requests.into_iter().collect());
        }
        if !self.blocked.is_empty() && !self.evaluator.has_errors() {
            return Step::Failed(self.stuck());
        }
        self.unknown_replacements();
        self.warnings
            .extend(targets::unmatched(&self.input, self.dependencies));
        self.left_behind();
        moves::tell(&mut self);
        let outputs = outputs::plan(&self.evaluator);
        let failed = std::mem::take(&mut self.failed_data);
        let checks = match self.input.options.mode {
            Mode::Destroy => Vec::new(),
            Mode::Normal | Mode::RefreshOnly => {
                checks::evaluate(&self.evaluator, &|address| failed.get(address).cloned())
            }
        };
        let mut diagnostics = self.evaluator.take_diagnostics();
        diagnostics.extend(container::made_in_what_ends(&self).into());
        if diagnostics.has_errors() {
            let mut all = self.warnings;
            all.extend(diagnostics);
            return Step::Failed(all);
        }
        self.warnings.extend(diagnostics);
        self.changes
            .sort_by(|a, b| (&a.address, &a.deposed).cmp(&(&b.address, &b.deposed)));
        let operations = match operations::unfold(&self) {
            Ok(operations) => operations,
            Err(diagnostics) => return Step::Failed(diagnostics),
        };
        let settings = operations::settings(&self);
        let state = self.input.state;
        Step::Done(Box::new(Plan {
            mode: self.input.options.mode,
            basis: Basis {
                lineage: state.lineage.to_string(),
                serial: state.serial,
                position: state.position,
            },
            moves: self
                .moves
                .previous
                .iter()
                .map(|(to, from)| (from.clone(), to.clone()))
                .collect(),
            changes: self.changes,
            drift: self.drift,
            refreshed: self.refreshed,
            operations,
            outputs,
            checks,
            conditions: self.evaluator.conditions(),
            settings,
            providers: self.providers,
            left_out: self.left_out,
            known: self.known,
            expansions: self.evaluator.expansions(),
            warnings: self.warnings,
        }))
    }

    /// Warns of objects whose configuration has moved to another system while the one they are in stays.
    fn left_behind(&mut self) {
        for change in &self.changes {
            let object = match (change.action, &change.reason) {
                (Action::ForgetThenCreate, Some(Reason::ContainerEnds)) => self.current(&change.address),
                _ => None,
            };
            if let Some(object) = object
                && !self.containers.ends(object)
                && !self.container_is_unconfigured(object)
            {
                let detail = format!(
                    "{} leads to another system now. The object in the old one is forgotten and goes on to exist there, unless that system is gone.",
                    change.provider
                );
                let warning = Diagnostic::warning("STK0330", "Object left behind", detail);
                self.warnings.push(warning.address(change.address.clone()));
            }
        }
    }

    /// Warns of `--replace` for what there is not.
    fn unknown_replacements(&mut self) {
        for address in &self.input.options.replace {
            if !self.wanted.contains(address) {
                let detail =
                    format!("There is no resource instance {address}, so nothing is replaced for it.");
                let warning = Diagnostic::warning("STK0328", "Nothing to replace", detail);
                self.warnings.push(warning.address(address.clone()));
            }
        }
    }

    /// The provider configuration that a resource block uses in a module instance.
    pub(crate) fn provider_of(
        &self,
        module: &ModulePath,
        resource: &Resource,
    ) -> Result<ProviderAddress, Diagnostics> {
        stack_config::provider::provider_address(self.input.configuration, module, &resource.provider)
            .ok_or_else(|| {
                let detail = format!(
                    "There is no configuration for provider \"{}\" with this alias.",
                    resource.provider.name
                );
                Diagnostic::error("STK0314", "Provider configuration not present", detail)
                    .at(resource.provider.span)
                    .into()
            })
    }
}

/// Resources whose replacement is created before the old object is deleted: those that say so, and all they depend on,
/// because a dependency cannot be deleted while the old object still needs it.
fn create_first(input: &PlanInput<'_>, dependencies: &Dependencies) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    for &number in dependencies.order.iter().rev() {
        let node = &dependencies.nodes[number];
        let Item::Resource(key) = &node.item else { continue };
        let says_so = input
            .configuration
            .module(node.module.iter().map(AsRef::as_ref))
            .and_then(|m| m.resources.get(key))
            .is_some_and(|r| r.lifecycle.create_before_destroy == Some(true));
        if says_so || out.contains(&number) {
            out.insert(number);
            let near = dependencies.resources.get(&number).into_iter().flatten();
            out.extend(near.copied());
        }
    }
    out
}
