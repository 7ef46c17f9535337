//! stack-engine.

pub mod backend;
pub mod store;
