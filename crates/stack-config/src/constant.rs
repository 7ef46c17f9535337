//! Expressions that may refer to nothing.

use stack_core::{Diagnostic, Diagnostics, Span, Value};

use crate::evaluate::{NoScope, evaluate};
use crate::expression::{Expr, Kind, Node};

/// `Variables not allowed`
pub(crate) fn variables_not_allowed(span: Span) -> Diagnostic {
    Diagnostic::error("STK0110", "Variables not allowed", "Variables may not be used here.").at(span)
}

/// The value of an expression that may neither refer to anything nor call functions.
pub(crate) fn constant(expr: &Expr) -> Result<Value, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let mut calls = Vec::new();
    find_calls(expr.node(), &mut calls);
    for span in calls {
        diagnostics.push(
            Diagnostic::error("STK0110", "Function calls not allowed", "Functions may not be called here.").at(span),
        );
    }
    for free in expr.free() {
        let place = match &free.reference {
            Ok(reference) => Some(reference.span),
            Err(diagnostic) => diagnostic.labels.first().map(|(span, _)| *span),
        };
        diagnostics.push(variables_not_allowed(place.unwrap_or(expr.span())));
    }
    if diagnostics.has_errors() { Err(diagnostics) } else { evaluate(expr, &NoScope) }
}

/// Places of function calls.
fn find_calls(node: &Node, out: &mut Vec<Span>) {
    match &node.kind {
        Kind::Call(call) => {
            out.push(node.span);
            call.arguments.iter().for_each(|argument| find_calls(argument, out));
        }
        Kind::Template(nodes) | Kind::Tuple(nodes) => nodes.iter().for_each(|inner| find_calls(inner, out)),
        Kind::Object(items) => {
            for (key, value) in items {
                find_calls(key, out);
                find_calls(value, out);
            }
        }
        Kind::Wrap(inner)
        | Kind::Parenthesis(inner)
        | Kind::Unary(_, inner)
        | Kind::Attribute(inner, _)
        | Kind::Join(inner) => find_calls(inner, out),
        Kind::Index(a, b) | Kind::Splat(a, b) | Kind::Binary(_, a, b) => {
            find_calls(a, out);
            find_calls(b, out);
        }
        Kind::Conditional(condition, yes, no) => {
            for inner in [condition, yes, no] {
                find_calls(inner, out);
            }
        }
        Kind::For(each) => {
            let parts = [Some(&each.collection), each.key.as_ref(), Some(&each.value), each.condition.as_ref()];
            parts.into_iter().flatten().for_each(|inner| find_calls(inner, out));
        }
        Kind::Literal(_)
        | Kind::Invalid(_)
        | Kind::Pending(_)
        | Kind::Traversal { .. }
        | Kind::Local { .. }
        | Kind::SplatItem => {}
    }
}
