//! Provider `rabbitmq`: users, permissions, virtual hosts and policies of a broker, through its management API.
//!
//! The API is reached directly or through the SSH session of the broker's machine, so that the console port need not be
//! open. See <https://www.rabbitmq.com/docs/management> ("HTTP API").

mod client;
mod names;
mod password;
mod permissions;
mod policy;
mod transport;
mod user;
mod vhost;

use stack_core::{Schema, Secret, Value};
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};
use stack_ssh::Connection;

pub use client::BrokerClient;
pub use permissions::{Permissions, RabbitmqPermissions};
pub use policy::{Policy, RabbitmqPolicy};
pub use user::{RabbitmqUser, User};
pub use vhost::{RabbitmqVhost, Vhost};

/// One broker, reached through its management API.
pub struct Rabbitmq;

/// Arguments of the provider.
#[derive(Clone, Debug, Schema)]
pub struct RabbitmqConfig {
    /// What broker this is, where its address may change: the id of its cloud instance. When it changes, everything in
    /// the broker is forgotten and made anew. Without it, a changed endpoint is the same broker at another place.
    #[schema(identity)]
    pub instance: Option<String>,
    /// URL of the management API. With an `ssh` block it is the URL as the machine sees it.
    #[schema(default = "http://127.0.0.1:15672")]
    pub endpoint: String,
    /// User of the broker with the tag `administrator`.
    pub username: String,
    /// The user's password.
    pub password: Secret<String>,
    /// Certificates in PEM form that sign the API's certificate; required with `https`.
    pub ca_certificate: Option<String>,
    /// Reaches the API through an SSH session to this machine, which is shared with the `host` provider.
    #[schema(block)]
    pub ssh: Option<Connection>,
}

#[async_trait]
impl Provider for Rabbitmq {
    const NAME: &'static str = "rabbitmq";
    type Config = RabbitmqConfig;
    type Client = BrokerClient;

    async fn connect(_: &Cx, config: RabbitmqConfig) -> Result<BrokerClient, ProviderError> {
        BrokerClient::new(config)
    }

    fn register(registry: &mut Registry<BrokerClient>) {
        registry
            .resource::<RabbitmqUser>()
            .resource::<RabbitmqPermissions>()
            .resource::<RabbitmqVhost>()
            .resource::<RabbitmqPolicy>()
            .function("password_hash", password_hash);
    }
}

/// `provider::rabbitmq::password_hash(password, salt)`: the hash a definitions file takes as `password_hash` with
/// `hashing_algorithm` `rabbit_password_hashing_sha256`.
fn password_hash(arguments: &[Value]) -> Result<Value, String> {
    let [password, salt] = arguments else {
        return Err(format!(
            "password_hash takes a password and a salt, not {} arguments",
            arguments.len()
        ));
    };
    let (Some(password), Some(salt)) = (password.as_str(), salt.as_str()) else {
        return Err("password_hash takes two strings: a password and a salt".to_owned());
    };
    let salt = password::salt(salt)?;
    Ok(Value::from(password::hash(password, salt)))
}
