//! Objects with nothing set, and defaults of schemas.

use stack_core::{Nesting, Schema, Value};

/// An object of a schema's type with nothing set.
pub(crate) fn empty(schema: &Schema) -> Value {
    let attributes = schema
        .attributes
        .iter()
        .map(|(name, a)| (name.clone(), Value::Null(a.ty.clone())));
    let blocks = schema.blocks.iter().map(|(name, b)| {
        let value = match b.nesting {
            Nesting::Single => Value::Null(b.ty()),
            Nesting::List => Value::list(b.schema.ty(), Vec::new()),
        };
        (name.clone(), value)
    });
    Value::object(attributes.chain(blocks))
}

/// The object with the schema's defaults where nothing is set, in nested blocks too.
pub fn with_defaults(value: &Value, schema: &Schema) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    Value::object(members.iter().map(|(name, member)| {
        let new = match (schema.attributes.get(name), schema.blocks.get(name)) {
            (Some(attribute), _) if member.is_null() => {
                attribute.default.clone().unwrap_or_else(|| member.clone())
            }
            (_, Some(block)) => match member {
                Value::List(ty, blocks) => Value::list(
                    ty.clone(),
                    blocks.iter().map(|b| with_defaults(b, &block.schema)).collect(),
                ),
                other => with_defaults(other, &block.schema),
            },
            _ => member.clone(),
        };
        (name.clone(), new)
    }))
}
