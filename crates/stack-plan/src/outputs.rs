//! Outputs of the root module.

use std::collections::BTreeMap;

use stack_core::{ModulePath, Value};

use crate::{Evaluator, Mode, OutputChange};

/// What happens to each output. Evaluation errors are reported to the evaluator.
pub(crate) fn plan(evaluator: &Evaluator<'_>) -> BTreeMap<String, OutputChange> {
    let input = evaluator.input();
    let mut out = BTreeMap::new();
    let root = &input.configuration.root;
    if input.options.mode != Mode::Destroy {
        for (name, output) in &root.outputs {
            let Ok(value) = evaluator.output(&ModulePath::root(), name) else {
                continue;
            };
            if output.ephemeral {
                continue;
            }
            let before = input.state.outputs.get(name.as_ref()).cloned();
            // What is not made yet stays so in a plan that only records.
            let stays = input.options.mode == Mode::RefreshOnly && !value.is_wholly_known();
            let value = match &before {
                _ if !stays => value,
                Some(before) => before.clone(),
                None => continue,
            };
            out.insert(
                name.to_string(),
                OutputChange {
                    before,
                    after: Some(value).filter(|v| !is_untyped_null(v)),
                },
            );
        }
    }
    for (name, before) in &input.state.outputs {
        out.entry(name.clone()).or_insert_with(|| OutputChange {
            before: Some(before.clone()),
            after: None,
        });
    }
    out
}

/// An output that is null without a type is the same as none.
fn is_untyped_null(value: &Value) -> bool {
    value.is_null()
}
