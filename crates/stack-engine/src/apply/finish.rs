//! After the operations: outputs, checks, provider configurations nobody needs any more.

use std::collections::BTreeSet;

use stack_core::{Diagnostic, ProviderAddress, Severity};
use stack_plan::{CheckResult, Mode};
use stack_state::{CheckStatus, Record};

use super::Applied;
use super::context::{Context, not_recorded};
use crate::event::Event;

/// Records outputs and checks with the values as they are now.
pub(super) async fn finish(context: &Context<'_>, applied: &mut Applied) {
    let mut records = Vec::new();
    let destroy = context.plan.mode == Mode::Destroy;
    outputs(context, applied, &mut records);
    if !destroy {
        checks(context, applied, &mut records);
    }
    let state = context.store.state();
    let used: BTreeSet<ProviderAddress> = state.objects().map(|(_, _, o)| o.provider.clone()).collect();
    let pending = state.pending.values().map(|p| p.begin.provider.clone());
    let used: BTreeSet<ProviderAddress> = used.into_iter().chain(pending).collect();
    for address in state.providers.keys().filter(|a| !used.contains(a)) {
        records.push(Record::Provider {
            address: address.clone(),
            arguments: None,
        });
    }
    if destroy {
        for address in state.instances.keys() {
            let why = if context.plan.left_out.contains(address) {
                "left out by --target or --exclude"
            } else {
                "its removal failed or was not started"
            };
            applied.kept.push((address.clone(), why.to_owned()));
        }
        for change in &context.plan.changes {
            if change.action == stack_plan::Action::Forget
                && change.reason != Some(stack_plan::Reason::ContainerEnds)
            {
                applied
                    .kept
                    .push((change.address.clone(), "the configuration keeps it".to_owned()));
            }
        }
        records.extend(state.checks.keys().map(|name| Record::Check {
            name: name.clone(),
            status: None,
        }));
    }
    if !records.is_empty() {
        match context.store.append(records).await {
            Ok(()) => applied.recorded = true,
            Err(error) => applied.diagnostics.extend(not_recorded(&error)),
        }
    }
    applied.outputs = context.store.state().outputs;
}

fn outputs(context: &Context<'_>, applied: &mut Applied, records: &mut Vec<Record>) {
    for (name, change) in &context.plan.outputs {
        let value = match &change.after {
            None => None,
            Some(_) => {
                let root = stack_core::ModulePath::root();
                match context
                    .evaluator
                    .output(&root, &std::sync::Arc::from(name.as_str()))
                {
                    Ok(value) if value.is_wholly_known() && !value.is_null() => Some(value),
                    Ok(value) if value.is_null() => None,
                    // What it refers to failed or was not started: the output stays as it was.
                    Ok(_) | Err(_) => continue,
                }
            }
        };
        if value != change.before {
            records.push(Record::Output {
                name: name.clone(),
                value,
            });
        }
    }
    let broken = applied.diagnostics.has_errors() || applied.interrupted;
    let evaluation = context.evaluator.take_diagnostics();
    if !broken {
        applied.diagnostics.extend(evaluation);
    }
}

fn checks(context: &Context<'_>, applied: &mut Applied, records: &mut Vec<Record>) {
    let failed = context.failed_data.borrow();
    let results = stack_plan::evaluate_checks(&context.evaluator, &|address| failed.get(address).cloned());
    context.evaluator.take_diagnostics();
    for CheckResult { address, status } in &results {
        context.events.event(Event::Check {
            address: address.clone(),
            status: status.clone(),
        });
        if context.state().checks.get(address) != Some(status) {
            records.push(Record::Check {
                name: address.clone(),
                status: Some(status.clone()),
            });
        }
        let messages = match status {
            CheckStatus::Failed(messages) | CheckStatus::Error(messages) => messages,
            CheckStatus::Passed | CheckStatus::Unknown => continue,
        };
        for message in messages {
            let mut diagnostic = Diagnostic::warning("STK0408", format!("{address} failed"), message.clone());
            diagnostic.severity = Severity::Warning;
            applied.diagnostics.push(diagnostic);
        }
    }
    applied.checks = results;
}
