//! Decides which operation runs next: ready ones by the longest path behind them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use stack_core::ProviderAddress;
use stack_plan::{Change, Operation, Work};
use stack_provider::RemoteCall;

use super::context::Context;
use super::execute::{Ended, run_one};
use super::{Applied, ApplyOptions};
use crate::durations::{Durations, Kind};
use crate::eta::{Eta, Step};
use crate::event::Event;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Done,
    /// Failed, or skipped because of the operation of this number.
    Broken(usize),
    /// Given up at the second interrupt.
    Abandoned,
}

/// Operations that wait for the same limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// They reach nothing.
    Local,
    /// They go through this provider configuration, to one of its APIs.
    Remote(ProviderAddress, &'static str),
}

/// Local operations at a time: far more than a batch of the journal takes.
const LOCAL: usize = 1024;
/// How often the estimate is looked at while nothing happens.
const LOOK: Duration = Duration::from_secs(1);

fn lane(context: &Context<'_>, operation: &Operation) -> Lane {
    let remote = !matches!(operation.work, Work::Gate | Work::Forget { .. });
    match context.change(operation) {
        Some(change) if remote && !context.connections.is_local(&change.provider) => {
            Lane::Remote(change.provider.clone(), api(context, operation, change))
        }
        _ => Lane::Local,
    }
}

/// The API that an operation waits for.
fn api(context: &Context<'_>, operation: &Operation, change: &Change) -> &'static str {
    let (providers, name) = (&context.connections.providers, &change.address.ty);
    let call = match operation.work {
        Work::Create { .. } => RemoteCall::Create,
        Work::Update => RemoteCall::Update,
        Work::Delete { .. } => RemoteCall::Delete,
        Work::Adopt | Work::Forget { .. } | Work::Gate => RemoteCall::Read,
        Work::Read => return providers.data_type(name).map_or("", |data| data.api()),
    };
    providers.resource_type(name).map_or("", |ty| ty.api(call))
}

fn kind(operation: &Operation) -> Option<Kind> {
    match operation.work {
        Work::Create { .. } => Some(Kind::Create),
        Work::Update => Some(Kind::Update),
        Work::Delete { .. } => Some(Kind::Delete),
        Work::Read => Some(Kind::Read),
        Work::Forget { .. } | Work::Adopt | Work::Gate => None,
    }
}

/// How long an operation should take, by earlier runs where there were any, else by its type.
fn step(
    context: &Context<'_>,
    durations: &Durations,
    operation: &Operation,
    (lane, number): (&Lane, usize),
) -> Step {
    let after = operation.after.clone();
    let (Some(change), Some(kind)) = (context.change(operation), kind(operation)) else {
        return Step {
            expected: Duration::ZERO,
            learned: true,
            lane: number,
            after,
        };
    };
    let ty = &change.address.ty;
    let full = || {
        let ty = context.connections.providers.resource_type(ty);
        ty.map_or(Duration::from_millis(200), |ty| ty.typical())
    };
    // What reaches nothing is never learned, and needs not be.
    let learned = match lane {
        Lane::Local => None,
        Lane::Remote(..) => durations.expected(ty, &change.address.to_string(), kind),
    };
    let expected = learned.unwrap_or_else(|| match kind {
        Kind::Create => full(),
        Kind::Update | Kind::Delete => full() / 2,
        Kind::Read => Duration::from_millis(300),
    });
    Step {
        expected,
        learned: learned.is_some(),
        lane: number,
        after,
    }
}

/// For each operation the time from its start to the end of the longest chain behind it.
fn remaining(steps: &[Step]) -> Vec<Duration> {
    let mut out = vec![Duration::ZERO; steps.len()];
    for (number, step) in steps.iter().enumerate().rev() {
        out[number] += step.expected;
        for before in &step.after {
            out[*before] = out[*before].max(out[number]);
        }
    }
    out
}

/// Ready operations, the longest path first, and how many of each lane run.
struct Queue {
    paths: Vec<Duration>,
    lanes: Vec<Lane>,
    ready: BTreeMap<Lane, BTreeSet<(Reverse<Duration>, usize)>>,
    running: BTreeMap<Lane, usize>,
    limits: BTreeMap<Lane, usize>,
    /// Most that reach something, of all lanes together.
    remote: usize,
}

impl Queue {
    fn insert(&mut self, number: usize) {
        let entry = (Reverse(self.paths[number]), number);
        self.ready
            .entry(self.lanes[number].clone())
            .or_default()
            .insert(entry);
    }

    fn of(&self, lane: &Lane) -> usize {
        self.running.get(lane).copied().unwrap_or_default()
    }

    /// The next operation that has room.
    fn pop(&mut self) -> Option<usize> {
        let all: usize = self.running.values().sum();
        let full = all - self.of(&Lane::Local) >= self.remote;
        let has_room = |lane: &Lane| {
            let room = self.of(lane) < self.limits.get(lane).copied().unwrap_or(1);
            room && (!full || *lane == Lane::Local)
        };
        let candidates = self.ready.iter().filter(|(lane, _)| has_room(lane));
        let (_, lane) = candidates
            .filter_map(|(lane, waiting)| Some((waiting.first()?, lane)))
            .min()?;
        let lane = lane.clone();
        let (_, number) = self.ready.get_mut(&lane)?.pop_first()?;
        *self.running.entry(lane).or_default() += 1;
        Some(number)
    }

    fn ended(&mut self, number: usize) {
        if let Some(running) = self.running.get_mut(&self.lanes[number]) {
            *running = running.saturating_sub(1);
        }
    }
}

/// What the user is told of the time left: only when it changes.
struct Clock<'c, 'a> {
    context: &'c Context<'a>,
    begin: Instant,
    eta: Eta,
    said: Option<Duration>,
    looked: Option<Instant>,
}

impl Clock<'_, '_> {
    /// Looks at the estimate, at most a few times a second.
    fn look(&mut self) {
        let now = self.begin.elapsed();
        if self.looked.is_some_and(|at| at.elapsed() < LOOK / 4) {
            return;
        }
        self.looked = Some(Instant::now());
        let end = self.eta.end_of_all(now);
        if end != self.said {
            self.said = end;
            let left = end.map(|end| end.saturating_sub(now));
            self.context.events.event(Event::Remaining { left });
        }
    }
}

/// How many operations of each lane run at a time.
fn limits(context: &Context<'_>, lanes: &[Lane]) -> BTreeMap<Lane, usize> {
    let limit = |lane: &Lane| match lane {
        Lane::Local => LOCAL,
        Lane::Remote(provider, api) => context.connections.most_calls(provider, api),
    };
    let different: BTreeSet<&Lane> = lanes.iter().collect();
    different
        .into_iter()
        .map(|lane| (lane.clone(), limit(lane)))
        .collect()
}

fn queue(options: &ApplyOptions, steps: &[Step], lanes: Vec<Lane>, limits: BTreeMap<Lane, usize>) -> Queue {
    Queue {
        paths: remaining(steps),
        ready: BTreeMap::new(),
        running: BTreeMap::new(),
        limits,
        remote: options.parallelism.max(1),
        lanes,
    }
}

/// Runs all operations, as many at a time as allowed.
pub(super) async fn run(context: &Context<'_>, options: &ApplyOptions, applied: &mut Applied) {
    let operations = &context.plan.operations;
    applied.durations.clone_from(&options.durations);
    if operations.is_empty() {
        return;
    }
    let lanes: Vec<Lane> = operations.iter().map(|o| lane(context, o)).collect();
    let limits = limits(context, &lanes);
    let rooms: Vec<usize> = limits.values().copied().collect();
    let numbers: BTreeMap<&Lane, usize> = limits.keys().zip(0..).collect();
    let with_lanes = operations.iter().zip(&lanes);
    let steps: Vec<Step> = with_lanes
        .map(|(o, lane)| step(context, &options.durations, o, (lane, numbers[lane])))
        .collect();
    let mut queue = queue(options, &steps, lanes, limits);
    let mut clock = Clock {
        context,
        begin: Instant::now(),
        eta: Eta::new(steps, options.parallelism, &rooms),
        said: None,
        looked: None,
    };
    context.events.event(Event::ApplyStarted {
        operations: operations.iter().filter(|o| o.work != Work::Gate).count(),
        estimate: queue.paths.iter().max().copied().unwrap_or_default(),
    });
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); operations.len()];
    let mut missing: Vec<usize> = operations.iter().map(|o| o.after.len()).collect();
    for (number, operation) in operations.iter().enumerate() {
        for before in &operation.after {
            dependents[*before].push(number);
        }
    }
    let mut status = vec![Status::Waiting; operations.len()];
    for number in (0..operations.len()).filter(|n| missing[*n] == 0) {
        queue.insert(number);
    }
    let mut running = FuturesUnordered::new();
    let mut stopped = false;
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        while !stopped && !context.interrupt.is_stopping() {
            let Some(number) = queue.pop() else { break };
            status[number] = Status::Running;
            clock.eta.start(number, clock.begin.elapsed());
            running.push(async move {
                let started = Instant::now();
                let ended = run_one(context, &operations[number]).await;
                (number, started.elapsed(), ended)
            });
        }
        clock.look();
        let next = tokio::select! {
            biased;
            next = running.next() => next,
            _ = ticks.tick() => continue,
        };
        let Some((number, elapsed, ended)) = next else {
            break;
        };
        queue.ended(number);
        status[number] = match &ended {
            Ended::Done => {
                clock.eta.end(number);
                Status::Done
            }
            Ended::Failed(_) | Ended::NotRecorded(_) => {
                clock.eta.fail(number);
                Status::Broken(number)
            }
            Ended::Abandoned => {
                clock.eta.fail(number);
                Status::Abandoned
            }
        };
        stopped |= matches!(ended, Ended::NotRecorded(_));
        take(context, applied, number, ended, (elapsed, &queue.lanes[number]));
        if status[number] == Status::Done {
            for dependent in &dependents[number] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    queue.insert(*dependent);
                }
            }
        }
    }
    drop(running);
    skip(context, &mut status, applied);
}

/// What an ended operation means for the whole.
fn take(context: &Context<'_>, applied: &mut Applied, number: usize, ended: Ended, took: (Duration, &Lane)) {
    let operation = &context.plan.operations[number];
    applied.recorded |= matches!(ended, Ended::Done) || ended_recorded(context, number);
    match ended {
        Ended::Done => {
            count(operation, applied);
            if let ((elapsed, Lane::Remote(..)), Some(kind), Some(change)) =
                (took, kind(operation), context.change(operation))
            {
                let address = change.address.to_string();
                applied
                    .durations
                    .learn(&change.address.ty, &address, kind, elapsed);
            }
        }
        Ended::Failed(diagnostics) | Ended::NotRecorded(diagnostics) => {
            applied.diagnostics.extend(diagnostics);
        }
        Ended::Abandoned => applied.interrupted = true,
    }
}

/// An operation with a remote effect writes its begin, so that even a failed one is recorded.
fn ended_recorded(context: &Context<'_>, number: usize) -> bool {
    !matches!(context.plan.operations[number].work, Work::Read | Work::Gate)
}

fn count(operation: &Operation, applied: &mut Applied) {
    match operation.work {
        Work::Create { .. } => applied.added += 1,
        Work::Update => applied.changed += 1,
        Work::Delete { .. } => applied.destroyed += 1,
        Work::Forget { .. } => applied.forgotten += 1,
        Work::Read | Work::Adopt | Work::Gate => {}
    }
}

/// Names what was not started.
fn skip(context: &Context<'_>, status: &mut [Status], applied: &mut Applied) {
    for number in 0..status.len() {
        if status[number] != Status::Waiting {
            continue;
        }
        let operation = &context.plan.operations[number];
        let cause = operation.after.iter().find_map(|before| match status[*before] {
            Status::Broken(cause) => Some(cause),
            Status::Waiting | Status::Running | Status::Done | Status::Abandoned => None,
        });
        if let Some(cause) = cause {
            status[number] = Status::Broken(cause);
        } else if context.interrupt.is_stopping() {
            applied.interrupted = true;
        }
        if let Some(change) = context.change(operation) {
            let because = cause
                .and_then(|c| context.change(&context.plan.operations[c]))
                .map(|c| c.address.clone());
            context.events.event(Event::Skipped {
                address: change.address.clone(),
                because,
            });
        }
    }
}
