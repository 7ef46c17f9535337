//! Function calls.

use stack_core::convert::convert;
use stack_core::{Diagnostic, Diagnostics, Marks, Span, Type, Value};

use super::{Evaluated, Evaluator, dynamic, error, unknown_not_null};
use crate::expression::{Call, Kind, Node};
use crate::functions::{self, CallContext, Function, FunctionError};
use crate::print::render_type;
use crate::suggest::did_you_mean;

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call, span: Span) -> Evaluated {
        let name = call.name.strip_prefix("core::").unwrap_or(&call.name);
        match name {
            "try" => return self.try_call(call, span),
            "can" => return self.can_call(call, span),
            "type" => {
                return Err(error(
                    span,
                    "Invalid use of type function",
                    "The type function can only be called at the top level of an expression in the console.",
                ));
            }
            _ => {}
        }
        if let Some((namespace, name)) = name.split_once("::") {
            return self.provider_call(call, namespace, name, span);
        }
        let Some(function) = functions::find(name) else {
            return Err(unknown_function(name, call.name_span));
        };
        if name == "templatestring" {
            direct_reference(call)?;
        }
        match self.arguments(call)? {
            Some(arguments) => self.call_function(function, call, arguments, span),
            None => Ok(dynamic()),
        }
    }

    /// The evaluated arguments with their places; `None` where their number is not known yet.
    fn arguments(&mut self, call: &Call) -> Result<Option<Vec<(Value, Span)>>, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let mut arguments = Vec::with_capacity(call.arguments.len());
        let mut known = true;
        for (i, node) in call.arguments.iter().enumerate() {
            let Some(value) = diagnostics.absorb(self.node(node)) else {
                continue;
            };
            if !call.expand || i + 1 < call.arguments.len() {
                arguments.push((value, node.span));
                continue;
            }
            let (value, marks) = value.unmark();
            match &value {
                Value::Null(_) => diagnostics.extend(expansion(node.span, "must not be null")),
                Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
                    arguments.extend(members.iter().map(|m| (m.clone().mark(marks), node.span)));
                }
                Value::Unknown(u) if !u.ty.is_primitive() => known = false,
                _ => diagnostics.extend(expansion(node.span, "must be of a tuple, list, or set type")),
            }
        }
        if diagnostics.has_errors() {
            Err(diagnostics)
        } else {
            Ok(known.then_some(arguments))
        }
    }

    fn call_function(
        &mut self,
        function: &Function,
        call: &Call,
        arguments: Vec<(Value, Span)>,
        span: Span,
    ) -> Evaluated {
        let least = function.parameters.len();
        if let Some(missing) = function.parameters.get(arguments.len()) {
            let word = if least == 1 { "argument" } else { "arguments" };
            let at_least = if function.variadic.is_some() {
                "at least "
            } else {
                ""
            };
            return Err(error(
                span,
                "Not enough function arguments",
                format!(
                    "Function \"{}\" expects {at_least}{least} {word}. Missing value for \"{}\".",
                    call.name, missing.name
                ),
            ));
        }
        if function.variadic.is_none()
            && let Some((_, extra)) = arguments.get(least)
        {
            let word = if least == 1 { "argument" } else { "arguments" };
            return Err(error(
                *extra,
                "Too many function arguments",
                format!("Function \"{}\" expects only {least} {word}.", call.name),
            ));
        }
        let mut diagnostics = Diagnostics::new();
        let mut converted = Vec::with_capacity(arguments.len());
        let mut places = Vec::with_capacity(arguments.len());
        for (i, (value, place)) in arguments.into_iter().enumerate() {
            places.push(place);
            let Some(parameter) = function.parameter(i) else {
                continue;
            };
            match convert(&value, &parameter.ty) {
                Ok(value) => converted.push(value),
                Err(e) => diagnostics.extend(invalid_argument(parameter.name, place, &e.told(&value))),
            }
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let context = CallContext {
            scope: self.scope,
            depth: self.depth,
        };
        let sensitive = converted.iter().any(is_sensitive);
        function.call(&context, converted).map_err(|e| match e.argument {
            Some(i) => {
                let name = function.parameter(i).map_or("", |p| p.name);
                let place = places.get(i).copied().unwrap_or(span);
                invalid_argument(name, place, e.told(sensitive))
            }
            None => failed_call(call, span, e.told(sensitive)),
        })
    }

    fn provider_call(&mut self, call: &Call, namespace: &str, name: &str, span: Span) -> Evaluated {
        let unknown = || {
            error(
                call.name_span,
                "Unknown provider function",
                format!("There is no function \"{}\".", call.name),
            )
        };
        let (provider, function) = match (namespace, name.split_once("::")) {
            ("provider", Some(parts)) => parts,
            _ => return Err(unknown().hint("functions of providers are called provider::PROVIDER::NAME")),
        };
        let Some(arguments) = self.arguments(call)? else {
            return Ok(dynamic());
        };
        let marks = arguments
            .iter()
            .fold(Marks::NONE, |m, (v, _)| m.union(v.marks_deep()));
        let values: Vec<Value> = arguments.iter().map(|(v, _)| v.unmark_deep()).collect();
        if !values.iter().all(Value::is_wholly_known) {
            return Ok(dynamic().mark(marks));
        }
        match self.scope.provider_function(provider, function, &values) {
            None => Err(unknown()),
            Some(Ok(value)) => Ok(value.mark(marks)),
            Some(Err(why)) => {
                let why = FunctionError::new(why);
                Err(failed_call(
                    call,
                    span,
                    why.told(marks.contains(Marks::SENSITIVE)),
                ))
            }
        }
    }

    /// `try(a, b, …)`: the first that has no mistake.
    fn try_call(&mut self, call: &Call, span: Span) -> Evaluated {
        if call.arguments.is_empty() {
            return Err(error(
                span,
                "Error in function call",
                "Call to function \"try\" failed: at least one argument is required.",
            ));
        }
        let mut failures = Vec::new();
        for argument in &call.arguments {
            match self.node(argument) {
                Ok(value) if value.is_wholly_known() => return Ok(value),
                // Another value may have another type, or be a mistake, once it is known.
                Ok(value) => return Ok(dynamic().mark(value.marks_deep())),
                Err(diagnostics) => failures.extend(diagnostics.into_iter().map(|d| format!("- {d}"))),
            }
        }
        Err(error(
            span,
            "Error in function call",
            format!(
                "Call to function \"try\" failed: no expression succeeded:\n{}\n\nAt least one expression must produce a successful result.",
                failures.join("\n")
            ),
        ))
    }

    /// `can(a)`: whether it has no mistake.
    fn can_call(&mut self, call: &Call, span: Span) -> Evaluated {
        let [argument] = call.arguments.as_slice() else {
            let summary = if call.arguments.is_empty() {
                "Not enough function arguments"
            } else {
                "Too many function arguments"
            };
            return Err(error(span, summary, "Function \"can\" expects 1 argument."));
        };
        Ok(match self.node(argument) {
            Err(_) => Value::Bool(false),
            Ok(value) if value.is_wholly_known() => Value::Bool(true),
            Ok(_) => unknown_not_null(Type::Bool),
        })
    }

    /// `type(a)` as a whole line of the console: the type as text.
    pub(crate) fn type_call(&mut self, node: &Node) -> Option<Result<String, Diagnostics>> {
        let Kind::Call(call) = &node.kind else { return None };
        if call.name.as_ref() != "type" {
            return None;
        }
        let [argument] = call.arguments.as_slice() else {
            let summary = if call.arguments.is_empty() {
                "Not enough function arguments"
            } else {
                "Too many function arguments"
            };
            return Some(Err(error(
                node.span,
                summary,
                "Function \"type\" expects 1 argument.",
            )));
        };
        if let Some(inner) = self.type_call(argument) {
            return Some(inner.map(|_| "type".to_owned()));
        }
        Some(self.node(argument).map(|value| render_type(&value.ty())))
    }
}

fn expansion(span: Span, what: &str) -> Diagnostics {
    error(
        span,
        "Invalid expanding argument value",
        format!("The expanding argument (indicated by ...) {what}."),
    )
}

fn is_sensitive(value: &Value) -> bool {
    value.marks_deep().contains(Marks::SENSITIVE)
}

fn failed_call(call: &Call, span: Span, why: &str) -> Diagnostics {
    let why = why.trim_end_matches('.');
    error(
        span,
        "Error in function call",
        format!("Call to function \"{}\" failed: {why}.", call.name),
    )
}

fn invalid_argument(name: &str, span: Span, message: &str) -> Diagnostics {
    let message = message.trim_end_matches('.');
    error(
        span,
        "Invalid function argument",
        format!("Invalid value for \"{name}\" parameter: {message}."),
    )
}

/// A template as a literal would be rendered before the call, so it must come from elsewhere.
fn direct_reference(call: &Call) -> Result<(), Diagnostics> {
    match call.arguments.first() {
        Some(Node {
            kind: Kind::Traversal { .. } | Kind::Local { .. } | Kind::Attribute(..) | Kind::Index(..),
            ..
        })
        | None => Ok(()),
        Some(other) => Err(invalid_argument(
            "template",
            other.span,
            "invalid template expression: must be a direct reference to a template string from elsewhere; a literal needs no function",
        )),
    }
}

fn unknown_function(name: &str, span: Span) -> Diagnostics {
    let mut diagnostic = Diagnostic::error(
        "STK0211",
        "Call to unknown function",
        format!("There is no function named \"{name}\"."),
    )
    .at(span);
    if let Some(near) = did_you_mean(name, functions::names()) {
        diagnostic = diagnostic.hint(format!("did you mean \"{near}\"?"));
    }
    Diagnostics::from(diagnostic)
}
