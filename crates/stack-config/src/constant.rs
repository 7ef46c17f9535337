//! Expressions that may refer to nothing.

use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, Span, Value};

use crate::evaluate::{NoScope, evaluate};
use crate::expression::{Call, Expr, Kind, Node};

/// `Variables not allowed`
pub(crate) fn variables_not_allowed(span: Span) -> Diagnostic {
    Diagnostic::error(
        "STK0110",
        "Variables not allowed",
        "Variables may not be used here.",
    )
    .at(span)
}

/// The value of an expression that may neither refer to anything nor call functions.
pub(crate) fn constant(expr: &Expr) -> Result<Value, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    for call in expr.calls() {
        diagnostics.push(
            Diagnostic::error(
                "STK0110",
                "Function calls not allowed",
                "Functions may not be called here.",
            )
            .at(call.span),
        );
    }
    for free in expr.free() {
        let place = match &free.reference {
            Ok(reference) => Some(reference.span),
            Err(diagnostic) => diagnostic.labels.first().map(|(span, _)| *span),
        };
        diagnostics.push(variables_not_allowed(place.unwrap_or(expr.span())));
    }
    if diagnostics.has_errors() {
        Err(diagnostics)
    } else {
        evaluate(expr, &NoScope)
    }
}

/// A function call in an expression.
pub(crate) struct CallSite {
    pub(crate) name: Arc<str>,
    /// Place of the name.
    pub(crate) name_span: Span,
    /// Place of the whole call.
    pub(crate) span: Span,
    /// It stands in an argument of `try` or `can`, which take errors for an answer.
    pub(crate) caught: bool,
}

impl Expr {
    /// All function calls in it.
    pub(crate) fn calls(&self) -> Vec<CallSite> {
        let mut out = Vec::new();
        find_calls(self.node(), false, &mut out);
        out
    }
}

fn find_calls(node: &Node, caught: bool, out: &mut Vec<CallSite>) {
    let mut inside = |inner: &Node| find_calls(inner, caught, out);
    match &node.kind {
        Kind::Call(call) => {
            let Call {
                name,
                name_span,
                arguments,
                ..
            } = &**call;
            out.push(CallSite {
                name: name.clone(),
                name_span: *name_span,
                span: node.span,
                caught,
            });
            let caught = caught || matches!(name.as_ref(), "try" | "can");
            for argument in arguments {
                find_calls(argument, caught, out);
            }
        }
        Kind::Template(nodes) | Kind::Tuple(nodes) => nodes.iter().for_each(inside),
        Kind::Object(items) => {
            for (key, value) in items {
                inside(key);
                inside(value);
            }
        }
        Kind::Wrap(inner)
        | Kind::Parenthesis(inner)
        | Kind::Unary(_, inner)
        | Kind::Attribute(inner, _)
        | Kind::Join(inner) => inside(inner),
        Kind::Index(a, b) | Kind::Splat(a, b) => {
            inside(a);
            inside(b);
        }
        Kind::Binary(first, links) => {
            inside(first);
            for link in links {
                inside(&link.right);
            }
        }
        Kind::Conditional(condition, yes, no) => {
            for part in [condition, yes, no] {
                inside(part);
            }
        }
        Kind::For(each) => {
            let parts = [
                Some(&each.collection),
                each.key.as_ref(),
                Some(&each.value),
                each.condition.as_ref(),
            ];
            parts.into_iter().flatten().for_each(inside);
        }
        Kind::Literal(_)
        | Kind::Invalid(_)
        | Kind::Pending(_)
        | Kind::Traversal { .. }
        | Kind::Local { .. }
        | Kind::SplatItem => {}
    }
}
