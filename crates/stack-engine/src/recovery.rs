//! Finds out what became of operations that an earlier run began and did not end.

use std::time::Duration;

use stack_core::{Diagnostic, Diagnostics, Value};
use stack_plan::{Catalog as _, with_marks};
use stack_provider::{ErrorKind, Owner, ProviderError, RemoteCall};
use stack_state::{Begin, Object, Outcome, Pending, Record, State, Status, Verb};

use crate::Interrupt;
use crate::apply::{Call, RemoteVerb};
use crate::connections::Connections;
use crate::event::{Doing, Event, Events};
use crate::store::Store;

/// Pauses between looks for an object that may not be visible yet.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(2)];

/// Ends every pending operation: adopts what a create made, keeps what an update changed, and drops what a delete
/// removed. The caller holds the lock; planning comes after.
///
/// # Errors
/// The system of an operation cannot be asked, or does not answer clearly; the operation stays pending.
pub async fn recover(
    state: &State,
    store: &Store,
    connections: &Connections,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::new();
    for (operation, pending) in &state.pending {
        let address = &pending.begin.address;
        let doing = Doing::Recovering;
        events.event(Event::Started {
            address: address.clone(),
            deposed: pending.begin.deposed.clone(),
            doing,
            id: None,
        });
        let recovery = Recovery {
            state,
            store,
            connections,
            events,
            interrupt,
            pending,
        };
        match recovery.outcome().await {
            Ok((outcome, text)) => {
                let restore = recovery.restore(&outcome);
                let content = recovery.content(&outcome);
                let end = Record::End {
                    operation: *operation,
                    outcome,
                };
                let records = [end].into_iter().chain(restore).chain(content).collect();
                if let Err(error) = store.append(records).await {
                    problems.push(Diagnostic::error(
                        "STK0403",
                        "State cannot be written",
                        error.to_string(),
                    ));
                    return Err(problems);
                }
                events.event(Event::Recovered {
                    address: address.clone(),
                    outcome: text,
                });
            }
            Err(error) => {
                let detail = format!(
                    "An earlier run began to {} this object and did not finish, and it cannot be found out what became of it: {}",
                    verb(pending.begin.action),
                    crate::observe::chain(error)
                );
                let diagnostic = Diagnostic::error("STK0420", "Interrupted operation not recovered", detail)
                    .address(address.clone())
                    .hint("make the system reachable and run the command again; nothing is lost meanwhile");
                problems.push(diagnostic);
            }
        }
    }
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok(())
    }
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Delete => "delete",
    }
}

struct Recovery<'r> {
    state: &'r State,
    store: &'r Store,
    connections: &'r Connections,
    events: &'r dyn Events,
    interrupt: &'r Interrupt,
    pending: &'r Pending,
}

impl Recovery<'_> {
    async fn outcome(&self) -> Result<(Outcome, &'static str), ProviderError> {
        let begin = &self.pending.begin;
        if self.container_is_gone().await? {
            let unmade = begin.action == Verb::Create && !self.pending.partial;
            let outcome = if unmade { Outcome::Failed } else { Outcome::Removed };
            return Ok((outcome, "it is gone together with what it lived in"));
        }
        let ty = self
            .connections
            .providers
            .resource_type(&begin.address.ty)
            .ok_or_else(|| {
                let message = format!("this version has no resource type {}", begin.address.ty);
                ProviderError::new(ErrorKind::InvalidArgument, message)
            })?;
        let arguments = self
            .state
            .providers
            .get(&begin.provider)
            .cloned()
            .unwrap_or_else(|| {
                let schema = self
                    .connections
                    .providers
                    .provider(&begin.provider.name)
                    .cloned()
                    .unwrap_or_default();
                Value::object(
                    schema
                        .attributes
                        .iter()
                        .map(|(n, a)| (n.clone(), Value::Null(a.ty.clone()))),
                )
            });
        let connection = self.connections.get(&begin.provider, &arguments).await?;
        let call = match begin.action {
            Verb::Create => RemoteCall::Create,
            Verb::Update => RemoteCall::Update,
            Verb::Delete => RemoteCall::Delete,
        };
        let timeout = self.connections.timeouts.configured(&begin.address, call);
        let timeout = timeout.or(begin.delete.timeout.filter(|_| begin.action == Verb::Delete));
        let cx = self.connections.cx(timeout.unwrap_or_else(|| ty.timeout()));
        let call = Call {
            ty,
            connection,
            cx,
            address: &begin.address,
            store: self.store,
            events: self.events,
            interrupt: self.interrupt,
        };
        match begin.action {
            Verb::Create => self.create(&call).await,
            Verb::Update => self.update(&call).await,
            Verb::Delete => self.delete(&call).await,
        }
    }

    /// Whether the object that contains this one is gone, so that there is nothing to ask.
    async fn container_is_gone(&self) -> Result<bool, ProviderError> {
        let begin = &self.pending.begin;
        let Some(identity) = begin.identity.as_mapping() else {
            return Ok(false);
        };
        for id in identity.values().filter_map(Value::as_str) {
            let container = self.state.objects().find(|(_, deposed, object)| {
                deposed.is_none() && object.attributes.attribute("id").and_then(Value::as_str) == Some(id)
            });
            let Some((address, _, object)) = container else {
                continue;
            };
            let Some(ty) = self.connections.providers.resource_type(&address.ty) else {
                continue;
            };
            let Some(arguments) = self.state.providers.get(&object.provider) else {
                continue;
            };
            let connection = self.connections.get(&object.provider, arguments).await?;
            let call = Call {
                cx: self.connections.cx(Duration::from_secs(120)),
                ty,
                connection,
                address,
                store: self.store,
                events: self.events,
                interrupt: self.interrupt,
            };
            return Ok(call.read(&object.attributes).await?.is_none());
        }
        Ok(false)
    }

    fn object(&self, call: &Call<'_>, value: Value, status: Status) -> Object {
        let begin = &self.pending.begin;
        let current = self.state.object(&begin.address, begin.deposed.as_ref());
        let token = match begin.action {
            Verb::Create => Some(begin.token.clone()),
            Verb::Update | Verb::Delete => current.and_then(|o| o.token.clone()),
        };
        let marks = current.map_or(&begin.planned, |o| &o.attributes);
        Object {
            status,
            schema_version: begin.schema_version,
            attributes: with_marks(
                call.ty.schema(),
                with_marks(call.ty.schema(), value, Some(marks)),
                Some(&begin.planned),
            ),
            private: None,
            provider: begin.provider.clone(),
            identity: begin.identity.clone(),
            token,
            dependencies: begin.dependencies.clone(),
            create_before_destroy: begin.create_before_destroy,
            delete: begin.delete,
        }
    }

    async fn create(&self, call: &Call<'_>) -> Result<(Outcome, &'static str), ProviderError> {
        let begin: &Begin = &self.pending.begin;
        let owner = Owner {
            lineage: self.state.lineage.to_string(),
            token: begin.token.to_string(),
            address: begin.address.clone(),
            environment: self.state.environment.clone(),
        };
        let mut found = None;
        for pause in LOOKS {
            call.cx.sleep(pause).await?;
            found = call.find(&owner, &begin.planned).await?;
            if found.is_some() {
                break;
            }
        }
        let Some(found) = found else {
            // An object that was reported once and is not found any more is gone, not unmade.
            let outcome = if self.pending.partial {
                Outcome::Removed
            } else {
                Outcome::Failed
            };
            return Ok((outcome, "nothing was made"));
        };
        if begin.natural_key.is_some() {
            // Nothing was there before, so this is ours; the plan brings it to what is configured now.
            return Ok((
                Outcome::Written(self.object(call, found, Status::Ready)),
                "adopted",
            ));
        }
        // The same token again: the call picks up the object it made and waits until it is complete.
        let again = RemoteVerb::Create {
            owner,
            planned: begin.planned.clone(),
        };
        match call.run(again, None).await {
            Ok(value) => Ok((
                Outcome::Written(self.object(call, value, Status::Ready)),
                "adopted",
            )),
            Err(failure) if failure.error.kind == ErrorKind::Cancelled => Err(failure.error),
            Err(failure) => {
                let value = failure.object.map_or(found, |object| *object);
                Ok((
                    Outcome::Tainted(self.object(call, value, Status::Tainted)),
                    "found incomplete",
                ))
            }
        }
    }

    async fn update(&self, call: &Call<'_>) -> Result<(Outcome, &'static str), ProviderError> {
        let begin = &self.pending.begin;
        let Some(current) = self.state.object(&begin.address, begin.deposed.as_ref()) else {
            return Ok((Outcome::Failed, "it is not managed any more"));
        };
        match call.read(&current.attributes).await? {
            Some(value) => Ok((
                Outcome::Written(self.object(call, value, current.status)),
                "read as it is now",
            )),
            None => Ok((Outcome::Removed, "it is gone")),
        }
    }

    async fn delete(&self, call: &Call<'_>) -> Result<(Outcome, &'static str), ProviderError> {
        let begin = &self.pending.begin;
        let Some(current) = self.state.object(&begin.address, begin.deposed.as_ref()) else {
            return Ok((Outcome::Removed, "it is not managed any more"));
        };
        match call.read(&current.attributes).await? {
            Some(_) => Ok((Outcome::Failed, "it still exists")),
            None => Ok((Outcome::Removed, "it is gone")),
        }
    }

    /// What ends together with an object that is gone.
    fn content(&self, outcome: &Outcome) -> Vec<Record> {
        let begin = &self.pending.begin;
        let object = self.state.object(&begin.address, begin.deposed.as_ref());
        match (outcome, object) {
            (Outcome::Removed, Some(object)) => self
                .store
                .with_state(|state| crate::contained::forget(state, object)),
            _ => Vec::new(),
        }
    }

    /// A replacement that was not made gives its place back to the object that made room for it.
    fn restore(&self, outcome: &Outcome) -> Option<Record> {
        let begin = &self.pending.begin;
        if begin.action != Verb::Create || !matches!(outcome, Outcome::Failed | Outcome::Removed) {
            return None;
        }
        let instance = self.state.instances.get(&begin.address)?;
        if instance.current.is_some() || instance.deposed.len() != 1 {
            return None;
        }
        let key = instance.deposed.keys().next()?.clone();
        Some(Record::Restore {
            address: begin.address.clone(),
            key,
        })
    }
}
