//! Resource types whose objects carry the tags of whoever made them.

use std::marker::PhantomData;

use stack_core::{SchemaOf, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use super::{TIMEOUT_SECONDS, read_all};
use crate::cloud::client::Cloud;
use crate::cloud::protocol::{Operation, Owned, Which};
use crate::cloud::world::{Attributes, Object};

/// What tells one such type from another.
pub trait TaggedKind: Send + Sync + 'static {
    /// Name of the resource type.
    const TYPE: &'static str;
    /// What the cloud calls it.
    const KIND: &'static str;
    /// Arguments and attributes.
    type Model: SchemaOf + Clone + Send + Sync + 'static;

    /// The name of the object.
    fn name(model: &Self::Model) -> &str;
    /// Its id, where it is known.
    fn id(model: &Self::Model) -> Option<&str>;
    /// What of it is changed in place.
    fn settings(model: &Self::Model) -> Attributes;
    /// Ids of objects that cannot end while it exists.
    fn uses(model: &Self::Model) -> Vec<String>;
    /// The object of an id, as planned.
    fn made(planned: Self::Model, id: String) -> Self::Model;
    /// The object as the cloud has it.
    fn model(object: Object) -> Self::Model;
}

/// The resource type of a kind.
pub struct Tagged<K>(PhantomData<fn() -> K>);

fn which<K: TaggedKind>(model: &K::Model) -> Which {
    Which::id(K::KIND, K::id(model).unwrap_or_default())
}

#[async_trait]
impl<K: TaggedKind> Resource for Tagged<K> {
    const TYPE: &'static str = K::TYPE;
    const OWNERSHIP: Ownership = Ownership::Token;
    const TIMEOUT_SECONDS: u64 = TIMEOUT_SECONDS;
    const READS_TOGETHER: bool = true;
    type Model = K::Model;
    type Client = Cloud;

    async fn read(cx: &Cx, cloud: &Cloud, prior: &K::Model) -> Result<Option<K::Model>, ProviderError> {
        Ok(cloud.read(cx, which::<K>(prior)).await?.map(K::model))
    }

    async fn read_many(
        cx: &Cx,
        cloud: &Cloud,
        priors: &[K::Model],
    ) -> Vec<Result<Option<K::Model>, ProviderError>> {
        read_all(cx, cloud, priors.iter().map(which::<K>).collect(), K::model).await
    }

    async fn create(
        cx: &Cx,
        cloud: &Cloud,
        owner: &Owner,
        planned: K::Model,
    ) -> Result<K::Model, Failure<K::Model>> {
        let create = Operation::Create {
            kind: K::KIND.to_owned(),
            name: K::name(&planned).to_owned(),
            attributes: K::settings(&planned),
            owner: Some(Owned::from(owner)),
            inside: None,
            uses: K::uses(&planned),
        };
        let made = K::made(planned, cloud.create(cx, create).await?);
        cx.partial(&made).await?;
        match cloud.read(cx, which::<K>(&made)).await {
            Ok(Some(object)) => Ok(K::model(object)),
            // The engine calls again, with the same token.
            Ok(None) => {
                let error = ProviderError::new(ErrorKind::NotYetVisible, "the object is not visible yet");
                Err(Failure::with(error, made))
            }
            Err(error) => Err(Failure::with(error, made)),
        }
    }

    async fn update(
        cx: &Cx,
        cloud: &Cloud,
        prior: &K::Model,
        planned: K::Model,
    ) -> Result<K::Model, Failure<K::Model>> {
        cloud.update(cx, which::<K>(prior), K::settings(&planned)).await?;
        Ok(K::made(planned, K::id(prior).unwrap_or_default().to_owned()))
    }

    async fn delete(cx: &Cx, cloud: &Cloud, prior: &K::Model) -> Result<(), ProviderError> {
        cloud.delete(cx, which::<K>(prior)).await
    }

    async fn find(
        cx: &Cx,
        cloud: &Cloud,
        owner: &Owner,
        _: &Value,
    ) -> Result<Option<K::Model>, ProviderError> {
        let which = Which::Token {
            kind: K::KIND.to_owned(),
            owner: Owned::from(owner),
        };
        Ok(cloud.read(cx, which).await?.map(K::model))
    }

    async fn import(cx: &Cx, cloud: &Cloud, id: &str) -> Result<K::Model, ProviderError> {
        let found = cloud.read(cx, Which::id(K::KIND, id)).await?;
        let missing = || ProviderError::new(ErrorKind::NotFound, format!("there is no {} {id}", K::KIND));
        found.map(K::model).ok_or_else(missing)
    }
}
