//! stack-config.
