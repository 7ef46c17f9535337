//! Decides what an apply would do; does nothing itself.
//!
//! [`Planner::step`] is a pure function of a [`PlanInput`] and the [`Answers`] so far. Where it needs a remote fact it
//! returns [`Request`]s; the caller answers them all and calls again. Once nothing is missing it returns a [`Plan`]:
//! the same input and answers always give the same plan, which is what makes a plan file of inputs enough.

mod catalog;
mod change;
mod checks;
mod container;
mod defaults;
mod dependencies;
mod depth;
mod destroy;
mod drift;
mod echo;
mod evaluator;
mod expansion;
mod instance;
mod moves;
mod operations;
mod order;
mod orphans;
mod outputs;
mod plan;
mod planner;
mod prevent;
mod propose;
mod request;
mod scope;
mod targets;
mod unexpanded;

pub use catalog::{Catalog, DataType, Refined, ResourceType};
pub use change::{Action, Change, OutputChange, Reason};
pub use checks::{CheckResult, evaluate as evaluate_checks};
pub use container::{identity, same_system};
pub use defaults::with_defaults;
pub use drift::Drift;
pub use evaluator::{Evaluator, Objects, Rules};
pub use expansion::{Expansion, Repetition};
pub use instance::{postconditions, preconditions};
pub use operations::{Operation, Settings, Work};
pub use plan::{Basis, Mode, Options, Plan, PlanInput};
pub use planner::{Planner, Step};
pub use propose::{agrees, conforms, differences, ignore, propose, recompute, with_marks};
pub use request::{Answer, Answers, Request};
pub use scope::InstanceScope;
