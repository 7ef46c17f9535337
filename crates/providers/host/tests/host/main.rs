//! The provider against a machine.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod commands;
mod contract;
mod files;
mod machine;
mod reach;
mod system;
