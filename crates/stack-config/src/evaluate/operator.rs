//! Operators.

use stack_core::convert::convert;
use stack_core::{Number, Span, Type, Value};

use super::{Evaluated, Evaluator, equal, error, unknown_not_null};
use crate::expression::{BinaryOperator, Link, Node, UnaryOperator};

impl Evaluator<'_> {
    pub(super) fn unary(&mut self, operator: UnaryOperator, operand: &Node, span: Span) -> Evaluated {
        let ty = match operator {
            UnaryOperator::Negate => Type::Number,
            UnaryOperator::Not => Type::Bool,
        };
        let value = self.node(operand)?;
        let value = convert(&value, &ty).map_err(|e| {
            error(
                operand.span,
                "Invalid operand",
                format!("Unsuitable value for unary operand: {}.", e.told(&value)),
            )
        })?;
        let (value, marks) = value.unmark();
        let result = match (operator, &value) {
            (UnaryOperator::Negate, Value::Number(n)) => Value::Number(n.negate()),
            (UnaryOperator::Not, Value::Bool(b)) => Value::Bool(!b),
            (_, Value::Null(_)) => return Err(null_operand(span)),
            _ => unknown_not_null(ty),
        };
        Ok(result.mark(marks))
    }

    /// A chain of operators.
    pub(super) fn binary(&mut self, first: &Node, links: &[Link]) -> Evaluated {
        let mut value = self.node(first)?;
        let mut left = first.span;
        for Link {
            operator,
            right,
            span,
        } in links
        {
            let other = self.node(right)?;
            value = apply(*operator, (&value, left), (&other, right.span), *span)?;
            left = *span;
        }
        Ok(value)
    }
}

fn null_operand(span: Span) -> stack_core::Diagnostics {
    error(
        span,
        "Operation failed",
        "Error during operation: argument must not be null.",
    )
}

fn apply(operator: BinaryOperator, left: (&Value, Span), right: (&Value, Span), span: Span) -> Evaluated {
    let (operand, result) = match operator {
        BinaryOperator::Equal => return Ok(equal(left.0, right.0)),
        BinaryOperator::NotEqual => return Ok(not(equal(left.0, right.0))),
        BinaryOperator::Or | BinaryOperator::And => (Type::Bool, Type::Bool),
        BinaryOperator::Less
        | BinaryOperator::LessOrEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterOrEqual => (Type::Number, Type::Bool),
        BinaryOperator::Add
        | BinaryOperator::Subtract
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo => (Type::Number, Type::Number),
    };
    let converted = |(value, span): (&Value, Span), side: &str| {
        convert(value, &operand).map_err(|e| {
            error(
                span,
                "Invalid operand",
                format!("Unsuitable value for {side} operand: {}.", e.told(value)),
            )
        })
    };
    let (a, a_marks) = converted(left, "left")?.unmark();
    let (b, b_marks) = converted(right, "right")?.unmark();
    if a.is_null() || b.is_null() {
        return Err(null_operand(span));
    }
    let value = match (&a, &b) {
        (Value::Bool(a), Value::Bool(b)) => Value::Bool(if operator == BinaryOperator::Or {
            *a || *b
        } else {
            *a && *b
        }),
        (Value::Number(a), Value::Number(b)) => numbers(operator, a, b, span)?,
        _ => unknown_not_null(result),
    };
    Ok(value.mark(a_marks.union(b_marks)))
}

fn not(value: Value) -> Value {
    let (value, marks) = value.unmark();
    match value {
        Value::Bool(b) => Value::Bool(!b),
        other => other,
    }
    .mark(marks)
}

fn numbers(operator: BinaryOperator, a: &Number, b: &Number, span: Span) -> Evaluated {
    let result = match operator {
        BinaryOperator::Less => return Ok(Value::Bool(a < b)),
        BinaryOperator::LessOrEqual => return Ok(Value::Bool(a <= b)),
        BinaryOperator::Greater => return Ok(Value::Bool(a > b)),
        BinaryOperator::GreaterOrEqual => return Ok(Value::Bool(a >= b)),
        BinaryOperator::Add => a.add(b).ok_or("can't compute the sum of opposing infinities"),
        BinaryOperator::Subtract => a.subtract(b).ok_or("can't subtract infinity from itself"),
        BinaryOperator::Multiply => a.multiply(b).ok_or("can't multiply zero by infinity"),
        BinaryOperator::Divide => a
            .divide(b)
            .ok_or("can't divide zero by zero or infinity by infinity"),
        BinaryOperator::Modulo => a.remainder(b).ok_or("can't take the remainder of infinity"),
        BinaryOperator::Or | BinaryOperator::And | BinaryOperator::Equal | BinaryOperator::NotEqual => {
            return Ok(Value::NULL);
        }
    };
    match result {
        Ok(number) => Ok(Value::Number(number)),
        Err(why) => Err(error(
            span,
            "Operation failed",
            format!("Error during operation: {why}."),
        )),
    }
}
