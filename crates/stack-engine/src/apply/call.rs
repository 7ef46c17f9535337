//! Remote calls of one operation: retried by error kind, observed while they run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stack_core::{Diagnostics, ResourceAddress, Value};
use stack_provider::{
    AnyResource, Cx, ErrorKind, Failure, Observer, Owner, Ownership, ProviderError, RemoteCall,
};
use stack_state::Record;
use tokio::sync::{mpsc, oneshot};

use super::context::not_recorded;
use crate::connections::Connection;
use crate::event::{Event, Events};
use crate::store::Store;
use crate::{Interrupt, retry};

/// What a provider reports while a call runs.
enum Report {
    Progress(String),
    Partial(Value, oneshot::Sender<Result<(), ProviderError>>),
}

struct Channel(mpsc::UnboundedSender<Report>);

#[async_trait]
impl Observer for Channel {
    fn progress(&self, text: &str) {
        // Nobody listens any more once the call is abandoned.
        let _ = self.0.send(Report::Progress(text.to_owned()));
    }

    async fn partial(&self, object: Value) -> Result<(), ProviderError> {
        let lost = || ProviderError::new(ErrorKind::Cancelled, "interrupted");
        let (reply, answer) = oneshot::channel();
        self.0.send(Report::Partial(object, reply)).map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }
}

/// One operation's way to the remote system.
pub(crate) struct Call<'c> {
    pub(crate) ty: Arc<dyn AnyResource>,
    pub(crate) connection: Connection,
    pub(crate) cx: Cx,
    pub(crate) address: &'c ResourceAddress,
    /// Where a half-made object is recorded; absent where nothing is changed.
    pub(crate) store: Option<&'c Store>,
    pub(crate) events: &'c dyn Events,
    pub(crate) interrupt: &'c Interrupt,
}

/// Pauses before each look for an object that may not be visible yet.
pub(crate) const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(2)];

/// A verb that failed for good.
pub(crate) struct Broken {
    /// Why.
    pub(crate) error: ProviderError,
    /// The object as far as the provider knows it.
    pub(crate) object: Option<Box<Value>>,
    /// Some try may have taken effect without saying so.
    pub(crate) unclear: bool,
}

/// Whether a call that ended so may have taken effect.
fn is_unclear(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::InvalidArgument
        | ErrorKind::Denied
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::AlreadyExists
        | ErrorKind::Throttled => false,
        ErrorKind::NotYetVisible
        | ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Cancelled
        | ErrorKind::Internal => true,
    }
}

/// A verb with its arguments.
#[derive(Clone)]
pub(crate) enum Verb {
    Create { owner: Owner, planned: Value },
    Update { prior: Value, planned: Value },
    Delete { prior: Value },
}

impl Verb {
    fn call(&self) -> RemoteCall {
        match self {
            Self::Create { .. } => RemoteCall::Create,
            Self::Update { .. } => RemoteCall::Update,
            Self::Delete { .. } => RemoteCall::Delete,
        }
    }
}

impl Call<'_> {
    /// Runs a verb until it succeeds or may not be tried again. `partial` makes the record of a half-made object.
    /// A delete gives null.
    pub(crate) async fn run(
        &self,
        verb: Verb,
        partial: Option<&dyn Fn(Value) -> Record>,
    ) -> Result<Value, Broken> {
        let (mut tries, mut unclear) = (0, false);
        loop {
            let failure = match self.once(verb.clone(), tries, partial).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            unclear |= is_unclear(failure.error.kind);
            match retry::wait(&self.cx, self.events, self.address, tries, failure.error).await {
                Ok(()) => tries += 1,
                Err(error) => {
                    return Err(Broken {
                        error,
                        object: failure.object,
                        unclear,
                    });
                }
            }
        }
    }

    /// The same way with a time of its own.
    pub(crate) fn within(&self, cx: Cx) -> Self {
        Self {
            ty: self.ty.clone(),
            connection: self.connection.clone(),
            cx,
            ..*self
        }
    }

    async fn once(
        &self,
        verb: Verb,
        tries: u32,
        partial: Option<&dyn Fn(Value) -> Record>,
    ) -> Result<Value, Failure<Value>> {
        let pass = self
            .connection
            .calls
            .enter(&self.cx, self.ty.api(verb.call()))
            .await?;
        let mut result = self.attempt(verb, tries, partial).await;
        pass.end(result.as_mut().map_err(|failure| &mut failure.error));
        result
    }

    async fn attempt(
        &self,
        verb: Verb,
        tries: u32,
        partial: Option<&dyn Fn(Value) -> Record>,
    ) -> Result<Value, Failure<Value>> {
        let (sender, mut reports) = mpsc::unbounded_channel();
        let cx = self.cx.observed(Arc::new(Channel(sender)));
        let (ty, client) = (self.ty.clone(), self.connection.client.clone());
        // A task of its own: making a key keeps a processor busy, and other operations must go on.
        let mut task = tokio::spawn(async move {
            match verb {
                Verb::Create { owner, planned } => {
                    if tries > 0 && ty.ownership() == Ownership::NaturalKey {
                        // Nothing was there when the operation began, so what is there now is what the lost call made.
                        if let Some(prior) = ty.find(&cx, &client, &owner, &planned).await? {
                            return ty.update(&cx, &client, &prior, &planned).await;
                        }
                    }
                    ty.create(&cx, &client, &owner, &planned).await
                }
                Verb::Update { prior, planned } => ty.update(&cx, &client, &prior, &planned).await,
                Verb::Delete { prior } => ty
                    .delete(&cx, &client, &prior)
                    .await
                    .map(|()| Value::NULL)
                    .map_err(Failure::from),
            }
        });
        let deadline = tokio::time::sleep_until(self.cx.deadline() + Duration::from_secs(5));
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                Some(report) = reports.recv() => self.report(report, partial).await,
                () = self.interrupt.abandon().cancelled() => {
                    task.abort();
                    return Err(ProviderError::new(ErrorKind::Cancelled, "interrupted").into());
                }
                () = &mut deadline => {
                    task.abort();
                    let message = "not done in time, and the call did not end by itself";
                    return Err(ProviderError::new(ErrorKind::Timeout, message).into());
                }
                joined = &mut task => {
                    return joined.unwrap_or_else(|error| {
                        Err(ProviderError::internal("the provider failed unexpectedly").source(error).into())
                    });
                }
            }
        }
    }

    async fn report(&self, report: Report, partial: Option<&dyn Fn(Value) -> Record>) {
        match report {
            Report::Progress(text) => {
                self.events.event(Event::Progress {
                    address: self.address.clone(),
                    text,
                });
            }
            Report::Partial(object, reply) => {
                let result = match (partial, self.store) {
                    (None, _) | (_, None) => Ok(()),
                    (Some(record), Some(store)) => {
                        store.append(vec![record(object)]).await.map_err(|error| {
                            let diagnostics: Diagnostics = not_recorded(&error);
                            ProviderError::internal(diagnostics.to_string())
                        })
                    }
                };
                // The call may have been aborted meanwhile.
                let _ = reply.send(result);
            }
        }
    }

    /// Makes one call that reads, in its turn and within the time of the operation.
    async fn reading<T>(
        &self,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let calls = &self.connection.calls;
        let pass = calls.enter(&self.cx, self.ty.api(RemoteCall::Read)).await?;
        let mut result = self.cx.bounded(call).await.and_then(|r| r);
        pass.end(result.as_mut());
        result
    }

    /// Looks for the object of a create; retried like any call.
    pub(crate) async fn find(&self, owner: &Owner, planned: &Value) -> Result<Option<Value>, ProviderError> {
        let mut tries = 0;
        loop {
            let found = self.reading(self.ty.find(&self.cx, &self.connection.client, owner, planned));
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) => retry::wait(&self.cx, self.events, self.address, tries, error).await?,
            }
            tries += 1;
        }
    }

    /// Looks for the object of a create of which it is not known whether it took effect: more than once, because what was
    /// made a moment ago may not be visible yet, and at the object itself where the call had said which it is.
    pub(crate) async fn look(
        &self,
        owner: &Owner,
        planned: &Value,
        reported: Option<&Value>,
    ) -> Result<Option<Value>, ProviderError> {
        for pause in LOOKS {
            self.cx.sleep(pause).await?;
            let found = self.find(owner, planned).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        match reported {
            Some(object) => self.read(object).await,
            None => Ok(None),
        }
    }

    /// Reads an object that was made in part, perhaps a moment ago: one look that does not see it says little.
    pub(crate) async fn read_new(&self, prior: &Value) -> Result<Option<Value>, ProviderError> {
        for pause in LOOKS {
            self.cx.sleep(pause).await?;
            let found = self.read(prior).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads one object; retried like any call.
    pub(crate) async fn read(&self, prior: &Value) -> Result<Option<Value>, ProviderError> {
        let mut tries = 0;
        loop {
            let read = async {
                let priors = std::slice::from_ref(prior);
                let mut answers = self.ty.read_many(&self.cx, &self.connection.client, priors).await;
                let none = || Err(ProviderError::internal("a read got no answer"));
                answers.pop().unwrap_or_else(none)
            };
            let error = match self.reading(read).await {
                Ok(object) => return Ok(object),
                Err(error) => error,
            };
            retry::wait(&self.cx, self.events, self.address, tries, error).await?;
            tries += 1;
        }
    }
}
