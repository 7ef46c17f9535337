//! The plan and what it is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stack_config::configuration::ResourceKey;
use stack_config::{Configuration, Sources};
use stack_core::address::Target;
use stack_core::{Diagnostics, ModulePath, ProviderAddress, ResourceAddress, Value};
use stack_state::{Position, State};

use crate::{Catalog, Change, CheckResult, Drift, Expansion, Operation, OutputChange};

/// What a plan is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Make the objects as configured.
    #[default]
    Normal,
    /// Remove every object.
    Destroy,
    /// Record what the real systems say; change nothing in them.
    RefreshOnly,
}

/// How to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What for.
    pub mode: Mode,
    /// Read recorded objects from the real systems first.
    pub refresh: bool,
    /// Only these and what they depend on; all where empty.
    pub targets: Vec<Target>,
    /// Not these and not what depends on them.
    pub excludes: Vec<Target>,
    /// Instances to replace although nothing about them changes.
    pub replace: Vec<ResourceAddress>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Normal,
            refresh: true,
            targets: Vec::new(),
            excludes: Vec::new(),
            replace: Vec::new(),
        }
    }
}

/// Everything a plan follows from, besides the answers.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// What the user wrote.
    pub configuration: &'a Configuration,
    /// The files that functions may read.
    pub sources: &'a dyn Sources,
    /// Types and rules of the providers.
    pub catalog: &'a dyn Catalog,
    /// What is recorded.
    pub state: &'a State,
    /// Values of the root module's variables, converted; those without are absent.
    pub variables: &'a BTreeMap<Arc<str>, Value>,
    /// Name of the environment.
    pub environment: &'a str,
    /// When the plan is made (RFC 3339), for `plantimestamp`.
    pub timestamp: &'a str,
    /// How to plan.
    pub options: &'a Options,
}

/// The state a plan rests on; an apply refuses any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Lineage of the state.
    pub lineage: String,
    /// Its serial.
    pub serial: u64,
    /// How far its journal was folded in.
    pub position: Position,
}

/// What an apply would do, completely.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What for.
    pub mode: Mode,
    /// The state it rests on.
    pub basis: Basis,
    /// What happens to each resource instance, those without change included, by address.
    pub changes: Vec<Change>,
    /// Where the real systems differ from what is recorded.
    pub drift: Vec<Drift>,
    /// Objects as they were read, to be recorded by the apply: gone ones are `None`.
    pub refreshed: Vec<(ResourceAddress, Option<stack_state::DeposedKey>, Option<Value>)>,
    /// Instances with a new address.
    pub moves: Vec<(ResourceAddress, ResourceAddress)>,
    /// The work, in an order that satisfies all dependencies.
    pub operations: Vec<Operation>,
    /// Outputs of the root module.
    pub outputs: BTreeMap<String, OutputChange>,
    /// What can be said of the checks now.
    pub checks: Vec<CheckResult>,
    /// What can be said now of the conditions of resources, outputs and variables: one result for each instance.
    pub conditions: Vec<CheckResult>,
    /// What the configuration now says about objects that do not change, to be recorded by the apply.
    pub settings: Vec<crate::Settings>,
    /// Provider configurations in use, with their arguments as far as known.
    pub providers: BTreeMap<ProviderAddress, Value>,
    /// Addresses left out by `--target` or `--exclude`, if any of the two was given.
    pub left_out: BTreeSet<ResourceAddress>,
    /// Values of data sources read for the plan, and of every instance that does not change: what an apply starts from.
    pub known: BTreeMap<ResourceAddress, Value>,
    /// The instances of every resource, by module instance.
    pub expansions: Vec<(ModulePath, ResourceKey, Expansion)>,
    /// Warnings.
    pub warnings: Diagnostics,
}

impl Plan {
    /// Whether an apply would change anything: an object, an output or an address.
    pub fn has_changes(&self) -> bool {
        !self.moves.is_empty()
            || self
                .changes
                .iter()
                .any(|c| !c.action.is_no_op() || c.importing.is_some())
            || self.outputs.values().any(OutputChange::is_change)
            || (self.mode == Mode::RefreshOnly && !self.drift.is_empty())
    }
}
