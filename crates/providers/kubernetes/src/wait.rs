//! `kubernetes_wait`

use std::collections::BTreeMap;
use std::time::Duration;

use stack_core::{Path, Schema, Value};
use stack_kube::ready::Readiness;
use stack_kube::{Json, Kube, ObjectRef, Selection};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::Client;
use crate::ready::{Condition, Wait, check_fields};

/// A gate: objects that others bring into being, and the state in which dependents may go on. It changes nothing. A
/// refresh looks again; what has fallen back is waited for anew.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Gate {
    /// Group and version of the objects: `apps/v1`.
    #[schema(replace)]
    pub api_version: String,
    /// Their kind: `Deployment`.
    #[schema(replace)]
    pub kind: String,
    /// Their namespace; none for kinds without, else `default` where left out.
    #[schema(replace)]
    pub namespace: Option<String>,
    /// Name of the one object; else `names` or `selector`.
    #[schema(replace)]
    pub name: Option<String>,
    /// Names of the objects.
    #[schema(replace)]
    pub names: Option<Vec<String>>,
    /// Labels of the objects (`app=cart`), of which there must be at least one.
    #[schema(replace)]
    pub selector: Option<String>,
    /// Wait until the rollout of a Deployment, StatefulSet or DaemonSet is complete.
    #[schema(default = false, replace)]
    pub rollout: bool,
    /// Fields and the value each must have; `*` stands for any value that is not empty. Paths are written as in
    /// `status.phase` or `webhooks[*].clientConfig.caBundle`.
    #[schema(replace)]
    pub fields: Option<BTreeMap<String, String>>,
    /// Conditions that must hold.
    #[schema(block)]
    pub condition: Vec<Condition>,
    /// Values that make the gate wait again when they change.
    #[schema(replace)]
    pub triggers: Option<BTreeMap<String, String>>,
    /// What was waited for.
    #[schema(computed)]
    pub id: Option<String>,
}

impl Gate {
    fn reference(&self, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    fn wait(&self) -> Wait {
        Wait {
            rollout: Some(self.rollout),
            fields: self.fields.clone(),
            condition: self.condition.clone(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.name.iter().chain(self.names.iter().flatten())
    }

    fn id(&self) -> String {
        let names: Vec<_> = self.names().map(String::as_str).collect();
        let what = self
            .selector
            .as_deref()
            .map_or_else(|| names.join(","), str::to_owned);
        format!("{} {what}", self.kind)
    }

    /// The state of everything that is waited for.
    async fn judge(&self, kube: &Kube) -> Result<Readiness, ProviderError> {
        let wait = self.wait();
        let mut parts = Vec::new();
        for name in self.names() {
            let live = kube.get(&self.reference(name)).await?;
            parts.push(named(&wait, &self.kind, name, live.as_ref()));
        }
        if let Some(selector) = &self.selector {
            let selection = Selection {
                namespace: self.namespace.as_deref(),
                labels: Some(selector),
            };
            let found = kube.list(&self.api_version, &self.kind, &selection).await?;
            if found.is_empty() {
                parts.push(Readiness::Waiting(format!(
                    "no {} has labels {selector} yet",
                    self.kind
                )));
            }
            for live in &found {
                let name = live["metadata"]["name"].as_str().unwrap_or_default();
                parts.push(named(&wait, &self.kind, name, Some(live)));
            }
        }
        Ok(Readiness::all(parts))
    }
}

fn named(wait: &Wait, kind: &str, name: &str, live: Option<&Json>) -> Readiness {
    let readiness = live.map_or_else(
        || Readiness::Waiting("it does not exist yet".into()),
        |live| wait.judge(live),
    );
    match readiness {
        Readiness::Ready => Readiness::Ready,
        Readiness::Waiting(what) => Readiness::Waiting(format!("{kind} {name}: {what}")),
        Readiness::Failed(why) => Readiness::Failed(format!("{kind} {name}: {why}")),
    }
}

/// The resource type `kubernetes_wait`.
pub(crate) struct KubernetesWait;

impl KubernetesWait {
    async fn pass(cx: &Cx, client: &Client, mut gate: Gate) -> Result<Gate, ProviderError> {
        let kube = client.access.session(cx).await?;
        let mut missing = String::from("no answer came");
        loop {
            let judged = cx.bounded(gate.judge(&kube)).await.and_then(|judged| judged);
            match judged {
                Ok(Readiness::Ready) => {
                    gate.id = Some(gate.id());
                    return Ok(gate);
                }
                Ok(Readiness::Failed(why)) => {
                    return Err(ProviderError::new(ErrorKind::InvalidArgument, why));
                }
                Ok(Readiness::Waiting(what)) => {
                    cx.progress(&format!("waiting: {what}"));
                    missing = what;
                }
                // A server that is starting up answers so.
                Err(error) if error.kind.is_retryable() => missing = error.to_string(),
                Err(error) if error.kind == ErrorKind::Timeout => return Err(late(&missing)),
                Err(error) => return Err(error),
            }
            match cx.sleep(Duration::from_millis(500)).await {
                Err(error) if error.kind == ErrorKind::Timeout => return Err(late(&missing)),
                other => other?,
            }
        }
    }
}

fn late(missing: &str) -> ProviderError {
    let text = format!(
        "not ready in time: {missing}; raise the time with a `timeouts` block if it only needs longer"
    );
    ProviderError::new(ErrorKind::Timeout, text)
}

#[async_trait]
impl Resource for KubernetesWait {
    const TYPE: &'static str = "kubernetes_wait";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 5.0;
    const TIMEOUT_SECONDS: u64 = 300;
    type Model = Gate;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, prior: &Gate) -> Result<Option<Gate>, ProviderError> {
        let kube = client.access.session(cx).await?;
        let judged = cx.bounded(prior.judge(&kube)).await??;
        Ok((judged == Readiness::Ready).then(|| prior.clone()))
    }

    async fn create(cx: &Cx, client: &Client, _: &Owner, planned: Gate) -> Result<Gate, Failure<Gate>> {
        Ok(Self::pass(cx, client, planned).await?)
    }

    async fn update(cx: &Cx, client: &Client, _: &Gate, planned: Gate) -> Result<Gate, Failure<Gate>> {
        Ok(Self::pass(cx, client, planned).await?)
    }

    async fn delete(_: &Cx, _: &Client, _: &Gate) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, _: &Client, _: &Owner, _: &Value) -> Result<Option<Gate>, ProviderError> {
        Ok(None)
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = check_fields(config.attribute("fields"), &Path::of(&["fields"]));
        let set = |name: &&str| config.attribute(name).is_some_and(|v| !v.is_null());
        if ["name", "names", "selector"].iter().filter(|n| set(n)).count() != 1 {
            problems.push((
                Path::of(&["name"]),
                "exactly one of name, names and selector must be set".into(),
            ));
        }
        problems
    }
}
