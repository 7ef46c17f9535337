//! The planner against a cloud in memory: scenarios as text, and what holds for every plan.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod combinations;
mod kinds;
mod properties;
mod render;
mod scenario;
mod session;
