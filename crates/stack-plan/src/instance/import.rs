//! `import` blocks.

use stack_config::configuration::Import;
use stack_config::evaluate;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, ModulePath, ResourceAddress, Value};

use super::draft::Draft;
use super::failed;
use crate::InstanceScope;
use crate::planner::Walk;
use crate::request::{Answer, Request};

pub(super) enum Imported {
    No,
    Waiting,
    Object(String, Value),
}

/// The `import` blocks for a resource, each with the instance of the module it stands in.
fn blocks<'a>(walk: &Walk<'_, 'a>, address: &ResourceAddress) -> Vec<(ModulePath, &'a Import)> {
    let configuration = walk.input.configuration;
    let mut out = Vec::new();
    for depth in 0..=address.module.0.len() {
        let (base, inner) = address.module.0.split_at(depth);
        let base = ModulePath(base.into());
        let Some(module) = configuration.module_at(&base) else {
            continue;
        };
        let meant = |block: &&Import| {
            block.to.module.0[..] == *inner
                && (block.to.mode, &block.to.ty, &block.to.name) == (address.mode, &address.ty, &address.name)
        };
        out.extend(
            module
                .imports
                .iter()
                .filter(meant)
                .map(|block| (base.clone(), block)),
        );
    }
    out
}

/// The error of an import whose provider cannot be asked yet.
fn through_unknown(draft: &Draft<'_>, block: &Import) -> Diagnostics {
    let detail = format!(
        "{} cannot be imported yet: the arguments of {} depend on values that are known only after apply.",
        draft.address, draft.provider
    );
    Diagnostic::error("STK0334", "Import through an unknown connection", detail)
        .at(block.span)
        .hint("apply first what the provider configuration refers to, with --target")
        .into()
}

/// The object an `import` block names for this instance.
pub(super) fn import(walk: &mut Walk<'_, '_>, draft: &Draft<'_>) -> Result<Imported, Diagnostics> {
    for (base, block) in blocks(walk, draft.address) {
        let expansion = walk.evaluator.expand(&base, None, block.for_each.as_ref())?;
        for repetition in expansion.repetitions() {
            let scope = InstanceScope {
                evaluator: &walk.evaluator,
                module: base.clone(),
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
            if !draft.arguments.is_wholly_known() {
                return Err(through_unknown(draft, block));
            }
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
                            .hint("correct the id, or take the import block out of the configuration")
                            .into(),
                    )
                }
            };
        }
    }
    Ok(Imported::No)
}
