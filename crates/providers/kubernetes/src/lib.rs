//! Objects of a Kubernetes cluster: whole ones by server-side apply, single fields of objects that belong to others, and
//! waiting for what others bring into being.

mod data;
mod former;
mod json;
mod lists;
mod manifest;
mod object;
mod patch;
mod ready;
mod refresh;
mod wait;

use stack_core::Schema;
use stack_kube::Access;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};

/// How a cluster is reached, and which one it must be.
#[derive(Clone, Schema)]
pub struct Config {
    /// Path of the kubeconfig. Without it, the environment variable `KUBECONFIG` names the file; no file is guessed.
    config_path: Option<String>,
    /// Context in the kubeconfig; the file's current one where left out.
    config_context: Option<String>,
    /// Identity that the cluster must have: the uid of its namespace `kube-system`. Nothing is read from or changed in
    /// any other cluster.
    #[schema(identity)]
    cluster_id: Option<String>,
}

/// The provider `kubernetes`.
pub struct Kubernetes;

/// Reaches the cluster on first use.
pub struct Client {
    pub(crate) access: Access,
}

#[async_trait]
impl Provider for Kubernetes {
    const NAME: &'static str = "kubernetes";
    const PARALLELISM: usize = 16;
    type Config = Config;
    type Client = Client;

    async fn connect(_: &Cx, config: Config) -> Result<Client, ProviderError> {
        let access = Access::from_arguments(config.config_path, config.config_context, config.cluster_id)?;
        Ok(Client { access })
    }

    fn register(registry: &mut Registry<Client>) {
        registry
            .resource::<manifest::KubernetesManifest>()
            .resource::<patch::KubernetesPatch>()
            .resource::<wait::KubernetesWait>()
            .data_source::<data::KubernetesResource>();
    }
}

#[cfg(test)]
mod tests;
