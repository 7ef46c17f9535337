//! From what is configured and what exists to what is planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_config::configuration::IgnoreChanges;
use stack_core::schema::Attribute;
use stack_core::{Marks, Nesting, Path, Schema, Step, Value};

use crate::ResourceType;
use crate::echo::with_echoes_marked;

/// The object the configuration asks for: what it sets, else what the provider computed before, else what is known only
/// after apply. `config` has its defaults already.
pub fn propose(schema: &Schema, prior: Option<&Value>, config: &Value) -> Value {
    let Some(members) = config.as_mapping() else {
        return config.clone();
    };
    let attribute = |name: &str, config: &Value, attribute: &Attribute| {
        if !attribute.computed || !config.is_null() {
            return config.clone();
        }
        match prior {
            Some(prior) => prior.attribute(name).cloned().unwrap_or_else(|| config.clone()),
            None => Value::unknown(attribute.ty.clone()),
        }
    };
    Value::object(members.iter().map(|(name, member)| {
        let new = match (schema.attributes.get(name), schema.blocks.get(name)) {
            (Some(a), _) => attribute(name, member, a),
            (None, Some(block)) => blocks(block, prior.and_then(|p| p.attribute(name)), member),
            (None, None) => member.clone(),
        };
        (name.clone(), new)
    }))
}

fn blocks(block: &stack_core::Block, prior: Option<&Value>, config: &Value) -> Value {
    let computes = block.schema.attributes.values().any(|a| a.computed);
    match (block.nesting, config.unmarked()) {
        (Nesting::Single, Value::Null(_)) if computes => prior.cloned().unwrap_or_else(|| config.clone()),
        (Nesting::Single, Value::Object(_)) => propose(&block.schema, prior.filter(|p| !p.is_null()), config),
        (Nesting::List, Value::List(_, members)) if members.is_empty() && computes => {
            prior.cloned().unwrap_or_else(|| config.clone())
        }
        (Nesting::List, Value::List(ty, members)) => {
            let before = prior.and_then(Value::as_sequence).unwrap_or_default();
            let new = members
                .iter()
                .enumerate()
                .map(|(i, m)| propose(&block.schema, before.get(i), m))
                .collect();
            Value::list(ty.clone(), new).mark(config.marks())
        }
        _ => config.clone(),
    }
}

/// Makes what every update computes anew unknown, where the configuration does not set it.
pub fn recompute(schema: &Schema, config: &Value, planned: Value) -> Value {
    let names: Vec<&String> = schema
        .attributes
        .iter()
        .filter(|(name, a)| a.recomputed && config.attribute(name).is_none_or(Value::is_null))
        .map(|(name, _)| name)
        .collect();
    names.into_iter().fold(planned, |value, name| {
        let ty = schema.attributes[name].ty.clone();
        value.with_attribute(name, Value::unknown(ty))
    })
}

/// The configuration with the arguments whose changes are ignored as they are in `prior`.
pub fn ignore(config: Value, prior: &Value, schema: &Schema, ignored: &IgnoreChanges) -> Value {
    match ignored {
        IgnoreChanges::All => {
            let settable = schema
                .attributes
                .iter()
                .filter(|(_, a)| a.optional || a.required)
                .map(|(n, _)| n);
            let names: Vec<&String> = settable.chain(schema.blocks.keys()).collect();
            names
                .into_iter()
                .fold(config, |value, name| match prior.attribute(name) {
                    Some(old) => value.with_attribute(name, old.clone()),
                    None => value,
                })
        }
        IgnoreChanges::Paths(paths) => paths.iter().fold(config, |value, (path, _)| {
            let old = path.get(prior).cloned();
            set(&value, &path.0, old)
        }),
    }
}

/// The value with the part behind `steps` replaced; `None` removes a member of a map. A path that leads nowhere changes
/// nothing.
fn set(value: &Value, steps: &[Step], new: Option<Value>) -> Value {
    let Some((first, rest)) = steps.split_first() else {
        return new.unwrap_or_else(|| value.clone());
    };
    let marks = value.marks();
    let changed = match (value.unmarked(), first) {
        (Value::Object(members), Step::Attribute(name)) => {
            let Some(member) = members.get(name.as_ref()) else {
                return value.clone();
            };
            let mut members = (**members).clone();
            members.insert(name.to_string(), set(member, rest, new));
            Value::Object(Arc::new(members))
        }
        (Value::Map(ty, members), Step::Attribute(name)) => {
            let mut members: BTreeMap<String, Value> = (**members).clone();
            match (rest.is_empty(), new) {
                (true, None) => {
                    members.remove(name.as_ref());
                }
                (true, Some(new)) => {
                    members.insert(name.to_string(), new);
                }
                (false, new) => {
                    if let Some(member) = members.get(name.as_ref()) {
                        let member = set(member, rest, new);
                        members.insert(name.to_string(), member);
                    }
                }
            }
            Value::Map(ty.clone(), Arc::new(members))
        }
        (Value::List(ty, members), Step::Index(index)) if *index < members.len() => {
            let mut members = (**members).clone();
            members[*index] = set(&members[*index], rest, new);
            Value::list(ty.clone(), members)
        }
        (Value::Tuple(members), Step::Index(index)) if *index < members.len() => {
            let mut members = (**members).clone();
            members[*index] = set(&members[*index], rest, new);
            Value::tuple(members)
        }
        (other, _) => other.clone(),
    };
    changed.mark(marks)
}

/// Attributes in which two objects differ materially: attribute by attribute, also inside nested blocks.
pub fn differences(ty: &dyn ResourceType, before: &Value, after: &Value) -> Vec<Path> {
    let mut out = Vec::new();
    collect(ty, ty.schema(), &Path::root(), before, after, &mut out);
    out
}

fn same(ty: &dyn ResourceType, path: &Path, before: &Value, after: &Value) -> bool {
    if before == after {
        return true;
    }
    let (before, after) = (before.unmark_deep(), after.unmark_deep());
    before == after
        || (before.is_null() && after.is_null())
        || (before.is_wholly_known() && after.is_wholly_known() && ty.same(path, &before, &after))
}

fn collect(
    ty: &dyn ResourceType,
    schema: &Schema,
    at: &Path,
    before: &Value,
    after: &Value,
    out: &mut Vec<Path>,
) {
    for name in schema.attributes.keys() {
        let null = Value::NULL;
        let (b, a) = (
            before.attribute(name).unwrap_or(&null),
            after.attribute(name).unwrap_or(&null),
        );
        let path = at.attribute(name);
        if !same(ty, &path, b, a) {
            out.push(path);
        }
    }
    for (name, block) in &schema.blocks {
        let null = Value::NULL;
        let (b, a) = (
            before.attribute(name).unwrap_or(&null),
            after.attribute(name).unwrap_or(&null),
        );
        let path = at.attribute(name);
        match (b.as_sequence(), a.as_sequence()) {
            (Some(bs), Some(r#as)) if bs.len() == r#as.len() => {
                for (i, (b, a)) in bs.iter().zip(r#as).enumerate() {
                    collect(ty, &block.schema, &path.index(i), b, a, out);
                }
            }
            _ if b.as_mapping().is_some() && a.as_mapping().is_some() => {
                collect(ty, &block.schema, &path, b, a, out);
            }
            _ if same(ty, &path, b, a) => {}
            _ => out.push(path),
        }
    }
}

/// Those of the changed paths that cannot be changed in place.
pub(crate) fn replacing(schema: &Schema, changed: &[Path]) -> Vec<Path> {
    changed
        .iter()
        .filter(|path| replaces(schema, &path.0))
        .cloned()
        .collect()
}

fn replaces(schema: &Schema, steps: &[Step]) -> bool {
    let Some(Step::Attribute(name)) = steps.first() else {
        return false;
    };
    if let Some(attribute) = schema.attributes.get(name.as_ref()) {
        return attribute.replace;
    }
    let Some(block) = schema.blocks.get(name.as_ref()) else {
        return false;
    };
    let rest = match &steps[1..] {
        [Step::Index(_), rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        // Blocks were added or removed: replaced if nothing in them can be changed.
        [] => {
            !block.schema.attributes.is_empty()
                && block
                    .schema
                    .attributes
                    .values()
                    .all(|a| a.replace || a.computed && !a.optional)
        }
        rest => replaces(&block.schema, rest),
    }
}

/// Parts of `planned` that are known and that `actual` contradicts: the provider broke its promise.
pub fn agrees(ty: &dyn ResourceType, planned: &Value, actual: &Value) -> Vec<Path> {
    differences(ty, planned, actual)
        .into_iter()
        .filter(|path| {
            let Some(planned) = path.get(planned) else {
                return false;
            };
            let actual = path.get(actual).unwrap_or(&Value::NULL);
            !conforms(planned, actual)
        })
        .collect()
}

/// Whether a value may be what an expected one, with unknown parts, becomes.
pub fn conforms(expected: &Value, actual: &Value) -> bool {
    match (expected.unmarked(), actual.unmarked()) {
        (Value::Unknown(u), actual) => !(u.not_null && actual.is_null()),
        (Value::Object(e), Value::Object(a)) => {
            e.iter().all(|(k, e)| a.get(k).is_some_and(|a| conforms(e, a)))
        }
        (Value::Map(_, e), Value::Map(_, a)) => {
            e.len() == a.len() && e.iter().all(|(k, e)| a.get(k).is_some_and(|a| conforms(e, a)))
        }
        (Value::List(_, e), Value::List(_, a)) | (Value::Tuple(e), Value::Tuple(a)) => {
            e.len() == a.len() && e.iter().zip(a.iter()).all(|(e, a)| conforms(e, a))
        }
        (Value::Set(_, e), Value::Set(_, a)) if !e.iter().all(Value::is_wholly_known) => a.len() <= e.len(),
        (Value::Null(_), Value::Null(_)) => true,
        (e, a) => e.unmark_deep() == a.unmark_deep(),
    }
}

/// Marks what the schema says is sensitive, what the configuration marked, and what says the same again.
pub fn with_marks(schema: &Schema, value: Value, config: Option<&Value>) -> Value {
    let Value::Object(members) = &value else {
        return value;
    };
    let marked = |name: &String| {
        let by_schema = schema.attributes.get(name).is_some_and(|a| a.sensitive);
        let by_config = config
            .and_then(|c| c.attribute(name))
            .is_some_and(|v| v.marks_deep().contains(Marks::SENSITIVE));
        by_schema || by_config
    };
    if !members.keys().any(marked) && !value.marks_deep().contains(Marks::SENSITIVE) {
        return value;
    }
    let members = members.iter().map(|(name, member)| {
        let own = member.marks_deep().contains(Marks::SENSITIVE);
        let new = if marked(name) && !own {
            member.clone().sensitive()
        } else {
            member.clone()
        };
        (name.clone(), new)
    });
    Value::object(with_echoes_marked(members.collect(), config))
}
