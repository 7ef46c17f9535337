//! Expressions that may refer to nothing.

use hcl_edit::expr::{Expression, FuncCall};
use hcl_edit::visit::{Visit, visit_func_call};
use stack_core::{Diagnostic, Diagnostics, FileId, Span, Value};

use crate::evaluate::{NoScope, evaluate};
use crate::expression::Expr;

/// `Variables not allowed`
pub(crate) fn variables_not_allowed(span: Span) -> Diagnostic {
    Diagnostic::error("STK0110", "Variables not allowed", "Variables may not be used here.").at(span)
}

/// The value of an expression that may neither refer to anything nor call functions.
pub(crate) fn constant(file: FileId, text: &str, expression: &Expression) -> Result<Value, Diagnostics> {
    constant_expr(file, Some(expression), &Expr::new(file, text, expression))
}

/// [`constant`] of an expression in both its forms; without the first, calls are not looked for.
pub(crate) fn constant_expr(
    file: FileId,
    expression: Option<&Expression>,
    expr: &Expr,
) -> Result<Value, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let mut calls = Calls(Vec::new());
    if let Some(expression) = expression {
        calls.visit_expr(expression);
    }
    for range in calls.0 {
        diagnostics.push(
            Diagnostic::error("STK0110", "Function calls not allowed", "Functions may not be called here.")
                .at(Span::new(file, range)),
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
struct Calls(Vec<std::ops::Range<usize>>);

impl Visit for Calls {
    fn visit_func_call(&mut self, node: &FuncCall) {
        self.0.push(hcl_edit::Span::span(node).unwrap_or(0..0));
        visit_func_call(self, node);
    }
}
