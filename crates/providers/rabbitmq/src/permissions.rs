//! `rabbitmq_permissions`

use serde::Deserialize;
use serde_json::json;
use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::BrokerClient;
use crate::client::{Listed, read, read_many};
use crate::names::{check_names, id, overwrites, segment, split_id, text};

/// What a user may do in a virtual host: regular expressions for the names of queues and exchanges.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Permissions {
    /// The user.
    #[schema(replace)]
    pub user: String,
    /// The virtual host.
    #[schema(replace, default = "/")]
    pub vhost: String,
    /// What the user may make and remove; `^$` is nothing.
    #[schema(default = ".*")]
    pub configure: String,
    /// What the user may write to.
    #[schema(default = ".*")]
    pub write: String,
    /// What the user may read from.
    #[schema(default = ".*")]
    pub read: String,
    /// Takes over permissions that exist already, instead of failing.
    #[schema(default = false)]
    pub overwrite: bool,
    /// `USER@VHOST`
    #[schema(computed)]
    pub id: Option<String>,
}

/// Permissions as the API shows them.
#[derive(Deserialize)]
pub(crate) struct Shown {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

impl Listed for Permissions {
    type Shown = Shown;
    const LIST: &'static str = "/api/permissions";

    fn path(&self) -> String {
        format!(
            "/api/permissions/{}/{}",
            segment(&self.vhost),
            segment(&self.user)
        )
    }

    fn is(&self, shown: &Shown) -> bool {
        self.user == shown.user && self.vhost == shown.vhost
    }

    fn seen(&self, shown: &Shown) -> Self {
        Self {
            id: Some(id(&shown.user, &shown.vhost)),
            user: shown.user.clone(),
            vhost: shown.vhost.clone(),
            configure: shown.configure.clone(),
            write: shown.write.clone(),
            read: shown.read.clone(),
            overwrite: self.overwrite,
        }
    }
}

impl Permissions {
    fn of(user: &str, vhost: &str) -> Self {
        Self {
            user: user.to_owned(),
            vhost: vhost.to_owned(),
            configure: String::new(),
            write: String::new(),
            read: String::new(),
            overwrite: false,
            id: None,
        }
    }

    async fn apply(self, cx: &Cx, client: &BrokerClient) -> Result<Self, ProviderError> {
        let body = json!({"configure": self.configure, "write": self.write, "read": self.read});
        client.put(cx, &self.path(), &body).await.map_err(|mut error| {
            if error.message.contains("not_found") {
                error.message = format!(
                    "the broker has no user {:?} or no virtual host {:?}; {}",
                    self.user, self.vhost, error.message
                );
            }
            error
        })?;
        Ok(Self {
            id: Some(id(&self.user, &self.vhost)),
            ..self
        })
    }
}

/// What a user may do in a virtual host.
pub struct RabbitmqPermissions;

#[async_trait]
impl Resource for RabbitmqPermissions {
    const TYPE: &'static str = "rabbitmq_permissions";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.1;
    const READS_TOGETHER: bool = true;
    type Model = Permissions;
    type Client = BrokerClient;

    async fn read(
        cx: &Cx,
        client: &BrokerClient,
        prior: &Permissions,
    ) -> Result<Option<Permissions>, ProviderError> {
        read(cx, client, prior).await
    }

    async fn read_many(
        cx: &Cx,
        client: &BrokerClient,
        priors: &[Permissions],
    ) -> Vec<Result<Option<Permissions>, ProviderError>> {
        read_many(cx, client, priors).await
    }

    async fn create(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: Permissions,
    ) -> Result<Permissions, Failure<Permissions>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn update(
        cx: &Cx,
        client: &BrokerClient,
        _: &Permissions,
        planned: Permissions,
    ) -> Result<Permissions, Failure<Permissions>> {
        Ok(planned.apply(cx, client).await?)
    }

    async fn delete(cx: &Cx, client: &BrokerClient, prior: &Permissions) -> Result<(), ProviderError> {
        client.delete(cx, &prior.path()).await
    }

    async fn find(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<Permissions>, ProviderError> {
        if overwrites(planned) {
            return Ok(None);
        }
        match (text(planned, "user"), text(planned, "vhost")) {
            (Some(user), Some(vhost)) => Self::read(cx, client, &Permissions::of(user, vhost)).await,
            _ => Ok(None),
        }
    }

    async fn import(cx: &Cx, client: &BrokerClient, id: &str) -> Result<Permissions, ProviderError> {
        let (user, vhost) = split_id(id, "USER")?;
        let found = Self::read(cx, client, &Permissions::of(user, vhost)).await?;
        found.ok_or_else(|| {
            let message = format!("user {user:?} has no permissions in virtual host {vhost:?}");
            ProviderError::new(ErrorKind::NotFound, message)
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        check_names(config, &["user", "vhost"])
    }
}
