//! Templates as values: `templatefile` and `templatestring`.

use std::sync::Arc;

use stack_core::{FileId, Value};

use crate::evaluate::{dynamic, evaluate_at_depth};
use crate::expression::parse_template;
use crate::functions::{CallContext, FunctionError};

/// How deep templates may render templates.
const MAX_DEPTH: usize = 32;

/// Renders a template with variables; `name` stands for it in messages.
///
/// # Errors
/// `vars` is no object with names as keys, the template is none, or it refers to something else than its variables.
pub(crate) fn render(
    context: &CallContext<'_>,
    template: &str,
    name: &str,
    vars: &Value,
) -> Result<Value, FunctionError> {
    if context.depth >= MAX_DEPTH {
        return Err(FunctionError::argument(
            0,
            format!("templates render templates more than {MAX_DEPTH} levels deep"),
        ));
    }
    let Some(variables) = vars.as_mapping() else {
        return Err(FunctionError::argument(1, "invalid vars value: must be a map"));
    };
    if let Some(wrong) = variables.keys().find(|key| !is_name(key)) {
        let message = format!(
            "invalid template variable name {wrong:?}: must start with a letter, followed by zero or more letters, digits, and underscores"
        );
        return Err(FunctionError::argument(1, message));
    }
    let expr = parse_template(template, FileId(u32::MAX)).map_err(|diagnostics| {
        let mut lines = Vec::new();
        for d in diagnostics.iter() {
            let at = d.labels.first().map_or(0, |(span, _)| span.start as usize);
            lines.push(format!("{name}{}: {d}", place(template, at)));
        }
        FunctionError::argument(0, lines.join("; "))
    })?;
    let mut missing: Vec<&str> = expr
        .free()
        .iter()
        .map(|f| f.root.as_ref())
        .filter(|root| !variables.contains_key(*root))
        .collect();
    missing.dedup();
    if let Some(root) = missing.first() {
        let message = format!("vars map does not contain key {root:?}, which {name} refers to");
        return Err(FunctionError::argument(1, message));
    }
    let bound: Vec<(Arc<str>, Value)> = variables
        .iter()
        .map(|(k, v)| (Arc::from(k.as_str()), v.clone()))
        .collect();
    if !vars.is_known() {
        return Ok(dynamic());
    }
    evaluate_at_depth(&expr, context.scope, &bound, context.depth + 1).map_err(|diagnostics| {
        let mut lines = Vec::new();
        for d in diagnostics.iter() {
            let at = d.labels.first().map_or(0, |(span, _)| span.start as usize);
            lines.push(format!("{name}{}: {d}", place(template, at)));
        }
        FunctionError::new(lines.join("; "))
    })
}

/// Line and column of a byte offset.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!(":{line},{column}")
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| unicode_ident::is_xid_start(c) || c == '_')
        && characters.all(|c| unicode_ident::is_xid_continue(c) || c == '-')
}
