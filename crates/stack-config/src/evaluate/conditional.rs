//! `condition ? a : b`, and the `if` directive.

use stack_core::convert::{convert, mismatch, unify};
use stack_core::{Diagnostics, Span, Type, Unknown, Value};

use super::{Evaluated, Evaluator, dynamic, error};
use crate::expression::Node;

impl Evaluator<'_> {
    pub(super) fn conditional(&mut self, condition: &Node, yes: &Node, no: &Node) -> Evaluated {
        // Both branches are evaluated for their types; mistakes count only in the one that is taken.
        let yes_result = self.node(yes);
        let no_result = self.node(no);
        let ty = result_type(&yes_result, &no_result, yes.span)?;
        let (chosen, marks) = {
            let value = self.node(condition)?;
            if value.is_null() {
                return Err(error(
                    condition.span,
                    "Null condition",
                    "The condition value is null. Conditions must either be true or false.",
                ));
            }
            let value = convert(&value, &Type::Bool).map_err(|_| {
                error(
                    condition.span,
                    "Incorrect condition type",
                    "The condition expression must be of type bool.",
                )
            })?;
            (value.as_bool(), value.marks())
        };
        let Some(chosen) = chosen else {
            let both = (
                yes_result.unwrap_or_else(|_| dynamic()),
                no_result.unwrap_or_else(|_| dynamic()),
            );
            let marks = marks.union(both.0.marks()).union(both.1.marks());
            return Ok(undecided(&both.0, &both.1, ty).mark(marks));
        };
        let (result, span, which) = if chosen {
            (yes_result, yes.span, "true")
        } else {
            (no_result, no.span, "false")
        };
        let value = result?;
        let converted = match &ty {
            Type::Dynamic => value,
            ty => convert(&value, ty).map_err(|e| {
                let why = e.told(&value);
                inconsistent(
                    span,
                    format!("The {which} result value has the wrong type: {why}."),
                )
            })?,
        };
        Ok(converted.mark(marks))
    }
}

fn inconsistent(span: Span, detail: impl Into<String>) -> Diagnostics {
    error(span, "Inconsistent conditional result types", detail)
}

fn result_type(yes: &Evaluated, no: &Evaluated, span: Span) -> Result<Type, Diagnostics> {
    let (Ok(yes), Ok(no)) = (yes, no) else {
        return Ok(Type::Dynamic);
    };
    let untyped = |v: &Value| matches!(v, Value::Unknown(u) if u.ty == Type::Dynamic);
    if untyped(yes) || untyped(no) {
        return Ok(Type::Dynamic);
    }
    let (yes_type, no_type) = (yes.ty(), no.ty());
    let null = |v: &Value| matches!(v.unmarked(), Value::Null(Type::Dynamic));
    match (null(yes), null(no)) {
        (true, true) => return Ok(Type::Dynamic),
        (true, false) => return Ok(no_type),
        (false, true) => return Ok(yes_type),
        (false, false) => {}
    }
    unify(&[yes_type.clone(), no_type.clone()]).ok_or_else(|| {
        let difference = if yes.hides_names() || no.hides_names() {
            "One of them is sensitive, so no more is told".to_owned()
        } else {
            difference(&yes_type, &no_type)
        };
        inconsistent(
            span,
            format!("The true and false result expressions must have consistent types. {difference}."),
        )
    })
}

/// How two types differ, in a sentence.
fn difference(yes: &Type, no: &Type) -> String {
    match (yes, no) {
        (Type::Object(y), Type::Object(n)) => {
            if let Some(name) = y.attributes.keys().find(|name| !n.attributes.contains_key(*name)) {
                return format!(
                    "The 'true' value includes object attribute \"{name}\", which is absent in the 'false' value"
                );
            }
            if let Some(name) = n.attributes.keys().find(|name| !y.attributes.contains_key(*name)) {
                return format!(
                    "The 'false' value includes object attribute \"{name}\", which is absent in the 'true' value"
                );
            }
            for (name, ty) in &y.attributes {
                if let Some(other) = n.attributes.get(name)
                    && unify(&[ty.clone(), other.clone()]).is_none()
                {
                    return format!(
                        "Type mismatch for object attribute \"{name}\": {}",
                        difference(ty, other)
                    );
                }
            }
            mismatch(no, yes)
        }
        (Type::Tuple(y), Type::Tuple(n)) if y.len() != n.len() => {
            format!(
                "The 'true' tuple has length {}, but the 'false' tuple has length {}",
                y.len(),
                n.len()
            )
        }
        _ => format!(
            "The 'true' value is {}, but the 'false' value is {}",
            yes.friendly_name(),
            no.friendly_name()
        ),
    }
}

/// The result while the condition is unknown: what holds for both branches.
fn undecided(yes: &Value, no: &Value, ty: Type) -> Value {
    let mut result = Unknown::of(ty);
    if result.ty == Type::Dynamic {
        return Value::Unknown(Box::new(result));
    }
    let not_null = |v: &Value| match v.unmarked() {
        Value::Null(_) => false,
        Value::Unknown(u) => u.not_null,
        _ => true,
    };
    result.not_null = not_null(yes) && not_null(no);
    if result.not_null && matches!(result.ty, Type::List(_) | Type::Set(_) | Type::Map(_)) {
        let (a, b) = (lengths(yes), lengths(no));
        result.min_length = a.0.min(b.0);
        result.max_length = a.1.zip(b.1).map(|(a, b)| a.max(b));
    }
    Value::Unknown(Box::new(result))
}

fn lengths(value: &Value) -> (usize, Option<usize>) {
    match value.unmarked() {
        Value::List(_, vs) | Value::Set(_, vs) | Value::Tuple(vs) => (vs.len(), Some(vs.len())),
        Value::Map(_, vs) | Value::Object(vs) => (vs.len(), Some(vs.len())),
        Value::Unknown(u) => (u.min_length, u.max_length),
        _ => (0, None),
    }
}
