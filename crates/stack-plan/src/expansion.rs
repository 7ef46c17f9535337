//! Instances of `count` and `for_each`.

use std::sync::Arc;

use stack_config::Expr;
use stack_core::{Diagnostic, Diagnostics, InstanceKey, Marks, Span, Type, Value};

/// What `each` and `count` stand for in one instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repetition {
    /// Which instance.
    pub key: InstanceKey,
    /// `each.value`
    pub value: Option<Value>,
}

/// The instances of a resource or module call.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// Neither `count` nor `for_each`.
    Single,
    /// `count`
    Count(u64),
    /// `for_each`: keys and values, by key.
    ForEach(Vec<(Arc<str>, Value)>),
}

impl Expansion {
    /// All instances.
    pub fn repetitions(&self) -> Vec<Repetition> {
        match self {
            Self::Single => vec![Repetition::default()],
            Self::Count(n) => (0..*n)
                .map(|i| Repetition {
                    key: InstanceKey::Index(i),
                    value: None,
                })
                .collect(),
            Self::ForEach(members) => members
                .iter()
                .map(|(k, v)| Repetition {
                    key: InstanceKey::Name(k.clone()),
                    value: Some(v.clone()),
                })
                .collect(),
        }
    }

    /// The instance of a key, if there is one.
    pub fn repetition(&self, key: &InstanceKey) -> Option<Repetition> {
        match (self, key) {
            (Self::Single, InstanceKey::None) => Some(Repetition::default()),
            (Self::Count(n), InstanceKey::Index(i)) if i < n => Some(Repetition {
                key: key.clone(),
                value: None,
            }),
            (Self::ForEach(members), InstanceKey::Name(name)) => {
                members.iter().find(|(k, _)| k == name).map(|(_, v)| Repetition {
                    key: key.clone(),
                    value: Some(v.clone()),
                })
            }
            _ => None,
        }
    }

    /// Combines the values of all instances as an expression sees them.
    pub fn combine(&self, mut member: impl FnMut(&InstanceKey) -> Value) -> Value {
        match self {
            Self::Single => member(&InstanceKey::None),
            Self::Count(n) => Value::tuple((0..*n).map(|i| member(&InstanceKey::Index(i))).collect()),
            Self::ForEach(members) => Value::object(
                members
                    .iter()
                    .map(|(k, _)| (k.to_string(), member(&InstanceKey::Name(k.clone())))),
            ),
        }
    }
}

/// Most instances one `count` may ask for; far beyond what any plan can show.
const MOST: i64 = 1_000_000;

fn invalid_count(span: Span, detail: &str) -> Diagnostics {
    Diagnostic::error("STK0301", "Invalid count argument", detail)
        .at(span)
        .into()
}

fn invalid_set(span: Span, detail: &str) -> Diagnostics {
    Diagnostic::error("STK0302", "Invalid for_each set argument", detail)
        .at(span)
        .into()
}

fn invalid_for_each(span: Span, detail: &str) -> Diagnostics {
    Diagnostic::error("STK0302", "Invalid for_each argument", detail)
        .at(span)
        .into()
}

/// The expansion of a `count` value.
pub(crate) fn of_count(expr: &Expr, value: Value) -> Result<Expansion, Diagnostics> {
    let span = expr.span();
    let (value, marks) = value.unmark();
    if marks.contains(Marks::EPHEMERAL) {
        return Err(invalid_count(
            span,
            "The value is ephemeral and exists only while the command runs.",
        ));
    }
    let number = match stack_core::convert::convert(&value, &Type::Number) {
        Ok(Value::Unknown(_)) => {
            return Err(invalid_count(
                span,
                "The value depends on resource attributes that are known only after apply, so the number of instances cannot be planned.",
            )
            .hint("use --target to apply first what count depends on"));
        }
        Ok(Value::Null(_)) => return Err(invalid_count(span, "The value is null; a number is required.")),
        Ok(Value::Number(n)) => n,
        Ok(_) | Err(_) => {
            let detail = format!("A number is required, not {}.", value.ty().friendly_name());
            let diagnostic = Diagnostic::error("STK0301", "Incorrect value type", detail);
            return Err(diagnostic.at(span).into());
        }
    };
    match number.as_i64() {
        None => Err(invalid_count(
            span,
            &format!("A whole number is required, not {number}."),
        )),
        Some(n) if n < 0 => Err(invalid_count(
            span,
            &format!("{n} is negative; use 0 for no instances."),
        )),
        Some(n) if n > MOST => Err(invalid_count(
            span,
            &format!("{n} is more than {MOST} instances."),
        )),
        Some(n) => Ok(Expansion::Count(n.unsigned_abs())),
    }
}

/// The expansion of a `for_each` value.
pub(crate) fn of_for_each(expr: &Expr, value: Value) -> Result<Expansion, Diagnostics> {
    let span = expr.span();
    let unknown = || {
        invalid_for_each(
            span,
            "The keys depend on resource attributes that are known only after apply, so the instances cannot be planned. Use a map whose keys are known and keep unknown parts in its values.",
        )
    };
    if value.marks().contains(Marks::SENSITIVE) {
        return Err(invalid_for_each(
            span,
            "The value is sensitive, and its keys would be shown as instance keys.",
        ));
    }
    match value.unmarked() {
        Value::Unknown(u)
            if matches!(
                u.ty,
                Type::Dynamic | Type::Map(_) | Type::Set(_) | Type::Object(_)
            ) =>
        {
            Err(unknown())
        }
        Value::Null(_) => Err(invalid_for_each(
            span,
            "The value is null; a map or a set of strings is required.",
        )),
        Value::Map(_, members) | Value::Object(members) => Ok(Expansion::ForEach(
            members
                .iter()
                .map(|(k, v)| (Arc::from(k.as_str()), v.clone()))
                .collect(),
        )),
        Value::Set(element, members) => {
            if !members.is_empty() && !matches!(element, Type::String | Type::Dynamic) {
                let detail = format!("A set must be of strings, not of {}.", element.friendly_name());
                return Err(invalid_set(span, &detail));
            }
            let mut keys = Vec::with_capacity(members.len());
            for member in members.iter() {
                match member.unmarked() {
                    _ if member.marks().contains(Marks::SENSITIVE) => {
                        return Err(invalid_for_each(span, "A member of the set is sensitive."));
                    }
                    Value::String(text) => keys.push((text.clone(), member.clone())),
                    Value::Unknown(_) => return Err(unknown()),
                    _ => {
                        return Err(invalid_set(
                            span,
                            "A member of the set is null; use strings only.",
                        ));
                    }
                }
            }
            Ok(Expansion::ForEach(keys))
        }
        other => {
            let detail = format!(
                "A map or a set of strings is required, not {}.",
                other.ty().friendly_name()
            );
            let mut diagnostics = invalid_for_each(span, &detail);
            if matches!(other, Value::List(..) | Value::Tuple(_)) {
                diagnostics = diagnostics.hint("convert the list with toset(...)");
            }
            Err(diagnostics)
        }
    }
}
