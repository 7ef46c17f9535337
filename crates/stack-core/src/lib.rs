//! The vocabulary of `stack`: addresses, values, types, schemas, secrets, diagnostics and graphs.
//!
//! This crate does no I/O, knows no clock and no async runtime, and reads no environment. Everything else in the
//! workspace speaks in its terms.

pub mod address;
pub mod codec;
pub mod convert;
pub mod decimal;
pub mod diagnostic;
pub mod graph;
pub mod number;
pub mod path;
pub mod schema;
pub mod secret;
pub mod span;
pub mod types;
pub mod value;

pub use address::{InstanceKey, Mode, ModulePath, ModuleStep, ProviderAddress, ResourceAddress};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use number::Number;
pub use path::{Path, Step};
pub use schema::{Attribute, Block, Decode, DecodeError, Nesting, Schema, SchemaOf};
pub use secret::Secret;
pub use span::{FileId, SourceMap, Span};
pub use types::{ObjectType, Type};
pub use value::{Marks, Unknown, Value};

/// Derives [`SchemaOf`] and [`Decode`]: one declaration of a struct gives its schema, reference text, decoding and
/// encoding.
pub use stack_macros::Schema;
