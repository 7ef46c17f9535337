//! Carries out plans: asks and changes the real systems, writes the journal, says what happens.
//!
//! The engine connects providers ([`Connections`]), answers the planner's questions ([`plan`]), applies a plan by the
//! plan alone ([`apply`]), and finds out what became of what an earlier run began ([`look`], [`recover`]). Everything it does is
//! told as an [`event::Event`] and recorded through the [`store::Store`].

mod apply;
pub mod backend;
mod catalog;
mod connections;
mod contained;
mod durations;
mod eta;
pub mod event;
mod interrupt;
mod limits;
mod observe;
pub mod plan_file;
mod recovery;
mod retry;
pub mod store;
mod timeouts;

pub use apply::{Applied, ApplyOptions, apply};
pub use catalog::Providers;
pub use connections::Connections;
pub use durations::{Durations, Kind as DurationKind};
pub use interrupt::Interrupt;
pub use observe::{PlanError, plan, replay};
pub use recovery::{Finding, Looked, Verdict, look, recover};
