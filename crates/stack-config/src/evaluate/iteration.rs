//! `for` expressions and directives.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::convert::convert;
use stack_core::{Diagnostics, Marks, Type, Value};

use super::{Evaluated, Evaluator, dynamic, error, template_part, unknown_not_null};
use crate::expression::{For, Node};
use crate::syntax::template::text;

/// Keys and values of a collection; `None` for a value that has no members.
pub(crate) fn members(value: &Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::List(_, vs) | Value::Tuple(vs) => {
            let index = |i: usize| Value::from(i64::try_from(i).unwrap_or(i64::MAX));
            Some(
                vs.iter()
                    .enumerate()
                    .map(|(i, v)| (index(i), v.clone()))
                    .collect(),
            )
        }
        Value::Set(_, vs) => Some(vs.iter().map(|v| (v.clone(), v.clone())).collect()),
        Value::Map(_, vs) | Value::Object(vs) => Some(
            vs.iter()
                .map(|(k, v)| (Value::from(k.as_str()), v.clone()))
                .collect(),
        ),
        _ => None,
    }
}

/// What one pass of a `for` gives.
enum Member {
    Skipped,
    Undecided,
    Tuple(Value),
    Object(Arc<str>, Value),
}

impl Evaluator<'_> {
    pub(super) fn for_expression(&mut self, each: &For) -> Evaluated {
        let (collection, mut marks) = self.node(&each.collection)?.unmark();
        let span = each.collection.span;
        if collection.is_null() {
            return Err(error(
                span,
                "Iteration over null value",
                "A null value cannot be used as the collection in a 'for' expression.",
            ));
        }
        let not_iterable = |ty: &Type| {
            let detail = format!(
                "A value of type {} cannot be used as the collection in a 'for' expression.",
                ty.friendly_name()
            );
            error(span, "Iteration over non-iterable value", detail)
        };
        if let Value::Unknown(unknown) = &collection {
            if unknown.ty.is_primitive() {
                return Err(not_iterable(&unknown.ty));
            }
            return Ok(dynamic().mark(marks));
        }
        let Some(members) = members(&collection) else {
            return Err(not_iterable(&collection.ty()));
        };
        self.check_condition(each)?;
        let mut diagnostics = Diagnostics::new();
        let mut tuple = Vec::new();
        let mut object: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut known = true;
        for (key, value) in members {
            let result = self.with_member(each, key, value, |e| e.member(each, &mut marks));
            match diagnostics.absorb(result) {
                None | Some(Member::Skipped) => {}
                Some(Member::Undecided) => known = false,
                Some(Member::Tuple(value)) => tuple.push(value),
                Some(Member::Object(key, value)) => {
                    let group = object.entry(key.to_string()).or_default();
                    if !group.is_empty() && !each.group {
                        diagnostics.extend(duplicate(each, &key, marks));
                    }
                    group.push(value);
                }
            }
            if diagnostics.has_errors() {
                return Err(diagnostics);
            }
        }
        if !known {
            return Ok(dynamic().mark(marks));
        }
        let result = match &each.key {
            None => Value::tuple(tuple),
            Some(_) if each.group => {
                Value::object(object.into_iter().map(|(k, group)| (k, Value::tuple(group))))
            }
            Some(_) => Value::object(
                object
                    .into_iter()
                    .filter_map(|(k, mut group)| Some((k, group.pop()?))),
            ),
        };
        Ok(result.mark(marks))
    }

    fn with_member<T>(
        &mut self,
        each: &For,
        key: Value,
        value: Value,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.locals.len();
        if let Some(name) = &each.key_name {
            self.locals.push((name.clone(), key));
        }
        self.locals.push((each.value_name.clone(), value));
        let result = run(self);
        self.locals.truncate(before);
        result
    }

    /// A condition of the wrong type is a mistake even where there is no member.
    fn check_condition(&mut self, each: &For) -> Result<(), Diagnostics> {
        let Some(condition) = &each.condition else {
            return Ok(());
        };
        let probe = self.with_member(each, dynamic(), dynamic(), |e| e.node(condition))?;
        self::condition(&probe, condition).map(|_| ())
    }

    fn member(&mut self, each: &For, marks: &mut Marks) -> Result<Member, Diagnostics> {
        let mut undecided = false;
        if let Some(node) = &each.condition {
            let (included, own) = condition(&self.node(node)?, node)?;
            *marks = marks.union(own);
            match included {
                Some(true) => {}
                Some(false) => return Ok(Member::Skipped),
                None => undecided = true,
            }
        }
        let Some(key_node) = &each.key else {
            let value = self.node(&each.value)?;
            return Ok(if undecided {
                Member::Undecided
            } else {
                Member::Tuple(value)
            });
        };
        let invalid = |detail: String| error(key_node.span, "Invalid object key", detail);
        let key = self.node(key_node)?;
        if key.is_null() {
            return Err(invalid(
                "Key expression in 'for' expression must not produce a null value.".to_owned(),
            ));
        }
        let key = convert(&key, &Type::String).map_err(|e| {
            let why = e.told(&key);
            invalid(format!("The key expression produced an invalid result: {why}."))
        })?;
        *marks = marks.union(key.marks());
        let value = self.node(&each.value)?;
        match key.unmarked() {
            Value::String(key) if !undecided => Ok(Member::Object(key.clone(), value)),
            _ => Ok(Member::Undecided),
        }
    }

    /// A `for` directive: the members as one text.
    pub(super) fn join(&mut self, each: &Node) -> Evaluated {
        let (value, mut marks) = self.node(each)?.unmark();
        let Some(members) = value.as_sequence() else {
            return Ok(unknown_not_null(Type::String).mark(marks));
        };
        let mut out = String::new();
        let mut known = true;
        for member in members {
            let (part, own) = template_part(member, each.span)?.unmark();
            marks = marks.union(own);
            match part {
                Value::String(piece) => out.push_str(&piece),
                _ => known = false,
            }
        }
        Ok(if known {
            text(out)
        } else {
            unknown_not_null(Type::String)
        }
        .mark(marks))
    }
}

/// Whether a member is included (`None`: not known yet), and the marks of that decision.
fn condition(value: &Value, node: &Node) -> Result<(Option<bool>, Marks), Diagnostics> {
    let invalid = |detail: String| error(node.span, "Invalid 'for' condition", detail);
    if value.is_null() {
        return Err(invalid(
            "The value of the 'if' clause must not be null.".to_owned(),
        ));
    }
    let value = convert(value, &Type::Bool)
        .map_err(|e| invalid(format!("The 'if' clause value is invalid: {}.", e.told(value))))?;
    Ok((value.as_bool(), value.marks()))
}

fn duplicate(each: &For, key: &str, marks: Marks) -> Diagnostics {
    let span = each.key.as_ref().map_or(each.value.span, |k| k.span);
    let key = if marks.contains(Marks::SENSITIVE) {
        "of a sensitive value".to_owned()
    } else {
        format!("{key:?}")
    };
    error(
        span,
        "Duplicate object key",
        format!(
            "Two different items produced the key {key} in this 'for' expression. If duplicates are expected, use the ellipsis (...) after the value expression to enable grouping by key."
        ),
    )
}
