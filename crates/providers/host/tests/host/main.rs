//! The provider against a machine.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod contract;
mod life;
mod machine;
