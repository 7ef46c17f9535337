//! Values of everything in a configuration: evaluated when asked for, remembered once known.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use stack_config::configuration::{Condition, Module, ModuleCall, ResourceKey};
use stack_config::reference::{Access, Subject};
use stack_config::{Expr, evaluate};
use stack_core::{
    Diagnostic, Diagnostics, InstanceKey, Marks, ModulePath, ProviderAddress, ResourceAddress, Schema, Type,
    Value,
};
use stack_state::CheckStatus;

use crate::defaults::{empty, with_defaults};
use crate::depth::{self, Depth};
use crate::expansion::{self, Expansion};
use crate::{CheckResult, InstanceScope, PlanInput};

/// The instances of one resource in one module instance, as far as they are known by now.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Which instances there are; `None` until planned.
    pub expansion: Option<Expansion>,
    /// Their values.
    pub values: BTreeMap<InstanceKey, Value>,
    /// All of them as an expression sees them, until one changes: a resource of many instances is referred to many times.
    combined: Option<Value>,
}

impl Objects {
    fn set_expansion(&mut self, expansion: Expansion) {
        self.expansion = Some(expansion);
        self.combined = None;
    }

    /// All instances as an expression sees them.
    fn combined(&mut self) -> Value {
        if let Some(combined) = &self.combined {
            return combined.clone();
        }
        let unknown = || Value::unknown(Type::Dynamic);
        let Some(expansion) = &self.expansion else {
            return unknown();
        };
        let combined = expansion.combine(|key| self.values.get(key).cloned().unwrap_or_else(unknown));
        self.combined = Some(combined.clone());
        combined
    }
}

/// Evaluates the expressions of a configuration.
///
/// Values of resources are put in by whoever plans or applies them; everything else follows. An error is reported once,
/// in [`Evaluator::take_diagnostics`]; who needs the failed value gets an empty list.
pub struct Evaluator<'a> {
    input: PlanInput<'a>,
    applying: bool,
    objects: RefCell<HashMap<(ModulePath, ResourceKey), Objects>>,
    memo: RefCell<HashMap<(ModulePath, Subject), Value>>,
    outputs: RefCell<HashMap<(ModulePath, Arc<str>), Value>>,
    calls: RefCell<HashMap<(ModulePath, Arc<str>), Expansion>>,
    failed: RefCell<HashSet<(ModulePath, String)>>,
    diagnostics: RefCell<Diagnostics>,
    conditions: RefCell<BTreeMap<String, CheckStatus>>,
    now: Option<String>,
    depth: Depth,
}

/// Conditions of one thing, and how a failure is reported.
pub struct Rules<'r> {
    /// The instance that they are about.
    pub address: String,
    /// The conditions.
    pub conditions: &'r [Condition],
    /// Code of the error.
    pub code: &'static str,
    /// Summary of the error.
    pub summary: &'static str,
}

/// The address of something in a module instance.
fn within(module: &ModulePath, name: &str) -> String {
    if module.is_root() {
        name.to_owned()
    } else {
        format!("{module}.{name}")
    }
}

/// The error of a value whose failure has been reported already.
fn reported() -> Diagnostics {
    Diagnostics::new()
}

impl<'a> Evaluator<'a> {
    /// An evaluator that knows no resources yet. `applying` tells whether values known only now may still come.
    pub fn new(input: PlanInput<'a>, applying: bool) -> Self {
        Self {
            input,
            applying,
            objects: RefCell::default(),
            memo: RefCell::default(),
            outputs: RefCell::default(),
            calls: RefCell::default(),
            failed: RefCell::default(),
            diagnostics: RefCell::default(),
            conditions: RefCell::default(),
            now: None,
            depth: Depth::default(),
        }
    }

    /// The evaluator with the time at which it applies (RFC 3339), for `timestamp`.
    #[must_use]
    pub fn at(mut self, now: String) -> Self {
        self.now = Some(now);
        self
    }

    /// The time of the apply, if there is one.
    pub(crate) fn now(&self) -> Option<String> {
        self.now.clone()
    }

    /// Whether values known only now may still come.
    pub(crate) fn is_applying(&self) -> bool {
        self.applying
    }

    /// Whether an error was reported since the diagnostics were last taken.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.borrow().has_errors()
    }

    /// What became of the conditions evaluated so far, by instance.
    pub(crate) fn conditions(&self) -> Vec<CheckResult> {
        let conditions = self.conditions.borrow();
        let result = |(address, status): (&String, &CheckStatus)| CheckResult {
            address: address.clone(),
            status: status.clone(),
        };
        conditions.iter().map(result).collect()
    }

    /// Adds what became of a condition: of several of one instance, a failure counts most and an unknown second.
    fn note(&self, address: String, status: CheckStatus) {
        let weight = |status: &CheckStatus| match status {
            CheckStatus::Passed => 0,
            CheckStatus::Unknown => 1,
            CheckStatus::Failed(_) => 2,
            CheckStatus::Error(_) => 3,
        };
        let mut conditions = self.conditions.borrow_mut();
        match conditions.get_mut(&address) {
            Some(CheckStatus::Failed(all)) if weight(&status) == 2 => {
                if let CheckStatus::Failed(more) = status {
                    all.extend(more);
                }
            }
            Some(known) if weight(known) >= weight(&status) => {}
            _ => {
                conditions.insert(address, status);
            }
        }
    }

    /// The input it evaluates.
    pub fn input(&self) -> &PlanInput<'a> {
        &self.input
    }

    /// All problems since the last call.
    pub fn take_diagnostics(&self) -> Diagnostics {
        std::mem::take(&mut self.diagnostics.borrow_mut())
    }

    /// Adds a problem to the list.
    pub fn report(&self, diagnostics: Diagnostics) {
        self.diagnostics.borrow_mut().extend(diagnostics);
    }

    /// Says which instances a resource has.
    pub fn set_expansion(&self, module: &ModulePath, key: &ResourceKey, expansion: Expansion) {
        let mut objects = self.objects.borrow_mut();
        objects
            .entry((module.clone(), key.clone()))
            .or_default()
            .set_expansion(expansion);
    }

    /// Says what value a resource instance has now. Values that were evaluated with an unknown are forgotten.
    pub fn set_object(&self, address: &ResourceAddress, value: Value) {
        let mut objects = self.objects.borrow_mut();
        let entry = objects
            .entry((address.module.clone(), ResourceKey::of(address)))
            .or_default();
        entry.values.insert(address.key.clone(), value);
        entry.combined = None;
    }

    /// The value of a resource instance, if it was put in.
    pub fn object(&self, address: &ResourceAddress) -> Option<Value> {
        let objects = self.objects.borrow();
        objects
            .get(&(address.module.clone(), ResourceKey::of(address)))?
            .values
            .get(&address.key)
            .cloned()
    }

    /// The instances of a resource, if they are known.
    pub fn expansion(&self, module: &ModulePath, key: &ResourceKey) -> Option<Expansion> {
        self.objects
            .borrow()
            .get(&(module.clone(), key.clone()))?
            .expansion
            .clone()
    }

    /// The instances of every resource that are known, by module and name.
    pub fn expansions(&self) -> Vec<(ModulePath, ResourceKey, Expansion)> {
        let objects = self.objects.borrow();
        let known = |((module, key), objects): (&(ModulePath, ResourceKey), &Objects)| {
            Some((module.clone(), key.clone(), objects.expansion.clone()?))
        };
        let mut all: Vec<_> = objects.iter().filter_map(known).collect();
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    }

    /// The module of an instance path.
    pub fn module(&self, path: &ModulePath) -> Option<&'a Module> {
        self.input.configuration.module_at(path)
    }

    /// Every instance of the module that `names` lead to; empty while a `count` or `for_each` on the way fails.
    pub fn module_instances(&self, names: &[Arc<str>]) -> Vec<ModulePath> {
        let mut paths = vec![ModulePath::root()];
        for name in names {
            let mut next = Vec::new();
            for path in &paths {
                let Ok(expansion) = self.call_expansion(path, name) else {
                    continue;
                };
                next.extend(
                    expansion
                        .repetitions()
                        .into_iter()
                        .map(|r| path.child(name, r.key)),
                );
            }
            paths = next;
        }
        paths
    }

    /// The instances of a module call in a module instance.
    ///
    /// # Errors
    /// Its `count` or `for_each` is wrong; reported.
    pub fn call_expansion(&self, module: &ModulePath, name: &Arc<str>) -> Result<Expansion, Diagnostics> {
        let key = (module.clone(), name.clone());
        if let Some(known) = self.calls.borrow().get(&key) {
            return Ok(known.clone());
        }
        let call = self
            .module(module)
            .and_then(|m| m.calls.get(name))
            .ok_or_else(reported)?;
        let label = format!("module.{name}");
        let expansion = self.once(module, label, || {
            self.expand(module, call.count.as_ref(), call.for_each.as_ref())
        })?;
        self.calls.borrow_mut().insert(key, expansion.clone());
        Ok(expansion)
    }

    /// The expansion that `count` and `for_each` give in a module instance.
    ///
    /// # Errors
    /// Either is wrong; not reported yet.
    pub fn expand(
        &self,
        module: &ModulePath,
        count: Option<&Expr>,
        for_each: Option<&Expr>,
    ) -> Result<Expansion, Diagnostics> {
        let scope = self.scope(module);
        match (count, for_each) {
            (Some(expr), _) => expansion::of_count(expr, evaluate(expr, &scope)?),
            (None, Some(expr)) => expansion::of_for_each(expr, evaluate(expr, &scope)?),
            (None, None) => Ok(Expansion::Single),
        }
    }

    /// The scope of a module instance, outside any resource.
    pub fn scope(&self, module: &ModulePath) -> InstanceScope<'_, 'a> {
        InstanceScope {
            evaluator: self,
            module: module.clone(),
            repetition: None,
            self_object: None,
        }
    }

    /// Runs `work` unless it failed before; reports its errors.
    fn once<T>(
        &self,
        module: &ModulePath,
        label: String,
        work: impl FnOnce() -> Result<T, Diagnostics>,
    ) -> Result<T, Diagnostics> {
        let key = (module.clone(), label);
        if self.failed.borrow().contains(&key) {
            return Err(reported());
        }
        self.depth.deeper(&key, work).map_err(|diagnostics| {
            self.report(diagnostics);
            self.failed.borrow_mut().insert(key);
            reported()
        })
    }

    fn remembered(
        &self,
        module: &ModulePath,
        subject: &Subject,
        work: impl FnOnce() -> Result<Value, Diagnostics>,
    ) -> Result<Value, Diagnostics> {
        let key = (module.clone(), subject.clone());
        if let Some(known) = self.memo.borrow().get(&key) {
            return Ok(known.clone());
        }
        let name = subject.to_string();
        let value = self.once(module, name.clone(), || depth::walkable(work()?, module, &name))?;
        if !self.applying || value.is_wholly_known() {
            self.memo.borrow_mut().insert(key, value.clone());
        }
        Ok(value)
    }

    /// The value of a local.
    ///
    /// # Errors
    /// It cannot be evaluated; reported.
    pub fn local(&self, module: &ModulePath, name: &Arc<str>) -> Result<Value, Diagnostics> {
        self.remembered(module, &Subject::Local(name.clone()), || {
            let local = self
                .module(module)
                .and_then(|m| m.locals.get(name))
                .ok_or_else(reported)?;
            evaluate(&local.expr, &self.scope(module))
        })
    }

    /// The value of a variable: of the root from the input, of a module from its call.
    ///
    /// # Errors
    /// It is missing, of a wrong type or not valid; reported.
    pub fn variable(&self, module: &ModulePath, name: &Arc<str>) -> Result<Value, Diagnostics> {
        self.remembered(module, &Subject::Variable(name.clone()), || {
            self.evaluate_variable(module, name)
        })
    }

    fn evaluate_variable(&self, module: &ModulePath, name: &Arc<str>) -> Result<Value, Diagnostics> {
        let variable = self
            .module(module)
            .and_then(|m| m.variables.get(name))
            .ok_or_else(reported)?;
        let (given, span) = match module.split_last() {
            None => (self.input.variables.get(name).cloned(), variable.span),
            Some((parent, step)) => {
                let call = self
                    .module(&parent)
                    .and_then(|m| m.calls.get(&step.name))
                    .ok_or_else(reported)?;
                self.argument(&parent, call, &step.key, name)?
                    .map_or((None, call.span), |(v, s)| (Some(v), s))
            }
        };
        let given = match given {
            Some(value) if value.is_null() && !variable.nullable && variable.default.is_some() => None,
            other => other,
        };
        let value = match (given, &variable.default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                let detail = format!("The variable \"{name}\" has no default and is not set.");
                let diagnostic =
                    Diagnostic::error("STK0303", "No value for required variable", detail).at(span);
                return Err(diagnostic
                    .hint(format!("set it with --var {name}=VALUE or in a *.vars.hcl file"))
                    .into());
            }
        };
        let value = variable.constraint.apply(&value).map_err(|error| {
            let sensitive = variable.sensitive.then(|| value.clone().sensitive());
            let why = error.told(sensitive.as_ref().unwrap_or(&value));
            let detail = format!("The given value is not suitable for var.{name}: {why}.");
            Diagnostics::from(
                Diagnostic::error("STK0304", "Invalid value for input variable", detail)
                    .at(span)
                    .label(variable.span, "declared here"),
            )
        })?;
        if value.is_null() && !variable.nullable {
            let detail = format!("The variable \"{name}\" is not nullable; it must be set to a value.");
            return Err(Diagnostic::error("STK0304", "Required variable not set", detail)
                .at(span)
                .into());
        }
        let mut marks = Marks::NONE;
        if variable.sensitive {
            marks = marks.union(Marks::SENSITIVE);
        }
        if variable.ephemeral {
            marks = marks.union(Marks::EPHEMERAL);
        }
        Ok(value.mark(marks))
    }

    /// Checks the validations of a variable. They may refer to anything, also to the variable itself.
    pub fn validate_variable(&self, module: &ModulePath, name: &Arc<str>) {
        let Some(variable) = self.module(module).and_then(|m| m.variables.get(name)) else {
            return;
        };
        if self.variable(module, name).is_err() {
            return;
        }
        let scope = self.scope(module);
        for rule in &variable.validations {
            let address = || within(module, &format!("var.{name}"));
            let detail = match self.holds(rule, &scope) {
                Ok(Some(false)) => self.message(rule, &scope),
                Ok(Some(true)) => {
                    self.note(address(), CheckStatus::Passed);
                    continue;
                }
                Ok(None) => {
                    self.note(address(), CheckStatus::Unknown);
                    continue;
                }
                Err(diagnostics) => {
                    self.note(address(), CheckStatus::Error(vec![diagnostics.to_string()]));
                    self.report(diagnostics);
                    continue;
                }
            };
            self.note(address(), CheckStatus::Failed(vec![detail.clone()]));
            let mut diagnostic = Diagnostic::error("STK0305", "Invalid value for variable", detail);
            if let Some((parent, step)) = module.split_last()
                && let Some(argument) = self
                    .module(&parent)
                    .and_then(|m| m.calls.get(&step.name))
                    .and_then(|c| c.arguments.get(name))
            {
                diagnostic = diagnostic.label(argument.expr.span(), "the value given");
            } else {
                diagnostic = diagnostic.label(variable.span, "declared here");
            }
            self.report(
                diagnostic
                    .label(rule.condition.span(), "this condition does not hold")
                    .into(),
            );
        }
    }

    /// The value of one argument of a module call and its place.
    fn argument(
        &self,
        parent: &ModulePath,
        call: &ModuleCall,
        key: &InstanceKey,
        name: &Arc<str>,
    ) -> Result<Option<(Value, stack_core::Span)>, Diagnostics> {
        let Some(argument) = call.arguments.get(name) else {
            return Ok(None);
        };
        let expansion = self.call_expansion(parent, &call.name)?;
        let repetition = expansion.repetition(key).ok_or_else(reported)?;
        let scope = InstanceScope {
            repetition: Some(repetition),
            ..self.scope(parent)
        };
        Ok(Some((evaluate(&argument.expr, &scope)?, argument.expr.span())))
    }

    /// The value of an output of a module instance.
    ///
    /// # Errors
    /// It cannot be evaluated; reported.
    pub fn output(&self, module: &ModulePath, name: &Arc<str>) -> Result<Value, Diagnostics> {
        let key = (module.clone(), name.clone());
        if let Some(known) = self.outputs.borrow().get(&key) {
            return Ok(known.clone());
        }
        let output = self
            .module(module)
            .and_then(|m| m.outputs.get(name))
            .ok_or_else(reported)?;
        let value = self.once(module, format!("output.{name}"), || {
            let scope = self.scope(module);
            let rules = Rules {
                address: within(module, &format!("output.{name}")),
                conditions: &output.preconditions,
                code: "STK0306",
                summary: "Module output value precondition failed",
            };
            let failures = self.failures(&rules, &scope);
            if !failures.is_empty() {
                return Err(failures);
            }
            let value = evaluate(&output.value, &scope)?;
            if module.is_root() && !output.sensitive && value.marks_deep().contains(Marks::SENSITIVE) {
                let detail = format!(
                    "The value of output \"{name}\" is sensitive. An output that shows a secret must say so."
                );
                let diagnostic = Diagnostic::error("STK0307", "Output refers to sensitive values", detail);
                return Err(diagnostic
                    .at(output.span)
                    .hint("add `sensitive = true` to the output")
                    .into());
            }
            if !output.ephemeral && value.marks_deep().contains(Marks::EPHEMERAL) {
                let detail = format!(
                    "The value of output \"{name}\" is ephemeral: it exists only while the command runs. The output is not declared as ephemeral, so its value would be stored."
                );
                let diagnostic = Diagnostic::error("STK0133", "Ephemeral value not allowed", detail);
                return Err(diagnostic
                    .at(output.value.span())
                    .hint("ephemeralasnull(...) leaves out what is ephemeral")
                    .into());
            }
            Ok(if output.sensitive {
                value.sensitive()
            } else {
                value
            })
        })?;
        if !self.applying || value.is_wholly_known() {
            self.outputs.borrow_mut().insert(key, value.clone());
        }
        Ok(value)
    }

    /// The arguments of a provider configuration as far as known. A provider without block has none.
    ///
    /// # Errors
    /// They cannot be evaluated; reported.
    pub fn provider_arguments(
        &self,
        address: &ProviderAddress,
        schema: &Schema,
    ) -> Result<Value, Diagnostics> {
        let block = self
            .module(&address.module)
            .and_then(|m| m.providers.get(&(address.name.clone(), address.alias.clone())));
        let Some(block) = block else {
            return Ok(with_defaults(&empty(schema), schema));
        };
        let value = self.once(&address.module, address.to_string(), || {
            stack_config::decode_body(&block.body, schema, &self.scope(&address.module))
        })?;
        Ok(with_defaults(&value, schema))
    }

    /// Whether a rule holds; `None` while that is unknown.
    ///
    /// # Errors
    /// The condition cannot be evaluated, or is no bool.
    pub fn holds(
        &self,
        rule: &Condition,
        scope: &InstanceScope<'_, '_>,
    ) -> Result<Option<bool>, Diagnostics> {
        let value = evaluate(&rule.condition, scope)?;
        match stack_core::convert::convert(value.unmarked(), &Type::Bool) {
            Ok(Value::Bool(holds)) => Ok(Some(holds)),
            Ok(Value::Unknown(_)) => Ok(None),
            Ok(_) | Err(_) => {
                let detail = format!(
                    "A condition must be true or false, not {}.",
                    value.ty().friendly_name()
                );
                Err(Diagnostic::error("STK0308", "Invalid condition result", detail)
                    .at(rule.condition.span())
                    .into())
            }
        }
    }

    /// The message of a rule that does not hold.
    pub fn message(&self, rule: &Condition, scope: &InstanceScope<'_, '_>) -> String {
        match evaluate(&rule.error_message, scope) {
            Ok(value) if value.marks_deep().contains(Marks::SENSITIVE) => {
                "The error message is sensitive and is not shown.".to_owned()
            }
            Ok(value) => match stack_core::convert::convert(value.unmarked(), &Type::String) {
                Ok(Value::String(text)) => text.trim().to_owned(),
                Ok(_) | Err(_) => "The error message is known only after apply.".to_owned(),
            },
            Err(diagnostics) => {
                self.report(diagnostics);
                "The error message could not be evaluated.".to_owned()
            }
        }
    }

    /// One error per rule that does not hold or cannot be evaluated.
    pub fn failures(&self, rules: &Rules<'_>, scope: &InstanceScope<'_, '_>) -> Diagnostics {
        let mut out = Diagnostics::new();
        for rule in rules.conditions {
            let status = match self.holds(rule, scope) {
                Ok(Some(true)) => CheckStatus::Passed,
                Ok(None) => CheckStatus::Unknown,
                Ok(Some(false)) => {
                    let message = self.message(rule, scope);
                    let error = Diagnostic::error(rules.code, rules.summary, message.clone());
                    out.push(error.at(rule.condition.span()));
                    CheckStatus::Failed(vec![message])
                }
                Err(diagnostics) => {
                    let text = diagnostics.to_string();
                    out.extend(diagnostics);
                    CheckStatus::Error(vec![text])
                }
            };
            self.note(rules.address.clone(), status);
        }
        out
    }

    /// The value of a resource: of all its instances, as far as they are known.
    pub(crate) fn resource(&self, module: &ModulePath, key: &ResourceKey) -> Value {
        let mut objects = self.objects.borrow_mut();
        objects
            .get_mut(&(module.clone(), key.clone()))
            .map_or_else(|| Value::unknown(Type::Dynamic), Objects::combined)
    }

    /// The outputs of a module call; only the one the reference names, where it names one.
    pub(crate) fn call(
        &self,
        module: &ModulePath,
        name: &Arc<str>,
        rest: &[Access],
    ) -> Result<Value, Diagnostics> {
        let expansion = self.call_expansion(module, name)?;
        let Some(call) = self.module(module).and_then(|m| m.calls.get(name)) else {
            return Err(reported());
        };
        let wanted = match (&expansion, rest) {
            (Expansion::Single, [Access::Attribute(output) | Access::Key(output), ..]) => Some(output),
            (
                Expansion::Count(_) | Expansion::ForEach(_),
                [_, Access::Attribute(output) | Access::Key(output), ..],
            ) => Some(output),
            _ => None,
        };
        let names: Vec<&Arc<str>> = match wanted {
            Some(name) if call.module.outputs.contains_key(name) => vec![name],
            _ => call.module.outputs.keys().collect(),
        };
        let mut failed = None;
        let value = expansion.combine(|key| {
            let child = module.child(name, key.clone());
            Value::object(names.iter().map(|output| {
                let value = self.output(&child, output).unwrap_or_else(|diagnostics| {
                    failed = Some(diagnostics);
                    Value::NULL
                });
                (output.to_string(), value)
            }))
        });
        failed.map_or(Ok(value), Err)
    }
}
