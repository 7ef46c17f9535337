//! The configuration language: text to configuration, and evaluation of expressions whose values may be unknown or
//! sensitive. Reads no files itself; everything comes through [`sources::Sources`].

mod body;
pub mod configuration;
mod constant;
mod decode;
mod duration;
pub mod evaluate;
pub mod expression;
mod functions;
mod json;
mod load;
mod parse;
pub mod print;
pub mod provider;
pub mod reference;
pub mod sources;
pub mod suggest;
mod syntax;
mod template;
pub mod type_expression;
pub mod validate;
mod variables;
mod version;

pub use body::{Body, BodyAttribute, Dynamic, NestedBlock, span_of};
pub use configuration::Configuration;
pub use decode::{decode_body, ephemeral_arguments};
pub use duration::parse_duration;
pub use evaluate::{NoScope, Scope, evaluate, evaluate_with};
pub use expression::{Expr, parse_expression, parse_template};
pub use functions::names as function_names;
pub use load::{Loaded, load};
pub use print::{console_line, render_value};
pub use provider::{provider_address, provider_for};
pub use reference::{Access, EachPart, PathKind, Reference, Subject, Traversal};
pub use sources::{Entry, MemorySources, Sources};
pub use type_expression::{Defaults, TypeConstraint, type_constraint};
pub use validate::{Schemas, validate, validate_expression};
pub use variables::{VariableInput, variable_values};
pub use version::check_version;
