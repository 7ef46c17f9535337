//! `cloud_server`: may use a network, and contains files.

use serde_json::json;
use stack_core::Schema;

use super::{Tagged, TaggedKind, attributes, number};
use crate::cloud::world::{Attributes, Object};

/// A server.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct ServerModel {
    /// Name.
    #[schema(replace)]
    pub name: String,
    /// Size, changed in place.
    pub size: i64,
    /// Id of the network it is in.
    #[schema(replace)]
    pub network: Option<String>,
    /// Id.
    #[schema(computed)]
    pub id: Option<String>,
    /// Where it is reached.
    #[schema(computed)]
    pub host: Option<String>,
}

/// Resource type `cloud_server`.
pub type Server = Tagged<ServerKind>;

/// See [`Server`].
#[derive(Clone, Copy, Debug)]
pub struct ServerKind;

impl TaggedKind for ServerKind {
    const TYPE: &'static str = "cloud_server";
    const KIND: &'static str = "server";
    type Model = ServerModel;

    fn name(model: &ServerModel) -> &str {
        &model.name
    }
    fn id(model: &ServerModel) -> Option<&str> {
        model.id.as_deref()
    }
    fn settings(model: &ServerModel) -> Attributes {
        attributes([("size", json!(model.size))])
    }
    fn uses(model: &ServerModel) -> Vec<String> {
        model.network.iter().cloned().collect()
    }
    fn made(planned: ServerModel, id: String) -> ServerModel {
        ServerModel {
            host: Some(format!("{id}.cloud.test")),
            id: Some(id),
            ..planned
        }
    }
    fn model(mut object: Object) -> ServerModel {
        let bare = ServerModel {
            size: number(&object, "size"),
            network: object.uses.pop(),
            name: object.name,
            id: None,
            host: None,
        };
        Self::made(bare, object.id)
    }
}
