//! Provider `host`: files, packages, services and commands on a machine reached over SSH.
//!
//! Nothing is installed on the machine: scripts for POSIX sh travel on standard input and run as root. All reads of one
//! moment become one script ([`probe`]); scripts that change something take a lock on the machine, so that neither two
//! operations nor two operators are at it at once, and leave a stamp with the create token where recovery needs it.

mod client;
mod command;
mod directory;
mod facts;
mod file;
mod package;
mod probe;
mod ready;
mod service;
mod words;

use stack_core::{Schema, Secret};
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};
use stack_ssh::Connection;

pub use client::HostClient;
pub use command::HostCommand;
pub use directory::HostDirectory;
pub use facts::HostFacts;
pub use file::HostFile;
pub use package::HostPackage;
pub use ready::HostReady;
pub use service::HostService;

/// One machine, reached over SSH.
pub struct Host;

/// Arguments of the provider.
#[derive(Clone, Debug, Schema)]
pub struct HostConfig {
    /// What machine this is, where its address may change: the id of its cloud instance. When it changes, everything on
    /// the machine is forgotten and made anew. Without it, a changed address is the same machine at another place.
    #[schema(identity)]
    pub instance: Option<String>,
    /// Address or name of the machine.
    pub address: String,
    /// Port of its SSH server.
    #[schema(default = 22)]
    pub port: u16,
    /// User to log in as. Anyone but root needs `sudo` without a password.
    pub user: String,
    /// Private key of the user: ed25519, ECDSA or RSA, in OpenSSH or PEM form, without a passphrase.
    pub private_key: Secret<String>,
    /// Public keys the machine may show, in OpenSSH form, at least one. A machine that shows another key is refused.
    pub host_keys: Vec<String>,
    /// Seconds a connection and its handshake may take.
    #[schema(default = 10)]
    pub connect_timeout: u32,
}

impl HostConfig {
    fn connection(self) -> Connection {
        Connection {
            address: self.address,
            port: self.port,
            user: self.user,
            private_key: self.private_key,
            host_keys: self.host_keys,
            connect_timeout: self.connect_timeout,
        }
    }
}

#[async_trait]
impl Provider for Host {
    const NAME: &'static str = "host";
    type Config = HostConfig;
    type Client = HostClient;

    async fn connect(_: &Cx, config: HostConfig) -> Result<HostClient, ProviderError> {
        HostClient::new(config.connection())
    }

    fn register(registry: &mut Registry<HostClient>) {
        registry
            .resource::<HostReady>()
            .resource::<HostPackage>()
            .resource::<HostFile>()
            .resource::<HostDirectory>()
            .resource::<HostService>()
            .resource::<HostCommand>()
            .data_source::<HostFacts>();
    }
}
