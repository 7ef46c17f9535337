//! Transport to a Kubernetes API server: a client from a kubeconfig, discovery, server-side apply, waiting, commands in
//! pods and logs. Objects are plain JSON, so that every kind is treated alike.
//!
//! A session is shared by all providers that name the same kubeconfig and context; see [`Access::session`].

mod access;
mod client;
mod error;
mod exec;
pub mod ready;
mod reference;
mod request;

pub use access::Access;
pub use client::{Apply, Kube, PatchKind, Propagation, Selection};
pub use error::{Cause, KubeError};
pub use exec::{ExecStream, Output};
pub use reference::ObjectRef;

/// An object of the API.
pub type Json = serde_json::Value;
