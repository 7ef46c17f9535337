//! Conversions between types, and marks.

use stack_core::convert::{convert, convertible};
use stack_core::{Marks, Type, Value};

use super::{CallContext, Called, Function, FunctionError, any};
use crate::evaluate::unknown_not_null;

pub(super) fn functions() -> Vec<Function> {
    let v = || any("v").nullable().unknown().dynamic().marked();
    vec![
        Function::new("tostring", vec![v()], Type::String, |_, args| {
            to(&args[0], &Type::String)
        }),
        Function::new("tonumber", vec![v()], Type::Number, |_, args| {
            to(&args[0], &Type::Number)
        }),
        Function::new("tobool", vec![v()], Type::Bool, |_, args| {
            to(&args[0], &Type::Bool)
        }),
        Function::new("tolist", vec![v()], Type::Dynamic, |_, args| {
            to(&args[0], &Type::list(Type::Dynamic))
        }),
        Function::new("toset", vec![v()], Type::Dynamic, |_, args| {
            to(&args[0], &Type::set(Type::Dynamic))
        }),
        Function::new("tomap", vec![v()], Type::Dynamic, |_, args| {
            to(&args[0], &Type::map(Type::Dynamic))
        }),
        Function::new("sensitive", vec![v()], Type::Dynamic, |_, args| {
            Ok(args[0].clone().sensitive())
        }),
        Function::new("nonsensitive", vec![v()], Type::Dynamic, nonsensitive),
        Function::new("issensitive", vec![v()], Type::Bool, issensitive),
        Function::new("ephemeralasnull", vec![v()], Type::Dynamic, |_, args| {
            Ok(args[0].map_parts(&|part| {
                if part.marks().contains(Marks::EPHEMERAL) {
                    Value::Null(part.ty())
                } else {
                    part
                }
            }))
        }),
    ]
}

fn to(value: &Value, ty: &Type) -> Called {
    let from = value.ty();
    convert(value, ty).map_err(|e| {
        let name = ty.friendly_name();
        let plain = name.split(' ').next().unwrap_or_default();
        FunctionError::argument(
            0,
            match value.unmarked() {
                Value::String(_) if value.marks_deep().contains(Marks::SENSITIVE) => {
                    format!("cannot convert this sensitive string to {name}")
                }
                Value::String(text) if *ty == Type::Bool => {
                    format!("cannot convert {text:?} to bool; only the strings \"true\" or \"false\" are allowed")
                }
                Value::String(text) if *ty == Type::Number => {
                    format!("cannot convert {text:?} to number; given string must be a decimal representation of a number")
                }
                _ if !convertible(&from, ty) && !matches!(from, Type::Tuple(_) | Type::Object(_)) => {
                    format!("cannot convert {} to {plain}", from.friendly_name())
                }
                _ => format!("cannot convert {} to {plain}: {}", from.friendly_name(), e.told(value)),
            },
        )
        .quoting_nothing()
    })
}

fn nonsensitive(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (value, marks) = args[0].clone().unmark();
    Ok(value.mark(marks.without(Marks::SENSITIVE)))
}

fn issensitive(_: &CallContext<'_>, args: &[Value]) -> Called {
    let marked = args[0].marks().contains(Marks::SENSITIVE);
    Ok(if marked || args[0].is_known() {
        Value::Bool(marked)
    } else {
        unknown_not_null(Type::Bool)
    })
}
