//! stack-core.
