//! stack-testkit.
