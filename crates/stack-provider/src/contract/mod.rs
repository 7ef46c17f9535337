//! The contract test kit: what every resource type must do, run against its fake or the real system.
//!
//! A provider's test implements [`Harness`] for a type and calls [`check`]. The kit then plays planner and engine:
//!
//! 1. what create gives agrees with the plan, and a read right after it shows no difference;
//! 2. planning the same arguments again changes nothing;
//! 3. creating twice with one token makes one object, and `find` finds it;
//! 4. a change is made in place and holds, or the type has declared that it replaces;
//! 5. deleting twice succeeds, and a deleted object reads as gone;
//! 6. after a failure at any remote call, before or after it took effect, trying again converges, and giving up leaves
//!    nothing behind that the engine cannot find.

mod faults;
mod planned;
mod run;

use std::time::Duration;

use async_trait::async_trait;
use stack_core::Path;
use tokio_util::sync::CancellationToken;

use crate::{Cx, ErrorKind, ProviderError, Resource, Sessions};

/// What a failing remote call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and changes nothing.
    Refused,
    /// It takes effect, but the answer does not arrive.
    AnswerLost,
}

/// Makes remote calls fail; offered by a fake, or by a proxy before a real system.
pub trait Faults: Send + Sync {
    /// Counts calls from now on and lets the `nth` (from 1) fail, once.
    fn arm(&self, nth: usize, fault: Fault);
    /// Lets nothing fail any more. Says whether the call that was to fail has come.
    fn disarm(&self) -> bool;
}

/// What a change of arguments is to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An update of the object.
    InPlace,
    /// Another object.
    Replace,
}

/// A change of arguments.
#[derive(Clone, Debug)]
pub struct Change<M> {
    /// What changes, for messages.
    pub name: &'static str,
    /// The arguments after the change; computed attributes `None`.
    pub arguments: M,
    /// What it is to lead to.
    pub effect: Effect,
}

/// What the kit needs to check one resource type.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The type under test.
    type Resource: Resource;

    /// A connected client.
    fn client(&self) -> &<Self::Resource as Resource>::Client;

    /// Arguments of an object; computed attributes `None`.
    fn arguments(&self) -> <Self::Resource as Resource>::Model;

    /// Changes to try one after the other, each starting from a fresh object.
    fn changes(&self) -> Vec<Change<<Self::Resource as Resource>::Model>> {
        Vec::new()
    }

    /// How remote calls can be made to fail; without it the kit checks no failures.
    fn faults(&self) -> Option<&dyn Faults> {
        None
    }

    /// Remote objects of the type that exist now, where that can be counted.
    async fn count(&self) -> Option<usize> {
        None
    }

    /// The context of the calls.
    fn cx(&self) -> Cx {
        Cx::new(Sessions::new(), CancellationToken::new(), Duration::from_secs(60))
    }
}

/// A broken promise.
#[derive(Debug, thiserror::Error)]
#[error("{ty}: {step}: {message}")]
pub struct Violation {
    /// The resource type.
    pub ty: &'static str,
    /// What was being checked.
    pub step: String,
    /// What was wrong.
    pub message: String,
    /// The error of the call, where one failed.
    pub source: Option<Box<ProviderError>>,
}

/// Checks the contract of one resource type.
///
/// # Errors
/// The first promise that is broken.
pub async fn check<H: Harness>(harness: &H) -> Result<(), Violation> {
    let run = run::Run::new(harness);
    run.life().await?;
    for change in harness.changes() {
        run.change(&change).await?;
    }
    if let Some(faults) = harness.faults() {
        faults::create(&run, faults).await?;
        faults::delete(&run, faults).await?;
        for change in harness.changes() {
            if change.effect == Effect::InPlace {
                faults::update(&run, faults, &change).await?;
            }
        }
    }
    Ok(())
}

/// Paths as a list for messages.
fn list(paths: &[Path]) -> String {
    paths
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether the engine would try a call again by itself after this error, or a person would.
fn is_transient(error: &ProviderError) -> bool {
    error.kind.is_retryable() || matches!(error.kind, ErrorKind::Timeout | ErrorKind::Cancelled)
}
