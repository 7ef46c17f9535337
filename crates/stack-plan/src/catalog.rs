//! What the planner knows of providers: schemas and pure rules.

use stack_core::{Path, Schema, Value};

/// What a type's own planning rules make of a planned object.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// The planned object, unknown attributes included.
    pub planned: Value,
    /// Attributes whose change replaces the object, beyond those the schema marks.
    pub replace: Vec<Path>,
}

/// A resource type as the planner sees it. Every method is pure.
pub trait ResourceType: Send + Sync {
    /// Arguments and attributes.
    fn schema(&self) -> &Schema;
    /// Nothing remote is made: it is never read, and nothing is recorded before it is made.
    fn is_local(&self) -> bool;
    /// The real system can be asked about a change before it is made.
    fn previews(&self) -> bool;
    /// Planning rules beyond the schema.
    fn refine(&self, prior: Option<&Value>, planned: Value) -> Refined;
    /// What is wrong with the arguments, by attribute.
    fn validate(&self, config: &Value) -> Vec<(Path, String)>;
    /// Whether two values of an attribute mean the same.
    fn same(&self, path: &Path, a: &Value, b: &Value) -> bool;
}

/// A data source as the planner sees it.
pub trait DataType: Send + Sync {
    /// Arguments and attributes.
    fn schema(&self) -> &Schema;
}

/// All types of all providers.
pub trait Catalog: Send + Sync {
    /// The resource type of this name.
    fn resource(&self, ty: &str) -> Option<&dyn ResourceType>;
    /// The data source of this name.
    fn data_source(&self, ty: &str) -> Option<&dyn DataType>;
    /// Arguments of a provider's block.
    fn provider(&self, name: &str) -> Option<&Schema>;
    /// Whether a provider needs no connection.
    fn is_local(&self, name: &str) -> bool;
    /// Calls `provider::NAME::FUNCTION`; `None` where there is no such function.
    fn call(&self, provider: &str, function: &str, arguments: &[Value]) -> Option<Result<Value, String>>;
}
