//! From an instance's arguments and its object to a change.

use stack_config::configuration::Resource;
use stack_core::{Diagnostic, Diagnostics, Path, ProviderAddress, ResourceAddress, Schema, Value};
use stack_state::{Object, Status};

use super::trigger::triggered;
use super::{failed, invalid_argument, postconditions, scope};
use crate::ResourceType;
use crate::change::{Action, Change, Reason};
use crate::expansion::Repetition;
use crate::planner::{Outcome, Walk};
use crate::propose::{differences, ignore, propose, recompute, replacing, with_marks};
use crate::request::{Answer, Request};

/// The existing object a plan starts from.
pub(super) struct Prior<'w> {
    /// As recorded; `None` where it is imported.
    pub(super) object: Option<&'w Object>,
    /// As read just now, or as recorded where nothing is read.
    pub(super) value: Value,
    /// Its id, where it is imported.
    pub(super) importing: Option<String>,
}

/// A managed instance on its way to a change.
pub(super) struct Draft<'d> {
    pub(super) ty: &'d dyn ResourceType,
    pub(super) resource: &'d Resource,
    pub(super) address: &'d ResourceAddress,
    pub(super) number: usize,
    pub(super) repetition: Repetition,
    /// It must not end.
    pub(super) prevents: bool,
    pub(super) config: Value,
    pub(super) provider: ProviderAddress,
    pub(super) arguments: Value,
}

impl<'d> Draft<'d> {
    fn schema(&self) -> &'d Schema {
        self.ty.schema()
    }

    /// Plans an instance whose object exists.
    pub(super) fn existing(
        mut self,
        walk: &mut Walk<'_, '_>,
        prior: Prior<'_>,
    ) -> Result<Outcome, Diagnostics> {
        let schema = self.schema();
        let ignored = &self.resource.lifecycle.ignore_changes;
        let kept = ignore(self.config.clone(), &prior.value, schema, ignored);
        let configured = std::mem::replace(&mut self.config, kept);
        let planned = propose(schema, Some(&prior.value), &self.config);
        let planned = if differences(self.ty, &prior.value, &planned).is_empty() {
            planned
        } else {
            recompute(schema, &self.config, planned)
        };
        let refined = self.ty.refine(Some(&prior.value), planned);
        let changed = differences(self.ty, &prior.value, &refined.planned);
        let mut replace = replacing(schema, &changed);
        let meant = |p: &Path| changed.iter().any(|c| c.starts_with(p) || p.starts_with(c));
        replace.extend(refined.replace.into_iter().filter(meant));
        replace.sort();
        replace.dedup();
        let tainted = prior.object.is_some_and(|o| o.status == Status::Tainted);
        let reason = if tainted {
            Some(Reason::Tainted)
        } else if walk.input.options.replace.contains(self.address) {
            Some(Reason::Requested)
        } else if triggered(walk, self.resource, self.address, &self.repetition) {
            Some(Reason::Triggered)
        } else if replace.is_empty() {
            None
        } else {
            Some(Reason::CannotUpdate)
        };
        if let Some(reason) = reason {
            // A new object is made as configured: what is ignored are changes of one that stays.
            self.config = configured;
            return self.replace(walk, prior, reason, replace);
        }
        let mut change = self.blank(Action::Update);
        change.importing = prior.importing;
        change.before = Some(prior.value.clone());
        if changed.is_empty() {
            change.action = Action::NoOp;
            change.after = Some(with_marks(schema, prior.value, Some(&self.config)));
            return self.record(walk, change);
        }
        change.after = Some(with_marks(schema, refined.planned, Some(&self.config)));
        self.preview(walk, change)
    }

    fn replace(
        self,
        walk: &mut Walk<'_, '_>,
        prior: Prior<'_>,
        reason: Reason,
        paths: Vec<Path>,
    ) -> Result<Outcome, Diagnostics> {
        let lifecycle = &self.resource.lifecycle;
        if self.prevents {
            return Err(refused(self.address, self.resource));
        }
        let action = if !lifecycle.destroy {
            Action::ForgetThenCreate
        } else if walk.create_first.contains(&self.number) {
            Action::CreateThenDelete
        } else {
            Action::DeleteThenCreate
        };
        if let (Some(object), true) = (prior.object, lifecycle.destroy) {
            walk.containers.end(object);
        }
        let mut change = self.blank(action);
        change.reason = Some(reason);
        change.replace_paths = paths;
        change.importing = prior.importing;
        change.before = Some(prior.value);
        change.after = Some(self.new_object());
        self.preview(walk, change)
    }

    /// Plans an instance whose object ends with what it lives in, or lives in a system that the configuration has left.
    pub(super) fn end_with_container(
        self,
        walk: &mut Walk<'_, '_>,
        object: &Object,
        before: Value,
    ) -> Result<Outcome, Diagnostics> {
        if self.prevents {
            return Err(refused(self.address, self.resource));
        }
        walk.containers.end(object);
        let reason = Some(Reason::ContainerEnds);
        self.create(walk, Some(before), Action::ForgetThenCreate, reason)
    }

    pub(super) fn create(
        self,
        walk: &mut Walk<'_, '_>,
        before: Option<Value>,
        action: Action,
        reason: Option<Reason>,
    ) -> Result<Outcome, Diagnostics> {
        let mut change = self.blank(action);
        change.reason = reason;
        change.before = before;
        change.after = Some(self.new_object());
        self.preview(walk, change)
    }

    /// The object as a create makes it.
    fn new_object(&self) -> Value {
        let planned = propose(self.schema(), None, &self.config);
        let planned = self.ty.refine(None, planned).planned;
        with_marks(self.schema(), planned, Some(&self.config))
    }

    /// Asks the real system about the change where that is possible, then records it.
    fn preview(&self, walk: &mut Walk<'_, '_>, mut change: Change) -> Result<Outcome, Diagnostics> {
        let Some(proposed) = change.after.clone().filter(|_| self.ty.previews()) else {
            return self.record(walk, change);
        };
        if !self.arguments.is_wholly_known() || change.reason == Some(Reason::ContainerEnds) {
            change.not_checked = Some("what it lives in does not exist yet".to_owned());
            return self.record(walk, change);
        }
        let prior = change.before.clone().filter(|_| change.action == Action::Update);
        let request = Request::Preview {
            address: self.address.clone(),
            provider: self.provider.clone(),
            arguments: self.arguments.clone(),
            prior,
            proposed,
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
                if let Some(value) = planned {
                    change.after = Some(with_marks(self.schema(), value, Some(&self.config)));
                }
                if let (Action::Update, Some(before), Some(after)) =
                    (change.action, &change.before, &change.after)
                    && differences(self.ty, before, after).is_empty()
                {
                    change.action = Action::NoOp;
                }
                change.rendered = rendered;
                change.not_checked = not_checked;
                self.record(walk, change)
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

    fn blank(&self, action: Action) -> Change {
        Change::new(self.address, self.provider.clone(), action)
    }

    /// Adds the change to the plan, once its postconditions hold as far as they can be told.
    fn record(&self, walk: &mut Walk<'_, '_>, mut change: Change) -> Result<Outcome, Diagnostics> {
        let after = change.after.clone().unwrap_or(Value::NULL);
        let scope = scope(walk, self.address, &self.repetition, Some(after.clone()));
        let rules = postconditions(self.resource, self.address);
        let failures = walk.evaluator.failures(&rules, &scope);
        drop(scope);
        // The instance is planned all the same: what refers to it has no mistake of its own.
        if !change.action.is_no_op() {
            walk.pending.insert(self.number);
        } else if change.importing.is_none() {
            walk.known.insert(self.address.clone(), after.clone());
        }
        walk.evaluator.set_object(self.address, after);
        change.previous_address = walk.moves.previous.get(self.address).cloned();
        walk.change(change);
        if failures.is_empty() {
            Ok(Outcome::Planned)
        } else {
            Err(failures)
        }
    }
}

/// Takes over an object as it is, in a plan that only records.
pub(super) fn take(
    walk: &mut Walk<'_, '_>,
    address: &ResourceAddress,
    provider: ProviderAddress,
    value: Value,
) {
    walk.known.insert(address.clone(), value.clone());
    walk.evaluator.set_object(address, value.clone());
    let mut change = Change::new(address, provider, Action::NoOp);
    change.previous_address = walk.moves.previous.get(address).cloned();
    change.before = Some(value.clone());
    change.after = Some(value);
    walk.change(change);
}

/// The error of a plan that would end an object with `prevent_destroy`.
pub(crate) fn refused(address: &ResourceAddress, resource: &Resource) -> Diagnostics {
    let detail = format!(
        "{address} has lifecycle.prevent_destroy set, but the plan calls for it to be destroyed. To go on, either remove prevent_destroy or leave the resource out with --exclude."
    );
    let error = Diagnostic::error("STK0311", "Instance cannot be destroyed", detail)
        .at(resource.span)
        .address(address.clone());
    match resource.lifecycle.prevent_destroy_span {
        Some(span) => error.label(span, "set here").into(),
        None => error.into(),
    }
}
