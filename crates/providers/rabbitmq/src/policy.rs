//! `rabbitmq_policy`

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::BrokerClient;
use crate::client::{Listed, read, read_many};
use crate::names::{check_names, id, overwrites, segment, split_id, text};

/// A policy: arguments for all queues or exchanges whose name matches.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Policy {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// The virtual host.
    #[schema(replace, default = "/")]
    pub vhost: String,
    /// Regular expression for the names it applies to.
    pub pattern: String,
    /// The arguments as JSON: `jsonencode({ "max-length" = 1000 })`.
    pub definition: String,
    /// Where several policies match, the one with the greatest priority applies.
    #[schema(default = 0)]
    pub priority: i64,
    /// What it applies to: `all`, `queues`, `exchanges`, or a kind of queue (`classic_queues`, `quorum_queues`,
    /// `streams`).
    #[schema(default = "all")]
    pub apply_to: String,
    /// Takes over a policy that exists already, instead of failing.
    #[schema(default = false)]
    pub overwrite: bool,
    /// `NAME@VHOST`
    #[schema(computed)]
    pub id: Option<String>,
}

/// A policy as the API shows it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    name: String,
    vhost: String,
    pattern: String,
    definition: BTreeMap<String, Json>,
    #[serde(default)]
    priority: i64,
    #[serde(rename = "apply-to", default)]
    apply_to: String,
}

/// Whether two JSON texts mean the same.
fn same_json(a: &str, b: &str) -> bool {
    match (serde_json::from_str::<Json>(a), serde_json::from_str::<Json>(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

impl Listed for Policy {
    type Shown = Shown;
    const LIST: &'static str = "/api/policies";

    fn path(&self) -> String {
        format!("/api/policies/{}/{}", segment(&self.vhost), segment(&self.name))
    }

    fn is(&self, shown: &Shown) -> bool {
        self.name == shown.name && self.vhost == shown.vhost
    }

    fn seen(&self, shown: &Shown) -> Self {
        let definition = json!(shown.definition).to_string();
        Self {
            id: Some(id(&shown.name, &shown.vhost)),
            name: shown.name.clone(),
            vhost: shown.vhost.clone(),
            pattern: shown.pattern.clone(),
            definition: if same_json(&definition, &self.definition) {
                self.definition.clone()
            } else {
                definition
            },
            priority: shown.priority,
            apply_to: shown.apply_to.clone(),
            overwrite: self.overwrite,
        }
    }
}

impl Policy {
    fn of(name: &str, vhost: &str) -> Self {
        Self {
            name: name.to_owned(),
            vhost: vhost.to_owned(),
            pattern: String::new(),
            definition: String::new(),
            priority: 0,
            apply_to: String::new(),
            overwrite: false,
            id: None,
        }
    }

    async fn apply(self, cx: &Cx, client: &BrokerClient) -> Result<Self, ProviderError> {
        let definition: BTreeMap<String, Json> = serde_json::from_str(&self.definition)
            .map_err(|e| ProviderError::invalid("definition", "is no JSON object").source(e))?;
        let body = json!({
            "pattern": self.pattern,
            "definition": definition,
            "priority": self.priority,
            "apply-to": self.apply_to,
        });
        client.put(cx, &self.path(), &body).await?;
        Ok(Self {
            id: Some(id(&self.name, &self.vhost)),
            ..self
        })
    }
}

/// Arguments for all queues or exchanges whose name matches.
pub struct RabbitmqPolicy;

#[async_trait]
impl Resource for RabbitmqPolicy {
    const TYPE: &'static str = "rabbitmq_policy";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.1;
    const READS_TOGETHER: bool = true;
    type Model = Policy;
    type Client = BrokerClient;

    async fn read(cx: &Cx, client: &BrokerClient, prior: &Policy) -> Result<Option<Policy>, ProviderError> {
        read(cx, client, prior).await
    }

    async fn read_many(
        cx: &Cx,
        client: &BrokerClient,
        priors: &[Policy],
    ) -> Vec<Result<Option<Policy>, ProviderError>> {
        read_many(cx, client, priors).await
    }

    async fn create(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: Policy,
    ) -> Result<Policy, Failure<Policy>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn update(
        cx: &Cx,
        client: &BrokerClient,
        _: &Policy,
        planned: Policy,
    ) -> Result<Policy, Failure<Policy>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn delete(cx: &Cx, client: &BrokerClient, prior: &Policy) -> Result<(), ProviderError> {
        client.delete(cx, &prior.path()).await
    }

    async fn find(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<Policy>, ProviderError> {
        if overwrites(planned) {
            return Ok(None);
        }
        match (text(planned, "name"), text(planned, "vhost")) {
            (Some(name), Some(vhost)) => Self::read(cx, client, &Policy::of(name, vhost)).await,
            _ => Ok(None),
        }
    }

    async fn import(cx: &Cx, client: &BrokerClient, id: &str) -> Result<Policy, ProviderError> {
        let (name, vhost) = split_id(id, "NAME")?;
        let found = Self::read(cx, client, &Policy::of(name, vhost)).await?;
        found.ok_or_else(|| {
            let message = format!("virtual host {vhost:?} has no policy {name:?}");
            ProviderError::new(ErrorKind::NotFound, message)
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = check_names(config, &["name", "vhost"]);
        let is_object = |text: &str| serde_json::from_str::<BTreeMap<String, Json>>(text).is_ok();
        if text(config, "definition").is_some_and(|d| !is_object(d)) {
            problems.push((
                Path::of(&["definition"]),
                "must be a JSON object: `jsonencode({ ... })`".to_owned(),
            ));
        }
        let kinds = [
            "all",
            "queues",
            "exchanges",
            "classic_queues",
            "quorum_queues",
            "streams",
        ];
        if text(config, "apply_to").is_some_and(|a| !kinds.contains(&a)) {
            problems.push((
                Path::of(&["apply_to"]),
                format!("must be one of {}", kinds.join(", ")),
            ));
        }
        problems
    }

    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) if *path == Path::of(&["definition"]) => same_json(a, b),
            _ => a == b,
        }
    }
}
