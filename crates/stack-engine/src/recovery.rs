//! Finds out what became of operations that an earlier run began and did not end.
//!
//! Looking only reads, so a plan may do it; what it finds is carried out by who holds the lock.

mod look;

use std::time::Duration;

use stack_core::{Diagnostic, Diagnostics, ProviderAddress, ResourceAddress, Schema, Value};
use stack_plan::{Catalog as _, identity, same_system, with_marks};
use stack_provider::{ErrorKind, Owner, ProviderError, RemoteCall};
use stack_state::{Begin, Object, OperationId, Outcome, Pending, Record, State, Status, Verb, fold};

pub use look::{Finding, Looked, Verdict, look};

use crate::Interrupt;
use crate::apply::{Call, RemoteVerb};
use crate::connections::Connections;
use crate::event::{Doing, Event, Events};
use crate::store::Store;

/// Ends every pending operation: adopts what a create made, keeps what an update changed, and drops what a delete
/// removed. The caller holds the lock; planning comes after.
///
/// # Errors
/// The system of an operation cannot be asked, or does not answer clearly; the operation stays pending, unless it is one
/// inside an object that is managed too.
pub async fn recover(
    state: &State,
    store: &Store,
    connections: &Connections,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<(), Diagnostics> {
    if state.pending.is_empty() {
        return Ok(());
    }
    let mut problems = Diagnostics::new();
    hide(state, connections);
    let mut after = state.clone();
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
            state: &after,
            connections,
            events,
            interrupt,
            pending,
        };
        let (records, text) = match recovery.carried_out(store).await {
            Ok((found, text)) => (recovery.records(*operation, found), text),
            Err(error) => {
                problems.push(not_recovered(&pending.begin, error));
                continue;
            }
        };
        if let Err(error) = store.append(records.clone()).await {
            problems.push(Diagnostic::error(
                "STK0403",
                "State cannot be written",
                error.to_string(),
            ));
            return Err(problems);
        }
        for record in records {
            // The store has folded the same records.
            drop(fold(&mut after, record));
        }
        events.event(Event::Recovered {
            address: address.clone(),
            outcome: text,
        });
    }
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok(())
    }
}

/// Hides what is sensitive in a state and in what was begun on it.
fn hide(state: &State, connections: &Connections) {
    connections.hide_recorded(state);
    connections.hide_all(state.pending.values().map(|pending| &pending.begin.planned));
}

/// The error of an operation whose end cannot be found out.
fn not_recovered(begin: &Begin, error: ProviderError) -> Diagnostic {
    let detail = format!(
        "An earlier run began to {} this object and did not finish, and it cannot be found out what became of it: {}",
        verb(begin.action),
        crate::observe::chain(error)
    );
    Diagnostic::error("STK0420", "Interrupted operation not recovered", detail)
        .address(begin.address.clone())
        .hint("make the system reachable and run the command again; nothing is lost meanwhile")
}

pub(crate) fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Delete => "delete",
    }
}

/// Whether an error says something of the system or of us, and nothing of the object.
fn says_nothing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Cancelled | ErrorKind::Denied | ErrorKind::Unavailable | ErrorKind::Throttled
    )
}

/// What looking at the real system says of an operation.
enum Found {
    /// How it ended.
    Ended(Outcome),
    /// A create made this object; the same call again picks it up and completes it.
    Made(Object),
}

struct Recovery<'r> {
    /// As it is after what was recovered before.
    state: &'r State,
    connections: &'r Connections,
    events: &'r dyn Events,
    interrupt: &'r Interrupt,
    pending: &'r Pending,
}

impl Recovery<'_> {
    /// Looks, and changes nothing.
    async fn found(&self) -> Result<(Found, &'static str), ProviderError> {
        self.or_unasked(self.asked().await)
    }

    /// What holds where nobody can be asked, in place of an error.
    fn or_unasked(
        &self,
        found: Result<(Found, &'static str), ProviderError>,
    ) -> Result<(Found, &'static str), ProviderError> {
        match found {
            Err(error) if error.kind != ErrorKind::Cancelled => {
                let unasked = self
                    .unasked()
                    .map(|(outcome, text)| (Found::Ended(outcome), text));
                unasked.ok_or(error)
            }
            found => found,
        }
    }

    /// Looks, and completes what a create has made.
    async fn carried_out(&self, store: &Store) -> Result<(Outcome, &'static str), ProviderError> {
        let found = match self.found().await? {
            (Found::Made(object), _) => {
                let completed = match self.call(Some(store)).await {
                    Ok(Ok(call)) => self.complete(&call, object).await,
                    Ok(Err(text)) => Ok((Outcome::Failed, text)),
                    Err(error) => Err(error),
                };
                self.or_unasked(completed.map(|(outcome, text)| (Found::Ended(outcome), text)))?
            }
            found => found,
        };
        match found {
            (Found::Ended(outcome), text) => Ok((outcome, text)),
            // Completing gives an end.
            (Found::Made(object), text) => Ok((Outcome::Written(object), text)),
        }
    }

    /// Everything to record of how the operation ended.
    fn records(&self, operation: OperationId, outcome: Outcome) -> Vec<Record> {
        let restore = self.restore(&outcome);
        let content = self.content(&outcome);
        let end = Record::End { operation, outcome };
        [end].into_iter().chain(restore).chain(content).collect()
    }

    async fn asked(&self) -> Result<(Found, &'static str), ProviderError> {
        let begin = &self.pending.begin;
        // Where that cannot be found out, the object itself may still answer.
        if matches!(self.container_is_gone().await, Ok(true)) {
            let unmade = begin.action == Verb::Create && !self.pending.partial;
            let outcome = if unmade { Outcome::Failed } else { Outcome::Removed };
            return Ok((Found::Ended(outcome), "it is gone together with what it lived in"));
        }
        let call = match self.call(None).await? {
            Ok(call) => call,
            Err(text) => return Ok((Found::Ended(Outcome::Failed), text)),
        };
        let (outcome, text) = match begin.action {
            Verb::Create => return self.create(&call).await,
            Verb::Update => self.update(&call).await?,
            Verb::Delete => self.delete(&call).await?,
        };
        Ok((Found::Ended(outcome), text))
    }

    /// The way to the system of the operation, or why there is none any more.
    async fn call<'c>(
        &'c self,
        store: Option<&'c Store>,
    ) -> Result<Result<Call<'c>, &'static str>, ProviderError> {
        let begin = &self.pending.begin;
        let ty = self
            .connections
            .providers
            .resource_type(&begin.address.ty)
            .ok_or_else(|| {
                let message = format!("this version has no resource type {}", begin.address.ty);
                ProviderError::new(ErrorKind::InvalidArgument, message)
            })?;
        let Some(arguments) = self.arguments(&begin.provider, &begin.identity) else {
            // Asking in another system would give an answer about another object.
            if begin.action == Verb::Create {
                let message = format!("{} leads to another system by now", begin.provider);
                return Err(ProviderError::new(ErrorKind::InvalidArgument, message));
            }
            // The state still has the object as it was, and the plan says what becomes of it.
            return Ok(Err("nothing leads to the system it is in any more"));
        };
        let connection = self.connections.get(&begin.provider, &arguments).await?;
        let call = match begin.action {
            Verb::Create => RemoteCall::Create,
            Verb::Update => RemoteCall::Update,
            Verb::Delete => RemoteCall::Delete,
        };
        let timeout = self.connections.timeouts.configured(&begin.address, call);
        let timeout = timeout.or(begin.delete.timeout.filter(|_| begin.action == Verb::Delete));
        let cx = self.connections.cx(timeout.unwrap_or_else(|| ty.timeout()));
        Ok(Ok(Call {
            ty,
            connection,
            cx,
            address: &begin.address,
            store,
            events: self.events,
            interrupt: self.interrupt,
        }))
    }

    /// The recorded arguments of a provider configuration, if they lead to the system of this identity.
    fn arguments(&self, provider: &ProviderAddress, then: &Value) -> Option<Value> {
        let schema = self.connections.providers.provider(&provider.name);
        let Some(recorded) = self.state.providers.get(provider) else {
            let attributes = schema.into_iter().flat_map(|schema| &schema.attributes);
            let unset = attributes.map(|(name, a)| (name.clone(), Value::Null(a.ty.clone())));
            return Some(Value::object(unset));
        };
        let there = schema.is_none_or(|schema| same_system(&identity(schema, recorded), then));
        there.then(|| recorded.clone())
    }

    /// The managed object that contains this one.
    fn container(&self) -> Option<(&ResourceAddress, &Object)> {
        let identity = self.pending.begin.identity.as_mapping()?;
        identity.values().filter_map(Value::as_str).find_map(|id| {
            let mut objects = self.state.objects();
            let container = objects.find(|(_, deposed, object)| {
                deposed.is_none() && object.attributes.attribute("id").and_then(Value::as_str) == Some(id)
            });
            container.map(|(address, _, object)| (address, object))
        })
    }

    /// Whether the object that contains this one is gone, so that there is nothing to ask.
    async fn container_is_gone(&self) -> Result<bool, ProviderError> {
        let Some((address, object)) = self.container() else {
            return Ok(false);
        };
        let Some(ty) = self.connections.providers.resource_type(&address.ty) else {
            return Ok(false);
        };
        let Some(arguments) = self.arguments(&object.provider, &object.identity) else {
            return Ok(false);
        };
        let connection = self.connections.get(&object.provider, &arguments).await?;
        let call = Call {
            cx: self.connections.cx(Duration::from_secs(120)),
            ty,
            connection,
            address,
            store: None,
            events: self.events,
            interrupt: self.interrupt,
        };
        Ok(call.read(&object.attributes).await?.is_none())
    }

    /// How an operation ends that nobody can be asked about, because the managed object around it does not answer. What
    /// is inside is lost with its container at the latest, so it must not stand in the way of ending that: what may be
    /// there is recorded as half made, and what was there as it was.
    fn unasked(&self) -> Option<(Outcome, &'static str)> {
        self.container()?;
        let begin = &self.pending.begin;
        let outcome = match begin.action {
            Verb::Update | Verb::Delete => Outcome::Failed,
            Verb::Create => {
                begin.natural_key.as_ref()?;
                let ty = self.connections.providers.resource_type(&begin.address.ty)?;
                let current = self
                    .state
                    .current(&begin.address)
                    .filter(|_| self.pending.partial);
                let value = current.map_or(&begin.planned, |object| &object.attributes);
                Outcome::Tainted(self.object(ty.schema(), value.clone(), Status::Tainted))
            }
        };
        Some((outcome, "what it is in does not answer"))
    }

    fn object(&self, schema: &Schema, value: Value, status: Status) -> Object {
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
            attributes: self.connections.marked(with_marks(
                schema,
                with_marks(schema, value, Some(marks)),
                Some(&begin.planned),
            )),
            private: None,
            provider: begin.provider.clone(),
            identity: begin.identity.clone(),
            token,
            dependencies: begin.dependencies.clone(),
            create_before_destroy: begin.create_before_destroy,
            delete: begin.delete,
        }
    }

    fn owner(&self) -> Owner {
        let begin = &self.pending.begin;
        Owner {
            lineage: self.state.lineage.to_string(),
            token: begin.token.to_string(),
            address: begin.address.clone(),
            environment: self.state.environment.clone(),
        }
    }

    async fn create(&self, call: &Call<'_>) -> Result<(Found, &'static str), ProviderError> {
        let begin: &Begin = &self.pending.begin;
        let owner = self.owner();
        let reported = self
            .state
            .current(&begin.address)
            .filter(|_| self.pending.partial);
        let reported = reported.map(|object| &object.attributes);
        let Some(found) = call.look(&owner, &begin.planned, reported).await? else {
            // An object that was reported once and is not found any more is gone, not unmade.
            let outcome = if self.pending.partial {
                Outcome::Removed
            } else {
                Outcome::Failed
            };
            return Ok((Found::Ended(outcome), "nothing was made"));
        };
        let object = self.object(call.ty.schema(), found, Status::Ready);
        // Where nothing was before, this is ours; the plan brings it to what is configured now.
        let made = if begin.natural_key.is_some() {
            Found::Ended(Outcome::Written(object))
        } else {
            Found::Made(object)
        };
        Ok((made, "adopted"))
    }

    /// The same token again: the call picks up the object it made and waits until it is complete.
    async fn complete(
        &self,
        call: &Call<'_>,
        found: Object,
    ) -> Result<(Outcome, &'static str), ProviderError> {
        let again = RemoteVerb::Create {
            owner: self.owner(),
            planned: self.pending.begin.planned.clone(),
        };
        match call.run(again, None).await {
            Ok(value) => Ok((
                Outcome::Written(self.object(call.ty.schema(), value, Status::Ready)),
                "adopted",
            )),
            Err(broken) if says_nothing(broken.error.kind) => Err(broken.error),
            Err(broken) => {
                let object = match broken.object {
                    Some(value) => self.object(call.ty.schema(), *value, Status::Tainted),
                    None => Object {
                        status: Status::Tainted,
                        ..found
                    },
                };
                Ok((Outcome::Tainted(object), "found incomplete"))
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
                Outcome::Written(self.object(call.ty.schema(), value, current.status)),
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
        let read = match current.status {
            Status::Ready => call.read(&current.attributes).await?,
            Status::Tainted => call.read_new(&current.attributes).await?,
        };
        match read {
            Some(_) => Ok((Outcome::Failed, "it still exists")),
            None => Ok((Outcome::Removed, "it is gone")),
        }
    }

    /// What ends together with an object that is gone.
    fn content(&self, outcome: &Outcome) -> Vec<Record> {
        let begin = &self.pending.begin;
        let object = self.state.object(&begin.address, begin.deposed.as_ref());
        match (outcome, object) {
            (Outcome::Removed, Some(object)) => crate::contained::forget(self.state, object),
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
        // What is there now is the half-made replacement itself, which is gone.
        if instance.current.is_some() && !self.pending.partial {
            return None;
        }
        // Keys sort by age; others have been waiting to be deleted for longer.
        let key = instance.deposed.keys().next_back()?.clone();
        Some(Record::Restore {
            address: begin.address.clone(),
            key,
        })
    }
}
