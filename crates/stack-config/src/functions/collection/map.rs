//! Functions over maps and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::convert::convert;
use stack_core::{Marks, Type, Value};

use super::super::{Called, Function, FunctionError, Parameter, any, string};
use super::{element_type, members, unknown};

pub(super) fn functions() -> Vec<Function> {
    let lists = Type::map(Type::list(Type::String));
    vec![
        Function::generic(
            "keys",
            vec![any("inputMap").unknown().marked()],
            |args| keys_type(&args[0].ty()),
            |_, args| keys(&args[0]),
        )
        .not_null(),
        Function::generic(
            "values",
            vec![any("mapping").marked()],
            |args| values_type(&args[0].ty()),
            |_, args| values(&args[0]),
        )
        .not_null(),
        Function::generic(
            "lookup",
            vec![any("inputMap").marked(), string("key").marked()],
            lookup_type,
            |_, args| lookup(args),
        )
        .variadic(any("default").nullable().unknown().dynamic().marked()),
        Function::generic("merge", Vec::new(), merge_type, |_, args| merge(args))
            .variadic(any("maps").nullable().dynamic().marked())
            .not_null(),
        Function::new(
            "transpose",
            vec![Parameter::new("values", lists.clone())],
            lists,
            |_, args| transpose(&args[0]),
        ),
        Function::generic(
            "zipmap",
            vec![
                Parameter::new("keys", Type::list(Type::String)).marked(),
                any("values").marked(),
            ],
            zip_type,
            |_, args| zip(args),
        )
        .not_null(),
    ]
}

fn not_a_map() -> FunctionError {
    FunctionError::argument(0, "must have map or object type")
}

fn keys_type(ty: &Type) -> Result<Type, FunctionError> {
    match ty {
        Type::Map(_) => Ok(Type::list(Type::String)),
        Type::Object(object) => Ok(Type::tuple(
            object.attributes.iter().map(|_| Type::String).collect(),
        )),
        Type::Dynamic => Ok(Type::Dynamic),
        _ => Err(not_a_map()),
    }
}

fn keys(value: &Value) -> Called {
    let (value, marks) = value.clone().unmark();
    let of = |names: Vec<&String>| {
        names
            .into_iter()
            .map(|n| Value::from(n.as_str()))
            .collect::<Vec<_>>()
    };
    let keys = match &value {
        Value::Map(_, members) => Value::list(Type::String, of(members.keys().collect())),
        Value::Object(attributes) => Value::tuple(of(attributes.keys().collect())),
        // The names of an object are in its type.
        Value::Unknown(u) => match &u.ty {
            Type::Object(object) => Value::tuple(of(object.attributes.keys().collect())),
            ty => unknown(keys_type(ty)?)?,
        },
        _ => return Err(not_a_map()),
    };
    Ok(keys.mark(marks))
}

fn values_type(ty: &Type) -> Result<Type, FunctionError> {
    match ty {
        Type::Map(element) => Ok(Type::List(element.clone())),
        Type::Object(object) => Ok(Type::tuple(object.attributes.values().cloned().collect())),
        _ => Err(not_a_map()),
    }
}

fn values(value: &Value) -> Called {
    let (value, marks) = value.clone().unmark();
    let values = match &value {
        Value::Map(element, members) => Value::list(element.clone(), members.values().cloned().collect()),
        Value::Object(attributes) => Value::tuple(attributes.values().cloned().collect()),
        _ => return Err(not_a_map()),
    };
    Ok(values.mark(marks))
}

fn lookup_type(args: &[Value]) -> Result<Type, FunctionError> {
    if args.len() > 3 {
        return Err(FunctionError::new(format!(
            "lookup() takes two or three arguments, got {}",
            args.len()
        )));
    }
    match args[0].ty() {
        Type::Object(object) => {
            let Some(key) = args[1].as_str() else {
                return Ok(Type::Dynamic);
            };
            match (object.attributes.get(key), args.get(2)) {
                (Some(ty), _) => Ok(ty.clone()),
                (None, Some(default)) => Ok(default.ty()),
                (None, None) => Err(FunctionError::argument(
                    0,
                    format!("the given object has no attribute {}", shown(&args[1], key)),
                )
                .quoting_nothing()),
            }
        }
        Type::Map(element) => {
            if let Some(default) = args.get(2)
                && convert(default, &element).is_err()
            {
                return Err(FunctionError::argument(
                    2,
                    "the default value must have the same type as the map elements",
                ));
            }
            Ok((*element).clone())
        }
        _ => Err(FunctionError::argument(
            0,
            "lookup() requires a map as the first argument",
        )),
    }
}

/// A key in a message, unless it is a secret.
fn shown(value: &Value, key: &str) -> String {
    if value.marks().contains(Marks::SENSITIVE) {
        "with a sensitive name".to_owned()
    } else {
        format!("{key:?}")
    }
}

fn lookup(args: &[Value]) -> Called {
    let ty = lookup_type(args)?;
    let (mapping, marks) = args[0].clone().unmark();
    let marks = marks.union(args[1].marks());
    let (Some(members), Some(key)) = (mapping.as_mapping(), args[1].as_str()) else {
        return Ok(Value::unknown(ty).mark(marks));
    };
    if let Some(found) = members.get(key) {
        return Ok(found.clone().mark(marks));
    }
    match args.get(2) {
        Some(default) => {
            let default = convert(default, &ty).map_err(|e| FunctionError::argument(2, e.to_string()))?;
            Ok(default.mark(marks))
        }
        None => Err(
            FunctionError::new(format!("lookup failed to find key {}", shown(&args[1], key)))
                .quoting_nothing(),
        ),
    }
}

fn merge_type(args: &[Value]) -> Result<Type, FunctionError> {
    let mut attributes: BTreeMap<String, Type> = BTreeMap::new();
    let mut first: Option<Type> = None;
    let mut matching = true;
    let mut known = true;
    for (i, arg) in args.iter().enumerate() {
        let ty = arg.ty();
        match (&ty, arg.as_mapping()) {
            (Type::Dynamic, _) => {
                known &= arg.is_null();
                continue;
            }
            (Type::Object(object), _) => {
                if !arg.is_null() {
                    attributes.extend(object.attributes.iter().map(|(k, t)| (k.clone(), t.clone())));
                }
            }
            (Type::Map(element), Some(members)) => {
                attributes.extend(members.keys().map(|k| (k.clone(), (**element).clone())));
            }
            (Type::Map(_), None) => known &= arg.is_null(),
            _ => {
                let name = ty.friendly_name();
                return Err(FunctionError::argument(
                    i,
                    format!("arguments must be maps or objects, got {name:?}"),
                ));
            }
        }
        matching &= *first.get_or_insert_with(|| ty.clone()) == ty;
    }
    match first {
        Some(ty) if matching && known => Ok(ty),
        _ if !known => Ok(Type::Dynamic),
        _ => Ok(Type::object(attributes)),
    }
}

fn merge(args: &[Value]) -> Called {
    let ty = merge_type(args)?;
    let marks = args.iter().fold(Marks::NONE, |m, a| m.union(a.marks()));
    if args.iter().any(|a| !a.is_known()) {
        return Ok(unknown(ty)?.mark(marks));
    }
    let mut out = BTreeMap::new();
    for members in args.iter().filter_map(Value::as_mapping) {
        out.extend(members.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    let merged = match ty {
        Type::Map(element) => Value::map((*element).clone(), out),
        _ => Value::Object(Arc::new(out)),
    };
    Ok(merged.mark(marks))
}

fn transpose(value: &Value) -> Called {
    if !value.is_wholly_known() {
        return unknown(Type::map(Type::list(Type::String)));
    }
    let mut out: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (key, list) in value.as_mapping().into_iter().flatten() {
        if list.is_null() {
            return Err(FunctionError::argument(
                0,
                format!("the list at key {key:?} is null"),
            ));
        }
        for member in members(list)? {
            let Some(text) = member.as_str() else {
                return Err(FunctionError::argument(
                    0,
                    format!("the list at key {key:?} has a null member"),
                ));
            };
            out.entry(text.to_owned())
                .or_default()
                .push(Value::from(key.as_str()));
        }
    }
    let lists = out.into_iter().map(|(k, mut v)| {
        v.sort();
        (k, Value::list(Type::String, v))
    });
    Ok(Value::map(Type::list(Type::String), lists.collect()))
}

fn zip_type(args: &[Value]) -> Result<Type, FunctionError> {
    match args[1].ty() {
        Type::List(element) => Ok(Type::Map(element)),
        Type::Tuple(types) => {
            let Some(keys) = args[0]
                .as_sequence()
                .filter(|k| k.iter().all(Value::is_wholly_known))
            else {
                return Ok(Type::Dynamic);
            };
            same_length(keys.len(), types.len())?;
            let names = keys.iter().filter_map(|k| k.as_str().map(str::to_owned));
            Ok(Type::object(names.zip(types.iter().cloned())))
        }
        _ => Err(FunctionError::argument(
            1,
            "values argument must be a list or tuple value",
        )),
    }
}

fn same_length(keys: usize, values: usize) -> Result<(), FunctionError> {
    if keys == values {
        return Ok(());
    }
    Err(FunctionError::new(format!(
        "number of keys ({keys}) does not match number of values ({values})"
    )))
}

fn zip(args: &[Value]) -> Called {
    let ty = zip_type(args)?;
    let (keys, key_marks) = args[0].clone().unmark();
    let (values, value_marks) = args[1].clone().unmark();
    let inner = members(&keys)?
        .iter()
        .fold(Marks::NONE, |m, k| m.union(k.marks()));
    let marks = key_marks.union(value_marks).union(inner);
    if !keys.is_wholly_known() {
        return Ok(unknown(ty)?.mark(marks));
    }
    let (keys, members) = (members(&keys)?, members(&values)?);
    same_length(keys.len(), members.len())?;
    let mut out = BTreeMap::new();
    for (i, (key, value)) in keys.iter().zip(members).enumerate() {
        let Some(key) = key.as_str() else {
            return Err(FunctionError::argument(0, format!("key {i} is null")));
        };
        out.insert(key.to_owned(), value.clone());
    }
    let zipped = match &ty {
        Type::Map(_) => Value::map(element_type(&ty), out),
        _ => Value::Object(Arc::new(out)),
    };
    Ok(zipped.mark(marks))
}
