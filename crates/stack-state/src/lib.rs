//! stack-state.
