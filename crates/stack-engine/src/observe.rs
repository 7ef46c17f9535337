//! Planning in rounds: asks the real systems what the planner wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use stack_core::{Diagnostic, Diagnostics, ProviderAddress, ResourceAddress, Value};
use stack_plan::{Answer, Answers, Plan, PlanInput, Planner, Request, Step};
use stack_provider::{AnyResource, Cx, ErrorKind, ProviderError, RemoteCall};
use stack_state::{State, Status};

use crate::apply::LOOKS;
use crate::connections::{Connection, Connections};
use crate::event::{Doing, Event, Events};
use crate::{Interrupt, retry};

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// For these reasons.
    Diagnostics(Diagnostics),
    /// The user interrupted.
    Interrupted,
}

/// Time for reading an object, unless the configuration says otherwise.
const READ: Duration = Duration::from_secs(120);

/// Rounds after which planning is given up: more than any real chain of providers needs.
const ROUNDS: usize = 200;

/// Plans: answers the planner's questions until it has a plan. The answers come with it, because the same input and
/// answers always give the same plan.
///
/// # Errors
/// The configuration is wrong, a system cannot be asked, or the user interrupted.
pub async fn plan(
    input: PlanInput<'_>,
    connections: &Connections,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<(Plan, Answers), PlanError> {
    let planner = Planner::new(input).map_err(PlanError::Diagnostics)?;
    connections.hide_all(input.variables.values());
    connections.hide_recorded(input.state);
    let mut answers = Answers::new();
    for _ in 0..ROUNDS {
        if interrupt.is_stopping() {
            return Err(PlanError::Interrupted);
        }
        match planner.step(&answers) {
            Step::Done(plan) => return Ok((*plan, answers)),
            Step::Failed(diagnostics) => return Err(PlanError::Diagnostics(diagnostics)),
            Step::Ask(requests) => {
                let asked = answer(requests, input.state, connections, events);
                tokio::select! {
                    new = asked => answers.extend(new),
                    () = interrupt.stop().cancelled() => return Err(PlanError::Interrupted),
                }
            }
        }
    }
    let detail = format!("After {ROUNDS} rounds of questions there is still no plan.");
    Err(PlanError::Diagnostics(
        Diagnostic::error("STK0401", "Planning does not end", detail).into(),
    ))
}

/// Plans again from answers that are complete already, as a plan file holds them.
///
/// # Errors
/// The input is not the one that the answers belong to.
pub fn replay(input: PlanInput<'_>, answers: &Answers) -> Result<Plan, Diagnostics> {
    match Planner::new(input)?.step(answers) {
        Step::Done(plan) => Ok(*plan),
        Step::Failed(diagnostics) => Err(diagnostics),
        Step::Ask(requests) => {
            let about = requests
                .first()
                .map_or_else(String::new, |r| r.address().to_string());
            let detail = format!("The plan lacks what was observed of {about}. Make a new plan.");
            Err(Diagnostic::error("STK0402", "Incomplete plan", detail).into())
        }
    }
}

/// Reads of one type through one connection, answered by one call.
type Batches = BTreeMap<(ProviderAddress, Value, Arc<str>), Vec<Request>>;

async fn answer(
    requests: Vec<Request>,
    state: &State,
    connections: &Connections,
    events: &dyn Events,
) -> Vec<(Request, Answer)> {
    let count = |f: fn(&Request) -> bool| requests.iter().filter(|r| f(r)).count();
    events.event(Event::Asking {
        reads: count(|r| matches!(r, Request::Read { .. } | Request::Import { .. })),
        data: count(|r| matches!(r, Request::Data { .. })),
        previews: count(|r| matches!(r, Request::Preview { .. })),
    });
    let mut batches = Batches::new();
    let mut work: Vec<BoxFuture<'_, Vec<(Request, Answer)>>> = Vec::new();
    for request in requests {
        match &request {
            Request::Read {
                address,
                provider,
                arguments,
                ..
            } => {
                let ty = connections.providers.resource_type(&address.ty);
                if ty.is_some_and(|ty| ty.reads_together()) || connections.is_local(provider) {
                    let key = (provider.clone(), arguments.unmark_deep(), address.ty.clone());
                    batches.entry(key).or_default().push(request);
                } else {
                    work.push(Box::pin(read_batch(vec![request], state, connections, events)));
                }
            }
            Request::Data { .. } | Request::Preview { .. } | Request::Import { .. } => {
                work.push(Box::pin(async move {
                    let answer = single(&request, connections, events).await;
                    vec![(request, answer)]
                }));
            }
        }
    }
    for (_, batch) in batches {
        work.push(Box::pin(read_batch(batch, state, connections, events)));
    }
    join_all(work).await.into_iter().flatten().collect()
}

fn failed(error: ProviderError) -> Answer {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    Answer::Failed(text, error.attribute)
}

/// The text of an error with all its causes.
pub(crate) fn chain(error: ProviderError) -> String {
    match failed(error) {
        Answer::Failed(text, _) => text,
        Answer::Object(_) | Answer::Preview { .. } => String::new(),
    }
}

async fn read_batch(
    batch: Vec<Request>,
    state: &State,
    connections: &Connections,
    events: &dyn Events,
) -> Vec<(Request, Answer)> {
    let started = Instant::now();
    let Some(Request::Read {
        address,
        provider,
        arguments,
        ..
    }) = batch.first()
    else {
        return Vec::new();
    };
    let (address, provider, arguments) = (address.clone(), provider.clone(), arguments.clone());
    let all = |error: ProviderError| {
        let answer = failed(error);
        batch
            .iter()
            .map(|r| (r.clone(), answer.clone()))
            .collect::<Vec<_>>()
    };
    let Some(ty) = connections.providers.resource_type(&address.ty) else {
        return all(ProviderError::internal(format!(
            "there is no resource type {}",
            address.ty
        )));
    };
    let connection = match connections.get(&provider, &arguments).await {
        Ok(connection) => connection,
        Err(error) => return all(error),
    };
    for request in &batch {
        events.event(Event::Started {
            address: request.address().clone(),
            deposed: None,
            doing: Doing::Refreshing,
            id: None,
        });
    }
    let priors: Vec<Value> = batch
        .iter()
        .map(|r| match r {
            Request::Read { prior, .. } => prior.clone(),
            Request::Data { .. } | Request::Preview { .. } | Request::Import { .. } => Value::NULL,
        })
        .collect();
    let limits = batch
        .iter()
        .filter_map(|r| connections.timeouts.configured(r.address(), RemoteCall::Read));
    let reading = Reading {
        ty: &*ty,
        address: &address,
        connection: &connection,
        connections,
        // One call reads them all, so the longest limit holds.
        limit: limits.max().unwrap_or(READ),
        events,
    };
    let new: Vec<bool> = batch.iter().map(|request| is_tainted(state, request)).collect();
    let answers = reading.read_again(&priors, &new).await;
    for request in &batch {
        events.event(Event::Finished {
            address: request.address().clone(),
            deposed: None,
            doing: Doing::Refreshing,
            id: None,
            elapsed: started.elapsed(),
        });
    }
    let answers = answers.into_iter().map(|a| a.map_or_else(failed, Answer::Object));
    batch.into_iter().zip(answers).collect()
}

/// Whether the request is about an object that was made in part.
fn is_tainted(state: &State, request: &Request) -> bool {
    let Request::Read { address, deposed, .. } = request else {
        return false;
    };
    let object = state.object(address, deposed.as_ref());
    object.is_some_and(|object| object.status == Status::Tainted)
}

/// An object, `None` where it is gone, or why it could not be read.
type Read = Result<Option<Value>, ProviderError>;

/// Reads of one type through one connection.
struct Reading<'r> {
    ty: &'r dyn AnyResource,
    /// Of the first of them, for events.
    address: &'r ResourceAddress,
    connection: &'r Connection,
    connections: &'r Connections,
    limit: Duration,
    events: &'r dyn Events,
}

impl Reading<'_> {
    /// Reads several objects. Those that are `new` were made in part, perhaps a moment ago, and may not be visible yet:
    /// where one seems to be gone it is looked for again.
    async fn read_again(&self, priors: &[Value], new: &[bool]) -> Vec<Read> {
        let mut answers = self.read(priors).await;
        for pause in LOOKS.into_iter().skip(1) {
            let unseen = |number: &usize| new[*number] && matches!(answers.get(*number), Some(Ok(None)));
            let unseen: Vec<usize> = (0..priors.len()).filter(unseen).collect();
            let cx = self.connections.cx(pause * 2);
            if unseen.is_empty() || cx.sleep(pause).await.is_err() {
                break;
            }
            let again: Vec<Value> = unseen.iter().map(|number| priors[*number].clone()).collect();
            for (number, answer) in unseen.into_iter().zip(self.read(&again).await) {
                answers[number] = answer;
            }
        }
        answers
    }

    /// Reads them by one call, in its turn.
    async fn once(&self, begun: &mut Option<Cx>, priors: &[Value]) -> Result<Vec<Read>, ProviderError> {
        let api = self.ty.api(RemoteCall::Read);
        let turn = self.connections.turn(self.connection, self.limit, begun, api);
        let (pass, cx) = turn.await?;
        let read = self.ty.read_many(&cx, &self.connection.client, priors);
        let mut answers = cx.bounded(read).await?;
        let refused = answers
            .iter_mut()
            .filter_map(|answer| answer.as_mut().err())
            .find(|error| error.kind == ErrorKind::Throttled);
        pass.end(refused.map_or(Ok(()), Err));
        Ok(answers)
    }

    /// Reads several objects; while a read fails in a way that may pass all are read again.
    async fn read(&self, priors: &[Value]) -> Vec<Read> {
        let all = |error: ProviderError| -> Vec<Read> {
            let text = error.to_string();
            let same = |_| Err(ProviderError::new(error.kind, text.clone()));
            priors.iter().map(same).collect()
        };
        let (mut tries, mut begun) = (0, None);
        loop {
            let mut answers = match self.once(&mut begun, priors).await {
                Ok(answers) => answers,
                Err(error) => return all(error),
            };
            let retryable = answers
                .iter()
                .position(|a| a.as_ref().is_err_and(|e| e.kind.is_retryable()));
            let again = |position: &usize| {
                let error = answers.get(*position).and_then(|answer| answer.as_ref().err());
                error.is_some_and(|error| may_try_again(tries, error))
            };
            let (Some(position), Some(cx)) = (retryable.filter(again), &begun) else {
                return answers;
            };
            let error = match answers.swap_remove(position) {
                Err(error) => error,
                Ok(_) => return answers,
            };
            if let Err(error) = retry::wait(cx, self.events, self.address, tries, error).await {
                return all(error);
            }
            tries += 1;
        }
    }
}

async fn single(request: &Request, connections: &Connections, events: &dyn Events) -> Answer {
    let started = Instant::now();
    let address = request.address();
    let doing = match request {
        Request::Data { .. } => Doing::Reading,
        Request::Preview { .. } => Doing::Previewing,
        Request::Read { .. } | Request::Import { .. } => Doing::Refreshing,
    };
    events.event(Event::Started {
        address: address.clone(),
        deposed: None,
        doing,
        id: None,
    });
    let data = match request {
        Request::Data { .. } => connections.providers.data_type(&address.ty),
        Request::Read { .. } | Request::Preview { .. } | Request::Import { .. } => None,
    };
    let configured = connections.timeouts.configured(address, RemoteCall::Read);
    let timeout = configured.unwrap_or_else(|| data.map_or(READ, |data| data.timeout()));
    let (mut tries, mut begun) = (0, None);
    let answer = loop {
        let error = match once(request, connections, timeout, &mut begun).await {
            Ok(answer) => break answer,
            Err(error) => error,
        };
        if !may_try_again(tries, &error) {
            break failed(error);
        }
        let cx = begun.get_or_insert_with(|| connections.cx(timeout));
        match retry::wait(cx, events, address, tries, error).await {
            Ok(()) => tries += 1,
            Err(error) => break failed(error),
        }
    };
    events.event(Event::Finished {
        address: address.clone(),
        deposed: None,
        doing,
        id: None,
        elapsed: started.elapsed(),
    });
    answer
}

/// Whether a read that failed is made again. One that was asked to slow down has the whole time of the operation.
fn may_try_again(tries: u32, error: &ProviderError) -> bool {
    const TRIES: u32 = 5;
    tries < TRIES || error.kind == ErrorKind::Throttled
}

/// Makes one call, in its turn. `begun` is the time for it and the tries that follow.
async fn once(
    request: &Request,
    connections: &Connections,
    timeout: Duration,
    begun: &mut Option<Cx>,
) -> Result<Answer, ProviderError> {
    let (provider, arguments) = request.provider();
    let connection = connections.get(provider, arguments).await?;
    let ty = &request.address().ty;
    let api = match request {
        Request::Data { .. } => connections.providers.data_type(ty).map(|data| data.api()),
        Request::Read { .. } | Request::Preview { .. } | Request::Import { .. } => connections
            .providers
            .resource_type(ty)
            .map(|ty| ty.api(RemoteCall::Read)),
    };
    let turn = connections.turn(&connection, timeout, begun, api.unwrap_or_default());
    let (pass, cx) = turn.await?;
    let asked = ask(request, &connection, connections, &cx);
    let mut result = cx.bounded(asked).await.and_then(|r| r);
    pass.end(result.as_mut());
    result
}

/// Makes the call that answers a request.
async fn ask(
    request: &Request,
    connection: &Connection,
    connections: &Connections,
    cx: &Cx,
) -> Result<Answer, ProviderError> {
    let ty = &request.address().ty;
    let resource = || {
        connections
            .providers
            .resource_type(ty)
            .ok_or_else(|| ProviderError::internal(format!("there is no resource type {ty}")))
    };
    match request {
        Request::Data { config, .. } => {
            let data = connections
                .providers
                .data_type(ty)
                .ok_or_else(|| ProviderError::internal(format!("there is no data source {ty}")))?;
            let value = data.read(cx, &connection.client, config).await?;
            Ok(Answer::Object(Some(connections.marked(value))))
        }
        Request::Preview { prior, proposed, .. } => {
            let preview = resource()?
                .preview(cx, &connection.client, prior.as_ref(), proposed)
                .await?;
            Ok(Answer::Preview {
                planned: preview.planned,
                warnings: preview.warnings,
                rendered: preview.rendered,
                not_checked: preview.not_checked,
            })
        }
        Request::Import { id, .. } => Ok(Answer::Object(Some(
            resource()?.import(cx, &connection.client, id).await?,
        ))),
        Request::Read { prior, .. } => {
            let mut answers = resource()?
                .read_many(cx, &connection.client, std::slice::from_ref(prior))
                .await;
            Ok(Answer::Object(answers.pop().ok_or_else(|| {
                ProviderError::internal("a read got no answer")
            })??))
        }
    }
}
