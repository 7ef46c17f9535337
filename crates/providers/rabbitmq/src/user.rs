//! `rabbitmq_user`

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::BrokerClient;
use crate::client::{Listed, read, read_many};
use crate::names::{check_names, overwrites, segment, text};
use crate::password::{self, ALGORITHM};

/// A user of the broker.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct User {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// Password; without one the user can log in by certificate only. It is sent as a salted hash, and drift is seen by
    /// comparing it with the broker's hash.
    pub password: Option<Secret<String>>,
    /// Tags: `administrator`, `monitoring`, `policymaker`, `management`, `impersonator`, or any other.
    pub tags: Option<BTreeSet<String>>,
    /// Takes over a user that exists already, instead of failing.
    #[schema(default = false)]
    pub overwrite: bool,
    /// The name.
    #[schema(computed)]
    pub id: Option<String>,
}

/// A user as the API shows it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    name: String,
    #[serde(default)]
    password_hash: String,
    #[serde(default)]
    hashing_algorithm: Option<String>,
    #[serde(default)]
    tags: Tags,
}

/// Tags are a list since 3.9 and were a string with commas before.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Tags {
    /// A list.
    List(BTreeSet<String>),
    /// A string with commas.
    Text(String),
}

impl Default for Tags {
    fn default() -> Self {
        Self::List(BTreeSet::new())
    }
}

impl Tags {
    /// The tags.
    pub(crate) fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::List(tags) => tags,
            Self::Text(text) => {
                let tags = text.split(',').map(str::trim).filter(|t| !t.is_empty());
                tags.map(str::to_owned).collect()
            }
        }
    }

    /// The tags as the configuration says them: none at all where it says nothing and there are none.
    pub(crate) fn like(self, configured: Option<&BTreeSet<String>>) -> Option<BTreeSet<String>> {
        let tags = self.into_set();
        (configured.is_some() || !tags.is_empty()).then_some(tags)
    }
}

impl Listed for User {
    type Shown = Shown;
    const LIST: &'static str = "/api/users";

    fn path(&self) -> String {
        format!("/api/users/{}", segment(&self.name))
    }

    fn is(&self, shown: &Shown) -> bool {
        self.name == shown.name
    }

    /// The user as the broker has it, in the words of `self`. A password that is no longer ours is null; one that should
    /// not be there is shown as its hash.
    fn seen(&self, shown: &Shown) -> Self {
        let sha256 = shown.hashing_algorithm.as_deref().is_none_or(|a| a == ALGORITHM);
        let password = match &self.password {
            Some(ours) => {
                let same = sha256 && password::matches(ours.expose(), &shown.password_hash);
                same.then(|| ours.clone())
            }
            None if shown.password_hash.is_empty() => None,
            None => Some(Secret::new(shown.password_hash.clone())),
        };
        Self {
            name: shown.name.clone(),
            password,
            tags: shown.tags.clone().like(self.tags.as_ref()),
            overwrite: self.overwrite,
            id: Some(shown.name.clone()),
        }
    }
}

impl User {
    async fn write(self, cx: &Cx, client: &BrokerClient) -> Result<Self, ProviderError> {
        let hash = match &self.password {
            Some(ours) => {
                let salt = password::random_salt()
                    .map_err(|e| ProviderError::internal("no random numbers").source(e))?;
                password::hash(ours.expose(), salt)
            }
            None => String::new(),
        };
        let tags: Vec<_> = self.tags.iter().flatten().map(String::as_str).collect();
        let body = json!({
            "password_hash": hash,
            "hashing_algorithm": ALGORITHM,
            "tags": tags.join(","),
        });
        client.put(cx, &self.path(), &body).await?;
        Ok(Self {
            id: Some(self.name.clone()),
            ..self
        })
    }
}

/// A user of the broker.
pub struct RabbitmqUser;

#[async_trait]
impl Resource for RabbitmqUser {
    const TYPE: &'static str = "rabbitmq_user";
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TYPICAL_SECONDS: f64 = 0.1;
    const READS_TOGETHER: bool = true;
    type Model = User;
    type Client = BrokerClient;

    async fn read(cx: &Cx, client: &BrokerClient, prior: &User) -> Result<Option<User>, ProviderError> {
        read(cx, client, prior).await
    }

    async fn read_many(
        cx: &Cx,
        client: &BrokerClient,
        priors: &[User],
    ) -> Vec<Result<Option<User>, ProviderError>> {
        read_many(cx, client, priors).await
    }

    async fn create(cx: &Cx, client: &BrokerClient, _: &Owner, planned: User) -> Result<User, Failure<User>> {
        Ok(planned.write(cx, client).await?)
    }

    async fn update(cx: &Cx, client: &BrokerClient, _: &User, planned: User) -> Result<User, Failure<User>> {
        Ok(planned.write(cx, client).await?)
    }

    async fn delete(cx: &Cx, client: &BrokerClient, prior: &User) -> Result<(), ProviderError> {
        client.delete(cx, &prior.path()).await
    }

    async fn find(
        cx: &Cx,
        client: &BrokerClient,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<User>, ProviderError> {
        // Writing a user that may be taken over again does no harm.
        if overwrites(planned) {
            return Ok(None);
        }
        let Some(name) = text(planned, "name") else {
            return Ok(None);
        };
        let wanted = User {
            name: name.to_owned(),
            password: text(planned, "password").map(Secret::from),
            tags: planned
                .attribute("tags")
                .filter(|tags| !tags.is_null())
                .map(|_| BTreeSet::new()),
            overwrite: false,
            id: None,
        };
        Self::read(cx, client, &wanted).await
    }

    async fn import(cx: &Cx, client: &BrokerClient, id: &str) -> Result<User, ProviderError> {
        let nothing = User {
            name: id.to_owned(),
            password: None,
            tags: None,
            overwrite: false,
            id: None,
        };
        let found = read(cx, client, &nothing).await?.ok_or_else(|| {
            ProviderError::new(ErrorKind::NotFound, format!("the broker has no user {id:?}"))
        })?;
        // The password cannot be read back; the next plan sets the configured one.
        Ok(User {
            password: None,
            ..found
        })
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = check_names(config, &["name"]);
        if text(config, "password").is_some_and(str::is_empty) {
            problems.push((
                Path::of(&["password"]),
                "must not be empty; leave it out for a user without a password".to_owned(),
            ));
        }
        let tags = config
            .attribute("tags")
            .and_then(Value::as_sequence)
            .unwrap_or_default();
        if tags
            .iter()
            .filter_map(Value::as_str)
            .any(|t| t.contains(',') || t.trim() != t || t.is_empty())
        {
            problems.push((
                Path::of(&["tags"]),
                "a tag must not be empty, hold a comma, or start or end with a space".to_owned(),
            ));
        }
        problems
    }
}
