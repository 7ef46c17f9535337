//! Functions over lists, tuples, maps and objects.

mod choice;
mod list;
mod map;
mod set;

use stack_core::{Type, Value};

use super::{Called, Function, FunctionError};
use crate::evaluate::unknown_not_null;

/// The functions of this group.
pub(super) fn functions() -> Vec<Function> {
    let mut out = list::functions();
    out.extend(map::functions());
    out.extend(set::functions());
    out.extend(choice::functions());
    out
}

/// The members of a list, set or tuple.
fn members(value: &Value) -> Result<&[Value], FunctionError> {
    value
        .as_sequence()
        .ok_or_else(|| FunctionError::new("argument must be a list, set or tuple"))
}

/// The element type of a list or set; a tuple has none.
fn element_type(ty: &Type) -> Type {
    match ty {
        Type::List(t) | Type::Set(t) | Type::Map(t) => (**t).clone(),
        _ => Type::Dynamic,
    }
}

/// A result that is known only later.
fn unknown(ty: Type) -> Called {
    Ok(if ty == Type::Dynamic {
        Value::unknown(ty)
    } else {
        unknown_not_null(ty)
    })
}

/// A whole number, as an argument.
fn whole(value: &Value, position: usize) -> Result<i64, FunctionError> {
    let number = value.as_number().and_then(stack_core::Number::as_i64);
    number.ok_or_else(|| FunctionError::argument(position, "value must be a whole number"))
}
