//! Carries out a plan: chooses nothing, records everything.

mod call;
mod context;
mod execute;
mod finish;
mod prepare;
mod schedule;

use std::collections::BTreeMap;

pub(crate) use call::{Call, LOOKS, Verb as RemoteVerb};
use stack_core::{Diagnostics, ResourceAddress, Value};
use stack_plan::{CheckResult, Plan, PlanInput};

use crate::Interrupt;
use crate::connections::{Connections, PARALLELISM};
use crate::durations::Durations;
use crate::event::Events;
use crate::store::Store;

/// How to apply.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Most operations at a time that reach a real system.
    pub parallelism: usize,
    /// How long operations took in earlier runs: what they tell orders the work.
    pub durations: Durations,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            parallelism: PARALLELISM,
            durations: Durations::default(),
        }
    }
}

/// What an apply came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// At least one operation was recorded.
    pub recorded: bool,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    /// The user interrupted before everything was done.
    pub interrupted: bool,
    /// Objects made.
    pub added: usize,
    /// Objects changed in place.
    pub changed: usize,
    /// Objects deleted.
    pub destroyed: usize,
    /// Objects no longer managed.
    pub forgotten: usize,
    /// Results of the checks.
    pub checks: Vec<CheckResult>,
    /// Outputs of the root module afterwards.
    pub outputs: BTreeMap<String, Value>,
    /// The durations of the options, and what this run has added to them.
    pub durations: Durations,
    /// What a destroy leaves behind, and why.
    pub kept: Vec<(ResourceAddress, String)>,
}

/// Applies a plan to the state it rests on. The caller holds the lock and has checked the basis.
pub async fn apply(
    plan: &Plan,
    input: PlanInput<'_>,
    store: &Store,
    connections: &Connections,
    events: &dyn Events,
    interrupt: &Interrupt,
    options: &ApplyOptions,
) -> Applied {
    let context = context::Context::new(plan, input, store, connections, events, interrupt);
    let mut applied = Applied::default();
    connections.hide_all(input.variables.values());
    connections.hide_recorded(input.state);
    if let Err(diagnostics) = context.record_observations().await {
        applied.diagnostics.extend(diagnostics);
        return applied;
    }
    schedule::run(&context, options, &mut applied).await;
    finish::finish(&context, &mut applied).await;
    applied
}
