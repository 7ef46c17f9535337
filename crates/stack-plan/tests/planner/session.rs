//! One environment over several commands: configuration, state and cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stack_config::configuration::ResourceKey;
use stack_config::{
    Configuration, MemorySources, VariableInput, decode_body, load, validate, variable_values,
};
use stack_core::{Diagnostics, ModulePath, ResourceAddress, Value};
use stack_plan::{
    Action, Answer, Answers, Catalog as _, Change, Evaluator, InstanceScope, Mode, Operation, Options, Plan,
    PlanInput, Planner, Reason, Request, Step, Work, ignore, propose, recompute, with_defaults, with_marks,
};
use stack_state::{DeposedKey, Lineage, Object, Salt, State, Status};

use crate::cloud::{Cloud, system, system_of};
use crate::kinds::Kinds;

/// What planning came to.
pub(crate) enum Planned {
    Plan(Box<Plan>),
    Refused(Diagnostics),
}

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) cloud: Cloud,
    pub(crate) state: State,
    files: MemorySources,
    configuration: Option<Configuration>,
    variables: BTreeMap<Arc<str>, Value>,
    /// Every plan is made a second time and compared.
    pub(crate) twice: bool,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self {
            kinds: Arc::new(Kinds::new()),
            cloud: Cloud::default(),
            state: State::new(Lineage::from("lineage"), "default", Salt::default()),
            files: MemorySources::new(),
            configuration: None,
            variables: BTreeMap::new(),
            twice: true,
        }
    }

    /// Puts a file in the place of the one of the same name.
    pub(crate) fn file(&mut self, name: &str, text: &str) {
        self.files = std::mem::take(&mut self.files).with(name, text);
        self.configuration = None;
    }

    fn load(&mut self) -> Result<(), Diagnostics> {
        if self.configuration.is_some() {
            return Ok(());
        }
        let loaded = load(&self.files, "");
        let Some(configuration) = loaded.configuration else {
            return Err(loaded.diagnostics);
        };
        let problems = validate(&configuration, &*self.kinds);
        if problems.has_errors() {
            return Err(problems);
        }
        let mut map = configuration.sources.clone();
        let none: [VariableInput; 0] = [];
        let (variables, problems) = variable_values(&configuration, &mut map, &none);
        if problems.has_errors() {
            return Err(problems);
        }
        self.variables = variables;
        self.configuration = Some(configuration);
        Ok(())
    }

    fn input<'a>(&'a self, configuration: &'a Configuration, options: &'a Options) -> PlanInput<'a> {
        PlanInput {
            configuration,
            sources: &self.files,
            catalog: &*self.kinds,
            state: &self.state,
            variables: &self.variables,
            environment: "default",
            timestamp: "2026-01-02T03:04:05Z",
            options,
        }
    }

    /// Plans, and plans again from the answers: that must give the same plan.
    pub(crate) fn plan(&mut self, options: &Options) -> Planned {
        if let Err(problems) = self.load() {
            return Planned::Refused(problems);
        }
        let Some(configuration) = self.configuration.clone() else {
            unreachable!("it is loaded")
        };
        let mut cloud = std::mem::take(&mut self.cloud);
        cloud.asked.clear();
        let planned = self.rounds(&configuration, options, &mut cloud);
        self.cloud = cloud;
        planned
    }

    fn rounds(&self, configuration: &Configuration, options: &Options, cloud: &mut Cloud) -> Planned {
        let planner = match Planner::new(self.input(configuration, options)) {
            Ok(planner) => planner,
            Err(problems) => return Planned::Refused(problems),
        };
        let mut answers = Answers::new();
        for _ in 0..50 {
            match planner.step(&answers) {
                Step::Failed(problems) => return Planned::Refused(problems),
                Step::Ask(requests) => {
                    assert!(!requests.is_empty(), "a round asks something");
                    for request in requests {
                        self.leads_there(&request);
                        let answer = cloud.answer(&self.kinds, &request);
                        let old = answers.insert(request.clone(), answer);
                        assert!(old.is_none(), "{request:?} is asked twice");
                    }
                }
                Step::Done(plan) => {
                    self.check(&plan, &answers, configuration, options);
                    return Planned::Plan(plan);
                }
            }
        }
        panic!("planning does not end");
    }

    /// A recorded object is asked for in the system it is in.
    fn leads_there(&self, request: &Request) {
        let Request::Read {
            address,
            deposed,
            provider,
            arguments,
            ..
        } = request
        else {
            return;
        };
        let object = self.state.object(address, deposed.as_ref());
        let object = object.expect("what is read is recorded");
        assert_eq!(
            system(&self.kinds, &provider.name, arguments),
            system_of(&object.identity),
            "{address} is read in the system it is in"
        );
    }

    /// What holds for every plan.
    fn check(&self, plan: &Plan, answers: &Answers, configuration: &Configuration, options: &Options) {
        if self.twice {
            let again = Planner::new(self.input(configuration, options))
                .unwrap()
                .step(answers);
            let Step::Done(again) = again else {
                panic!("the same answers give a plan again: {again:?}")
            };
            assert_eq!(
                format!("{plan:?}"),
                format!("{again:?}"),
                "the same answers give the same plan"
            );
        }
        for (number, operation) in plan.operations.iter().enumerate() {
            assert!(
                operation.after.iter().all(|before| *before < number),
                "operations are in order"
            );
            assert!(
                operation.after.is_sorted(),
                "what an operation waits for is sorted"
            );
        }
        for (number, change) in plan.changes.iter().enumerate() {
            let works: Vec<&Work> = plan
                .operations
                .iter()
                .filter(|o| o.change == Some(number))
                .map(|o| &o.work)
                .collect();
            let makes = works
                .iter()
                .filter(|w| matches!(w, Work::Create { .. } | Work::Update | Work::Read))
                .count();
            let ends = works
                .iter()
                .filter(|w| matches!(w, Work::Delete { .. } | Work::Forget { .. }))
                .count();
            let expected = match change.action {
                Action::NoOp => (0, 0),
                Action::Read | Action::Create | Action::Update => (1, 0),
                Action::Delete | Action::Forget => (0, 1),
                Action::DeleteThenCreate | Action::CreateThenDelete | Action::ForgetThenCreate => (1, 1),
            };
            assert_eq!(
                (makes, ends),
                expected,
                "operations of {} are complete",
                change.address
            );
        }
    }

    /// Applies a plan as it says, operation by operation.
    pub(crate) fn apply(&mut self, plan: &Plan, options: &Options) {
        let configuration = self.configuration.clone().unwrap();
        let mut cloud = std::mem::take(&mut self.cloud);
        let before = self.state.clone();
        let mut state = before.clone();
        for (from, to) in &plan.moves {
            let instance = state.instances.remove(from).expect("what moves exists");
            state.instances.insert(to.clone(), instance);
        }
        for (address, deposed, value) in &plan.refreshed {
            let mut object = take(&mut state, address, deposed.as_ref()).expect("what was read exists");
            if let Some(value) = value {
                object.attributes = value.clone();
                put(&mut state, address, deposed.clone(), object);
            } else {
                forget_content(&mut state, &object);
            }
        }
        for settings in &plan.settings {
            let object = state
                .instances
                .get_mut(&settings.address)
                .and_then(|i| i.current.as_mut())
                .unwrap();
            object.dependencies.clone_from(&settings.dependencies);
            object.create_before_destroy = settings.create_before_destroy;
            object.delete = settings.delete;
        }
        let input = self.input(&configuration, options);
        let evaluator = Evaluator::new(input, true).at("2026-01-02T04:00:00Z".to_owned());
        for (module, key, expansion) in &plan.expansions {
            evaluator.set_expansion(module, key, expansion.clone());
        }
        for (address, value) in &plan.known {
            evaluator.set_object(address, value.clone());
        }
        for change in plan.changes.iter().filter(|c| c.deposed.is_none()) {
            if let Some(after) = &change.after {
                evaluator.set_object(&change.address, after.clone());
            }
        }
        if plan.mode == Mode::Destroy {
            for (address, instance) in &before.instances {
                if let Some(object) = &instance.current {
                    evaluator.set_object(address, object.attributes.clone());
                }
            }
        }
        let mut apply = Apply {
            kinds: &self.kinds,
            cloud: &mut cloud,
            state: &mut state,
            before: &before,
            evaluator,
            input,
        };
        for operation in &plan.operations {
            if let Some(change) = operation.change.map(|c| &plan.changes[c]) {
                apply.run(operation, change);
            }
        }
        for (name, change) in &plan.outputs {
            let value = change.after.as_ref().map(|_| {
                apply
                    .evaluator
                    .output(&ModulePath::root(), &Arc::from(name.as_str()))
                    .expect("the output is known")
            });
            if value.as_ref().is_some_and(|v| !v.is_wholly_known()) {
                continue;
            }
            match value.filter(|v| !v.is_null()) {
                Some(value) => apply.state.outputs.insert(name.clone(), value),
                None => apply.state.outputs.remove(name),
            };
        }
        let problems = apply.evaluator.take_diagnostics();
        assert!(!problems.has_errors(), "{problems}");
        drop(apply);
        state.serial += 1;
        state.instances.retain(|_, instance| !instance.is_empty());
        let used: BTreeSet<_> = state.objects().map(|(_, _, o)| o.provider.clone()).collect();
        state.providers.retain(|address, _| used.contains(address));
        self.state = state;
        self.cloud = cloud;
    }
}

fn take(state: &mut State, address: &ResourceAddress, deposed: Option<&DeposedKey>) -> Option<Object> {
    let instance = state.instances.get_mut(address)?;
    match deposed {
        None => instance.current.take(),
        Some(key) => instance.deposed.remove(key),
    }
}

fn put(state: &mut State, address: &ResourceAddress, deposed: Option<DeposedKey>, object: Object) {
    let instance = state.instances.entry(address.clone()).or_default();
    match deposed {
        None => {
            let old = instance.current.replace(object);
            assert!(old.is_none(), "there is nothing at {address}");
        }
        Some(key) => {
            instance.deposed.insert(key, object);
        }
    }
}

fn id(value: &Value) -> &str {
    value
        .attribute("id")
        .and_then(Value::as_str)
        .expect("an object has an id")
}

/// What is inside an object that ended is forgotten with it.
fn forget_content(state: &mut State, ended: &Object) {
    let gone = id(&ended.attributes).to_owned();
    let inside: Vec<(ResourceAddress, Option<DeposedKey>)> = state
        .objects()
        .filter(|(_, _, object)| system_of(&object.identity) == gone)
        .map(|(address, deposed, _)| (address.clone(), deposed.cloned()))
        .collect();
    for (address, deposed) in inside {
        if let Some(object) = take(state, &address, deposed.as_ref()) {
            forget_content(state, &object);
        }
    }
}

struct Apply<'s> {
    kinds: &'s Kinds,
    cloud: &'s mut Cloud,
    state: &'s mut State,
    before: &'s State,
    evaluator: Evaluator<'s>,
    input: PlanInput<'s>,
}

impl Apply<'_> {
    fn run(&mut self, operation: &Operation, change: &Change) {
        let address = &change.address;
        match &operation.work {
            Work::Gate => {}
            Work::Create { depose } => {
                if let Some(key) = depose {
                    let old = take(self.state, address, None).expect("what makes room exists");
                    put(self.state, address, Some(key.clone()), old);
                }
                let (config, planned) = self.planned(change, None);
                let arguments = self.arguments(change, None);
                let at = system(self.kinds, &change.provider.name, &arguments);
                let schema = self.kinds.schema(address.mode, &address.ty).unwrap();
                let value = self.cloud.create(schema, &at, &address.ty, &planned);
                self.written(operation, change, &config, value, &arguments);
            }
            Work::Update => {
                let prior = change.before.clone().expect("an update has a prior object");
                let (config, planned) = self.planned(change, Some(&prior));
                let arguments = self.arguments(change, Some(()));
                let at = system(self.kinds, &change.provider.name, &arguments);
                let schema = self.kinds.schema(address.mode, &address.ty).unwrap();
                let value = self.cloud.update(schema, &at, &address.ty, &planned);
                take(self.state, address, None).expect("what is updated is recorded");
                self.written(operation, change, &config, value, &arguments);
            }
            Work::Adopt => {
                let prior = change.before.clone().expect("what is adopted exists");
                let arguments = self.arguments(change, None);
                self.written(operation, change, &Value::NULL, prior, &arguments);
            }
            Work::Delete { deposed } => {
                let arguments = self.arguments(change, Some(()));
                let at = system(self.kinds, &change.provider.name, &arguments);
                let object =
                    take(self.state, address, deposed.as_ref()).expect("what is deleted is recorded");
                assert_eq!(
                    at,
                    system_of(&object.identity),
                    "{address} is deleted in the system it is in"
                );
                self.cloud.delete(&at, &address.ty, id(&object.attributes));
                forget_content(self.state, &object);
            }
            Work::Forget { deposed } => {
                let contained = change.reason == Some(Reason::ContainerEnds);
                let object = take(self.state, address, deposed.as_ref());
                assert!(contained || object.is_some(), "what is forgotten is recorded");
            }
            Work::Read => {
                let schema = self.kinds.schema(address.mode, &address.ty).unwrap();
                let config = self.config(change, schema);
                let arguments = self.arguments(change, None);
                let request = Request::Data {
                    address: address.clone(),
                    provider: change.provider.clone(),
                    arguments,
                    config,
                };
                match self.cloud.answer(self.kinds, &request) {
                    Answer::Object(Some(value)) => self.evaluator.set_object(address, value),
                    other => panic!("{address}: {other:?}"),
                }
            }
        }
    }

    /// The arguments of the provider, which must be known by now.
    fn arguments(&self, change: &Change, exists: Option<()>) -> Value {
        let provider = &change.provider;
        let schema = self.kinds.provider(&provider.name).unwrap();
        let object = self
            .before
            .object(self.state_address(change), change.deposed.as_ref());
        let leads_there = |arguments: &Value| match (exists, object) {
            (Some(()), Some(object)) => {
                system(self.kinds, &provider.name, arguments) == system_of(&object.identity)
            }
            _ => true,
        };
        let configured = self.evaluator.provider_arguments(provider, schema).ok();
        if configured.is_none() {
            // The recorded ones may do.
            self.evaluator.take_diagnostics();
        }
        let known = configured.filter(|a| a.is_wholly_known() && leads_there(a));
        let recorded = self
            .before
            .providers
            .get(provider)
            .filter(|a| leads_there(a))
            .cloned();
        known
            .or(recorded)
            .unwrap_or_else(|| panic!("arguments for {} are known", change.address))
    }

    fn state_address<'c>(&self, change: &'c Change) -> &'c ResourceAddress {
        change.previous_address.as_ref().unwrap_or(&change.address)
    }

    fn config(&self, change: &Change, schema: &stack_core::Schema) -> Value {
        let address = &change.address;
        let resource = self
            .input
            .configuration
            .resource(address)
            .expect("what is made is configured");
        let repetition = self
            .evaluator
            .expansion(&address.module, &ResourceKey::of(address))
            .and_then(|e| e.repetition(&address.key))
            .expect("what is made is an instance");
        let scope = InstanceScope {
            evaluator: &self.evaluator,
            module: address.module.clone(),
            repetition: Some(repetition),
            self_object: None,
        };
        let config = decode_body(&resource.body, schema, &scope).expect("arguments can be evaluated");
        let config = with_defaults(&config, schema);
        assert!(
            config.is_wholly_known(),
            "arguments of {address} are known when it is its turn: {config:?}"
        );
        config
    }

    fn planned(&self, change: &Change, prior: Option<&Value>) -> (Value, Value) {
        let ty = self.kinds.resource(&change.address.ty).unwrap();
        let schema = ty.schema();
        let mut config = self.config(change, schema);
        let resource = self.input.configuration.resource(&change.address).unwrap();
        if let Some(prior) = prior {
            config = ignore(config, prior, schema, &resource.lifecycle.ignore_changes);
        }
        let mut value = propose(schema, prior, &config);
        if prior.is_some() {
            value = recompute(schema, &config, value);
        }
        let value = ty.refine(prior, value).planned;
        let promised = change.after.as_ref().expect("what is made is planned");
        let broken = stack_plan::agrees(ty, promised, &value);
        let broken: Vec<_> = broken
            .iter()
            .filter(|p| p.get(&config).is_some_and(|c| !c.is_null()))
            .collect();
        assert!(
            broken.is_empty(),
            "{}: {broken:?} agree with the plan",
            change.address
        );
        (config, value)
    }

    fn written(
        &mut self,
        operation: &Operation,
        change: &Change,
        config: &Value,
        value: Value,
        arguments: &Value,
    ) {
        let schema = self
            .kinds
            .schema(change.address.mode, &change.address.ty)
            .unwrap();
        let value = with_marks(schema, value, Some(config));
        let provider_schema = self.kinds.provider(&change.provider.name).unwrap();
        let object = Object {
            status: Status::Ready,
            schema_version: 0,
            attributes: value.clone(),
            private: None,
            provider: change.provider.clone(),
            identity: stack_plan::identity(provider_schema, arguments),
            token: None,
            dependencies: operation.dependencies.clone(),
            create_before_destroy: operation.create_before_destroy,
            delete: operation.delete,
        };
        put(self.state, &change.address, None, object);
        self.state
            .providers
            .insert(change.provider.clone(), arguments.clone());
        self.evaluator.set_object(&change.address, value);
    }
}
