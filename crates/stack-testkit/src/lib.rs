//! Fakes and environments for tests.

mod fake_remote;
mod fault_proxy;

pub use fake_remote::{FakeRemote, Flaw, Thing, ThingModel};
pub use fault_proxy::FaultProxy;
