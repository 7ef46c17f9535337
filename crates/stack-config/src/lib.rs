//! The configuration language: text to configuration, and evaluation of expressions whose values may be unknown or
//! sensitive. Reads no files itself; everything comes through [`sources::Sources`].

pub mod evaluate;
pub mod expression;
mod functions;
pub mod print;
pub mod reference;
pub mod sources;
pub mod suggest;
mod syntax;
mod template;
pub mod type_expression;

pub use evaluate::{NoScope, Scope, evaluate, evaluate_with};
pub use expression::{Expr, parse_expression, parse_template};
pub use functions::names as function_names;
pub use print::{console_line, render_value};
pub use reference::{Access, EachPart, PathKind, Reference, Subject, Traversal};
pub use sources::{Entry, MemorySources, Sources};
pub use type_expression::{Defaults, TypeConstraint, type_constraint};
