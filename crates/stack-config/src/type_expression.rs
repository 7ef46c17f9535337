//! Type constraints: `list(object({ name = string, port = optional(number, 443) }))`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stack_core::convert::{ConvertError, convert};
use stack_core::{Diagnostic, Diagnostics, ObjectType, Span, Type, Value};

use crate::evaluate::evaluate_part;
use crate::expression::{Call, Expr, Kind, Node};

/// A type with the defaults of its optional attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeConstraint {
    /// The type.
    pub ty: Type,
    /// Defaults of `optional(type, default)`, at any depth.
    pub defaults: Defaults,
}

/// Defaults of optional attributes of a type and of the types inside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// Of attributes of this object.
    values: BTreeMap<String, Value>,
    /// Of attributes, of tuple members by position, or of the members of a collection.
    inside: BTreeMap<Place, Defaults>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Attribute(String),
    Position(usize),
    Members,
}

impl TypeConstraint {
    /// `any`
    pub fn any() -> Self {
        Self {
            ty: Type::Dynamic,
            defaults: Defaults::default(),
        }
    }

    /// Fills defaults into a value and converts it to the type.
    ///
    /// # Errors
    /// The value does not fit the type.
    pub fn convert(&self, value: &Value) -> Result<Value, ConvertError> {
        let converted = if self.defaults.is_empty() {
            convert(value, &self.ty)?
        } else {
            convert(&self.defaults.fill(value), &self.ty)?
        };
        Ok(if has_optional(&self.ty) {
            converted.map_parts(&settle)
        } else {
            converted
        })
    }

    /// The same as [`TypeConstraint::convert`].
    ///
    /// # Errors
    /// The value does not fit the type.
    pub fn apply(&self, value: &Value) -> Result<Value, ConvertError> {
        self.convert(value)
    }
}

impl Defaults {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.inside.is_empty()
    }

    fn within(place: Place, inside: Defaults) -> Self {
        let inside = if inside.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(place, inside)])
        };
        Self {
            values: BTreeMap::new(),
            inside,
        }
    }

    fn at(&self, place: Place) -> Option<&Defaults> {
        self.inside
            .get(&place)
            .or_else(|| self.inside.get(&Place::Members))
    }

    /// The value with attributes that are missing or null set to their defaults. Nulls and unknown values as a whole stay.
    fn fill(&self, value: &Value) -> Value {
        if self.is_empty() {
            return value.clone();
        }
        match value {
            Value::Marked(marks, inner) => self.fill(inner).mark(*marks),
            Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
                let filled = members.iter().enumerate().map(|(i, member)| {
                    self.at(Place::Position(i))
                        .map_or_else(|| member.clone(), |inside| inside.fill(member))
                });
                // The conversion that follows makes a list or set of it again.
                Value::tuple(filled.collect())
            }
            Value::Object(members) | Value::Map(_, members) => {
                let mut filled: BTreeMap<String, Value> = BTreeMap::new();
                for (name, member) in members.iter() {
                    let inside = self.at(Place::Attribute(name.clone()));
                    filled.insert(
                        name.clone(),
                        inside.map_or_else(|| member.clone(), |inside| inside.fill(member)),
                    );
                }
                for (name, default) in &self.values {
                    if filled.get(name).is_none_or(Value::is_null) {
                        let inside = self.inside.get(&Place::Attribute(name.clone()));
                        let default = inside.map_or_else(|| default.clone(), |inside| inside.fill(default));
                        filled.insert(name.clone(), default);
                    }
                }
                Value::Object(Arc::new(filled))
            }
            other => other.clone(),
        }
    }
}

fn has_optional(ty: &Type) -> bool {
    match ty {
        Type::Dynamic | Type::Bool | Type::Number | Type::String => false,
        Type::List(t) | Type::Set(t) | Type::Map(t) => has_optional(t),
        Type::Tuple(ts) => ts.iter().any(has_optional),
        Type::Object(o) => !o.optional.is_empty() || o.attributes.values().any(has_optional),
    }
}

/// The type with every attribute there: what may be left out matters to a conversion only, not to its result.
fn settled(ty: &Type) -> Type {
    match ty {
        Type::Dynamic | Type::Bool | Type::Number | Type::String => ty.clone(),
        Type::List(t) => Type::list(settled(t)),
        Type::Set(t) => Type::set(settled(t)),
        Type::Map(t) => Type::map(settled(t)),
        Type::Tuple(ts) => Type::tuple(ts.iter().map(settled).collect()),
        Type::Object(o) => Type::object(o.attributes.iter().map(|(name, t)| (name.clone(), settled(t)))),
    }
}

/// [`settled`] for the type that a part of a value carries.
fn settle(part: Value) -> Value {
    match part {
        Value::Null(ty) => Value::Null(settled(&ty)),
        Value::Unknown(mut unknown) => {
            unknown.ty = settled(&unknown.ty);
            Value::Unknown(unknown)
        }
        Value::List(ty, members) => Value::List(settled(&ty), members),
        Value::Set(ty, members) => Value::Set(settled(&ty), members),
        Value::Map(ty, members) => Value::Map(settled(&ty), members),
        Value::Marked(marks, inner) => settle(*inner).mark(marks),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tuple(_) | Value::Object(_) => part,
    }
}

/// Reads an expression as a type.
///
/// # Errors
/// The expression is no type.
pub fn type_constraint(expr: &Expr) -> Result<TypeConstraint, Diagnostics> {
    let (ty, defaults) = Reader { expr }.read(expr.node())?;
    Ok(TypeConstraint { ty, defaults })
}

type Read = Result<(Type, Defaults), Diagnostics>;

fn invalid(span: Span, detail: impl Into<String>) -> Diagnostics {
    Diagnostics::from(Diagnostic::error("STK0220", "Invalid type specification", detail).at(span))
}

struct Reader<'e> {
    expr: &'e Expr,
}

impl Reader<'_> {
    fn read(&self, node: &Node) -> Read {
        match &node.kind {
            Kind::Traversal { free, steps } if steps.is_empty() => {
                let name = self.expr.free().get(*free).map_or("", |f| f.root.as_ref());
                keyword(name, node.span)
            }
            Kind::Call(call) => self.constructor(call, node.span),
            Kind::Invalid(diagnostic) => Err(Diagnostics::from((**diagnostic).clone())),
            Kind::Literal(Value::String(name)) if matches!(name.as_ref(), "string" | "list" | "map") => {
                let detail = format!("A type stands without quotes: write {name} instead of \"{name}\".");
                let error = Diagnostic::error("STK0220", "Invalid quoted type constraints", detail);
                Err(error.at(node.span).into())
            }
            Kind::Literal(Value::String(name)) => Err(invalid(
                node.span,
                "A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string).",
            )
            .hint(&format!("write {name} without quotes"))),
            _ => Err(invalid(
                node.span,
                "A type specification is either a primitive type keyword (bool, number, string) or a complex type constructor call, like list(string).",
            )),
        }
    }

    fn constructor(&self, call: &Call, span: Span) -> Read {
        let name = call.name.as_ref();
        let argument = match (name, call.arguments.as_slice()) {
            ("list" | "set" | "map" | "object" | "tuple", [argument]) if !call.expand => argument,
            ("list" | "set" | "map", _) => {
                return Err(invalid(
                    span,
                    format!("The {name} type constructor requires one argument specifying the element type."),
                ));
            }
            ("object", _) => {
                return Err(invalid(
                    span,
                    "The object type constructor requires one argument specifying the attribute types and values as a map.",
                ));
            }
            ("tuple", _) => {
                return Err(invalid(
                    span,
                    "The tuple type constructor requires one argument specifying the element types as a list.",
                ));
            }
            ("optional", _) => {
                return Err(invalid(
                    call.name_span,
                    "Keyword \"optional\" is valid only as a modifier for object type attributes.",
                ));
            }
            ("any" | "bool" | "number" | "string", _) => {
                return Err(invalid(
                    call.name_span,
                    format!("Primitive type keyword \"{name}\" does not expect arguments."),
                ));
            }
            _ => {
                return Err(invalid(
                    call.name_span,
                    format!("Keyword \"{name}\" is not a valid type constructor."),
                ));
            }
        };
        match name {
            "object" => self.object(argument),
            "tuple" => self.tuple(argument),
            _ => {
                let (element, inside) = self.read(argument)?;
                let ty = match name {
                    "list" => Type::list(element),
                    "set" => Type::set(element),
                    _ => Type::map(element),
                };
                Ok((ty, Defaults::within(Place::Members, inside)))
            }
        }
    }

    fn tuple(&self, node: &Node) -> Read {
        let Kind::Tuple(members) = &node.kind else {
            return Err(invalid(
                node.span,
                "Tuple type constructor requires a list of element types.",
            ));
        };
        let mut types = Vec::with_capacity(members.len());
        let mut defaults = Defaults::default();
        for (i, member) in members.iter().enumerate() {
            let (ty, inside) = self.read(member)?;
            types.push(ty);
            if !inside.is_empty() {
                defaults.inside.insert(Place::Position(i), inside);
            }
        }
        Ok((Type::tuple(types), defaults))
    }

    fn object(&self, node: &Node) -> Read {
        let Kind::Object(items) = &node.kind else {
            return Err(invalid(
                node.span,
                "Object type constructor requires a map whose keys are attribute names and whose values are the corresponding attribute types.",
            ));
        };
        let mut diagnostics = Diagnostics::new();
        let mut attributes = BTreeMap::new();
        let mut optional = BTreeSet::new();
        let mut defaults = Defaults::default();
        for (key, value) in items {
            let Kind::Literal(Value::String(name)) = &key.kind else {
                diagnostics.extend(invalid(
                    key.span,
                    "Object constructor map keys must be attribute names.",
                ));
                continue;
            };
            let attribute = self.attribute(value);
            let Some(attribute) = diagnostics.absorb(attribute) else {
                continue;
            };
            if attributes.insert(name.to_string(), attribute.ty).is_some() {
                diagnostics.extend(invalid(
                    key.span,
                    format!("The attribute \"{name}\" is declared twice."),
                ));
            }
            if attribute.optional {
                optional.insert(name.to_string());
            }
            if let Some(default) = attribute.default {
                defaults.values.insert(name.to_string(), default);
            }
            if !attribute.inside.is_empty() {
                defaults
                    .inside
                    .insert(Place::Attribute(name.to_string()), attribute.inside);
            }
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        Ok((
            Type::Object(Arc::new(ObjectType { attributes, optional })),
            defaults,
        ))
    }

    fn attribute(&self, node: &Node) -> Result<Attribute, Diagnostics> {
        let call = match &node.kind {
            Kind::Call(call) if call.name.as_ref() == "optional" => call,
            _ => {
                let (ty, inside) = self.read(node)?;
                return Ok(Attribute {
                    ty,
                    optional: false,
                    default: None,
                    inside,
                });
            }
        };
        let (ty, default) = match call.arguments.as_slice() {
            [ty] => (ty, None),
            [ty, default] => (ty, Some(default)),
            [] => {
                return Err(invalid(
                    node.span,
                    "Optional attribute modifier requires the attribute type as its argument.",
                ));
            }
            [_, _, extra, ..] => {
                return Err(invalid(
                    extra.span,
                    "Optional attribute modifier expects only one or two arguments: the attribute type, and a default value.",
                ));
            }
        };
        let (ty, inside) = self.read(ty)?;
        let default = match default {
            None => None,
            Some(node) => {
                let value = evaluate_part(node)?;
                let converted = convert(&value, &ty).map_err(|e| {
                    let detail = format!(
                        "This default value is not compatible with the attribute's type constraint: {e}."
                    );
                    Diagnostics::from(
                        Diagnostic::error("STK0220", "Invalid default value for optional attribute", detail)
                            .at(node.span),
                    )
                })?;
                Some(converted)
            }
        };
        Ok(Attribute {
            ty,
            optional: true,
            default,
            inside,
        })
    }
}

struct Attribute {
    ty: Type,
    optional: bool,
    default: Option<Value>,
    inside: Defaults,
}

fn keyword(name: &str, span: Span) -> Read {
    let ty = match name {
        "any" => Type::Dynamic,
        "bool" => Type::Bool,
        "number" => Type::Number,
        "string" => Type::String,
        // The short forms of the language's first version.
        "list" => Type::list(Type::Dynamic),
        "map" => Type::map(Type::Dynamic),
        "set" => {
            return Err(invalid(
                span,
                format!("The {name} type constructor requires one argument specifying the element type."),
            ));
        }
        "object" => {
            return Err(invalid(
                span,
                "The object type constructor requires one argument specifying the attribute types and values as a map.",
            ));
        }
        "tuple" => {
            return Err(invalid(
                span,
                "The tuple type constructor requires one argument specifying the element types as a list.",
            ));
        }
        other => {
            let diagnostics = invalid(
                span,
                format!("The keyword \"{other}\" is not a valid type specification."),
            );
            let known = [
                "any", "bool", "list", "map", "number", "object", "set", "string", "tuple",
            ];
            return Err(match crate::suggest::did_you_mean(other, known) {
                Some(near) => diagnostics.hint(&format!("did you mean \"{near}\"?")),
                None => diagnostics,
            });
        }
    };
    Ok((ty, Defaults::default()))
}
