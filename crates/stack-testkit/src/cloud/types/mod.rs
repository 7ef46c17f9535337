//! The providers of the cloud: `cloud` for what is in it, `guest` for what is inside one of its servers. A resource type
//! is one file that says what its objects are ([`TaggedKind`], [`NamedKind`]).

mod file;
mod named;
mod network;
mod record;
mod server;
mod tagged;

use serde_json::Value as Json;
use stack_core::Schema;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};

use super::client::Cloud;
use super::protocol::{Operation, Which};
use super::world::{Attributes, Object};

pub use file::{File, FileKind, FileModel};
pub use named::{Named, NamedKind};
pub use network::{Network, NetworkByName, NetworkFound, NetworkKind, NetworkModel};
pub use record::{Record, RecordKind, RecordModel};
pub use server::{Server, ServerKind, ServerModel};
pub use tagged::{Tagged, TaggedKind};

/// Seconds an operation of any type here may take.
const TIMEOUT_SECONDS: u64 = 20;

/// Arguments of the provider `cloud`.
#[derive(Schema)]
pub struct CloudConfig {
    /// Milliseconds after which a call without an answer is given up; without it, the time of the operation.
    pub patience: Option<i64>,
}

/// The provider `cloud`: `cloud_network`, `cloud_server`, `cloud_record`. The environment names the socket
/// ([`SOCKET_VARIABLE`](super::SOCKET_VARIABLE)).
#[derive(Clone, Copy, Debug)]
pub struct CloudProvider;

#[async_trait]
impl Provider for CloudProvider {
    const NAME: &'static str = "cloud";
    type Config = CloudConfig;
    type Client = Cloud;

    async fn connect(_: &Cx, config: CloudConfig) -> Result<Cloud, ProviderError> {
        Cloud::from_environment(config.patience)
    }

    fn register(registry: &mut Registry<Cloud>) {
        registry.resource::<Network>();
        registry.resource::<Server>();
        registry.resource::<Record>();
        registry.data_source::<NetworkByName>();
    }
}

/// Arguments of the provider `guest`.
#[derive(Schema)]
pub struct GuestConfig {
    /// Id of the server.
    #[schema(identity)]
    pub server: String,
    /// Milliseconds after which a call without an answer is given up; without it, the time of the operation.
    pub patience: Option<i64>,
}

/// The inside of one server.
pub struct Guest {
    /// A client of the cloud.
    pub cloud: Cloud,
    /// Id of the server.
    pub server: String,
}

/// The provider `guest`: `guest_file`. Connecting needs the server to be there.
#[derive(Clone, Copy, Debug)]
pub struct GuestProvider;

#[async_trait]
impl Provider for GuestProvider {
    const NAME: &'static str = "guest";
    type Config = GuestConfig;
    type Client = Guest;

    async fn connect(cx: &Cx, config: GuestConfig) -> Result<Guest, ProviderError> {
        let cloud = Cloud::from_environment(config.patience)?;
        let enter = Operation::Enter {
            id: config.server.clone(),
        };
        cloud.call(cx, enter).await?;
        Ok(Guest {
            cloud,
            server: config.server,
        })
    }

    fn register(registry: &mut Registry<Guest>) {
        registry.resource::<File>();
    }
}

fn attributes<const N: usize>(members: [(&str, Json); N]) -> Attributes {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Reads many objects by one call; an error is everyone's.
async fn read_all<M>(
    cx: &Cx,
    cloud: &Cloud,
    which: Vec<Which>,
    model: fn(Object) -> M,
) -> Vec<Result<Option<M>, ProviderError>> {
    let asked = which.len();
    match cloud.read_many(cx, which).await {
        Ok(objects) => objects.into_iter().map(|object| Ok(object.map(model))).collect(),
        Err(error) => (0..asked)
            .map(|_| Err(ProviderError::new(error.kind, error.to_string())))
            .collect(),
    }
}

fn text(object: &Object, name: &str) -> String {
    let value = object.attributes.get(name).and_then(Json::as_str);
    value.unwrap_or_default().to_owned()
}

fn number(object: &Object, name: &str) -> i64 {
    let value = object.attributes.get(name).and_then(Json::as_i64);
    value.unwrap_or_default()
}
