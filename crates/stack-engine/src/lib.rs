//! stack-engine.
