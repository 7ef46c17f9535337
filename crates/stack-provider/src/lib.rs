//! stack-provider.
