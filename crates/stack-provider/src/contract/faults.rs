//! The steps of the kit with failures: every remote call of every verb, refused or with its answer lost.

use super::run::{Failed, Run};
use super::{Change, Fault, Faults, Harness, Violation, is_transient};
use crate::Resource;
use stack_core::{Decode as _, Value};

/// More calls than any verb makes.
const CALLS: usize = 200;

/// Plays `one` with the first call failing, then the second, and so on until a run has fewer calls.
macro_rules! every_call {
    ($run:expr, $faults:expr, $verb:literal, |$nth:ident, $fault:ident, $step:ident| $one:expr) => {
        for $fault in [Fault::Refused, Fault::AnswerLost] {
            for $nth in 1.. {
                let $step = format!("{} with call {} {:?}", $verb, $nth, $fault);
                if $nth > CALLS {
                    return Err($run.violation(&$step, "makes calls without end"));
                }
                if !$one {
                    break;
                }
            }
        }
    };
}

/// Create fails somewhere: trying again with the same token converges; giving up leaves only what the engine can find.
pub(super) async fn create<H: Harness>(run: &Run<'_, H>, faults: &dyn Faults) -> Result<(), Violation> {
    every_call!(run, faults, "create", |nth, fault, step| create_again(
        run, faults, nth, fault, &step
    )
    .await?);
    every_call!(run, faults, "abandoned create", |nth, fault, step| {
        create_abandoned(run, faults, nth, fault, &step).await?
    });
    Ok(())
}

async fn create_again<H: Harness>(
    run: &Run<'_, H>,
    faults: &dyn Faults,
    nth: usize,
    fault: Fault,
    step: &str,
) -> Result<bool, Violation> {
    let before = run.harness.count().await;
    let (owner, arguments) = (run.owner(), run.arguments());
    let planned = run.plan(None, &arguments).value;
    faults.arm(nth, fault);
    let tried = run.try_create(&owner, &planned).await;
    let came = faults.disarm();
    let object = match tried {
        Ok(object) => object,
        Err(Failed { error, .. }) if came && is_transient(&error) => {
            run.try_create(&owner, &planned)
                .await
                .map_err(|f| run.failed(step, f.error))?
        }
        Err(Failed { error, .. }) => return Err(run.failed(step, error)),
    };
    let object = run.settled(step, Some(&planned), &object, &arguments).await?;
    run.delete(step, &object).await?;
    run.left_over(step, before).await?;
    Ok(came)
}

async fn create_abandoned<H: Harness>(
    run: &Run<'_, H>,
    faults: &dyn Faults,
    nth: usize,
    fault: Fault,
    step: &str,
) -> Result<bool, Violation> {
    let before = run.harness.count().await;
    let owner = run.owner();
    let planned = run.plan(None, &run.arguments()).value;
    faults.arm(nth, fault);
    let tried = run.try_create(&owner, &planned).await;
    let came = faults.disarm();
    let left = match tried {
        Ok(object) => Some(object),
        Err(Failed {
            object: Some(object), ..
        }) => Some(object),
        Err(_) => run.find(step, &owner, &planned).await?,
    };
    if let Some(object) = left {
        run.delete(step, &object).await?;
    }
    run.left_over(step, before).await?;
    Ok(came)
}

/// Delete fails somewhere: deleting again succeeds.
pub(super) async fn delete<H: Harness>(run: &Run<'_, H>, faults: &dyn Faults) -> Result<(), Violation> {
    every_call!(run, faults, "delete", |nth, fault, step| {
        let owner = run.owner();
        let object = run.create(&step, &owner).await?;
        faults.arm(nth, fault);
        let tried = run.try_delete(&object).await;
        let came = faults.disarm();
        match tried {
            Err(error) if !(came && is_transient(&error)) => return Err(run.failed(&step, error)),
            _ => run.end(&owner, &object).await?,
        }
        came
    });
    Ok(())
}

/// Update fails somewhere: reading, planning and updating again converges.
pub(super) async fn update<H: Harness>(
    run: &Run<'_, H>,
    faults: &dyn Faults,
    change: &Change<<H::Resource as Resource>::Model>,
) -> Result<(), Violation> {
    let arguments = change.arguments.encode();
    every_call!(run, faults, "update", |nth, fault, step| {
        let step = format!("{step} ({})", change.name);
        let owner = run.owner();
        let object = run.create(&step, &owner).await?;
        let planned = run.plan(Some(&object), &arguments).value;
        faults.arm(nth, fault);
        let tried = run.try_update(&object, &planned).await;
        let came = faults.disarm();
        let new = match tried {
            Ok(new) => new,
            Err(Failed { error, object: known }) if came && is_transient(&error) => {
                update_again(run, &step, known.unwrap_or(object), &arguments).await?
            }
            Err(Failed { error, .. }) => return Err(run.failed(&step, error)),
        };
        let new = run.settled(&step, None, &new, &arguments).await?;
        run.end(&owner, &new).await?;
        came
    });
    Ok(())
}

async fn update_again<H: Harness>(
    run: &Run<'_, H>,
    step: &str,
    known: Value,
    arguments: &Value,
) -> Result<Value, Violation> {
    let read = run.read(step, &known).await?;
    let read = read.ok_or_else(|| run.violation(step, "the object reads as gone"))?;
    let planned = run.plan(Some(&read), arguments);
    if planned.differs.is_empty() {
        return Ok(read);
    }
    if !planned.replace.is_empty() {
        return Err(run.violation(
            step,
            "an update that was cut short now wants to replace the object",
        ));
    }
    run.try_update(&read, &planned.value)
        .await
        .map_err(|f| run.failed(step, f.error))
}
