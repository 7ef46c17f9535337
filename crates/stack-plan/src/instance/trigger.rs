//! `replace_triggered_by`

use std::collections::BTreeMap;

use stack_config::configuration::{Resource, ResourceKey};
use stack_config::reference::{Access, Reference, Subject};
use stack_config::{Expr, Scope, Sources, evaluate};
use stack_core::{Diagnostics, InstanceKey, Path, ResourceAddress, Type, Value};

use super::scope;
use crate::InstanceScope;
use crate::change::{Action, Change};
use crate::expansion::Repetition;
use crate::planner::Walk;

/// Whether `replace_triggered_by` asks for a replacement.
pub(super) fn triggered(
    walk: &Walk<'_, '_>,
    resource: &Resource,
    address: &ResourceAddress,
    repetition: &Repetition,
) -> bool {
    resource.lifecycle.replace_triggered_by.iter().any(|expr| {
        let references = expr.references();
        let computed = |r: &Reference| matches!(r.subject, Subject::Each(_) | Subject::CountIndex);
        if references.iter().any(computed) {
            return computed_index(walk, expr, address, repetition);
        }
        references
            .iter()
            .any(|reference| literal(walk, reference, address))
    })
}

/// A reference whose steps are all written out.
fn literal(walk: &Walk<'_, '_>, reference: &Reference, address: &ResourceAddress) -> bool {
    let Some(resource) = resource_of(reference) else {
        return false;
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
    walk.changes_of(&address.module, &resource)
        .any(|change| key.as_ref().is_none_or(|k| *k == change.address.key) && triggers(change, &path))
}

fn resource_of(reference: &Reference) -> Option<ResourceKey> {
    match &reference.subject {
        Subject::Resource { mode, ty, name } => Some(ResourceKey {
            mode: *mode,
            ty: ty.clone(),
            name: name.clone(),
        }),
        _ => None,
    }
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

/// The scope of an instance in which resources are as they were before this plan; what was not there is unknown.
struct Before<'b, 'w, 'a> {
    walk: &'b Walk<'w, 'a>,
    inside: InstanceScope<'b, 'a>,
}

impl Scope for Before<'_, '_, '_> {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        let Some(resource) = resource_of(reference) else {
            return self.inside.value(reference);
        };
        let module = &self.inside.module;
        let absent = || Value::unknown(Type::Dynamic);
        let Some(expansion) = self.walk.evaluator.expansion(module, &resource) else {
            return Ok(absent());
        };
        let before: BTreeMap<&InstanceKey, &Value> = self
            .walk
            .changes_of(module, &resource)
            .filter_map(|change| Some((&change.address.key, change.before.as_ref()?)))
            .collect();
        Ok(expansion.combine(|key| before.get(key).map_or_else(absent, |value| (*value).clone())))
    }

    fn sources(&self) -> &dyn Sources {
        self.inside.sources()
    }

    fn module_dir(&self) -> &str {
        self.inside.module_dir()
    }
}

/// A reference with `each` or `count` in an index: the part it leads to is compared with what it was.
fn computed_index(
    walk: &Walk<'_, '_>,
    expr: &Expr,
    address: &ResourceAddress,
    repetition: &Repetition,
) -> bool {
    let before = Before {
        walk,
        inside: scope(walk, address, repetition, None),
    };
    let (Ok(then), Ok(now)) = (evaluate(expr, &before), evaluate(expr, &before.inside)) else {
        return false;
    };
    then.is_wholly_known() && then.unmark_deep() != now.unmark_deep()
}
