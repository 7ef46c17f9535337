//! stack-macros.
