//! `lifecycle.prevent_destroy`

use stack_config::configuration::Resource;
use stack_config::evaluate;
use stack_core::{Diagnostic, Diagnostics, Marks, ResourceAddress, Type, Value};

use crate::InstanceScope;
use crate::expansion::Repetition;
use crate::planner::Walk;

/// Whether the configuration forbids that this instance ends.
///
/// # Errors
/// It cannot be told: the expression fails, or is no known bool.
pub(crate) fn prevents(
    walk: &Walk<'_, '_>,
    address: &ResourceAddress,
    resource: &Resource,
    repetition: &Repetition,
) -> Result<bool, Diagnostics> {
    let Some(expr) = &resource.lifecycle.prevent_destroy else {
        return Ok(false);
    };
    let scope = InstanceScope {
        evaluator: &walk.evaluator,
        module: address.module.clone(),
        repetition: Some(repetition.clone()),
        self_object: None,
    };
    let value = evaluate(expr, &scope)?;
    let wrong = |detail: String| {
        Diagnostics::from(
            Diagnostic::error("STK0336", "Invalid prevent_destroy", detail)
                .at(expr.span())
                .address(address.clone())
                .hint("use a variable or a local value that refers to no resource"),
        )
    };
    if value.marks().contains(Marks::EPHEMERAL) {
        return Err(wrong(
            "The value is ephemeral and exists only while the command runs.".to_owned(),
        ));
    }
    match stack_core::convert::convert(value.unmarked(), &Type::Bool) {
        Ok(Value::Bool(prevents)) => Ok(prevents),
        Ok(Value::Null(_)) => Ok(false),
        Ok(Value::Unknown(_)) => Err(wrong(
            "The value is known only after apply, so the plan cannot tell whether the object may be destroyed.".to_owned(),
        )),
        Ok(_) | Err(_) => Err(wrong(format!(
            "A bool is required, not {}.",
            value.ty().friendly_name()
        ))),
    }
}

/// The same for an instance that may not be configured any more: where the configuration does not tell, it is as it was
/// when it was last recorded.
pub(crate) fn prevents_end(walk: &Walk<'_, '_>, address: &ResourceAddress, resource: &Resource) -> bool {
    if resource.lifecycle.prevent_destroy.is_none() {
        return false;
    }
    // Asked of the configuration: a destroy has put in the instances that are recorded.
    let expansion = walk
        .evaluator
        .expand(
            &address.module,
            resource.count.as_ref(),
            resource.for_each.as_ref(),
        )
        .ok();
    let now = expansion.and_then(|expansion| expansion.repetition(&address.key));
    let is_now = now.is_some();
    let repetition = now.unwrap_or_else(|| Repetition {
        key: address.key.clone(),
        value: None,
    });
    let recorded = || {
        walk.current(address)
            .is_some_and(|object| object.delete.prevent_destroy)
    };
    let uses_each = resource
        .lifecycle
        .prevent_destroy
        .iter()
        .flat_map(stack_config::Expr::references)
        .any(|reference| matches!(reference.subject, stack_config::reference::Subject::Each(_)));
    if uses_each && !is_now {
        return recorded();
    }
    prevents(walk, address, resource, &repetition).unwrap_or_else(|_| recorded())
}
