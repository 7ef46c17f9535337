//! Probes: what answers at an address, as seen from here, from a host, or from inside a pod. For `check` blocks.
//!
//! TLS and AMQP are spoken by this process, whatever the way to the address is: a TCP connection of our own, a tunnel
//! through an SSH session, or a relay in a container. A target that does not answer is a result, not an error.

mod amqp;
mod arguments;
mod attempt;
mod envoy;
mod http_probe;
mod origin;
mod sources;
mod tls;

use stack_core::Schema;
use stack_kube::Access;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};
use stack_ssh::Connection;

/// The cluster whose pods are probed from.
#[derive(Clone, Schema)]
pub struct Kubernetes {
    /// Path of the kubeconfig. Without it, the environment variable `KUBECONFIG` names the file.
    config_path: Option<String>,
    /// Context in the kubeconfig; the file's current one where left out.
    config_context: Option<String>,
    /// Identity that the cluster must have: the uid of its namespace `kube-system`.
    cluster_id: Option<String>,
}

/// Where probes can start from, beside this machine.
#[derive(Clone, Schema)]
pub struct Config {
    /// The cluster whose pods are probed from.
    #[schema(block)]
    kubernetes: Option<Kubernetes>,
    /// The host that is probed from, over SSH.
    #[schema(block)]
    ssh: Option<Connection>,
}

/// The provider `probe`.
pub struct Probe;

/// Reaches the cluster and the host on first use.
pub struct Client {
    pub(crate) access: Option<Access>,
    pub(crate) ssh: Option<Connection>,
}

#[async_trait]
impl Provider for Probe {
    const NAME: &'static str = "probe";
    type Config = Config;
    type Client = Client;

    async fn connect(_: &Cx, config: Config) -> Result<Client, ProviderError> {
        let access = config
            .kubernetes
            .map(|k| Access::from_arguments(k.config_path, k.config_context, k.cluster_id))
            .transpose()?;
        Ok(Client {
            access,
            ssh: config.ssh,
        })
    }

    fn register(registry: &mut Registry<Client>) {
        registry
            .data_source::<sources::ProbeTcp>()
            .data_source::<sources::ProbeTls>()
            .data_source::<sources::ProbeAmqp>()
            .data_source::<sources::ProbeHttp>()
            .data_source::<envoy::ProbeEnvoy>();
    }
}

#[cfg(test)]
mod tests;
