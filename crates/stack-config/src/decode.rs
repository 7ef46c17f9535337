//! Bodies to values, as a schema says.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::convert::convert;
use stack_core::{
    Attribute, Block, Diagnostic, Diagnostics, Marks, Nesting, Path, Schema, Span, Type, Value,
};

use crate::body::{Body, BodyAttribute, Dynamic, NestedBlock, span_of};
use crate::evaluate::{Scope, evaluate_with};
use crate::parse::read::missing_argument;
use crate::validate::{too_few_blocks, too_many_blocks};

/// Names bound by dynamic blocks.
type Bound = Vec<(Arc<str>, Value)>;

/// The value of a body: an object with every attribute and block of the schema.
///
/// Arguments are converted to their types; what is not set is null, an absent block null or an empty list. Defaults of
/// the schema are not filled in. A dynamic block over an unknown collection makes all blocks of its type unknown.
///
/// # Errors
/// Every mistake in the body, each with its place.
pub fn decode_body(body: &Body, schema: &Schema, scope: &dyn Scope) -> Result<Value, Diagnostics> {
    let mut decoder = Decoder {
        scope,
        diagnostics: Diagnostics::new(),
    };
    let value = decoder.body(body, schema, &mut Vec::new());
    if decoder.diagnostics.has_errors() {
        Err(decoder.diagnostics)
    } else {
        Ok(value)
    }
}

/// The arguments and blocks of a decoded body whose values are ephemeral, where the values are to be stored.
pub fn ephemeral_arguments(body: &Body, value: &Value) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    for (name, part) in value.as_mapping().into_iter().flatten() {
        if !part.marks_deep().contains(Marks::EPHEMERAL) {
            continue;
        }
        let path = Path::of(&[name]);
        let error = Diagnostic::error(
            "STK0133",
            "Invalid use of ephemeral value",
            format!(
                "The value of \"{name}\" is ephemeral: it exists only while the command runs. What a resource is given is stored."
            ),
        );
        diagnostics.push(match span_of(body, &path) {
            Some(span) => error.at(span),
            None => error,
        });
    }
    diagnostics
}

struct Decoder<'s> {
    scope: &'s dyn Scope,
    diagnostics: Diagnostics,
}

impl Decoder<'_> {
    fn body(&mut self, body: &Body, schema: &Schema, bound: &mut Bound) -> Value {
        let mut out = BTreeMap::new();
        for (name, attribute) in &schema.attributes {
            let value = match body.attributes.get(name.as_str()) {
                Some(argument) => self.attribute(name, argument, attribute, bound),
                None => {
                    if let (true, Some(header)) = (attribute.required, body.header) {
                        self.diagnostics.push(missing_argument(name, header));
                    }
                    Value::Null(attribute.ty.clone())
                }
            };
            out.insert(name.clone(), value);
        }
        for (name, block) in &schema.blocks {
            let written: Vec<&NestedBlock> = body.blocks.iter().filter(|b| b.ty.as_ref() == name).collect();
            out.insert(
                name.clone(),
                self.blocks(name, &written, block, body.header, bound),
            );
        }
        Value::Object(Arc::new(out))
    }

    fn attribute(
        &mut self,
        name: &str,
        argument: &BodyAttribute,
        attribute: &Attribute,
        bound: &Bound,
    ) -> Value {
        let absent = Value::Null(attribute.ty.clone());
        let Some(value) = self
            .diagnostics
            .absorb(evaluate_with(&argument.expr, self.scope, bound))
        else {
            return absent;
        };
        let converted = convert(&value, &attribute.ty);
        match converted {
            Ok(value) if value.is_null() && attribute.required => {
                self.diagnostics
                    .push(missing_argument(name, argument.expr.span()));
                absent
            }
            // A secret in the schema is one from here on, however it was written.
            Ok(value) if attribute.sensitive && !value.is_null() => value.sensitive(),
            Ok(value) => value,
            Err(error) => {
                self.diagnostics.push(
                    Diagnostic::error(
                        "STK0128",
                        "Incorrect attribute value type",
                        format!(
                            "Inappropriate value for attribute \"{name}\": {}.",
                            error.told(&value)
                        ),
                    )
                    .at(argument.expr.span()),
                );
                absent
            }
        }
    }

    fn blocks(
        &mut self,
        name: &str,
        written: &[&NestedBlock],
        block: &Block,
        header: Option<Span>,
        bound: &mut Bound,
    ) -> Value {
        let mut members = Vec::new();
        let mut marks = Marks::NONE;
        let mut unknown = false;
        for nested in written {
            match &nested.dynamic {
                None => members.push((self.body(&nested.body, &block.schema, bound), nested.span)),
                Some(dynamic) => match self.dynamic(nested, dynamic, block, bound) {
                    Some((values, own)) => {
                        marks = marks.union(own);
                        members.extend(values.into_iter().map(|value| (value, nested.span)));
                    }
                    None => unknown = true,
                },
            }
        }
        if unknown {
            return Value::unknown(block.ty()).mark(marks);
        }
        if members.len() < block.min
            && let Some(place) = written.first().map(|b| b.span).or(header)
        {
            self.diagnostics.push(too_few_blocks(name, block.min, place));
        }
        let max = if block.nesting == Nesting::Single {
            Some(1)
        } else {
            block.max
        };
        if let Some(max) = max
            && let Some((_, extra)) = members.get(max)
        {
            self.diagnostics.push(too_many_blocks(name, max, *extra));
        }
        let mut values = members.into_iter().map(|(value, _)| value);
        match block.nesting {
            Nesting::Single => values
                .next()
                .unwrap_or_else(|| Value::Null(block.ty()))
                .mark(marks),
            Nesting::List => Value::list(block.schema.ty(), values.collect()).mark(marks),
        }
    }

    /// The blocks that a dynamic block makes, and the marks of its collection; `None` while that is unknown.
    fn dynamic(
        &mut self,
        nested: &NestedBlock,
        dynamic: &Dynamic,
        block: &Block,
        bound: &mut Bound,
    ) -> Option<(Vec<Value>, Marks)> {
        let nothing = Some((Vec::new(), Marks::NONE));
        let place = dynamic.for_each.span();
        let Some(collection) = self
            .diagnostics
            .absorb(evaluate_with(&dynamic.for_each, self.scope, bound))
        else {
            return nothing;
        };
        let (collection, marks) = collection.unmark();
        let pairs: Vec<(Value, Value)> = match &collection {
            Value::Unknown(_) => {
                // What is inside is looked at all the same, for its mistakes.
                let iterator = iterator(Value::unknown(Type::Dynamic), Value::unknown(Type::Dynamic));
                self.content(nested, dynamic, block, iterator, bound);
                return None;
            }
            Value::List(_, members) | Value::Tuple(members) => (0_i64..)
                .zip(members.iter())
                .map(|(i, v)| (Value::from(i), v.clone()))
                .collect(),
            Value::Set(_, members) => members.iter().map(|v| (v.clone(), v.clone())).collect(),
            Value::Map(_, members) | Value::Object(members) => members
                .iter()
                .map(|(k, v)| (Value::from(k.as_str()), v.clone()))
                .collect(),
            other => {
                let detail = if other.is_null() {
                    "Cannot use a null value in for_each.".to_owned()
                } else {
                    format!(
                        "Cannot use a {} value in for_each. An iterable collection is required.",
                        other.ty().friendly_name()
                    )
                };
                self.diagnostics
                    .push(Diagnostic::error("STK0129", "Invalid dynamic for_each value", detail).at(place));
                return nothing;
            }
        };
        let values = pairs
            .into_iter()
            .map(|(key, value)| self.content(nested, dynamic, block, iterator(key, value.mark(marks)), bound))
            .collect();
        Some((values, marks))
    }

    fn content(
        &mut self,
        nested: &NestedBlock,
        dynamic: &Dynamic,
        block: &Block,
        iterator: Value,
        bound: &mut Bound,
    ) -> Value {
        bound.push((dynamic.iterator.clone(), iterator));
        let value = self.body(&nested.body, &block.schema, bound);
        bound.pop();
        value
    }
}

fn iterator(key: Value, value: Value) -> Value {
    Value::object([("key".to_owned(), key), ("value".to_owned(), value)])
}
