//! Runs one operation: begin, call, end.

use std::time::{Duration, Instant};

use stack_core::{Diagnostic, Diagnostics, Value};
use stack_plan::{Change, Operation, ResourceType, Work, agrees, identity, postconditions, with_marks};
use stack_provider::{ErrorKind, Owner, Ownership, ProviderError, RemoteCall};
use stack_state::{Begin, DeposedKey, Object, OperationId, Outcome, Record, Status, Token, Verb as Recorded};

use super::call::{Broken, Call, Verb};
use super::context::{Context, not_recorded};
use super::prepare;
use crate::event::{Doing, Event};

mod data;

/// How long it may take to find out what a failed create has left behind, its own time being over.
const LOOK: Duration = Duration::from_secs(30);

/// How an operation ended for the scheduler.
pub(super) enum Ended {
    /// Done and recorded.
    Done,
    /// It failed; what became of the object is recorded.
    Failed(Diagnostics),
    /// The state could not be written: nothing more may start.
    NotRecorded(Diagnostics),
    /// The user abandoned it; the journal knows.
    Abandoned,
}

/// What a verb gives: the object's id to show, or how it ended instead.
type Result<T> = std::result::Result<T, Ended>;

/// Runs an operation.
pub(super) async fn run_one(context: &Context<'_>, operation: &Operation) -> Ended {
    let Some(change) = context.change(operation) else {
        return Ended::Done;
    };
    let doing = match operation.work {
        Work::Create { .. } => Doing::Creating,
        Work::Update => Doing::Updating,
        Work::Delete { .. } => Doing::Deleting,
        Work::Forget { .. } => Doing::Forgetting,
        Work::Read => Doing::Reading,
        Work::Adopt => Doing::Importing,
        Work::Gate => return Ended::Done,
    };
    let started = Instant::now();
    let run = Run {
        context,
        operation,
        change,
    };
    let (address, deposed) = (change.address.clone(), change.deposed.clone());
    let id = change.before.as_ref().and_then(id_of);
    context.events.event(Event::Started {
        address: address.clone(),
        deposed: deposed.clone(),
        doing,
        id,
    });
    let result = match &operation.work {
        Work::Create { depose } => run.create(depose.as_ref()).await,
        Work::Update => run.update().await,
        Work::Delete { deposed } => run.delete(deposed.as_ref()).await,
        Work::Forget { deposed } => run.forget(deposed.as_ref()).await,
        Work::Read => run.read().await,
        Work::Adopt => run.adopt().await,
        Work::Gate => Ok(None),
    };
    let elapsed = started.elapsed();
    match result {
        Ok(id) => {
            context.events.event(Event::Finished {
                address,
                deposed,
                doing,
                id,
                elapsed,
            });
            Ended::Done
        }
        Err(ended) => {
            match &ended {
                Ended::Failed(diagnostics) | Ended::NotRecorded(diagnostics) => {
                    if let Some(first) = diagnostics.iter().next() {
                        let diagnostic = Box::new(first.clone());
                        context.events.event(Event::Failed {
                            address,
                            deposed,
                            doing,
                            elapsed,
                            diagnostic,
                        });
                    }
                }
                Ended::Abandoned => context.events.event(Event::Abandoned {
                    address,
                    deposed,
                    doing,
                    elapsed,
                }),
                Ended::Done => {}
            }
            ended
        }
    }
}

fn id_of(value: &Value) -> Option<String> {
    let id = value.attribute("id")?;
    if id.marks_deep().is_empty() {
        id.as_str().map(str::to_owned)
    } else {
        None
    }
}

/// A value as it can be stored: what is still unknown is null.
fn storable(value: &Value) -> Value {
    value.map_parts(&|part| match part.unmarked() {
        Value::Unknown(unknown) => Value::Null(unknown.ty.clone()).mark(part.marks()),
        _ => part,
    })
}

/// What a failed create has left behind after all. It is looked for thoroughly where something may have been made, and
/// then not being able to look is an error.
async fn left_behind(
    call: &Call<'_>,
    owner: &Owner,
    planned: &Value,
    reported: Option<&Value>,
    unclear: bool,
) -> std::result::Result<Option<Value>, ProviderError> {
    if unclear || reported.is_some() {
        return call.look(owner, planned, reported).await;
    }
    match call.find(owner, planned).await {
        // The create said that it did nothing; whoever may not create may not be allowed to look either.
        Err(error) if error.kind != ErrorKind::Cancelled => Ok(None),
        found => found,
    }
}

struct Run<'r, 'c> {
    context: &'r Context<'c>,
    operation: &'r Operation,
    change: &'r Change,
}

/// A call with what the records need of its provider.
struct Connected<'c> {
    call: Call<'c>,
    arguments: Value,
    identity: Value,
}

/// The object an operation makes, on its way into the state.
struct Made<'m> {
    config: &'m Value,
    planned: &'m Value,
    value: Value,
    token: Option<Token>,
    operation: Option<OperationId>,
}

impl<'c> Run<'_, 'c> {
    fn internal(&self, detail: &str) -> Ended {
        let diagnostic = Diagnostic::error("STK0405", "Plan and configuration disagree", detail);
        Ended::Failed(diagnostic.address(self.change.address.clone()).into())
    }

    async fn append(&self, records: Vec<Record>) -> Result<()> {
        self.context
            .store
            .append(records)
            .await
            .map_err(|error| Ended::NotRecorded(not_recorded(&error)))
    }

    fn failure(&self, what: &str, error: ProviderError) -> Ended {
        if error.kind == ErrorKind::Cancelled {
            return Ended::Abandoned;
        }
        let path = error.attribute.clone();
        let mut diagnostic =
            Diagnostic::error("STK0410", format!("{what} failed"), crate::observe::chain(error));
        if let Some(resource) = self.context.input.configuration.resource(&self.change.address) {
            let span = path
                .as_ref()
                .and_then(|p| stack_config::span_of(&resource.body, p))
                .unwrap_or(resource.span);
            diagnostic = diagnostic.at(span);
        }
        diagnostic.path = path;
        Ended::Failed(diagnostic.address(self.change.address.clone()).into())
    }

    fn planned_type(&self) -> Result<&'c dyn ResourceType> {
        let name = &self.change.address.ty;
        let ty = self.context.input.catalog.resource(name);
        ty.ok_or_else(|| self.internal(&format!("There is no resource type {name}.")))
    }

    /// How long it may take by the configuration, and where that is gone by what was recorded.
    fn timeout(&self, object: Option<&Object>) -> Option<Duration> {
        let call = match self.operation.work {
            Work::Create { .. } => RemoteCall::Create,
            Work::Update => RemoteCall::Update,
            Work::Delete { .. } => RemoteCall::Delete,
            Work::Read | Work::Adopt | Work::Forget { .. } | Work::Gate => RemoteCall::Read,
        };
        let configured = self
            .context
            .connections
            .timeouts
            .configured(&self.change.address, call);
        configured.or_else(|| object.filter(|_| call == RemoteCall::Delete)?.delete.timeout)
    }

    async fn connect(&self) -> Result<Connected<'_>> {
        let context = self.context;
        let (provider, name) = (&self.change.provider, &self.change.address.ty);
        let ty = context.connections.providers.resource_type(name);
        let ty = ty.ok_or_else(|| self.internal(&format!("There is no resource type {name}.")))?;
        // What exists is reached in the system it is in, and never in another that the configuration leads to by now.
        let object = context
            .object(self.change)
            .filter(|_| !self.operation.work.makes());
        let arguments = context
            .provider_arguments(provider, object.map(|o| &o.identity))
            .map_err(Ended::Failed)?;
        let schema = context.input.catalog.provider(&provider.name);
        let identity = schema.map_or(Value::NULL, |s| identity(s, &arguments));
        let connected = context.connections.get(provider, &arguments).await;
        let connection = connected.map_err(|e| self.failure("Connecting to the provider", e))?;
        let timeout = self.timeout(object).unwrap_or_else(|| ty.timeout());
        let cx = context.connections.cx(timeout);
        let call = Call {
            ty,
            connection,
            cx,
            address: &self.change.address,
            store: Some(context.store),
            events: context.events,
            interrupt: context.interrupt,
        };
        Ok(Connected {
            call,
            arguments,
            identity,
        })
    }

    fn object(
        &self,
        connected: &Connected<'_>,
        attributes: &Value,
        status: Status,
        token: Option<Token>,
    ) -> Object {
        Object {
            status,
            schema_version: connected.call.ty.schema().version,
            attributes: self.context.connections.marked(storable(attributes)),
            private: None,
            provider: self.change.provider.clone(),
            identity: connected.identity.clone(),
            token,
            dependencies: self.operation.dependencies.clone(),
            create_before_destroy: self.operation.create_before_destroy,
            delete: self.operation.delete,
        }
    }

    /// The records that must be durable before a remote call.
    fn begin(
        &self,
        connected: &Connected<'_>,
        action: Recorded,
        deposed: Option<&DeposedKey>,
        token: &Token,
        planned: &Value,
    ) -> (OperationId, Vec<Record>) {
        let operation = self.context.operation_id();
        let natural = action == Recorded::Create && connected.call.ty.ownership() == Ownership::NaturalKey;
        let begin = Begin {
            operation,
            address: self.change.address.clone(),
            deposed: deposed.cloned(),
            action,
            token: token.clone(),
            provider: self.change.provider.clone(),
            identity: connected.identity.clone(),
            natural_key: natural.then_some(Value::Bool(true)),
            planned: storable(planned),
            dependencies: self.operation.dependencies.clone(),
            schema_version: connected.call.ty.schema().version,
            create_before_destroy: self.operation.create_before_destroy,
            delete: self.operation.delete,
        };
        let provider = self
            .context
            .provider_record(&self.change.provider, &connected.arguments);
        (
            operation,
            provider.into_iter().chain([Record::Begin(begin)]).collect(),
        )
    }

    fn owner(&self, token: &Token) -> Owner {
        Owner {
            lineage: self.context.state().lineage.to_string(),
            token: token.to_string(),
            address: self.change.address.clone(),
            environment: self.context.input.environment.to_owned(),
        }
    }

    async fn create(&self, depose: Option<&DeposedKey>) -> Result<Option<String>> {
        let context = self.context;
        let (config, planned) =
            prepare::planned(context, self.change, self.planned_type()?, None).map_err(Ended::Failed)?;
        let connected = self.connect().await?;
        let mut before: Vec<Record> = depose
            .map(|key| Record::Depose {
                address: self.change.address.clone(),
                key: key.clone(),
            })
            .into_iter()
            .collect();
        let token = Token::from(uuid::Uuid::new_v4().to_string());
        let owner = self.owner(&token);
        let verb = Verb::Create {
            owner: owner.clone(),
            planned: planned.clone(),
        };
        let made = |value, operation| Made {
            config: &config,
            planned: &planned,
            value,
            token: Some(token.clone()),
            operation,
        };
        if connected.call.ty.ownership() == Ownership::Local {
            let value = connected
                .call
                .run(verb, None)
                .await
                .map_err(|f| self.failure("Creating", f.error))?;
            before.extend(context.provider_record(&self.change.provider, &connected.arguments));
            return self.written(&connected, made(value, None), before).await;
        }
        self.refuse_foreign(&connected, &owner, &planned).await?;
        let (id, records) = self.begin(&connected, Recorded::Create, None, &token, &planned);
        before.extend(records);
        self.append(before).await?;
        let reported = std::cell::RefCell::new(None);
        let partial = |value: Value| {
            reported.replace(Some(value.clone()));
            let value = with_marks(connected.call.ty.schema(), value, Some(&config));
            let object = self.object(&connected, &value, Status::Tainted, Some(token.clone()));
            Record::Partial {
                operation: id,
                object,
            }
        };
        match connected.call.run(verb, Some(&partial)).await {
            Ok(value) => self.written(&connected, made(value, Some(id)), Vec::new()).await,
            Err(broken) if broken.error.kind == ErrorKind::Cancelled => Err(Ended::Abandoned),
            Err(Broken {
                error,
                object,
                unclear,
            }) => {
                let reported = reported.take();
                let left = match object {
                    Some(object) => Ok(Some(*object)),
                    None => {
                        let call = connected.call.within(context.connections.cx(LOOK));
                        left_behind(&call, &owner, &planned, reported.as_ref(), unclear).await
                    }
                };
                let mut records = Vec::new();
                match left {
                    Ok(Some(value)) => {
                        let value = with_marks(connected.call.ty.schema(), value, Some(&config));
                        let object = self.object(&connected, &value, Status::Tainted, Some(token.clone()));
                        records.push(Record::End {
                            operation: id,
                            outcome: Outcome::Tainted(object),
                        });
                    }
                    Ok(None) => {
                        // A half-made object that is not found any more was cleaned up by the provider.
                        let outcome = match reported {
                            Some(_) => Outcome::Removed,
                            None => Outcome::Failed,
                        };
                        records.push(Record::End {
                            operation: id,
                            outcome,
                        });
                        let address = self.change.address.clone();
                        records.extend(depose.map(|key| Record::Restore {
                            address,
                            key: key.clone(),
                        }));
                    }
                    // The operation stays open, and the next command looks.
                    Err(looking) => return Err(self.not_known("Creating", error, looking)),
                }
                self.append(records).await?;
                Err(self.failure("Creating", error))
            }
        }
    }

    /// The failure of an operation of which it is not known whether it took effect.
    fn not_known(&self, what: &str, mut error: ProviderError, looking: ProviderError) -> Ended {
        if looking.kind == ErrorKind::Cancelled {
            return Ended::Abandoned;
        }
        let why = crate::observe::chain(looking);
        let after = format!(
            "; whether an object was made could not be found out ({why}), so the operation stays open and the next command looks for it"
        );
        error.message.push_str(&after);
        self.failure(what, error)
    }

    /// An object that exists under the name we are about to use is not ours.
    async fn refuse_foreign(&self, connected: &Connected<'_>, owner: &Owner, planned: &Value) -> Result<()> {
        if connected.call.ty.ownership() != Ownership::NaturalKey {
            return Ok(());
        }
        match connected.call.find(owner, planned).await {
            Ok(None) => Ok(()),
            Err(error) => Err(self.failure("Creating", error)),
            Ok(Some(_)) => {
                let message = format!(
                    "an object of this name exists already and is not managed here; take it over with an `import` block whose `to` is {}, or remove it",
                    self.change.address
                );
                Err(self.failure("Creating", ProviderError::new(ErrorKind::AlreadyExists, message)))
            }
        }
    }

    async fn update(&self) -> Result<Option<String>> {
        let context = self.context;
        let ty = self.planned_type()?;
        let Some(prior) = &self.change.before else {
            return Err(self.internal("An update has no prior object."));
        };
        let (config, planned) =
            prepare::planned(context, self.change, ty, Some(prior)).map_err(Ended::Failed)?;
        let connected = self.connect().await?;
        let token = context.object(self.change).and_then(|o| o.token.clone());
        let verb = Verb::Update {
            prior: prior.clone(),
            planned: planned.clone(),
        };
        let made = |value, operation| Made {
            config: &config,
            planned: &planned,
            value,
            token: token.clone(),
            operation,
        };
        if connected.call.ty.ownership() == Ownership::Local {
            let value = connected
                .call
                .run(verb, None)
                .await
                .map_err(|f| self.failure("Updating", f.error))?;
            return self.written(&connected, made(value, None), Vec::new()).await;
        }
        let of_call = Token::from(uuid::Uuid::new_v4().to_string());
        let (id, records) = self.begin(&connected, Recorded::Update, None, &of_call, &planned);
        self.append(records).await?;
        match connected.call.run(verb, None).await {
            Ok(value) => self.written(&connected, made(value, Some(id)), Vec::new()).await,
            Err(broken) if broken.error.kind == ErrorKind::Cancelled => Err(Ended::Abandoned),
            Err(Broken { error, object, .. }) => {
                let outcome = object.map_or(Outcome::Failed, |value| {
                    let value = with_marks(connected.call.ty.schema(), *value, Some(&config));
                    Outcome::Written(self.object(&connected, &value, Status::Ready, token.clone()))
                });
                self.append(vec![Record::End {
                    operation: id,
                    outcome,
                }])
                .await?;
                Err(self.failure("Updating", error))
            }
        }
    }

    /// Records a made or changed object, and lets what depends on it see it.
    async fn written(
        &self,
        connected: &Connected<'_>,
        made: Made<'_>,
        mut records: Vec<Record>,
    ) -> Result<Option<String>> {
        let value = with_marks(connected.call.ty.schema(), made.value, Some(made.config));
        self.context.connections.hide(&value);
        let value = self.context.connections.marked(value);
        let object = self.object(connected, &value, Status::Ready, made.token);
        records.push(match made.operation {
            Some(operation) => Record::End {
                operation,
                outcome: Outcome::Written(object),
            },
            None => Record::Write {
                address: self.change.address.clone(),
                deposed: None,
                object,
            },
        });
        self.append(records).await?;
        self.context
            .evaluator
            .set_object(&self.change.address, value.clone());
        let broken = agrees(self.planned_type()?, made.planned, &value);
        if !broken.is_empty() {
            let names: Vec<String> = broken.iter().map(ToString::to_string).collect();
            let detail = format!(
                "After the apply, {} differs from what was planned. The object is recorded as it is now; this is a fault of the provider.",
                names.join(", ")
            );
            let diagnostic = Diagnostic::error("STK0411", "Provider produced an inconsistent result", detail);
            return Err(Ended::Failed(
                diagnostic.address(self.change.address.clone()).into(),
            ));
        }
        self.postconditions(&value)?;
        Ok(id_of(&value))
    }

    fn postconditions(&self, value: &Value) -> Result<()> {
        let context = self.context;
        let Some(resource) = context.input.configuration.resource(&self.change.address) else {
            return Ok(());
        };
        let rules = postconditions(resource, &self.change.address);
        if rules.conditions.is_empty() {
            return Ok(());
        }
        let scope = prepare::scope(context, self.change, Some(value.clone()));
        let failures = context.evaluator.failures(&rules, &scope);
        if failures.is_empty() {
            Ok(())
        } else {
            Err(Ended::Failed(failures))
        }
    }

    async fn delete(&self, deposed: Option<&DeposedKey>) -> Result<Option<String>> {
        let Some(prior) = &self.change.before else {
            return Err(self.internal("A delete has no prior object."));
        };
        let connected = self.connect().await?;
        let verb = Verb::Delete { prior: prior.clone() };
        let id = id_of(prior);
        if connected.call.ty.ownership() == Ownership::Local {
            connected
                .call
                .run(verb, None)
                .await
                .map_err(|f| self.failure("Deleting", f.error))?;
            let address = self.change.address.clone();
            let end = Record::Remove {
                address,
                deposed: deposed.cloned(),
            };
            self.append(self.with_content(end)).await?;
            return Ok(id);
        }
        let token = Token::from(uuid::Uuid::new_v4().to_string());
        let (operation, records) = self.begin(&connected, Recorded::Delete, deposed, &token, &Value::NULL);
        self.append(records).await?;
        match connected.call.run(verb, None).await {
            Ok(_) => {
                let end = Record::End {
                    operation,
                    outcome: Outcome::Removed,
                };
                self.append(self.with_content(end)).await?;
                Ok(id)
            }
            Err(broken) if broken.error.kind == ErrorKind::Cancelled => Err(Ended::Abandoned),
            Err(broken) => {
                self.append(vec![Record::End {
                    operation,
                    outcome: Outcome::Failed,
                }])
                .await?;
                Err(self.failure("Deleting", broken.error))
            }
        }
    }

    /// The end of an object, together with the end of everything inside it.
    fn with_content(&self, end: Record) -> Vec<Record> {
        let Some(object) = self.context.object(self.change) else {
            return vec![end];
        };
        let inside = self.context.content(object);
        [end].into_iter().chain(inside).collect()
    }

    async fn forget(&self, deposed: Option<&DeposedKey>) -> Result<Option<String>> {
        let address = self.change.address.clone();
        // Objects that end with their container are forgotten in the moment the container's end is recorded.
        if self
            .context
            .store
            .with_state(|state| state.object(&address, deposed).is_none())
        {
            return Ok(self.change.before.as_ref().and_then(id_of));
        }
        self.append(vec![Record::Forget {
            address,
            deposed: deposed.cloned(),
        }])
        .await?;
        Ok(self.change.before.as_ref().and_then(id_of))
    }

    async fn adopt(&self) -> Result<Option<String>> {
        let Some(value) = &self.change.before else {
            return Err(self.internal("An import has no object."));
        };
        let connected = self.connect().await?;
        let config =
            prepare::config(self.context, self.change, connected.call.ty.schema()).map_err(Ended::Failed)?;
        let provider = self
            .context
            .provider_record(&self.change.provider, &connected.arguments);
        let mut records: Vec<Record> = provider.into_iter().collect();
        if !self.change.action.is_no_op() {
            // It is changed right after; what is wrong with it now does not matter.
            let value = with_marks(connected.call.ty.schema(), value.clone(), Some(&config));
            records.push(Record::Write {
                address: self.change.address.clone(),
                deposed: None,
                object: self.object(&connected, &value, Status::Ready, None),
            });
            self.append(records).await?;
            return Ok(id_of(&value));
        }
        let made = Made {
            config: &config,
            planned: value,
            value: value.clone(),
            token: None,
            operation: None,
        };
        self.written(&connected, made, records).await
    }
}
