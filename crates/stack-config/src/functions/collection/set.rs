//! Functions over sets.

use std::collections::BTreeSet;

use stack_core::convert::{convert, unify};
use stack_core::{Marks, Type, Value};

use super::super::{Called, Function, FunctionError, Parameter, any};
use super::{element_type, members, unknown};

pub(super) fn functions() -> Vec<Function> {
    let set = |name| Parameter::new(name, Type::set(Type::Dynamic));
    let operation = |name, first, body| Function::generic(name, vec![set(first)], common, body).not_null();
    vec![
        operation("setunion", "first_set", |_, args| combine(args, |a, b| a | b)).variadic(set("other_sets")),
        operation("setintersection", "first_set", |_, args| {
            combine(args, |a, b| a & b)
        })
        .variadic(set("other_sets")),
        Function::generic("setsubtract", vec![set("a"), set("b")], common, |_, args| {
            combine(args, |a, b| a - b)
        })
        .not_null(),
        Function::generic(
            "setproduct",
            Vec::new(),
            |args| Ok(product_type(args)?.0),
            |_, args| product(args),
        )
        .variadic(any("sets").marked())
        .not_null(),
    ]
}

/// The type that all sets can be converted to.
fn common(args: &[Value]) -> Result<Type, FunctionError> {
    // An empty tuple gives a set of nothing in particular, which fits every other.
    let concrete: Vec<Type> = args
        .iter()
        .map(Value::ty)
        .filter(|t| *t != Type::set(Type::Dynamic))
        .collect();
    if concrete.is_empty() {
        return Ok(Type::set(Type::Dynamic));
    }
    unify(&concrete).ok_or_else(|| FunctionError::new("given sets must all have compatible element types"))
}

fn combine(args: &[Value], operation: fn(&BTreeSet<Value>, &BTreeSet<Value>) -> BTreeSet<Value>) -> Called {
    let ty = common(args)?;
    if args.iter().any(|a| !a.is_wholly_known()) {
        return unknown(ty);
    }
    let mut sets = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        let set = convert(arg, &ty).map_err(|e| FunctionError::argument(i, e.to_string()))?;
        sets.push(members(&set)?.iter().cloned().collect::<BTreeSet<_>>());
    }
    let result = sets
        .into_iter()
        .reduce(|a, b| operation(&a, &b))
        .unwrap_or_default();
    Ok(Value::set(element_type(&ty), result.into_iter().collect()))
}

/// The type of a product, and the types of its members' parts.
fn product_type(args: &[Value]) -> Result<(Type, Vec<Type>), FunctionError> {
    if args.len() < 2 {
        return Err(FunctionError::new("at least two arguments are required"));
    }
    let mut elements = Vec::new();
    let mut sets = false;
    for (i, arg) in args.iter().enumerate() {
        let ty = arg.ty();
        sets |= matches!(ty, Type::Set(_));
        elements.push(match &ty {
            Type::List(t) | Type::Set(t) => (**t).clone(),
            Type::Tuple(types) if types.is_empty() => Type::Dynamic,
            Type::Tuple(types) => unify(types)
                .ok_or_else(|| FunctionError::argument(i, "all elements must be of the same type"))?,
            _ => return Err(FunctionError::argument(i, "a set or a list is required")),
        });
    }
    let member = Type::tuple(elements.clone());
    Ok((
        if sets {
            Type::set(member)
        } else {
            Type::list(member)
        },
        elements,
    ))
}

fn product(args: &[Value]) -> Called {
    let (ty, elements) = product_type(args)?;
    let marks = args.iter().fold(Marks::NONE, |m, a| m.union(a.marks()));
    let open = |a: &Value| matches!(a.unmarked(), Value::Set(..)) && !a.is_wholly_known();
    if args.iter().any(open) {
        return Ok(unknown(ty)?.mark(marks));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (i, (arg, element)) in args.iter().zip(&elements).enumerate() {
        let parts = members(arg)?.iter().map(|v| convert(v, element));
        let parts = parts
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| FunctionError::argument(i, e.to_string()))?;
        rows = rows
            .into_iter()
            .flat_map(|row| {
                parts
                    .iter()
                    .map(move |part| row.iter().cloned().chain([part.clone()]).collect())
            })
            .collect();
    }
    let rows = rows.into_iter().map(Value::tuple).collect();
    let product = match ty {
        Type::Set(member) => Value::set((*member).clone(), rows),
        other => Value::list(element_type(&other), rows),
    };
    Ok(product.mark(marks))
}
