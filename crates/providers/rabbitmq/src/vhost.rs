//! `rabbitmq_vhost`

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::BrokerClient;
use crate::client::{Listed, read, read_many};
use crate::names::{check_names, segment, text};
use crate::user::Tags;

/// A virtual host of the broker. Removing it removes its queues and messages.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Vhost {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// A text for people.
    pub description: Option<String>,
    /// Tags for people.
    pub tags: Option<BTreeSet<String>>,
    /// Whether messages are traced; costs time.
    #[schema(default = false)]
    pub tracing: bool,
    /// The name.
    #[schema(computed)]
    pub id: Option<String>,
}

/// A virtual host as the API shows it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Tags,
    #[serde(default)]
    tracing: bool,
    #[serde(default)]
    cluster_state: BTreeMap<String, String>,
}

/// Pause between two looks at a virtual host that is starting.
const PAUSE: Duration = Duration::from_millis(100);

impl Listed for Vhost {
    type Shown = Shown;
    const LIST: &'static str = "/api/vhosts";

    fn path(&self) -> String {
        format!("/api/vhosts/{}", segment(&self.name))
    }

    fn is(&self, shown: &Shown) -> bool {
        self.name == shown.name
    }

    fn seen(&self, shown: &Shown) -> Self {
        let description = shown.description.clone().unwrap_or_default();
        Self {
            id: Some(shown.name.clone()),
            name: shown.name.clone(),
            description: (self.description.is_some() || !description.is_empty()).then_some(description),
            tags: shown.tags.clone().like(self.tags.as_ref()),
            tracing: shown.tracing,
        }
    }
}

impl Vhost {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            tags: None,
            tracing: false,
            id: None,
        }
    }

    async fn apply(self, cx: &Cx, client: &BrokerClient) -> Result<Self, ProviderError> {
        let tags: Vec<_> = self.tags.iter().flatten().map(String::as_str).collect();
        let body = json!({
            "description": self.description.as_deref().unwrap_or_default(),
            "tags": tags.join(","),
            "tracing": self.tracing,
        });
        let path = self.path();
        client.put(cx, &path, &body).await?;
        // A new virtual host starts on every node by itself.
        loop {
            let shown = client.get::<Shown>(cx, &path).await?;
            if shown.is_some_and(|s| s.cluster_state.values().all(|state| state == "running")) {
                break;
            }
            cx.progress("waiting for the virtual host to run");
            cx.sleep(PAUSE).await?;
        }
        Ok(Self {
            id: Some(self.name.clone()),
            ..self
        })
    }
}

/// A virtual host of the broker.
pub struct RabbitmqVhost;

#[async_trait]
impl Resource for RabbitmqVhost {
    const TYPE: &'static str = "rabbitmq_vhost";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.3;
    const READS_TOGETHER: bool = true;
    type Model = Vhost;
    type Client = BrokerClient;

    async fn read(cx: &Cx, client: &BrokerClient, prior: &Vhost) -> Result<Option<Vhost>, ProviderError> {
        read(cx, client, prior).await
    }

    async fn read_many(
        cx: &Cx,
        client: &BrokerClient,
        priors: &[Vhost],
    ) -> Vec<Result<Option<Vhost>, ProviderError>> {
        read_many(cx, client, priors).await
    }

    async fn create(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: Vhost,
    ) -> Result<Vhost, Failure<Vhost>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn update(
        cx: &Cx,
        client: &BrokerClient,
        _: &Vhost,
        planned: Vhost,
    ) -> Result<Vhost, Failure<Vhost>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn delete(cx: &Cx, client: &BrokerClient, prior: &Vhost) -> Result<(), ProviderError> {
        client.delete(cx, &prior.path()).await
    }

    async fn find(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<Vhost>, ProviderError> {
        let Some(name) = text(planned, "name") else {
            return Ok(None);
        };
        Self::read(cx, client, &Vhost::of(name)).await
    }

    async fn import(cx: &Cx, client: &BrokerClient, id: &str) -> Result<Vhost, ProviderError> {
        Self::read(cx, client, &Vhost::of(id)).await?.ok_or_else(|| {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("the broker has no virtual host {id:?}"),
            )
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        check_names(config, &["name"])
    }
}
