//! Fakes and environments for tests.

pub mod cloud;
mod fake_remote;
mod fault_proxy;

pub use fake_remote::{FakeRemote, Flaw, Thing, ThingModel};
pub use fault_proxy::FaultProxy;
