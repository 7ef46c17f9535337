//! What end-to-end tests work with: the sandbox, the built program, and clients that are not ours.
//!
//! Nothing here starts or stops the sandbox; `cargo xtask test` does, and names its parts in the environment.

mod program;
mod sandbox;
mod stack;

pub use program::{Program, Running, Said};
pub use sandbox::{Sandbox, texts};
pub use stack::Stack;
