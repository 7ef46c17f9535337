//! The planner's rules in small: enough to plan one object of one type.

use stack_core::{Nesting, Path, Schema, SchemaOf as _, Value};

use crate::Resource;

/// A planned object and why it would replace the prior one.
pub(super) struct Planned {
    pub(super) value: Value,
    pub(super) replace: Vec<Path>,
    /// Where it differs from the prior object; all of it when there is none.
    pub(super) differs: Vec<Path>,
}

/// Plans the object of these arguments.
pub(super) fn plan<R: Resource>(prior: Option<&Value>, arguments: &Value) -> Planned {
    let schema = R::Model::schema();
    let mut value = fill(&schema, prior, arguments);
    let Some(prior) = prior else {
        let refined = R::refine(None, value);
        return Planned {
            value: refined.planned,
            replace: refined.replace,
            differs: vec![Path::root()],
        };
    };
    if !differences::<R>(prior, &value).is_empty() {
        for (name, attribute) in &schema.attributes {
            if attribute.recomputed {
                value = value.with_attribute(name, Value::unknown(attribute.ty.clone()));
            }
        }
    }
    let refined = R::refine(Some(prior), value);
    let differs = differences::<R>(prior, &refined.planned);
    let mut replace: Vec<Path> = differs
        .iter()
        .filter(|p| is_replace(&schema, p))
        .cloned()
        .collect();
    replace.extend(refined.replace);
    Planned {
        value: refined.planned,
        replace,
        differs,
    }
}

/// Arguments with defaults, kept computed values and unknowns.
fn fill(schema: &Schema, prior: Option<&Value>, arguments: &Value) -> Value {
    let attributes = schema.attributes.iter().map(|(name, attribute)| {
        let value = match arguments.attribute(name).filter(|v| !v.is_null()) {
            Some(set) => set.clone(),
            None => match (&attribute.default, prior) {
                (Some(default), _) => default.clone(),
                (None, Some(prior)) if attribute.computed => {
                    prior.attribute(name).cloned().unwrap_or(Value::NULL)
                }
                (None, None) if attribute.computed => Value::unknown(attribute.ty.clone()),
                _ => Value::Null(attribute.ty.clone()),
            },
        };
        (name.clone(), value)
    });
    let blocks = schema.blocks.iter().map(|(name, block)| {
        let prior = prior.and_then(|p| p.attribute(name)).filter(|p| !p.is_null());
        let value = match (block.nesting, arguments.attribute(name)) {
            (Nesting::Single, Some(set)) if !set.is_null() => fill(&block.schema, prior, set),
            (Nesting::Single, _) => Value::Null(block.schema.ty()),
            (Nesting::List, set) => {
                let members = set.and_then(Value::as_sequence).unwrap_or_default();
                let priors = prior.and_then(Value::as_sequence).unwrap_or_default();
                let members = members.iter().enumerate();
                let members = members
                    .map(|(i, m)| fill(&block.schema, priors.get(i), m))
                    .collect();
                Value::list(block.schema.ty(), members)
            }
        };
        (name.clone(), value)
    });
    Value::object(attributes.chain(blocks))
}

/// Whether the schema says that a change there replaces.
fn is_replace(schema: &Schema, path: &Path) -> bool {
    let Some(stack_core::path::Step::Attribute(name)) = path.0.first() else {
        return false;
    };
    if let Some(attribute) = schema.attributes.get(name.as_ref()) {
        return attribute.replace;
    }
    schema.blocks.get(name.as_ref()).is_some_and(|block| {
        let rest = path.0[1..]
            .iter()
            .skip_while(|s| matches!(s, stack_core::path::Step::Index(_)));
        is_replace(&block.schema, &Path(rest.cloned().collect()))
    })
}

/// Where two objects differ materially; marks do not count.
pub(super) fn differences<R: Resource>(a: &Value, b: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    walk::<R>(&Path::root(), a, b, false, &mut paths);
    paths
}

/// Where a new object does not agree with the planned one: a known planned value must come true, and nothing may stay
/// unknown.
pub(super) fn disagreements<R: Resource>(planned: &Value, new: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    walk::<R>(&Path::root(), planned, new, true, &mut paths);
    paths
}

fn walk<R: Resource>(path: &Path, a: &Value, b: &Value, unknown_agrees: bool, out: &mut Vec<Path>) {
    match (a.unmarked(), b.unmarked()) {
        (_, Value::Unknown(_)) if unknown_agrees => out.push(path.clone()),
        (Value::Unknown(_), _) if unknown_agrees => {}
        (Value::Object(a), Value::Object(b)) => {
            for (name, a) in a.iter() {
                let b = b.get(name).unwrap_or(&Value::NULL);
                walk::<R>(&path.attribute(name), a, b, unknown_agrees, out);
            }
        }
        (Value::List(_, a), Value::List(_, b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b.iter()).enumerate() {
                walk::<R>(&path.index(i), a, b, unknown_agrees, out);
            }
        }
        (a, b) => {
            let both_null = a.is_null() && b.is_null();
            if !both_null && !R::same(path, &a.unmark_deep(), &b.unmark_deep()) {
                out.push(path.clone());
            }
        }
    }
}
