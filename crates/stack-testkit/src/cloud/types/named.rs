//! Resource types whose objects carry no tags: whoever has the name has the object. A create writes over what is there.

use std::marker::PhantomData;

use stack_core::{Path, SchemaOf, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use super::{TIMEOUT_SECONDS, read_all};
use crate::cloud::client::Cloud;
use crate::cloud::protocol::{Operation, Which};
use crate::cloud::world::{Attributes, Object};

/// What tells one such type from another.
pub trait NamedKind: Send + Sync + 'static {
    /// Name of the resource type.
    const TYPE: &'static str;
    /// What the cloud calls it.
    const KIND: &'static str;
    /// The argument that is the name.
    const KEY: &'static str;
    /// Arguments and attributes.
    type Model: SchemaOf + Clone + Send + Sync + 'static;
    /// What it is reached through.
    type Client: Send + Sync + 'static;

    /// The cloud, and the id of the object around.
    fn around(client: &Self::Client) -> (&Cloud, Option<&str>);
    /// The name of the object.
    fn name(model: &Self::Model) -> &str;
    /// What of it is changed in place.
    fn settings(model: &Self::Model) -> Attributes;
    /// The object as the cloud has it.
    fn model(object: Object) -> Self::Model;
}

/// The resource type of a kind.
pub struct Named<K>(PhantomData<fn() -> K>);

fn which<K: NamedKind>(client: &K::Client, name: &str) -> Which {
    Which::named(K::KIND, K::around(client).1, name)
}

async fn read<K: NamedKind>(
    cx: &Cx,
    client: &K::Client,
    name: &str,
) -> Result<Option<K::Model>, ProviderError> {
    let found = K::around(client).0.read(cx, which::<K>(client, name)).await?;
    Ok(found.map(K::model))
}

#[async_trait]
impl<K: NamedKind> Resource for Named<K> {
    const TYPE: &'static str = K::TYPE;
    const OWNERSHIP: Ownership = Ownership::NaturalKey;
    const TIMEOUT_SECONDS: u64 = TIMEOUT_SECONDS;
    const READS_TOGETHER: bool = true;
    type Model = K::Model;
    type Client = K::Client;

    async fn read(cx: &Cx, client: &K::Client, prior: &K::Model) -> Result<Option<K::Model>, ProviderError> {
        read::<K>(cx, client, K::name(prior)).await
    }

    async fn read_many(
        cx: &Cx,
        client: &K::Client,
        priors: &[K::Model],
    ) -> Vec<Result<Option<K::Model>, ProviderError>> {
        let names = priors.iter().map(|prior| which::<K>(client, K::name(prior)));
        read_all(cx, K::around(client).0, names.collect(), K::model).await
    }

    async fn create(
        cx: &Cx,
        client: &K::Client,
        _: &Owner,
        planned: K::Model,
    ) -> Result<K::Model, Failure<K::Model>> {
        let (cloud, inside) = K::around(client);
        let create = Operation::Create {
            kind: K::KIND.to_owned(),
            name: K::name(&planned).to_owned(),
            attributes: K::settings(&planned),
            owner: None,
            inside: inside.map(str::to_owned),
            uses: Vec::new(),
        };
        match cloud.create(cx, create).await {
            // A create whose answer was lost is made again.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let which = which::<K>(client, K::name(&planned));
                cloud.update(cx, which, K::settings(&planned)).await?;
            }
            made => drop(made?),
        }
        Ok(planned)
    }

    async fn update(
        cx: &Cx,
        client: &K::Client,
        prior: &K::Model,
        planned: K::Model,
    ) -> Result<K::Model, Failure<K::Model>> {
        let which = which::<K>(client, K::name(prior));
        let cloud = K::around(client).0;
        cloud.update(cx, which, K::settings(&planned)).await?;
        Ok(planned)
    }

    async fn delete(cx: &Cx, client: &K::Client, prior: &K::Model) -> Result<(), ProviderError> {
        let which = which::<K>(client, K::name(prior));
        K::around(client).0.delete(cx, which).await
    }

    async fn find(
        cx: &Cx,
        client: &K::Client,
        _: &Owner,
        planned: &Value,
    ) -> Result<Option<K::Model>, ProviderError> {
        let name = Path::of(&[K::KEY]).get(planned).and_then(Value::as_str);
        read::<K>(cx, client, name.unwrap_or_default()).await
    }

    async fn import(cx: &Cx, client: &K::Client, id: &str) -> Result<K::Model, ProviderError> {
        let missing = || ProviderError::new(ErrorKind::NotFound, format!("there is no {} {id}", K::KIND));
        read::<K>(cx, client, id).await?.ok_or_else(missing)
    }
}
