//! helm.
