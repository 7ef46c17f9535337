//! `cloud_network`: servers use it, and it cannot end while they do. Also a data source, by name.

use serde_json::json;
use stack_core::Schema;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use super::{Tagged, TaggedKind, attributes, number};
use crate::cloud::client::Cloud;
use crate::cloud::protocol::Which;
use crate::cloud::world::{Attributes, Object};

/// A network.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct NetworkModel {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// Size of a packet, changed in place.
    pub mtu: i64,
    /// Id.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `cloud_network`.
pub type Network = Tagged<NetworkKind>;

/// See [`Network`].
#[derive(Clone, Copy, Debug)]
pub struct NetworkKind;

impl TaggedKind for NetworkKind {
    const TYPE: &'static str = "cloud_network";
    const KIND: &'static str = "network";
    type Model = NetworkModel;

    fn name(model: &NetworkModel) -> &str {
        &model.name
    }
    fn id(model: &NetworkModel) -> Option<&str> {
        model.id.as_deref()
    }
    fn settings(model: &NetworkModel) -> Attributes {
        attributes([("mtu", json!(model.mtu))])
    }
    fn uses(_: &NetworkModel) -> Vec<String> {
        Vec::new()
    }
    fn made(planned: NetworkModel, id: String) -> NetworkModel {
        NetworkModel {
            id: Some(id),
            ..planned
        }
    }
    fn model(object: Object) -> NetworkModel {
        NetworkModel {
            mtu: number(&object, "mtu"),
            name: object.name,
            id: Some(object.id),
        }
    }
}

/// What the data source `cloud_network` takes and gives.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct NetworkFound {
    /// Name.
    pub name: String,
    /// Id.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Data source `cloud_network`.
#[derive(Clone, Copy, Debug)]
pub struct NetworkByName;

#[async_trait]
impl DataSource for NetworkByName {
    const TYPE: &'static str = "cloud_network";
    type Model = NetworkFound;
    type Client = Cloud;

    async fn read(cx: &Cx, cloud: &Cloud, arguments: NetworkFound) -> Result<NetworkFound, ProviderError> {
        let which = Which::named(NetworkKind::KIND, None, &arguments.name);
        let found = cloud.read(cx, which).await?.ok_or_else(|| {
            let message = format!("there is no network {}", arguments.name);
            ProviderError::new(ErrorKind::NotFound, message)
        })?;
        Ok(NetworkFound {
            id: Some(found.id),
            ..arguments
        })
    }
}
