//! Data sources.

use std::collections::BTreeSet;

use stack_config::configuration::Resource;
use stack_core::{Diagnostic, Diagnostics, ProviderAddress, ResourceAddress, Type, Value};

use super::{configured, failed, postconditions, scope, unknown_type};
use crate::Catalog;
use crate::change::{Action, Change, Reason};
use crate::expansion::Repetition;
use crate::planner::{Outcome, Walk};
use crate::propose::{propose, with_marks};
use crate::request::{Answer, Request};

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
    let explicit = waits_for(walk, walk.dependencies.explicit.get(&number));
    // A data source of a check looks at the result of the apply, so it also waits for what it only refers to.
    let of_check = resource.check.is_some() && waits_for(walk, walk.dependencies.resources.get(&number));
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
        walk.change(read_change(address, provider, reason, config, after));
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
    let failures = walk
        .evaluator
        .failures(&postconditions(resource, address), &scope);
    drop(scope);
    if !failures.is_empty() {
        return Err(failures);
    }
    walk.known.insert(address.clone(), value.clone());
    walk.evaluator.set_object(address, value);
    Ok(Outcome::Planned)
}

/// Whether any of these nodes, or of what they depend on, has a change that is not done yet.
fn waits_for(walk: &Walk<'_, '_>, nodes: Option<&BTreeSet<usize>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<usize> = nodes.into_iter().flatten().copied().collect();
    while let Some(node) = todo.pop() {
        if walk.pending.contains(&node) {
            return true;
        }
        if seen.insert(node) {
            todo.extend(walk.dependencies.graph.dependencies(node));
        }
    }
    false
}

fn read_change(
    address: &ResourceAddress,
    provider: ProviderAddress,
    reason: Reason,
    config: Value,
    after: Value,
) -> Change {
    Change {
        reason: Some(reason),
        after: Some(after),
        config: Some(config),
        ..Change::new(address, provider, Action::Read)
    }
}
