//! The provider against a machine.

mod contract;
mod life;
mod machine;
