//! Functions over sequences.

use stack_core::convert::{convert, unify};
use stack_core::{Marks, Type, Unknown, Value};
use unicode_segmentation::UnicodeSegmentation as _;

use super::super::{Called, Function, FunctionError, Parameter, any, number};
use super::{element_type, members, unknown, whole};
use crate::evaluate::equal;

fn list(name: &'static str) -> Parameter {
    Parameter::new(name, Type::list(Type::Dynamic))
}

pub(super) fn functions() -> Vec<Function> {
    let text = || Type::list(Type::String);
    vec![
        Function::new(
            "length",
            vec![any("value").dynamic().unknown().marked()],
            Type::Number,
            |_, args| length(&args[0]),
        ),
        Function::generic("concat", Vec::new(), concat_type, |_, args| concat(args))
            .variadic(any("seqs").marked())
            .not_null(),
        Function::new(
            "contains",
            vec![any("list").unknown(), any("value").unknown()],
            Type::Bool,
            |_, args| contains(args),
        ),
        Function::generic(
            "distinct",
            vec![list("list")],
            |args| Ok(args[0].ty()),
            |_, args| distinct(&args[0]),
        )
        .not_null(),
        Function::generic(
            "element",
            vec![any("list").marked(), number("index")],
            element_of,
            |_, args| element(args),
        ),
        Function::new(
            "index",
            vec![any("list"), any("value").unknown()],
            Type::Number,
            |_, args| index(args),
        ),
        Function::generic(
            "chunklist",
            vec![list("list").marked(), number("size")],
            |args| Ok(Type::list(args[0].ty())),
            |_, args| chunks(args),
        )
        .not_null(),
        Function::new(
            "compact",
            vec![Parameter::new("list", text())],
            text(),
            |_, args| compact(&args[0]),
        ),
        Function::new("sort", vec![Parameter::new("list", text())], text(), |_, args| {
            sort(&args[0])
        }),
        Function::generic(
            "reverse",
            vec![any("list").marked()],
            |args| reverse_type(&args[0].ty()),
            |_, args| reverse(&args[0]),
        )
        .not_null(),
        Function::generic(
            "slice",
            vec![any("list").marked(), number("start_index"), number("end_index")],
            slice_type,
            |_, args| slice(args),
        )
        .not_null(),
        Function::generic(
            "flatten",
            vec![any("list").marked()],
            |_| Ok(Type::Dynamic),
            |_, args| flatten(&args[0]),
        )
        .not_null(),
        Function::generic(
            "matchkeys",
            vec![list("values"), list("keys"), list("searchset")],
            |args| Ok(args[0].ty()),
            |_, args| match_keys(args),
        )
        .not_null(),
        Function::generic(
            "one",
            vec![any("list").marked()],
            |args| one_type(&args[0]),
            |_, args| one(&args[0]),
        ),
    ]
}

fn length(value: &Value) -> Called {
    let marks = value.marks();
    let count = match value.unmarked() {
        Value::Unknown(u) => match &u.ty {
            Type::Tuple(types) => types.len(),
            Type::Object(object) => object.attributes.len(),
            Type::List(_) | Type::Set(_) | Type::Map(_) if u.max_length == Some(u.min_length) => u.min_length,
            Type::Dynamic | Type::String | Type::List(_) | Type::Set(_) | Type::Map(_) => {
                return Ok(unknown(Type::Number)?.mark(marks));
            }
            Type::Bool | Type::Number => return Err(not_countable()),
        },
        Value::String(text) => text.graphemes(true).count(),
        Value::List(_, members) | Value::Tuple(members) => members.len(),
        Value::Set(_, members) if members.len() > 1 && !value.is_wholly_known() => {
            // Members that are unknown yet may turn out equal to others.
            return Ok(unknown(Type::Number)?.mark(marks));
        }
        Value::Set(_, members) => members.len(),
        Value::Map(_, members) | Value::Object(members) => members.len(),
        Value::Null(_) | Value::Bool(_) | Value::Number(_) | Value::Marked(..) => return Err(not_countable()),
    };
    Ok(Value::from(i64::try_from(count).unwrap_or(i64::MAX)).mark(marks))
}

fn not_countable() -> FunctionError {
    FunctionError::argument(
        0,
        "argument must be a string, a collection type, or a structural type",
    )
}

fn concat_type(args: &[Value]) -> Result<Type, FunctionError> {
    if args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    if types.iter().all(|t| matches!(t, Type::List(_)))
        && let Some(common) = unify(&types)
    {
        return Ok(common);
    }
    let mut elements = Vec::new();
    for (i, (arg, ty)) in args.iter().zip(&types).enumerate() {
        match (ty, arg.as_sequence()) {
            (Type::Tuple(types), _) => elements.extend(types.iter().cloned()),
            (Type::List(element), Some(members)) => {
                elements.extend(members.iter().map(|_| (**element).clone()))
            }
            (Type::List(_), None) => return Ok(Type::Dynamic),
            _ => {
                let name = ty.friendly_name();
                return Err(FunctionError::argument(
                    i,
                    format!("all arguments must be lists or tuples; got {name}"),
                ));
            }
        }
    }
    Ok(Type::tuple(elements))
}

fn concat(args: &[Value]) -> Called {
    let ty = concat_type(args)?;
    let marks = args.iter().fold(Marks::NONE, |m, a| m.union(a.marks()));
    let all: Vec<Value> = args
        .iter()
        .filter_map(Value::as_sequence)
        .flatten()
        .cloned()
        .collect();
    let value = match &ty {
        Type::List(element) => {
            let converted = all.iter().map(|v| convert(v, element));
            let converted = converted
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| FunctionError::new(e.to_string()))?;
            Value::list((**element).clone(), converted)
        }
        _ => Value::tuple(all),
    };
    Ok(value.mark(marks))
}

fn contains(args: &[Value]) -> Called {
    let [list, wanted] = args else {
        return Err(FunctionError::new("two arguments are required"));
    };
    if !matches!(list.ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_)) {
        return Err(FunctionError::new("argument must be list, tuple, or set"));
    }
    let Some(members) = list.as_sequence() else {
        return unknown(Type::Bool);
    };
    let mut open = false;
    for member in members {
        match equal(wanted, member).as_bool() {
            Some(true) => return Ok(Value::Bool(true)),
            Some(false) => {}
            None => open = true,
        }
    }
    if open {
        unknown(Type::Bool)
    } else {
        Ok(Value::Bool(false))
    }
}

fn distinct(list: &Value) -> Called {
    if !list.is_wholly_known() {
        return unknown(list.ty());
    }
    let mut out: Vec<Value> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for member in members(list)? {
        if seen.insert(member.clone()) {
            out.push(member.clone());
        }
    }
    Ok(Value::list(element_type(&list.ty()), out))
}

fn element_of(args: &[Value]) -> Result<Type, FunctionError> {
    match args[0].ty() {
        Type::List(element) => Ok((*element).clone()),
        Type::Tuple(types) => {
            let Some(index) = args[1].as_number() else {
                return Ok(Type::Dynamic);
            };
            let position = position(index.as_i64(), types.len())?;
            Ok(types[position].clone())
        }
        Type::Set(_) => Err(FunctionError::new(
            "cannot read elements from a set, because its elements do not have indices; explicitly convert to a list with tolist() if the ordering of the elements is not important",
        )),
        other => Err(FunctionError::new(format!(
            "cannot read elements from {}",
            other.friendly_name()
        ))),
    }
}

/// Where an index leads, wrapping round.
fn position(index: Option<i64>, length: usize) -> Result<usize, FunctionError> {
    let index = index.ok_or_else(|| FunctionError::new("invalid index: value must be a whole number"))?;
    let index = usize::try_from(index)
        .map_err(|_| FunctionError::new("cannot use element function with a negative index"))?;
    if length == 0 {
        return Err(FunctionError::new(
            "cannot use element function with an empty list",
        ));
    }
    Ok(index % length)
}

fn element(args: &[Value]) -> Called {
    element_of(args)?;
    let (list, marks) = args[0].clone().unmark();
    let members = members(&list)?;
    let position = position(
        args[1].as_number().and_then(stack_core::Number::as_i64),
        members.len(),
    )?;
    Ok(members[position].clone().mark(marks))
}

fn index(args: &[Value]) -> Called {
    if !matches!(args[0].ty(), Type::List(_) | Type::Tuple(_)) {
        return Err(FunctionError::new("argument must be a list or tuple"));
    }
    let members = members(&args[0])?;
    if members.is_empty() {
        return Err(FunctionError::new("cannot search an empty list"));
    }
    for (i, member) in (0_i64..).zip(members) {
        match equal(member, &args[1]).as_bool() {
            Some(true) => return Ok(Value::from(i)),
            Some(false) => {}
            None => return unknown(Type::Number),
        }
    }
    Err(FunctionError::new("item not found"))
}

fn chunks(args: &[Value]) -> Called {
    let ty = args[0].ty();
    let size = whole(&args[1], 1)?;
    let size = usize::try_from(size)
        .map_err(|_| FunctionError::argument(1, "the size argument must be positive"))?;
    let (list, marks) = args[0].clone().unmark();
    let members = members(&list)?;
    let chunk = |part: &[Value]| Value::list(element_type(&ty), part.to_vec());
    let parts = match size {
        _ if members.is_empty() => Vec::new(),
        0 => vec![chunk(members)],
        size => members.chunks(size).map(chunk).collect(),
    };
    Ok(Value::list(ty.clone(), parts).mark(marks))
}

fn compact(list: &Value) -> Called {
    if !list.is_wholly_known() {
        return unknown(Type::list(Type::String));
    }
    let kept = members(list)?
        .iter()
        .filter(|v| v.as_str().is_some_and(|s| !s.is_empty()))
        .cloned();
    Ok(Value::list(Type::String, kept.collect()))
}

fn sort(list: &Value) -> Called {
    if !list.is_wholly_known() {
        // Any member may come to stand anywhere, but there are as many as before.
        let later = vec![unknown(Type::String)?; members(list)?.len()];
        return Ok(Value::list(Type::String, later));
    }
    let mut members = members(list)?.to_vec();
    if let Some(i) = members.iter().position(Value::is_null) {
        return Err(FunctionError::argument(
            0,
            format!("given list element {i} is null; a null string cannot be sorted"),
        ));
    }
    members.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(Value::list(Type::String, members))
}

fn reverse_type(ty: &Type) -> Result<Type, FunctionError> {
    match ty {
        Type::List(_) => Ok(ty.clone()),
        Type::Set(element) => Ok(Type::List(element.clone())),
        Type::Tuple(types) => Ok(Type::tuple(types.iter().rev().cloned().collect())),
        other => Err(FunctionError::argument(
            0,
            format!(
                "can only reverse list or tuple values, not {}",
                other.friendly_name()
            ),
        )),
    }
}

fn reverse(value: &Value) -> Called {
    let ty = reverse_type(&value.ty())?;
    let members: Vec<Value> = members(value)?.iter().rev().cloned().collect();
    let reversed = match ty {
        Type::List(element) => Value::list((*element).clone(), members),
        _ => Value::tuple(members),
    };
    Ok(reversed.mark(value.marks()))
}

fn slice_type(args: &[Value]) -> Result<Type, FunctionError> {
    match args[0].ty() {
        ty @ Type::List(_) => Ok(ty),
        Type::Tuple(types) => {
            if args[1..].iter().any(|v| !v.is_known()) {
                return Ok(Type::Dynamic);
            }
            let (start, end) = bounds(args, types.len())?;
            Ok(Type::tuple(types[start..end].to_vec()))
        }
        Type::Set(_) => Err(FunctionError::argument(
            0,
            "cannot slice a set, because its elements do not have indices; explicitly convert to a list if the ordering of the result is not important",
        )),
        _ => Err(FunctionError::argument(0, "must be a list or tuple value")),
    }
}

fn bounds(args: &[Value], length: usize) -> Result<(usize, usize), FunctionError> {
    let start = usize::try_from(whole(&args[1], 1)?)
        .map_err(|_| FunctionError::argument(1, "start index must not be less than zero"))?;
    let end = usize::try_from(whole(&args[2], 2)?)
        .map_err(|_| FunctionError::argument(2, "end index must not be less than zero"))?;
    if start > length {
        return Err(FunctionError::argument(
            1,
            "start index must not be greater than the length of the list",
        ));
    }
    if end > length {
        return Err(FunctionError::argument(
            2,
            "end index must not be greater than the length of the list",
        ));
    }
    if start > end {
        return Err(FunctionError::argument(
            1,
            "start index must not be greater than end index",
        ));
    }
    Ok((start, end))
}

fn slice(args: &[Value]) -> Called {
    slice_type(args)?;
    let (value, marks) = args[0].clone().unmark();
    let members = members(&value)?;
    let (start, end) = bounds(args, members.len())?;
    let part = members[start..end].to_vec();
    let part = match &value {
        Value::List(element, _) => Value::list(element.clone(), part),
        _ => Value::tuple(part),
    };
    Ok(part.mark(marks))
}

fn flatten(value: &Value) -> Called {
    if !matches!(value.ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_)) {
        return Err(FunctionError::new("can only flatten lists, sets and tuples"));
    }
    let mut out = Vec::new();
    let mut marks = Marks::NONE;
    let known = collect(value, &mut out, &mut marks);
    Ok(if known {
        Value::tuple(out)
    } else {
        Value::unknown(Type::Dynamic)
    }
    .mark(marks))
}

/// Takes in the members, and those of members that are sequences themselves; false where some are not known.
fn collect(value: &Value, out: &mut Vec<Value>, marks: &mut Marks) -> bool {
    *marks = marks.union(value.marks());
    let Some(members) = value.as_sequence() else {
        return false;
    };
    if matches!(value.unmarked(), Value::Set(..)) && members.len() > 1 && !value.is_wholly_known() {
        return false;
    }
    let mut known = true;
    for member in members {
        let sequence = matches!(member.ty(), Type::List(_) | Type::Set(_) | Type::Tuple(_));
        let open = matches!(member.unmarked(), Value::Unknown(u) if u.ty == Type::Dynamic);
        if open {
            known = false;
        } else if sequence && !member.is_null() {
            known &= collect(member, out, marks);
        } else {
            out.push(member.clone());
        }
    }
    known
}

fn match_keys(args: &[Value]) -> Called {
    let [values, keys, search] = args else {
        return Err(FunctionError::new("three arguments are required"));
    };
    let ty = unify(&[keys.ty(), search.ty()])
        .ok_or_else(|| FunctionError::new("keys and searchset must be of the same type"))?;
    let of_type = |v: &Value| convert(v, &ty).map_err(|e| FunctionError::new(e.to_string()));
    let (keys, search) = (of_type(keys)?, of_type(search)?);
    let (kept, wanted) = (members(values)?, members(&keys)?);
    if kept.len() != wanted.len() {
        return Err(FunctionError::new("length of keys and values should be equal"));
    }
    if !keys.is_wholly_known() || !search.is_wholly_known() {
        return unknown(values.ty());
    }
    let search = members(&search)?;
    let out = kept
        .iter()
        .zip(wanted)
        .filter(|(_, key)| search.contains(key))
        .map(|(value, _)| value.clone());
    Ok(Value::list(element_type(&values.ty()), out.collect()))
}

fn one_type(value: &Value) -> Result<Type, FunctionError> {
    let wrong = || {
        FunctionError::argument(
            0,
            "must be a list, set, or tuple value with either zero or one elements",
        )
    };
    match value.ty() {
        Type::List(element) | Type::Set(element) => Ok((*element).clone()),
        Type::Tuple(types) => match &*types {
            [] => Ok(Type::Dynamic),
            [one] => Ok(one.clone()),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn one(value: &Value) -> Called {
    let ty = one_type(value)?;
    let (value, marks) = value.clone().unmark();
    let result = match members(&value)? {
        [] => Value::Null(ty),
        [one] => one.clone(),
        _ if matches!(value, Value::Set(..)) && !value.is_wholly_known() => {
            Value::Unknown(Box::new(Unknown::of(ty)))
        }
        _ => {
            return Err(FunctionError::argument(
                0,
                "must be a list, set, or tuple value with either zero or one elements",
            ));
        }
    };
    Ok(result.mark(marks))
}
