//! The contract between the engine and the code that reaches one remote system.
//!
//! A provider author sees types: a struct per resource type with [`stack_core::Schema`] derived, and a [`Resource`]
//! implementation with the four remote verbs. The engine sees values: [`erased`] joins the two. Providers never print,
//! never retry whole operations, never sleep on their own clock (see [`Cx`]) and read the environment only in
//! [`Provider::connect`].

mod context;
pub mod erased;
mod error;
mod provider;
mod resource;
mod secrets;
mod sessions;

#[cfg(feature = "contract")]
pub mod contract;

pub use async_trait::async_trait;
pub use context::{Cx, Observer, Owner};
pub use erased::{AnyClient, AnyDataSource, AnyProvider, AnyResource, ErasedFailure};
pub use error::{ErrorKind, ProviderError};
pub use provider::{Api, Function, Provider, Registry};
pub use resource::{DataSource, Failure, Ownership, Preview, Refined, RemoteCall, Resource};
pub use secrets::Hidden;
pub use sessions::Sessions;
