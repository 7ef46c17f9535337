//! Schemas: what a resource type, data source or provider takes and gives, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zeroize::Zeroize;

use crate::{Number, ObjectType, Path, Secret, Type, Value};

/// Arguments and attributes of one resource type, data source, provider or nested block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Version of the attributes as they are stored; raised when stored objects need an upgrade.
    pub version: u64,
    /// Reference text.
    pub description: String,
    /// Arguments and attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// Nested blocks.
    pub blocks: BTreeMap<String, Block>,
}

/// One argument or attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Reference text.
    pub description: String,
    /// The configuration must set it.
    pub required: bool,
    /// The configuration may set it.
    pub optional: bool,
    /// The provider gives it a value where the configuration does not.
    pub computed: bool,
    /// Never shown, sealed where stored.
    pub sensitive: bool,
    /// A change replaces the object.
    pub replace: bool,
    /// Computed anew by every update, so unknown in the plan of an update; other computed attributes keep their value.
    pub recomputed: bool,
    /// Of a provider argument: names the remote system, so that a change means another system (see the glossary).
    pub identity: bool,
    /// Value where the configuration sets none.
    pub default: Option<Value>,
    /// Why it should not be used any more, and what instead.
    pub deprecated: Option<String>,
}

/// How often a block may stand, and how its values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// At most once: an object, or null.
    Single,
    /// Any number of times: a list of objects.
    List,
}

/// A nested block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// How it nests.
    pub nesting: Nesting,
    /// Its arguments.
    pub schema: Schema,
    /// Least number of blocks.
    pub min: usize,
    /// Greatest number of blocks.
    pub max: Option<usize>,
}

impl Attribute {
    /// An optional attribute of this type.
    pub fn optional(ty: Type) -> Self {
        Self {
            ty,
            description: String::new(),
            required: false,
            optional: true,
            computed: false,
            sensitive: false,
            replace: false,
            recomputed: false,
            identity: false,
            default: None,
            deprecated: None,
        }
    }
}

impl Block {
    /// The type of the block's value in its parent.
    pub fn ty(&self) -> Type {
        match self.nesting {
            Nesting::Single => self.schema.ty(),
            Nesting::List => Type::list(self.schema.ty()),
        }
    }
}

impl Schema {
    /// The object type of a whole value: every attribute and block.
    pub fn ty(&self) -> Type {
        let attributes = self
            .attributes
            .iter()
            .map(|(name, a)| (name.clone(), a.ty.clone()));
        let blocks = self.blocks.iter().map(|(name, b)| (name.clone(), b.ty()));
        let optional = self
            .attributes
            .iter()
            .filter(|(_, a)| !a.required)
            .map(|(name, _)| name.clone());
        Type::Object(Arc::new(ObjectType {
            attributes: attributes.chain(blocks).collect(),
            optional: optional.chain(self.blocks.keys().cloned()).collect(),
        }))
    }
}

/// A value that does not fit a Rust type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.0.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DecodeError {
    /// The part that does not fit.
    pub path: Path,
    /// Why.
    pub message: String,
}

/// A Rust type that a value of the language can be read into and made from.
pub trait Decode: Sized {
    /// The type of the language.
    fn ty() -> Type;

    /// Whether values of this type are secrets.
    fn is_sensitive() -> bool {
        false
    }

    /// Whether null (or an unknown) is accepted.
    fn is_optional() -> bool {
        false
    }

    /// Reads a value. Marks are ignored; numbers and bools are accepted where a string is wanted and the other way
    /// round is an error; an unknown reads as `None` into an `Option` and is an error elsewhere.
    ///
    /// # Errors
    /// The value is null, unknown or of another type; `path` says where.
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError>;

    /// Makes a value. Secrets come out with the sensitive mark.
    fn encode(&self) -> Value;
}

/// A struct with a schema; derive it with [`macro@crate::Schema`].
pub trait SchemaOf: Decode {
    /// The schema.
    fn schema() -> Schema;
}

fn mismatch<T>(wanted: &str, value: &Value, path: &Path) -> Result<T, DecodeError> {
    let message = match value.unmarked() {
        Value::Null(_) => format!("is not set; {wanted} is required"),
        Value::Unknown(_) => "is not known yet".to_owned(),
        other => format!("{wanted} is required, not {}", other.ty().friendly_name()),
    };
    Err(DecodeError {
        path: path.clone(),
        message,
    })
}

impl Decode for String {
    fn ty() -> Type {
        Type::String
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        match value.unmarked() {
            Value::String(s) => Ok(s.to_string()),
            Value::Number(n) => Ok(n.to_string()),
            Value::Bool(b) => Ok(b.to_string()),
            other => mismatch("a string", other, path),
        }
    }
    fn encode(&self) -> Value {
        Value::string(self)
    }
}

impl Decode for bool {
    fn ty() -> Type {
        Type::Bool
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        value
            .as_bool()
            .map_or_else(|| mismatch("a bool", value, path), Ok)
    }
    fn encode(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Decode for Number {
    fn ty() -> Type {
        Type::Number
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        value
            .as_number()
            .cloned()
            .map_or_else(|| mismatch("a number", value, path), Ok)
    }
    fn encode(&self) -> Value {
        Value::Number(self.clone())
    }
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Decode for $int {
            fn ty() -> Type {
                Type::Number
            }
            fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
                let Some(number) = value.as_number() else { return mismatch("a whole number", value, path) };
                number.as_i64().and_then(|n| <$int>::try_from(n).ok()).ok_or_else(|| DecodeError {
                    path: path.clone(),
                    message: format!("a whole number from {} to {} is required, not {number}", <$int>::MIN, <$int>::MAX),
                })
            }
            fn encode(&self) -> Value {
                Value::Number(Number::from(i64::from(*self)))
            }
        }
    )*};
}
integers!(i64, i32, u32, u16, u8);

impl<T: Decode> Decode for Option<T> {
    fn ty() -> Type {
        T::ty()
    }
    fn is_sensitive() -> bool {
        T::is_sensitive()
    }
    fn is_optional() -> bool {
        true
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        match value.unmarked() {
            Value::Null(_) | Value::Unknown(_) => Ok(None),
            known => T::decode(known, path).map(Some),
        }
    }
    fn encode(&self) -> Value {
        self.as_ref().map_or_else(|| Value::Null(T::ty()), Decode::encode)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn ty() -> Type {
        Type::list(T::ty())
    }
    fn is_sensitive() -> bool {
        T::is_sensitive()
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        let Some(members) = value.as_sequence() else {
            return mismatch("a list", value, path);
        };
        members
            .iter()
            .enumerate()
            .map(|(i, v)| T::decode(v, &path.index(i)))
            .collect()
    }
    fn encode(&self) -> Value {
        Value::list(T::ty(), self.iter().map(Decode::encode).collect())
    }
}

impl<T: Decode + Ord> Decode for BTreeSet<T> {
    fn ty() -> Type {
        Type::set(T::ty())
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        let Some(members) = value.as_sequence() else {
            return mismatch("a set", value, path);
        };
        members.iter().map(|v| T::decode(v, path)).collect()
    }
    fn encode(&self) -> Value {
        Value::set(T::ty(), self.iter().map(Decode::encode).collect())
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn ty() -> Type {
        Type::map(T::ty())
    }
    fn is_sensitive() -> bool {
        T::is_sensitive()
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        let Some(members) = value.as_mapping() else {
            return mismatch("a map", value, path);
        };
        members
            .iter()
            .map(|(k, v)| Ok((k.clone(), T::decode(v, &path.attribute(k))?)))
            .collect()
    }
    fn encode(&self) -> Value {
        Value::map(
            T::ty(),
            self.iter().map(|(k, v)| (k.clone(), v.encode())).collect(),
        )
    }
}

impl<T: Decode + Zeroize> Decode for Secret<T> {
    fn ty() -> Type {
        T::ty()
    }
    fn is_sensitive() -> bool {
        true
    }
    fn decode(value: &Value, path: &Path) -> Result<Self, DecodeError> {
        T::decode(value, path).map(Secret::new)
    }
    fn encode(&self) -> Value {
        self.expose().encode().sensitive()
    }
}

/// A value of any type, kept as it is.
impl Decode for Value {
    fn ty() -> Type {
        Type::Dynamic
    }
    fn is_optional() -> bool {
        true
    }
    fn decode(value: &Value, _: &Path) -> Result<Self, DecodeError> {
        Ok(value.clone())
    }
    fn encode(&self) -> Value {
        self.clone()
    }
}

/// A field type that stands for nested blocks; only the derive macro calls it.
pub trait NestedBlock {
    /// The block's schema entry.
    fn block(min: usize, max: Option<usize>, description: &str) -> Block;
}

fn nested<T: SchemaOf>(nesting: Nesting, min: usize, max: Option<usize>, description: &str) -> Block {
    let mut schema = T::schema();
    if !description.is_empty() {
        description.clone_into(&mut schema.description);
    }
    Block {
        nesting,
        schema,
        min,
        max,
    }
}

impl<T: SchemaOf> NestedBlock for Option<T> {
    fn block(min: usize, _: Option<usize>, description: &str) -> Block {
        nested::<T>(Nesting::Single, min, Some(1), description)
    }
}

impl<T: SchemaOf> NestedBlock for Vec<T> {
    fn block(min: usize, max: Option<usize>, description: &str) -> Block {
        nested::<T>(Nesting::List, min, max, description)
    }
}
