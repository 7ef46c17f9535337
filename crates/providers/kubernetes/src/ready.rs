//! Waiting for an object, as configured.

use std::collections::BTreeMap;
use std::time::Duration;

use stack_core::{Path, Schema, Value};
use stack_kube::ready::{self, Readiness};
use stack_kube::{Json, Kube, ObjectRef};
use stack_provider::{Cx, ErrorKind, ProviderError};

/// Pause between two looks at an object.
const PAUSE: Duration = Duration::from_millis(500);

/// A condition in an object's status.
#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Condition {
    /// Type: `Available`, `Established`, `Ready`.
    #[schema(name = "type")]
    pub ty: String,
    /// Status it must have.
    #[schema(default = "True")]
    pub status: String,
}

/// What to wait for after the object was applied.
#[derive(Clone, Debug, PartialEq, Schema)]
pub(crate) struct Wait {
    /// Wait until the rollout of a Deployment, StatefulSet or DaemonSet is complete.
    pub rollout: Option<bool>,
    /// Fields and the value each must have; `*` stands for any value that is not empty. Paths are written as in
    /// `status.loadBalancer.ingress[0].ip` or `webhooks[*].clientConfig.caBundle`.
    pub fields: Option<BTreeMap<String, String>>,
    /// Conditions that must hold.
    #[schema(block)]
    pub condition: Vec<Condition>,
}

impl Wait {
    /// Whether an object is as this wants it.
    pub(crate) fn judge(&self, object: &Json) -> Readiness {
        let rollout = self.rollout.unwrap_or(false).then(|| ready::rollout(object));
        let conditions = self
            .condition
            .iter()
            .map(|c| ready::condition(object, &c.ty, &c.status));
        let fields = self
            .fields
            .iter()
            .flatten()
            .map(|(path, wanted)| ready::field(object, path, wanted));
        Readiness::all(rollout.into_iter().chain(conditions).chain(fields))
    }
}

/// Looks at an object until it is as wanted.
///
/// # Errors
/// It is gone, cannot become so, or the time is over; the last says what was missing.
pub(crate) async fn wait_for(
    cx: &Cx,
    kube: &Kube,
    object: &ObjectRef,
    wait: &Wait,
) -> Result<Json, ProviderError> {
    let mut missing = String::new();
    loop {
        let found = cx.bounded(kube.get(object)).await;
        let found = match found {
            Err(error) if error.kind == ErrorKind::Timeout => return Err(late(object, &missing)),
            other => other??,
        };
        let Some(live) = found else {
            return Err(ProviderError::new(
                ErrorKind::NotFound,
                format!("{} {} is gone while it was waited for", object.kind, object.name),
            ));
        };
        match wait.judge(&live) {
            Readiness::Ready => return Ok(live),
            Readiness::Failed(why) => {
                let text = format!("{} {}: {why}", object.kind, object.name);
                return Err(ProviderError::new(ErrorKind::InvalidArgument, text));
            }
            Readiness::Waiting(what) => {
                cx.progress(&format!("waiting: {what}"));
                missing = what;
            }
        }
        match cx.sleep(PAUSE).await {
            Err(error) if error.kind == ErrorKind::Timeout => return Err(late(object, &missing)),
            other => other?,
        }
    }
}

fn late(object: &ObjectRef, missing: &str) -> ProviderError {
    let what = if missing.is_empty() {
        "no answer came"
    } else {
        missing
    };
    let text = format!(
        "{} {} did not get ready in time: {what}; raise the time with a `timeouts` block if it only needs longer",
        object.kind, object.name
    );
    ProviderError::new(ErrorKind::Timeout, text)
}

/// Checks the paths in `fields` below `path`.
pub(crate) fn check_fields(fields: Option<&Value>, path: &Path) -> Vec<(Path, String)> {
    let names = fields
        .and_then(Value::as_mapping)
        .into_iter()
        .flat_map(|m| m.keys());
    names
        .filter(|name| !ready::is_path(name))
        .map(|name| {
            let text = format!(
                "{name:?} is not a path; write it like `status.phase` or `webhooks[*].failurePolicy`"
            );
            (path.clone(), text)
        })
        .collect()
}
