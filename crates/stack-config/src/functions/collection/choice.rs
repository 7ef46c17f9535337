//! Functions that choose among their arguments or sum them up.

use stack_core::convert::{convert, unify};
use stack_core::{Type, Value};

use super::super::{Called, Function, FunctionError, Parameter, any};
use super::{members, unknown};

pub(super) fn functions() -> Vec<Function> {
    let bools = || Parameter::new("list", Type::list(Type::Bool));
    let each = || any("vals").nullable().unknown().dynamic();
    vec![
        Function::generic("coalesce", Vec::new(), coalesce_type, |_, args| coalesce(args)).variadic(each()),
        Function::generic("coalescelist", Vec::new(), coalesce_list_type, |_, args| {
            coalesce_list(args)
        })
        .variadic(each()),
        Function::new("alltrue", vec![bools()], Type::Bool, |_, args| all_true(&args[0])),
        Function::new("anytrue", vec![bools()], Type::Bool, |_, args| any_true(&args[0])),
    ]
}

fn coalesce_type(args: &[Value]) -> Result<Type, FunctionError> {
    if args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    unify(&types).ok_or_else(|| FunctionError::new("all arguments must have the same type"))
}

fn coalesce(args: &[Value]) -> Called {
    let ty = coalesce_type(args)?;
    for (i, arg) in args.iter().enumerate() {
        let value = convert(arg, &ty).map_err(|e| FunctionError::argument(i, e.to_string()))?;
        if !value.is_known() {
            return Ok(Value::unknown(ty));
        }
        if !value.is_null() && value.as_str() != Some("") {
            return Ok(value);
        }
    }
    Err(FunctionError::new("no non-null, non-empty-string arguments"))
}

fn coalesce_list_type(args: &[Value]) -> Result<Type, FunctionError> {
    let mut first = None;
    for (i, arg) in args.iter().enumerate() {
        if !arg.is_known() {
            return Ok(Type::Dynamic);
        }
        let ty = arg.ty();
        if !matches!(ty, Type::List(_) | Type::Tuple(_)) {
            return Err(FunctionError::argument(
                i,
                "coalescelist arguments must be lists or tuples",
            ));
        }
        if *first.get_or_insert_with(|| ty.clone()) != ty {
            return Ok(Type::Dynamic);
        }
    }
    first.ok_or_else(|| FunctionError::new("at least one argument is required"))
}

fn coalesce_list(args: &[Value]) -> Called {
    let ty = coalesce_list_type(args)?;
    for (i, arg) in args.iter().enumerate() {
        if !arg.is_known() {
            return Ok(Value::unknown(ty));
        }
        if arg.is_null() {
            continue;
        }
        let members = arg.as_sequence().filter(|_| !matches!(arg, Value::Set(..)));
        let members = members
            .ok_or_else(|| FunctionError::argument(i, "coalescelist arguments must be lists or tuples"))?;
        if !members.is_empty() {
            return Ok(arg.clone());
        }
    }
    Err(FunctionError::new("no non-null arguments"))
}

fn all_true(list: &Value) -> Called {
    for member in members(list)? {
        match member.as_bool() {
            Some(true) => {}
            None if !member.is_known() => return unknown(Type::Bool),
            Some(false) | None => return Ok(Value::Bool(false)),
        }
    }
    Ok(Value::Bool(true))
}

fn any_true(list: &Value) -> Called {
    let mut open = false;
    for member in members(list)? {
        if member.as_bool() == Some(true) {
            return Ok(Value::Bool(true));
        }
        open |= !member.is_known();
    }
    if open {
        unknown(Type::Bool)
    } else {
        Ok(Value::Bool(false))
    }
}
