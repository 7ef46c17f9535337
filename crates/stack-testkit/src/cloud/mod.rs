//! A fake cloud in a process of its own, which outlives whatever applies to it.
//!
//! It has what makes real clouds hard: objects with ids and tags, create tokens that make one object each, objects
//! inside objects, objects that cannot end while others use them, new objects that are seen late, throttling, answers
//! that get lost and calls that hang. It numbers and logs every call in its stages, so that a test can stop the world at
//! any of them, kill a process there, and let the world go on; and it remembers every object ever made, so that a test
//! can prove that none was doubled or lost.
//!
//! | part | |
//! |---|---|
//! | [`world`](World) | what exists, and what a call does to it; a value that is copied and put back |
//! | protocol | [`Operation`], [`Fault`], [`Stage`]: one JSON object a line over a Unix socket |
//! | [`serve_until_stdin_ends`] | the cloud's side |
//! | [`CloudProcess`], [`Gate`] | the test's side |
//! | [`CloudProvider`], [`GuestProvider`] | the providers that are applied with |
//!
//! A program that is to be a cloud calls [`serve_until_stdin_ends`]; `fake-cloud` of this crate does, and a test without
//! the standard harness can run itself again for that.

mod client;
mod control;
mod director;
mod protocol;
mod server;
mod types;
mod world;

pub use client::{Cloud, SOCKET_VARIABLE};
pub use control::{CloudProcess, Gate};
pub use protocol::{Answer, Fault, Operation, Owned, Planned, Refusal, RefusalKind, Stage, Which};
pub use server::serve_until_stdin_ends;
pub use types::{
    CloudConfig, CloudProvider, File, FileKind, FileModel, Guest, GuestConfig, GuestProvider, Named,
    NamedKind, Network, NetworkByName, NetworkFound, NetworkKind, NetworkModel, Record, RecordKind,
    RecordModel, Server, ServerKind, ServerModel, Tagged, TaggedKind,
};
pub use world::{Attributes, Made, Object, World};
