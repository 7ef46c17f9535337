//! Releases of Helm charts, through the program `helm` (3.13 or newer, 4).

mod chart;
mod command;
mod definitions;
mod deploy;
mod program;
mod record;
mod recover;
mod release;
mod values;

use stack_core::Schema;
use stack_kube::Access;
use stack_provider::{Cx, Provider, ProviderError, Registry, async_trait};

/// The cluster, and the program.
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
    /// The program, a path or a name to be found on PATH; `helm` where left out.
    binary: Option<String>,
}

/// The provider `helm`.
pub struct Helm;

/// Reaches the cluster and starts the program on first use.
pub struct Client {
    pub(crate) access: Access,
    pub(crate) program: program::Program,
}

#[async_trait]
impl Provider for Helm {
    const NAME: &'static str = "helm";
    /// Every run of the program keeps a processor busy.
    const PARALLELISM: usize = 4;
    type Config = Config;
    type Client = Client;

    async fn connect(_: &Cx, config: Config) -> Result<Client, ProviderError> {
        let access = Access::from_arguments(config.config_path, config.config_context, config.cluster_id)?;
        let program = program::Program::new(config.binary)?;
        Ok(Client { access, program })
    }

    fn register(registry: &mut Registry<Client>) {
        registry.resource::<release::HelmRelease>();
    }
}

#[cfg(test)]
mod tests;
