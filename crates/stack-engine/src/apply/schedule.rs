//! Decides which operation runs next: ready ones by the longest path behind them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use stack_plan::{Operation, Work};

use super::context::Context;
use super::execute::{Ended, run_one};
use super::{Applied, ApplyOptions};
use crate::event::Event;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Waiting,
    Running,
    Done,
    /// Failed, or skipped because of the operation of this number.
    Broken(usize),
}

/// How long an operation should take, by its type.
fn typical(context: &Context<'_>, operation: &Operation) -> Duration {
    let Some(change) = context.change(operation) else {
        return Duration::ZERO;
    };
    let full = context
        .connections
        .providers
        .resource_type(&change.address.ty)
        .map_or(Duration::from_millis(200), |ty| ty.typical());
    match operation.work {
        Work::Create { .. } => full,
        Work::Update | Work::Delete { .. } => full / 2,
        Work::Read => Duration::from_millis(300),
        Work::Forget { .. } | Work::Adopt | Work::Gate => Duration::ZERO,
    }
}

/// For each operation the time from its start to the end of the longest chain behind it.
fn remaining(context: &Context<'_>) -> Vec<Duration> {
    let operations = &context.plan.operations;
    let mut out = vec![Duration::ZERO; operations.len()];
    for (number, operation) in operations.iter().enumerate().rev() {
        out[number] += typical(context, operation);
        for before in &operation.after {
            out[*before] = out[*before].max(out[number]);
        }
    }
    out
}

/// Runs all operations, as many at a time as allowed.
pub(super) async fn run(context: &Context<'_>, options: &ApplyOptions, applied: &mut Applied) {
    let operations = &context.plan.operations;
    if operations.is_empty() {
        return;
    }
    let paths = remaining(context);
    let estimate = paths.iter().max().copied().unwrap_or_default();
    let real = operations.iter().filter(|o| o.work != Work::Gate).count();
    context.events.event(Event::ApplyStarted {
        operations: real,
        estimate,
    });
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); operations.len()];
    let mut missing: Vec<usize> = operations.iter().map(|o| o.after.len()).collect();
    for (number, operation) in operations.iter().enumerate() {
        for before in &operation.after {
            dependents[*before].push(number);
        }
    }
    let mut status = vec![Status::Waiting; operations.len()];
    let mut ready: BTreeSet<(Reverse<Duration>, usize)> = (0..operations.len())
        .filter(|n| missing[*n] == 0)
        .map(|n| (Reverse(paths[n]), n))
        .collect();
    let mut running = FuturesUnordered::new();
    let mut stopped = false;
    loop {
        while running.len() < options.parallelism.max(1) && !stopped && !context.interrupt.is_stopping() {
            let Some((_, number)) = ready.pop_first() else {
                break;
            };
            status[number] = Status::Running;
            running.push(async move {
                (
                    number,
                    Instant::now(),
                    run_one(context, &operations[number]).await,
                )
            });
        }
        let Some((number, _, ended)) = running.next().await else {
            break;
        };
        match ended {
            Ended::Done => {
                status[number] = Status::Done;
                count(&operations[number], applied);
            }
            Ended::Failed(diagnostics) => {
                status[number] = Status::Broken(number);
                applied.diagnostics.extend(diagnostics);
            }
            Ended::NotRecorded(diagnostics) => {
                status[number] = Status::Broken(number);
                applied.diagnostics.extend(diagnostics);
                stopped = true;
            }
            Ended::Abandoned => {
                status[number] = Status::Broken(number);
                applied.interrupted = true;
            }
        }
        applied.recorded |= !matches!(status[number], Status::Broken(_)) || ended_recorded(context, number);
        if status[number] == Status::Done {
            for dependent in &dependents[number] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.insert((Reverse(paths[*dependent]), *dependent));
                }
            }
        }
    }
    drop(running);
    skip(context, &mut status, applied);
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
            Status::Waiting | Status::Running | Status::Done => None,
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
