//! `aws_key_pair`

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{KeyPairInfo, ResourceType};
use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::client::{AwsClient, call};
use crate::known::known_part;
use crate::poll::poll;
use crate::tags::{self, Tags};

/// A public key that EC2 puts on new instances for the first login.
#[derive(Clone, Debug, Default, PartialEq, Schema)]
pub struct KeyPairModel {
    /// Name, unique in the region; otherwise `stack-` and the token of the create attempt.
    #[schema(optional, computed, replace)]
    pub key_name: Option<String>,
    /// The public key as a line of `authorized_keys`: RSA or ED25519.
    #[schema(replace)]
    pub public_key: String,
    /// Tags.
    pub tags: Option<Tags>,
    /// The name.
    #[schema(computed)]
    pub id: Option<String>,
    /// Name in the form of the whole cloud.
    #[schema(computed)]
    pub arn: Option<String>,
    /// Id: `key-...`.
    #[schema(computed)]
    pub key_pair_id: Option<String>,
    /// Fingerprint as EC2 computes it.
    #[schema(computed)]
    pub fingerprint: Option<String>,
    /// `rsa` or `ed25519`.
    #[schema(computed)]
    pub key_type: Option<String>,
}

/// Resource type `aws_key_pair`.
#[derive(Clone, Copy, Debug)]
pub struct KeyPair;

async fn describe(
    cx: &Cx,
    client: &AwsClient,
    filters: Vec<aws_sdk_ec2::types::Filter>,
) -> Result<Vec<KeyPairInfo>, ProviderError> {
    let request = client.ec2.describe_key_pairs().set_filters(Some(filters));
    let answer = call(cx, "DescribeKeyPairs", request.send()).await?;
    Ok(answer.key_pairs.unwrap_or_default())
}

async fn observed(
    cx: &Cx,
    client: &AwsClient,
    prior: &KeyPairModel,
    pair: &KeyPairInfo,
) -> Result<KeyPairModel, ProviderError> {
    let name = pair.key_name().unwrap_or_default().to_owned();
    let arn = match &prior.arn {
        Some(arn) => arn.clone(),
        None => client.arn(&client.identity(cx).await?.account, &format!("key-pair/{name}")),
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    Ok(KeyPairModel {
        key_name: Some(name.clone()),
        public_key: prior.public_key.clone(),
        tags: tags::observed(client, prior.tags.as_ref(), pair.tags()),
        id: Some(name),
        arn: Some(arn),
        key_pair_id: text(pair.key_pair_id()),
        fingerprint: text(pair.key_fingerprint()),
        key_type: pair
            .key_type()
            .map(|t| t.as_str().to_owned())
            .or(prior.key_type.clone()),
    })
}

/// The pair of this name.
async fn named(cx: &Cx, client: &AwsClient, name: &str) -> Result<Option<KeyPairInfo>, ProviderError> {
    let found = describe(cx, client, vec![tags::filter("key-name", [name])]).await?;
    // A filter takes wildcards; a name does not.
    Ok(found.into_iter().find(|p| p.key_name() == Some(name)))
}

#[async_trait]
impl Resource for KeyPair {
    const TYPE: &'static str = "aws_key_pair";
    const OWNERSHIP: Ownership = Ownership::Token;
    type Model = KeyPairModel;
    type Client = AwsClient;

    async fn read(
        cx: &Cx,
        client: &AwsClient,
        prior: &KeyPairModel,
    ) -> Result<Option<KeyPairModel>, ProviderError> {
        let Some(name) = &prior.id else { return Ok(None) };
        match named(cx, client, name).await? {
            Some(pair) => Ok(Some(observed(cx, client, prior, &pair).await?)),
            None => Ok(None),
        }
    }

    async fn create(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: KeyPairModel,
    ) -> Result<KeyPairModel, Failure<KeyPairModel>> {
        let name = planned
            .key_name
            .clone()
            .unwrap_or_else(|| format!("stack-{}", owner.token));
        let request = client
            .ec2
            .import_key_pair()
            .key_name(&name)
            .public_key_material(Blob::new(planned.public_key.trim()))
            .tag_specifications(tags::specification(
                client,
                ResourceType::KeyPair,
                owner,
                planned.tags.as_ref(),
            ));
        let duplicate = match call(cx, "ImportKeyPair", request.send()).await {
            Ok(_) => None,
            Err(error) if error.kind == ErrorKind::AlreadyExists => Some(error),
            Err(error) => return Err(error.into()),
        };
        let pair = poll!(cx, "waiting for the key pair", async {
            named(cx, client, &name).await
        })?;
        if let Some(error) = duplicate.filter(|_| !tags::is_owned(pair.tags(), owner)) {
            let message = format!(
                "key pair `{name}` exists and is not ours; use another name, or adopt it with `stack import {} {name}`",
                owner.address
            );
            return Err(ProviderError { message, ..error }.into());
        }
        Ok(observed(cx, client, &planned, &pair).await?)
    }

    async fn update(
        cx: &Cx,
        client: &AwsClient,
        prior: &KeyPairModel,
        planned: KeyPairModel,
    ) -> Result<KeyPairModel, Failure<KeyPairModel>> {
        let id = prior.key_pair_id.clone().unwrap_or_default();
        tags::sync(cx, client, &id, prior.tags.as_ref(), planned.tags.as_ref()).await?;
        Ok(planned)
    }

    async fn delete(cx: &Cx, client: &AwsClient, prior: &KeyPairModel) -> Result<(), ProviderError> {
        let Some(name) = &prior.id else { return Ok(()) };
        let request = client.ec2.delete_key_pair().key_name(name);
        match call(cx, "DeleteKeyPair", request.send()).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn find(
        cx: &Cx,
        client: &AwsClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<KeyPairModel>, ProviderError> {
        let Some(pair) = describe(cx, client, tags::owned(owner).to_vec()).await?.pop() else {
            return Ok(None);
        };
        let arguments: KeyPairModel = known_part(planned)?;
        Ok(Some(observed(cx, client, &arguments, &pair).await?))
    }

    async fn import(cx: &Cx, client: &AwsClient, id: &str) -> Result<KeyPairModel, ProviderError> {
        let request = client
            .ec2
            .describe_key_pairs()
            .key_names(id)
            .include_public_key(true);
        let answer = call(cx, "DescribeKeyPairs", request.send()).await?;
        let Some(pair) = answer.key_pairs().first() else {
            let message = format!("there is no key pair `{id}` in {}", client.region);
            return Err(ProviderError::new(ErrorKind::NotFound, message));
        };
        let prior = KeyPairModel {
            public_key: pair.public_key().unwrap_or_default().trim().to_owned(),
            ..KeyPairModel::default()
        };
        observed(cx, client, &prior, pair).await
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let mut problems = tags::validate(config);
        let key = config.attribute("public_key").and_then(Value::as_str);
        if key.is_some_and(|k| !k.trim_start().starts_with("ssh-")) {
            let text =
                "must be a line of `authorized_keys` with an RSA or ED25519 key: `ssh-ed25519 AAAA...`";
            problems.push((Path::of(&["public_key"]), text.to_owned()));
        }
        problems
    }

    /// The comment and the space around it are no part of a key.
    fn same(path: &Path, a: &Value, b: &Value) -> bool {
        let key = |value: &Value| {
            let words: Option<Vec<String>> = value
                .as_str()
                .map(|s| s.split_whitespace().take(2).map(str::to_owned).collect());
            words
        };
        a == b || (*path == Path::of(&["public_key"]) && key(a).is_some() && key(a) == key(b))
    }
}
