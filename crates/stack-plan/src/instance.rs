//! Plans one configured resource instance.

use std::collections::BTreeSet;

use stack_config::configuration::Resource;
use stack_config::reference::{Access, Subject};
use stack_config::{decode_body, evaluate};
use stack_core::{
    Diagnostic, Diagnostics, InstanceKey, Marks, Path, ProviderAddress, ResourceAddress, Schema, Type, Value,
};
use stack_state::{Object, Status};

use crate::change::{Action, Change, Reason};
use crate::container;
use crate::evaluator::with_defaults;
use crate::expansion::Repetition;
use crate::planner::{Outcome, Walk};
use crate::propose::{differences, ignore, propose, recompute, replacing};
use crate::request::{Answer, Request};
use crate::{Catalog, Drift, InstanceScope, ResourceType};

/// The existing object a plan starts from.
struct Prior<'w> {
    object: &'w Object,
    /// As read just now, or as recorded where nothing is read.
    value: Value,
}

/// What became of the recorded object.
enum Existing<'w> {
    /// There is none recorded.
    None,
    /// It exists.
    Here(Prior<'w>),
    /// Somebody else removed it.
    Gone(&'w Object),
    /// It ends with its container.
    Ending(&'w Object),
    /// Not read yet.
    Waiting,
}

/// The recorded object with what the schema has gained since as null.
pub(crate) fn upgraded(object: &Object, schema: &Schema) -> Value {
    let Some(members) = object.attributes.as_mapping() else {
        return object.attributes.clone();
    };
    let lacks = |name: &String| !members.contains_key(name);
    if !schema.attributes.keys().chain(schema.blocks.keys()).any(lacks) {
        return object.attributes.clone();
    }
    let mut all = crate::evaluator::empty(schema);
    for (name, value) in members {
        all = all.with_attribute(name, value.clone());
    }
    all
}

/// Marks what the schema says is sensitive, and what the configuration marked.
pub fn with_marks(schema: &Schema, value: Value, config: Option<&Value>) -> Value {
    let Value::Object(members) = &value else {
        return value;
    };
    let marked = |name: &String| {
        let by_schema = schema.attributes.get(name).is_some_and(|a| a.sensitive);
        let by_config = config
            .and_then(|c| c.attribute(name))
            .is_some_and(|v| v.marks_deep().contains(Marks::SENSITIVE));
        by_schema || by_config
    };
    if !members.keys().any(marked) {
        return value;
    }
    Value::object(members.iter().map(|(name, member)| {
        let own = member.marks_deep().contains(Marks::SENSITIVE);
        let new = if marked(name) && !own {
            member.clone().sensitive()
        } else {
            member.clone()
        };
        (name.clone(), new)
    }))
}

fn existing<'w>(
    walk: &mut Walk<'w, '_>,
    address: &ResourceAddress,
    ty: &dyn ResourceType,
) -> Result<Existing<'w>, Diagnostics> {
    let Some(object) = walk.current(address) else {
        return Ok(Existing::None);
    };
    if walk.containers.ends(object) {
        return Ok(Existing::Ending(object));
    }
    let recorded = upgraded(object, ty.schema());
    if !walk.is_read(address) {
        return Ok(Existing::Here(Prior {
            object,
            value: recorded,
        }));
    }
    match walk.read(address, None) {
        None => Ok(Existing::Waiting),
        Some(Answer::Object(Some(now))) => {
            let value = with_marks(ty.schema(), now.clone(), Some(&recorded));
            note_drift(walk, address, ty, &recorded, &value);
            Ok(Existing::Here(Prior { object, value }))
        }
        Some(Answer::Object(None)) => {
            walk.drift.push(Drift {
                address: address.clone(),
                before: recorded,
                after: None,
                paths: Vec::new(),
            });
            walk.refreshed.push((address.clone(), None, None));
            Ok(Existing::Gone(object))
        }
        Some(Answer::Failed(message, path)) => Err(failed("cannot be read", message, path.as_ref())),
        Some(Answer::Preview { .. }) => Err(failed("cannot be read", "the answer makes no sense", None)),
    }
}

fn failed(what: &str, message: &str, path: Option<&Path>) -> Diagnostics {
    let mut diagnostic = Diagnostic::error("STK0320", format!("Resource {what}"), message);
    diagnostic.path = path.cloned();
    diagnostic.into()
}

fn note_drift(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    ty: &dyn ResourceType,
    recorded: &Value,
    now: &Value,
) {
    if recorded == now {
        return;
    }
    walk.refreshed.push((address.clone(), None, Some(now.clone())));
    let paths = differences(ty, recorded, now);
    if !paths.is_empty() {
        let (before, after) = (recorded.clone(), Some(now.clone()));
        walk.drift.push(Drift {
            address: address.clone(),
            before,
            after,
            paths,
        });
    }
}

/// Plans a managed resource instance.
pub(crate) fn managed(
    walk: &mut Walk<'_, '_>,
    number: usize,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: Repetition,
) -> Result<Outcome, Diagnostics> {
    let catalog = walk.input.catalog;
    let Some(ty) = catalog.resource(&address.ty) else {
        return Err(unknown_type(resource));
    };
    let provider = walk.provider_of(&address.module, resource)?;
    let Some(arguments) = walk.provider_arguments(&provider) else {
        return Ok(Outcome::Planned);
    };
    let found = existing(walk, address, ty)?;
    if matches!(found, Existing::Waiting) {
        return Ok(Outcome::Blocked);
    }
    let config = configured(walk, resource, address, &repetition, ty.schema())?;
    let wrong: Vec<Diagnostic> = ty
        .validate(&config)
        .into_iter()
        .map(|(path, text)| invalid_argument(resource, &path, text))
        .collect();
    if !wrong.is_empty() {
        return Err(wrong.into());
    }
    let identity = container::identity(
        catalog.provider(&provider.name).unwrap_or(&Schema::default()),
        &arguments,
    );
    let mut draft = Draft {
        ty,
        resource,
        address,
        number,
        config,
        provider,
        arguments,
        identity,
    };
    let imported = match &found {
        Existing::None => import(walk, &draft)?,
        _ => Imported::No,
    };
    let (prior, mut reason) = match (&found, imported) {
        (_, Imported::Waiting) => return Ok(Outcome::Blocked),
        (_, Imported::Object(id, value)) => return draft.finish_import(walk, id, &value),
        (Existing::Here(prior), _) => (Some(prior), None),
        (Existing::Gone(object), _) => {
            walk.containers.end(object);
            (None, Some(Reason::Gone))
        }
        (Existing::Ending(_), _) => (None, Some(Reason::ContainerEnds)),
        (Existing::None | Existing::Waiting, _) => (None, None),
    };
    if let Some(prior) = prior {
        if let Some(ending) = draft.elsewhere(prior.object) {
            reason = Some(ending);
        } else {
            return draft.existing(walk, prior);
        }
    }
    let before = match (&found, &reason) {
        (Existing::Ending(object), _) => Some(object.attributes.clone()),
        (Existing::Here(prior), Some(Reason::ContainerEnds)) => Some(prior.value.clone()),
        _ => None,
    };
    if let (Existing::Here(prior), Some(_)) = (&found, &before) {
        walk.containers.end(prior.object);
    }
    if let Existing::Ending(object) = &found {
        walk.containers.end(object);
    }
    let action = if before.is_some() {
        Action::ForgetThenCreate
    } else {
        Action::Create
    };
    draft.create(walk, before, action, reason)
}

fn unknown_type(resource: &Resource) -> Diagnostics {
    let detail = format!("There is no resource type \"{}\".", resource.key.ty);
    Diagnostic::error("STK0315", "Invalid resource type", detail)
        .at(resource.span)
        .into()
}

fn invalid_argument(resource: &Resource, path: &Path, text: String) -> Diagnostic {
    let span = stack_config::span_of(&resource.body, path).unwrap_or(resource.span);
    Diagnostic::error("STK0316", "Invalid argument value", text)
        .at(span)
        .path(path.clone())
}

/// The arguments of a resource or data block, checked against its preconditions.
fn configured(
    walk: &Walk<'_, '_>,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: &Repetition,
    schema: &Schema,
) -> Result<Value, Diagnostics> {
    let scope = scope(walk, address, repetition, None);
    let failures = walk.evaluator.failures(
        &resource.lifecycle.preconditions,
        &scope,
        "STK0317",
        "Resource precondition failed",
    );
    if !failures.is_empty() {
        return Err(failures);
    }
    Ok(with_defaults(
        &decode_body(&resource.body, schema, &scope)?,
        schema,
    ))
}

fn scope<'e, 'a>(
    walk: &'e Walk<'_, 'a>,
    address: &ResourceAddress,
    repetition: &Repetition,
    self_object: Option<Value>,
) -> InstanceScope<'e, 'a> {
    InstanceScope {
        evaluator: &walk.evaluator,
        module: address.module.clone(),
        repetition: Some(repetition.clone()),
        self_object,
    }
}

enum Imported {
    No,
    Waiting,
    Object(String, Value),
}

/// The object an `import` block names for this instance.
fn import(walk: &mut Walk<'_, '_>, draft: &Draft<'_>) -> Result<Imported, Diagnostics> {
    let Some(module) = walk.input.configuration.module_at(&draft.address.module) else {
        return Ok(Imported::No);
    };
    for block in &module.imports {
        let relative = draft.address.resource();
        if (&block.to.ty, &block.to.name) != (&relative.ty, &relative.name) {
            continue;
        }
        let target_module: Vec<&str> = module
            .names
            .iter()
            .map(AsRef::as_ref)
            .chain(block.to.module.names())
            .collect();
        if target_module != draft.address.module.names().collect::<Vec<_>>() {
            continue;
        }
        let expansion = walk
            .evaluator
            .expand(&draft.address.module, None, block.for_each.as_ref())?;
        for repetition in expansion.repetitions() {
            let scope = InstanceScope {
                evaluator: &walk.evaluator,
                module: draft.address.module.clone(),
                repetition: Some(repetition),
                self_object: None,
            };
            let key = match &block.key {
                None => InstanceKey::None,
                Some(expr) => match evaluate(expr, &scope)?.unmarked() {
                    Value::String(name) => InstanceKey::Name(name.clone()),
                    Value::Number(n) => InstanceKey::Index(n.as_i64().unwrap_or(-1).unsigned_abs()),
                    _ => continue,
                },
            };
            if key != draft.address.key {
                continue;
            }
            let id = evaluate(&block.id, &scope)?;
            let Some(id) = id.as_str().map(str::to_owned) else {
                let detail = "The id of an import must be a known string.";
                return Err(Diagnostic::error("STK0318", "Invalid import id argument", detail)
                    .at(block.id.span())
                    .into());
            };
            let request = Request::Import {
                address: draft.address.clone(),
                provider: draft.provider.clone(),
                arguments: draft.arguments.clone(),
                id: id.clone(),
            };
            return match walk.ask(request) {
                None => Ok(Imported::Waiting),
                Some(Answer::Object(Some(value))) => Ok(Imported::Object(id, value.clone())),
                Some(Answer::Failed(message, path)) => {
                    Err(failed("cannot be imported", message, path.as_ref()))
                }
                Some(_) => {
                    let detail = format!("There is no object with the id {id:?}.");
                    Err(
                        Diagnostic::error("STK0319", "Cannot import non-existent remote object", detail)
                            .at(block.span)
                            .into(),
                    )
                }
            };
        }
    }
    Ok(Imported::No)
}

/// A managed instance on its way to a change.
struct Draft<'d> {
    ty: &'d dyn ResourceType,
    resource: &'d Resource,
    address: &'d ResourceAddress,
    number: usize,
    config: Value,
    provider: ProviderAddress,
    arguments: Value,
    identity: Value,
}

impl<'d> Draft<'d> {
    fn schema(&self) -> &'d Schema {
        self.ty.schema()
    }

    /// Whether the configuration now leads to another system than the object is in.
    fn elsewhere(&self, object: &Object) -> Option<Reason> {
        let (now, then) = (self.identity.unmark_deep(), object.identity.unmark_deep());
        (!then.is_null() && !now.is_null() && now != then).then_some(Reason::ContainerEnds)
    }

    /// Plans an instance whose object exists.
    fn existing(&mut self, walk: &mut Walk<'_, '_>, prior: &Prior<'_>) -> Result<Outcome, Diagnostics> {
        let schema = self.schema();
        let config = ignore(
            self.config.clone(),
            &prior.value,
            schema,
            &self.resource.lifecycle.ignore_changes,
        );
        let planned = propose(schema, Some(&prior.value), &config);
        let mut changed = differences(self.ty, &prior.value, &planned);
        let planned = if changed.is_empty() {
            planned
        } else {
            recompute(schema, &config, planned)
        };
        let refined = self.ty.refine(Some(&prior.value), planned);
        changed = differences(self.ty, &prior.value, &refined.planned);
        let mut replace = replacing(schema, &changed);
        replace.extend(
            refined
                .replace
                .into_iter()
                .filter(|p| changed.iter().any(|c| c.starts_with(p) || p.starts_with(c))),
        );
        replace.sort();
        replace.dedup();
        let reason = if prior.object.status == Status::Tainted {
            Some(Reason::Tainted)
        } else if walk.input.options.replace.contains(self.address) {
            Some(Reason::Requested)
        } else if self.triggered(walk)? {
            Some(Reason::Triggered)
        } else if replace.is_empty() {
            None
        } else {
            Some(Reason::CannotUpdate)
        };
        self.config = config;
        if let Some(reason) = reason {
            let first = walk.create_first.contains(&self.number) || prior.object.create_before_destroy;
            let action = if first {
                Action::CreateThenDelete
            } else {
                Action::DeleteThenCreate
            };
            walk.containers.end(prior.object);
            return self.replace(walk, prior, action, reason, replace);
        }
        if changed.is_empty() {
            return self.settled(walk, prior);
        }
        let value = with_marks(schema, refined.planned, Some(&self.config));
        self.preview(
            walk,
            Some(prior.value.clone()),
            value,
            Action::Update,
            None,
            Vec::new(),
        )
    }

    /// Nothing to do.
    fn settled(&self, walk: &mut Walk<'_, '_>, prior: &Prior<'_>) -> Result<Outcome, Diagnostics> {
        let value = prior.value.clone();
        let after = with_marks(self.schema(), value.clone(), Some(&self.config));
        self.record(walk, Some(value), after, Action::NoOp, None, Vec::new(), None)
    }

    fn replace(
        &self,
        walk: &mut Walk<'_, '_>,
        prior: &Prior<'_>,
        action: Action,
        reason: Reason,
        paths: Vec<Path>,
    ) -> Result<Outcome, Diagnostics> {
        if let Some(refusal) = self.refusal(walk) {
            return Err(refusal);
        }
        let planned = propose(self.schema(), None, &self.config);
        let planned = self.ty.refine(None, planned).planned;
        let value = with_marks(self.schema(), planned, Some(&self.config));
        self.preview(
            walk,
            Some(prior.value.clone()),
            value,
            action,
            Some(reason),
            paths,
        )
    }

    fn create(
        &mut self,
        walk: &mut Walk<'_, '_>,
        before: Option<Value>,
        action: Action,
        reason: Option<Reason>,
    ) -> Result<Outcome, Diagnostics> {
        let planned = propose(self.schema(), None, &self.config);
        let planned = self.ty.refine(None, planned).planned;
        let value = with_marks(self.schema(), planned, Some(&self.config));
        self.preview(walk, before, value, action, reason, Vec::new())
    }

    fn finish_import(
        &mut self,
        walk: &mut Walk<'_, '_>,
        id: String,
        value: &Value,
    ) -> Result<Outcome, Diagnostics> {
        let prior = with_marks(self.schema(), value.clone(), None);
        let planned = propose(self.schema(), Some(&prior), &self.config);
        let refined = self.ty.refine(Some(&prior), planned);
        let changed = differences(self.ty, &prior, &refined.planned);
        let replace = replacing(self.schema(), &changed);
        let (action, reason, planned) = if !replace.is_empty() {
            let planned = self
                .ty
                .refine(None, propose(self.schema(), None, &self.config))
                .planned;
            (Action::DeleteThenCreate, Some(Reason::CannotUpdate), planned)
        } else if changed.is_empty() {
            (Action::NoOp, None, refined.planned)
        } else {
            (Action::Update, None, refined.planned)
        };
        let after = with_marks(self.schema(), planned, Some(&self.config));
        self.record(walk, Some(prior), after, action, reason, replace, Some(id))
    }

    /// Why the object may not end.
    fn refusal(&self, walk: &Walk<'_, '_>) -> Option<Diagnostics> {
        let lifecycle = &self.resource.lifecycle;
        lifecycle.prevent_destroy.then(|| {
            let _ = walk;
            refused(
                self.address,
                lifecycle.prevent_destroy_span.unwrap_or(self.resource.span),
            )
        })
    }

    /// Whether `replace_triggered_by` asks for a replacement.
    fn triggered(&self, walk: &Walk<'_, '_>) -> Result<bool, Diagnostics> {
        for expr in &self.resource.lifecycle.replace_triggered_by {
            for reference in expr.references() {
                let Subject::Resource { mode, ty, name } = &reference.subject else {
                    continue;
                };
                let mut steps = reference.rest.as_slice();
                let key = match steps.first() {
                    Some(Access::Index(i)) => Some(InstanceKey::Index(*i)),
                    Some(Access::Key(k)) => Some(InstanceKey::Name(k.clone())),
                    _ => None,
                };
                if key.is_some() {
                    steps = &steps[1..];
                }
                let path: Vec<&str> = steps.iter().map_while(Access::name).collect();
                let hit = walk.changes.iter().any(|change| {
                    let a = &change.address;
                    let same =
                        a.module == self.address.module && (a.mode, &a.ty, &a.name) == (*mode, ty, name);
                    same && key.as_ref().is_none_or(|k| *k == a.key) && triggers(change, &path)
                });
                if hit {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Asks the real system about the change where that is possible, then records it.
    fn preview(
        &self,
        walk: &mut Walk<'_, '_>,
        before: Option<Value>,
        after: Value,
        action: Action,
        reason: Option<Reason>,
        paths: Vec<Path>,
    ) -> Result<Outcome, Diagnostics> {
        if !self.ty.previews() || walk.input.options.mode != crate::Mode::Normal {
            return self.record(walk, before, after, action, reason, paths, None);
        }
        if !self.arguments.is_wholly_known() || action == Action::ForgetThenCreate {
            let why = "what it lives in does not exist yet".to_owned();
            return self.record_checked(
                walk,
                before,
                after,
                action,
                reason,
                paths,
                None,
                (None, Some(why)),
            );
        }
        let prior = (action == Action::Update).then(|| before.clone()).flatten();
        let request = Request::Preview {
            address: self.address.clone(),
            provider: self.provider.clone(),
            arguments: self.arguments.clone(),
            prior,
            proposed: after.clone(),
        };
        match walk.ask(request).cloned() {
            None => Ok(Outcome::Blocked),
            Some(Answer::Preview {
                planned,
                warnings,
                rendered,
                not_checked,
            }) => {
                for (path, text) in warnings {
                    let span =
                        stack_config::span_of(&self.resource.body, &path).unwrap_or(self.resource.span);
                    let warning = Diagnostic::warning("STK0321", "Warning from the provider", text);
                    walk.warnings
                        .push(warning.at(span).path(path).address(self.address.clone()));
                }
                let after = match planned {
                    Some(value) => with_marks(self.schema(), value, Some(&self.config)),
                    None => after,
                };
                let unchanged = before
                    .as_ref()
                    .is_some_and(|b| differences(self.ty, b, &after).is_empty());
                let action = if action == Action::Update && unchanged {
                    Action::NoOp
                } else {
                    action
                };
                self.record_checked(
                    walk,
                    before,
                    after,
                    action,
                    reason,
                    paths,
                    None,
                    (rendered, not_checked),
                )
            }
            Some(Answer::Failed(message, path)) => Err(match path {
                Some(path) => invalid_argument(self.resource, &path, message).into(),
                None => Diagnostic::error("STK0322", "The real system refuses the change", message)
                    .at(self.resource.span)
                    .into(),
            }),
            Some(Answer::Object(_)) => Err(failed("cannot be previewed", "the answer makes no sense", None)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one change, named at every call"
    )]
    fn record(
        &self,
        walk: &mut Walk<'_, '_>,
        before: Option<Value>,
        after: Value,
        action: Action,
        reason: Option<Reason>,
        paths: Vec<Path>,
        importing: Option<String>,
    ) -> Result<Outcome, Diagnostics> {
        self.record_checked(
            walk,
            before,
            after,
            action,
            reason,
            paths,
            importing,
            (None, None),
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one change, named at every call"
    )]
    fn record_checked(
        &self,
        walk: &mut Walk<'_, '_>,
        before: Option<Value>,
        after: Value,
        action: Action,
        reason: Option<Reason>,
        replace_paths: Vec<Path>,
        importing: Option<String>,
        (rendered, not_checked): (Option<String>, Option<String>),
    ) -> Result<Outcome, Diagnostics> {
        let scope = scope(walk, self.address, &self.repetition(walk), Some(after.clone()));
        let postconditions = &self.resource.lifecycle.postconditions;
        let failures =
            walk.evaluator
                .failures(postconditions, &scope, "STK0323", "Resource postcondition failed");
        drop(scope);
        if !failures.is_empty() {
            return Err(failures);
        }
        if !action.is_no_op() {
            walk.pending.insert(self.number);
        } else if importing.is_none() {
            walk.known.insert(self.address.clone(), after.clone());
        }
        walk.evaluator.set_object(self.address, after.clone());
        walk.changes.push(Change {
            address: self.address.clone(),
            previous_address: walk.moves.previous.get(self.address).cloned(),
            deposed: None,
            action,
            reason,
            before,
            after: Some(after),
            replace_paths,
            provider: self.provider.clone(),
            importing,
            rendered,
            not_checked,
            config: None,
        });
        Ok(Outcome::Planned)
    }

    fn repetition(&self, walk: &Walk<'_, '_>) -> Repetition {
        let key = stack_config::configuration::ResourceKey::of(self.address);
        walk.evaluator
            .expansion(&self.address.module, &key)
            .and_then(|e| e.repetition(&self.address.key))
            .unwrap_or_default()
    }
}

/// The error of a plan that would end an object with `prevent_destroy`.
pub(crate) fn refused(address: &ResourceAddress, span: stack_core::Span) -> Diagnostics {
    let detail = format!(
        "{address} has lifecycle.prevent_destroy set, but the plan calls for it to be destroyed. To go on, either remove prevent_destroy or leave the resource out with --exclude."
    );
    Diagnostic::error("STK0311", "Instance cannot be destroyed", detail)
        .at(span)
        .address(address.clone())
        .into()
}

/// Whether a change of a resource, or of one of its attributes, triggers a replacement elsewhere.
fn triggers(change: &Change, path: &[&str]) -> bool {
    match change.action {
        Action::Update | Action::DeleteThenCreate | Action::CreateThenDelete | Action::ForgetThenCreate => {
            if path.is_empty() {
                return true;
            }
            let path = Path::of(path);
            let part = |v: &Option<Value>| v.as_ref().and_then(|v| path.get(v)).map(Value::unmark_deep);
            part(&change.before) != part(&change.after)
        }
        Action::NoOp | Action::Read | Action::Create | Action::Delete | Action::Forget => false,
    }
}

/// Plans a data source instance: read now if everything it needs is known, else during the apply.
pub(crate) fn data(
    walk: &mut Walk<'_, '_>,
    number: usize,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: Repetition,
) -> Result<Outcome, Diagnostics> {
    let catalog: &dyn Catalog = walk.input.catalog;
    let Some(ty) = catalog.data_source(&address.ty) else {
        return Err(unknown_type(resource));
    };
    let provider = walk.provider_of(&address.module, resource)?;
    let Some(arguments) = walk.provider_arguments(&provider) else {
        return Ok(Outcome::Planned);
    };
    let config = configured(walk, resource, address, &repetition, ty.schema())?;
    let waits_for = |nodes: Option<&BTreeSet<usize>>| {
        nodes.into_iter().flatten().any(|n| {
            walk.pending.contains(n)
                || walk
                    .dependencies
                    .graph
                    .ancestors(*n)
                    .iter()
                    .any(|a| walk.pending.contains(a))
        })
    };
    let explicit = waits_for(walk.dependencies.explicit.get(&number));
    // A data source of a check looks at the result of the apply, so it also waits for what it only refers to.
    let of_check = resource.check.is_some() && waits_for(walk.dependencies.resources.get(&number));
    let reason = if !config.is_wholly_known() || !arguments.is_wholly_known() {
        Some(Reason::ConfigUnknown)
    } else if explicit || of_check {
        Some(Reason::DependencyPending)
    } else {
        None
    };
    if let Some(reason) = reason {
        let after = propose(ty.schema(), None, &config);
        let after = with_marks(ty.schema(), after, Some(&config));
        walk.pending.insert(number);
        walk.evaluator.set_object(address, after.clone());
        walk.changes
            .push(read_change(address, provider, reason, config, after));
        return Ok(Outcome::Planned);
    }
    let request = Request::Data {
        address: address.clone(),
        provider,
        arguments,
        config: config.clone(),
    };
    let value = match walk.ask(request) {
        None => return Ok(Outcome::Blocked),
        Some(Answer::Object(Some(value))) => with_marks(ty.schema(), value.clone(), Some(&config)),
        Some(Answer::Failed(message, _)) if resource.check.is_some() => {
            walk.failed_data.insert(address.clone(), message.clone());
            Value::unknown(Type::Dynamic)
        }
        Some(Answer::Failed(message, path)) => {
            let span = path
                .as_ref()
                .and_then(|p| stack_config::span_of(&resource.body, p))
                .unwrap_or(resource.span);
            return Err(
                Diagnostic::error("STK0324", "Data source cannot be read", message.clone())
                    .at(span)
                    .into(),
            );
        }
        Some(_) => return Err(failed("cannot be read", "the answer makes no sense", None)),
    };
    let scope = scope(walk, address, &repetition, Some(value.clone()));
    let failures = walk.evaluator.failures(
        &resource.lifecycle.postconditions,
        &scope,
        "STK0323",
        "Resource postcondition failed",
    );
    drop(scope);
    if !failures.is_empty() {
        return Err(failures);
    }
    walk.known.insert(address.clone(), value.clone());
    walk.evaluator.set_object(address, value);
    Ok(Outcome::Planned)
}

fn read_change(
    address: &ResourceAddress,
    provider: ProviderAddress,
    reason: Reason,
    config: Value,
    after: Value,
) -> Change {
    Change {
        address: address.clone(),
        previous_address: None,
        deposed: None,
        action: Action::Read,
        reason: Some(reason),
        before: None,
        after: Some(after),
        replace_paths: Vec::new(),
        provider,
        importing: None,
        rendered: None,
        not_checked: None,
        config: Some(config),
    }
}
