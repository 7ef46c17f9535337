//! Where a real system differs from what is recorded.

use stack_core::{Path, ResourceAddress, Value};

/// One object that changed behind our back.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The resource instance.
    pub address: ResourceAddress,
    /// As recorded.
    pub before: Value,
    /// As it is; `None`: it is gone.
    pub after: Option<Value>,
    /// The attributes that differ.
    pub paths: Vec<Path>,
}
