//! What all parts of an apply share.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use stack_core::{Diagnostic, Diagnostics, ProviderAddress, ResourceAddress, Value};
use stack_plan::{Change, Evaluator, Mode, Operation, Plan, PlanInput, Settings, identity, same_system};
use stack_state::{DeposedKey, Object, OperationId, Record, State};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Interrupt;
use crate::connections::Connections;
use crate::event::Events;
use crate::store::{Store, StoreError};

/// One apply.
pub(super) struct Context<'c> {
    pub(super) plan: &'c Plan,
    pub(super) input: PlanInput<'c>,
    pub(super) store: &'c Store,
    pub(super) connections: &'c Connections,
    pub(super) events: &'c dyn Events,
    pub(super) interrupt: &'c Interrupt,
    pub(super) evaluator: Evaluator<'c>,
    /// Errors of data sources that belong to checks.
    pub(super) failed_data: RefCell<BTreeMap<ResourceAddress, String>>,
    recorded_providers: RefCell<BTreeMap<ProviderAddress, Value>>,
    /// Ids of everything that contained something when the command began.
    containers: BTreeSet<String>,
}

/// The diagnostic of a write that failed.
pub(super) fn not_recorded(error: &StoreError) -> Diagnostics {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let detail = format!("{text}. Nothing more was started; what was begun is found by the next command.");
    Diagnostic::error("STK0403", "State cannot be written", detail).into()
}

/// The object with these attributes, and with what the configuration now says about it.
fn with_settings(object: &Object, attributes: &Value, settings: Option<&Settings>) -> Object {
    let mut object = Object {
        attributes: attributes.clone(),
        ..object.clone()
    };
    if let Some(settings) = settings {
        object.dependencies.clone_from(&settings.dependencies);
        object.create_before_destroy = settings.create_before_destroy;
        object.delete = settings.delete;
    }
    object
}

impl<'c> Context<'c> {
    pub(super) fn new(
        plan: &'c Plan,
        input: PlanInput<'c>,
        store: &'c Store,
        connections: &'c Connections,
        events: &'c dyn Events,
        interrupt: &'c Interrupt,
    ) -> Self {
        let now = OffsetDateTime::now_utc().replace_nanosecond(0);
        let now = now.ok().and_then(|now| now.format(&Rfc3339).ok());
        let evaluator = Evaluator::new(input, true).at(now.unwrap_or_else(|| input.timestamp.to_owned()));
        for (module, key, expansion) in &plan.expansions {
            evaluator.set_expansion(module, key, expansion.clone());
        }
        for (address, value) in &plan.known {
            evaluator.set_object(address, value.clone());
        }
        for change in &plan.changes {
            if let (Some(after), None) = (&change.after, &change.deposed) {
                evaluator.set_object(&change.address, after.clone());
            }
        }
        if plan.mode == Mode::Destroy {
            for (address, _, object) in input.state.objects().filter(|(_, deposed, _)| deposed.is_none()) {
                evaluator.set_object(address, object.attributes.clone());
            }
        }
        Self {
            plan,
            input,
            store,
            connections,
            events,
            interrupt,
            evaluator,
            failed_data: RefCell::default(),
            recorded_providers: RefCell::default(),
            containers: crate::contained::containers(input.state),
        }
    }

    pub(super) fn state(&self) -> &'c State {
        self.input.state
    }

    pub(super) fn change(&self, operation: &Operation) -> Option<&'c Change> {
        operation.change.and_then(|number| self.plan.changes.get(number))
    }

    pub(super) fn operation_id(&self) -> OperationId {
        self.store.next_operation()
    }

    /// What ends together with an object that has just ended.
    pub(super) fn content(&self, ended: &Object) -> Vec<Record> {
        if !crate::contained::is_among(ended, &self.containers) {
            return Vec::new();
        }
        self.store
            .with_state(|state| crate::contained::forget(state, ended))
    }

    /// The object a change starts from, under the address it had when the command began.
    pub(super) fn object(&self, change: &Change) -> Option<&'c Object> {
        let recorded = change.previous_address.as_ref().unwrap_or(&change.address);
        self.state().object(recorded, change.deposed.as_ref())
    }

    /// Records moves, what was read, and what the configuration now says about objects that do not change, before any
    /// operation.
    pub(super) async fn record_observations(&self) -> Result<(), Diagnostics> {
        let mut records: Vec<Record> = Vec::new();
        for (from, to) in self.ordered_moves() {
            records.push(Record::Move { from, to });
        }
        let origins: BTreeMap<&ResourceAddress, &ResourceAddress> =
            self.plan.moves.iter().map(|(from, to)| (to, from)).collect();
        let recorded = |address: &ResourceAddress, deposed: Option<&DeposedKey>| {
            let origin = origins.get(address).copied().unwrap_or(address);
            self.state().object(origin, deposed)
        };
        let mut settings: BTreeMap<&ResourceAddress, &Settings> =
            self.plan.settings.iter().map(|s| (&s.address, s)).collect();
        for (address, deposed, value) in &self.plan.refreshed {
            let Some(object) = recorded(address, deposed.as_ref()) else {
                continue;
            };
            match value {
                None => {
                    records.push(Record::Remove {
                        address: address.clone(),
                        deposed: deposed.clone(),
                    });
                    records.extend(crate::contained::forget(self.state(), object));
                }
                Some(attributes) => {
                    let settings = match deposed {
                        None => settings.remove(address),
                        Some(_) => None,
                    };
                    records.push(Record::Write {
                        address: address.clone(),
                        deposed: deposed.clone(),
                        object: with_settings(object, attributes, settings),
                    });
                }
            }
        }
        for (address, settings) in settings {
            if let Some(object) = recorded(address, None) {
                records.push(Record::Write {
                    address: address.clone(),
                    deposed: None,
                    object: with_settings(object, &object.attributes, Some(settings)),
                });
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.store.append(records).await.map_err(|e| not_recorded(&e))
    }

    /// Moves in an order in which no target is still occupied by an instance that moves away itself.
    fn ordered_moves(&self) -> Vec<(ResourceAddress, ResourceAddress)> {
        let mut left: Vec<_> = self.plan.moves.clone();
        let mut out = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let sources: BTreeSet<ResourceAddress> = left.iter().map(|(from, _)| from.clone()).collect();
            let (free, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, to)| !sources.contains(to));
            if free.is_empty() {
                // A ring of moves cannot come from `moved` blocks, which are applied one after the other.
                return out;
            }
            out.extend(free);
            left = rest;
        }
        out
    }

    /// Records the arguments a provider configuration is used with, where they are not the last recorded ones, before the
    /// operation that needs them.
    pub(super) fn provider_record(&self, provider: &ProviderAddress, arguments: &Value) -> Option<Record> {
        let mut recorded = self.recorded_providers.borrow_mut();
        if recorded
            .get(provider)
            .or_else(|| self.state().providers.get(provider))
            == Some(arguments)
        {
            return None;
        }
        recorded.insert(provider.clone(), arguments.clone());
        Some(Record::Provider {
            address: provider.clone(),
            arguments: Some(arguments.clone()),
        })
    }

    /// The arguments of a change's provider configuration: as configured where known, else as recorded; for an object
    /// that exists only those that lead to the system of this identity.
    pub(super) fn provider_arguments(
        &self,
        provider: &ProviderAddress,
        of_object: Option<&Value>,
    ) -> Result<Value, Diagnostics> {
        let catalog = self.input.catalog;
        let schema = catalog.provider(&provider.name);
        let leads_there = |arguments: &Value| match (schema, of_object) {
            (Some(schema), Some(then)) => same_system(&identity(schema, arguments), then),
            _ => true,
        };
        let configured = self.input.configuration.module_at(&provider.module).is_some();
        if configured
            && let Some(schema) = schema
            && let Ok(arguments) = self.evaluator.provider_arguments(provider, schema)
            && arguments.is_wholly_known()
            && leads_there(&arguments)
        {
            return Ok(arguments);
        }
        let evaluation = self.evaluator.take_diagnostics();
        if let Some(recorded) = self.state().providers.get(provider)
            && leads_there(recorded)
        {
            return Ok(recorded.clone());
        }
        if evaluation.has_errors() {
            return Err(evaluation);
        }
        let detail = match of_object {
            None => {
                format!(
                    "Arguments of {provider} are still not known although everything they refer to is done."
                )
            }
            Some(_) => {
                format!(
                    "No known arguments of {provider} lead to the system that the object is in. Plan again."
                )
            }
        };
        Err(Diagnostic::error("STK0404", "Provider configuration not known", detail).into())
    }
}
