//! Attributes, indices and splats.

use std::collections::BTreeMap;

use stack_core::convert::convert;
use stack_core::{Diagnostics, Marks, Span, Type, Unknown, Value};

use super::{Evaluated, Evaluator, dynamic, error};
use crate::expression::Node;
use crate::reference::Access;
use crate::suggest::did_you_mean;

/// Applies literal steps.
pub(super) fn steps(mut value: Value, steps: &[(Access, Span)], whole: Span) -> Evaluated {
    for (step, span) in steps {
        let place = Span {
            start: whole.start.min(span.start),
            ..*span
        };
        value = match step {
            Access::Attribute(name) => attribute(&value, name, place)?,
            Access::Key(key) => index(&value, &Value::String(key.clone()), *span)?,
            Access::Index(position) => {
                let position = i64::try_from(*position).unwrap_or(i64::MAX);
                index(&value, &Value::from(position), *span)?
            }
        };
    }
    Ok(value)
}

/// `value.name`
pub(super) fn attribute(value: &Value, name: &str, span: Span) -> Evaluated {
    let marks = value.marks();
    let found = match value.unmarked() {
        Value::Null(_) => {
            return Err(error(
                span,
                "Attempt to get attribute from null value",
                "This value is null, so it does not have any attributes.",
            ));
        }
        Value::Object(attributes) => match attributes.get(name) {
            Some(attribute) => attribute.clone(),
            None => return Err(missing_attribute(name, attributes, marks, span)),
        },
        Value::Map(_, members) => match members.get(name) {
            Some(member) => member.clone(),
            None => return Err(missing_element(name, members, marks, span)),
        },
        Value::Unknown(unknown) => match &unknown.ty {
            Type::Dynamic => dynamic(),
            Type::Map(element) => Value::unknown((**element).clone()),
            Type::Object(object) => match object.attributes.get(name) {
                Some(ty) => Value::unknown(ty.clone()),
                None => return Err(missing_attribute(name, &object.attributes, marks, span)),
            },
            ty => return Err(no_attributes(ty, name, span)),
        },
        other => return Err(no_attributes(&other.ty(), name, span)),
    };
    Ok(found.mark(marks))
}

fn missing_attribute<T>(
    name: &str,
    attributes: &BTreeMap<String, T>,
    marks: Marks,
    span: Span,
) -> Diagnostics {
    let detail = format!("This object does not have an attribute named \"{name}\".");
    with_near(
        error(span, "Unsupported attribute", detail),
        name,
        attributes,
        marks,
    )
}

fn missing_element<T>(name: &str, members: &BTreeMap<String, T>, marks: Marks, span: Span) -> Diagnostics {
    let detail = format!("This map does not have an element with the key \"{name}\".");
    with_near(error(span, "Missing map element", detail), name, members, marks)
}

/// Adds the name that may have been meant, unless the names are secrets themselves.
fn with_near<T>(
    diagnostics: Diagnostics,
    name: &str,
    members: &BTreeMap<String, T>,
    marks: Marks,
) -> Diagnostics {
    if marks.contains(Marks::SENSITIVE) {
        return diagnostics;
    }
    match did_you_mean(name, members.keys().map(String::as_str)) {
        Some(near) => diagnostics.hint(&format!("did you mean {near:?}?")),
        None => diagnostics,
    }
}

fn no_attributes(ty: &Type, name: &str, span: Span) -> Diagnostics {
    let summary = "Unsupported attribute";
    match ty {
        Type::List(element) if matches!(**element, Type::Object(_)) => error(
            span,
            summary,
            format!(
                "Can't access attributes on a list of objects. Did you mean to access attribute \"{name}\" for a specific element of the list, or across all elements of the list?"
            ),
        ),
        Type::Set(element) if matches!(**element, Type::Object(_)) => error(
            span,
            summary,
            format!(
                "Can't access attributes on a set of objects. Did you mean to access an attribute across all elements of the set? Write [for each in value : each.{name}]."
            ),
        ),
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => error(
            span,
            summary,
            format!(
                "This value is a {}, so it does not have any attributes.",
                ty.friendly_name()
            ),
        )
        .hint("an instance of a resource with count is picked by an index such as [0]"),
        _ => error(
            span,
            summary,
            format!(
                "Can't access attributes on a primitive-typed value ({}).",
                ty.friendly_name()
            ),
        ),
    }
}

/// `value[index]`
pub(super) fn index(value: &Value, index: &Value, span: Span) -> Evaluated {
    let marks = value.marks().union(index.marks());
    if value.is_null() {
        return Err(error(
            span,
            "Attempt to index null value",
            "This value is null, so it does not have any indices.",
        ));
    }
    if index.is_null() {
        return Err(invalid(span, "Can't use a null value as an indexing key."));
    }
    Ok(member(value, index, marks, span)?.mark(marks))
}

fn invalid(span: Span, detail: impl Into<String>) -> Diagnostics {
    error(span, "Invalid index", detail)
}

fn key_of(index: &Value, ty: &Type, span: Span) -> Evaluated {
    convert(index, ty).map_err(|e| {
        invalid(
            span,
            format!(
                "The given key does not identify an element in this collection value: {}.",
                e.told(index)
            ),
        )
    })
}

/// `marks` are those of both.
fn member(value: &Value, index: &Value, marks: Marks, span: Span) -> Evaluated {
    match value.unmarked() {
        Value::List(element, members) => {
            let key = key_of(index, &Type::Number, span)?;
            if !key.is_known() {
                return Ok(Value::unknown(element.clone()));
            }
            position(members, &key, marks, span, "collection value")
        }
        Value::Tuple(members) => {
            let key = key_of(index, &Type::Number, span)?;
            if !key.is_known() {
                Ok(dynamic())
            } else {
                position(members, &key, marks, span, "tuple")
            }
        }
        Value::Map(element, members) => {
            let key = key_of(index, &Type::String, span)?;
            let Some(name) = key.as_str() else {
                return Ok(Value::unknown(element.clone()));
            };
            members
                .get(name)
                .cloned()
                .ok_or_else(|| no_such_key(name, members, marks, span))
        }
        Value::Object(members) => {
            let key = key_of(index, &Type::String, span)?;
            let Some(name) = key.as_str() else {
                return Ok(dynamic());
            };
            members
                .get(name)
                .cloned()
                .ok_or_else(|| no_such_key(name, members, marks, span))
        }
        Value::Unknown(unknown) => of_unknown(unknown, index, marks, span),
        Value::Set(..) => Err(no_index_of_set(span)),
        _ => Err(invalid(span, "This value does not have any indices.")),
    }
}

fn of_unknown(unknown: &Unknown, index: &Value, marks: Marks, span: Span) -> Evaluated {
    match &unknown.ty {
        Type::Dynamic => Ok(dynamic()),
        Type::List(element) => {
            let key = key_of(index, &Type::Number, span)?;
            if let Value::Number(n) = &key
                && (n.is_negative() || !n.is_integer())
            {
                return Err(out_of_range(span, "collection value"));
            }
            Ok(Value::unknown((**element).clone()))
        }
        Type::Map(element) => key_of(index, &Type::String, span).map(|_| Value::unknown((**element).clone())),
        Type::Tuple(types) => {
            let key = key_of(index, &Type::Number, span)?;
            let Value::Number(n) = &key else {
                return Ok(dynamic());
            };
            let at = n.as_i64().and_then(|n| usize::try_from(n).ok());
            match at.and_then(|at| types.get(at)) {
                Some(ty) => Ok(Value::unknown(ty.clone())),
                None => Err(out_of_range(span, "tuple")),
            }
        }
        Type::Object(object) => {
            let key = key_of(index, &Type::String, span)?;
            let Some(name) = key.as_str() else {
                return Ok(dynamic());
            };
            match object.attributes.get(name) {
                Some(ty) => Ok(Value::unknown(ty.clone())),
                None => Err(no_such_key(name, &object.attributes, marks, span)),
            }
        }
        Type::Set(_) => Err(no_index_of_set(span)),
        Type::Bool | Type::Number | Type::String => {
            Err(invalid(span, "This value does not have any indices."))
        }
    }
}

fn no_index_of_set(span: Span) -> Diagnostics {
    invalid(
        span,
        "Elements of a set are identified only by their value and don't have any separate index or key to select with, so it's only possible to perform operations across all elements of the set.",
    )
}

/// `marks` are those of the key and of the members.
fn no_such_key<T>(name: &str, members: &BTreeMap<String, T>, marks: Marks, span: Span) -> Diagnostics {
    let key = if marks.contains(Marks::SENSITIVE) {
        "(sensitive value)".to_owned()
    } else {
        format!("{name:?}")
    };
    let detail = format!("The given key {key} does not identify an element in this collection value.");
    with_near(invalid(span, detail), name, members, marks)
}

fn out_of_range(span: Span, what: &str) -> Diagnostics {
    invalid(
        span,
        format!("The given key does not identify an element in this {what}."),
    )
}

fn position(members: &[Value], key: &Value, marks: Marks, span: Span, what: &str) -> Evaluated {
    let Some(number) = key.as_number() else {
        return Ok(dynamic());
    };
    let at = number.as_i64().and_then(|n| usize::try_from(n).ok());
    if let Some(member) = at.and_then(|at| members.get(at)) {
        return Ok(member.clone());
    }
    let why = if marks.contains(Marks::SENSITIVE) {
        "they are sensitive, so no more is told".to_owned()
    } else if number.is_negative() {
        "a negative number is not a valid index for a sequence".to_owned()
    } else if !number.is_integer() {
        "indexing a sequence requires a whole number, but the given index has a fractional part".to_owned()
    } else {
        format!(
            "the given index is greater than or equal to the length of the collection ({})",
            members.len()
        )
    };
    Err(invalid(
        span,
        format!("The given key does not identify an element in this {what}: {why}."),
    ))
}

impl Evaluator<'_> {
    /// `source[*].each`, `source.*.each`
    pub(super) fn splat(&mut self, source: &Node, each: &Node, span: Span) -> Evaluated {
        let (value, marks) = self.node(source)?.unmark();
        let value = match value {
            Value::Null(ty) => {
                return match ty {
                    Type::List(_) | Type::Set(_) | Type::Tuple(_) => Err(error(
                        span,
                        "Splat of null value",
                        "Splat expressions (with the * symbol) cannot be applied to null sequences.",
                    )),
                    _ => Ok(Value::tuple(Vec::new()).mark(marks)),
                };
            }
            Value::Unknown(unknown) => return self.splat_of_unknown(&unknown, each, marks),
            other => other,
        };
        let (members, element) = match value {
            Value::List(element, members) | Value::Set(element, members) => (members, Some(element)),
            Value::Tuple(members) => (members, None),
            single => (std::sync::Arc::new(vec![single]), None),
        };
        let mut out = Vec::with_capacity(members.len());
        for item in members.iter() {
            out.push(self.at_item(item.clone(), each)?);
        }
        let Some(element) = element else {
            return Ok(Value::tuple(out).mark(marks));
        };
        let element = match out.first() {
            Some(first) => first.ty(),
            None => self
                .at_item(Value::unknown(element), each)
                .map_or(Type::Dynamic, |v| v.ty()),
        };
        let same = out.iter().all(|v| v.ty() == element);
        Ok(if same {
            Value::list(element, out)
        } else {
            Value::tuple(out)
        }
        .mark(marks))
    }

    fn at_item(&mut self, item: Value, each: &Node) -> Evaluated {
        self.items.push(item);
        let result = self.node(each);
        self.items.pop();
        result
    }

    fn splat_of_unknown(&mut self, unknown: &Unknown, each: &Node, marks: Marks) -> Evaluated {
        let result = match &unknown.ty {
            Type::Dynamic => dynamic(),
            Type::List(element) | Type::Set(element) => {
                let item = self.at_item(Value::unknown((**element).clone()), each)?;
                let mut result = Unknown::of(Type::list(item.ty()));
                result.not_null = true;
                result.min_length = unknown.min_length;
                result.max_length = unknown.max_length;
                Value::Unknown(Box::new(result))
            }
            Type::Tuple(types) => {
                let items: Result<Vec<Value>, _> = types
                    .iter()
                    .map(|ty| self.at_item(Value::unknown(ty.clone()), each))
                    .collect();
                Value::tuple(items?)
            }
            _ if unknown.not_null => {
                let item = self.at_item(Value::Unknown(Box::new(unknown.clone())), each)?;
                Value::tuple(vec![item])
            }
            // It may turn out null, and then there is no member.
            _ => dynamic(),
        };
        Ok(result.mark(marks))
    }
}
