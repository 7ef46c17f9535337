//! Evaluates an operation's arguments once everything they refer to is known, and checks them against the plan.

use stack_config::decode_body;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, Path, Schema, Value};
use stack_plan::{
    Change, InstanceScope, Repetition, ResourceType, conforms, ignore, preconditions, propose, recompute,
    with_defaults, with_marks,
};

use super::context::Context;

/// The scope of a resource block in one instance.
pub(super) fn scope<'e, 'c>(
    context: &'e Context<'c>,
    change: &Change,
    self_object: Option<Value>,
) -> InstanceScope<'e, 'c> {
    let key = stack_config::configuration::ResourceKey::of(&change.address);
    let repetition = context
        .evaluator
        .expansion(&change.address.module, &key)
        .and_then(|e| e.repetition(&change.address.key))
        .unwrap_or_else(|| Repetition {
            key: InstanceKey::None,
            value: None,
        });
    InstanceScope {
        evaluator: &context.evaluator,
        module: change.address.module.clone(),
        repetition: Some(repetition),
        self_object,
    }
}

fn block<'c>(
    context: &Context<'c>,
    change: &Change,
) -> Result<&'c stack_config::configuration::Resource, Diagnostics> {
    context
        .input
        .configuration
        .resource(&change.address)
        .ok_or_else(|| {
            let detail = "The plan makes an object that is not configured.";
            Diagnostic::error("STK0405", "Plan and configuration disagree", detail)
                .address(change.address.clone())
                .into()
        })
}

/// The arguments of a block, with preconditions checked, defaults filled in, and nothing unknown.
pub(super) fn config(context: &Context<'_>, change: &Change, schema: &Schema) -> Result<Value, Diagnostics> {
    let resource = block(context, change)?;
    let scope = scope(context, change, None);
    let rules = preconditions(resource, &change.address);
    let failures = context.evaluator.failures(&rules, &scope);
    if !failures.is_empty() {
        return Err(failures);
    }
    let decoded = decode_body(&resource.body, schema, &scope);
    let evaluation = context.evaluator.take_diagnostics();
    if evaluation.has_errors() {
        return Err(evaluation);
    }
    let config = with_defaults(&decoded?, schema);
    if !config.is_wholly_known() {
        let detail = "An argument is still not known although everything it refers to is done.";
        return Err(Diagnostic::error("STK0406", "Argument not known", detail)
            .at(resource.span)
            .address(change.address.clone())
            .into());
    }
    Ok(config)
}

/// What to make: the planned object with everything filled in that has become known.
pub(super) fn planned(
    context: &Context<'_>,
    change: &Change,
    ty: &dyn ResourceType,
    prior: Option<&Value>,
) -> Result<(Value, Value), Diagnostics> {
    let schema = ty.schema();
    let mut config = config(context, change, schema)?;
    if let Some(prior) = prior {
        config = ignore(
            config,
            prior,
            schema,
            &block(context, change)?.lifecycle.ignore_changes,
        );
    }
    let mut value = propose(schema, prior, &config);
    if prior.is_some() {
        value = recompute(schema, &config, value);
    }
    let value = with_marks(schema, ty.refine(prior, value).planned, Some(&config));
    let Some(promised) = &change.after else {
        return Ok((config, value));
    };
    let broken: Vec<Path> = schema
        .attributes
        .iter()
        .filter(|(name, _)| config.attribute(name).is_some_and(|c| !c.is_null()))
        .map(|(name, _)| Path::of(&[name]))
        .filter(|path| match (path.get(promised), path.get(&value)) {
            (Some(promised), Some(now)) => {
                !conforms(promised, now) && !ty.same(path, &promised.unmark_deep(), &now.unmark_deep())
            }
            _ => false,
        })
        .collect();
    if broken.is_empty() {
        return Ok((config, value));
    }
    let names: Vec<String> = broken.iter().map(ToString::to_string).collect();
    let detail = format!(
        "Now that everything is known, {} differ{} from what was planned. Nothing was done to this object; plan again.",
        names.join(", "),
        if names.len() == 1 { "s" } else { "" }
    );
    Err(
        Diagnostic::error("STK0407", "Arguments disagree with the plan", detail)
            .at(block(context, change)?.span)
            .address(change.address.clone())
            .into(),
    )
}
