//! Which cluster, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;

use stack_provider::{Cx, ErrorKind, ProviderError};

use crate::Kube;

/// A kubeconfig and a context in it, with the cluster that is expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The kubeconfig.
    pub config_path: PathBuf,
    /// The context; `None`: the file's current one.
    pub context: Option<String>,
    /// Identity that the cluster must have: the uid of its namespace `kube-system`.
    pub cluster_id: Option<String>,
    /// Variables of our environment that a program which gets credentials must not see: keys and values of variables.
    pub private_environment: Vec<String>,
}

/// Names of all variables that are addressed to `stack`.
fn private_environment() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("STACK_"))
        .collect()
}

impl Access {
    /// Access by the arguments of a provider. Without a path, `KUBECONFIG` names the file; a file is never guessed.
    ///
    /// # Errors
    /// Neither names a file, or `KUBECONFIG` names several.
    pub fn from_arguments(
        config_path: Option<String>,
        context: Option<String>,
        cluster_id: Option<String>,
    ) -> Result<Self, ProviderError> {
        let ambient = || std::env::var("KUBECONFIG").ok().filter(|p| !p.is_empty());
        let Some(path) = config_path.or_else(ambient) else {
            return Err(ProviderError::invalid(
                "config_path",
                "no kubeconfig is named; set config_path, or KUBECONFIG in the environment",
            ));
        };
        if path.contains(':') {
            return Err(ProviderError::invalid(
                "config_path",
                "KUBECONFIG names several files; set config_path to the one that is meant",
            ));
        }
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        let config_path = match path.strip_prefix("~/").zip(home()) {
            Some((rest, home)) => home.join(rest),
            None => PathBuf::from(path),
        };
        Ok(Self {
            config_path,
            context: context.filter(|c| !c.is_empty()),
            cluster_id: cluster_id.filter(|c| !c.is_empty()),
            private_environment: private_environment(),
        })
    }

    /// Key of the session in the pool.
    pub fn key(&self) -> String {
        format!(
            "kubernetes {} {} {}",
            self.config_path.display(),
            self.context.as_deref().unwrap_or_default(),
            self.cluster_id.as_deref().unwrap_or_default()
        )
    }

    /// The session of this access, made on first use. The cluster's identity is checked once, when one is expected.
    ///
    /// # Errors
    /// The kubeconfig cannot be used, the server cannot be reached, or it is another cluster than expected.
    pub async fn session(&self, cx: &Cx) -> Result<Arc<Kube>, ProviderError> {
        let connect = async {
            let kube = Kube::connect(self).await?;
            if let Some(expected) = &self.cluster_id {
                let found = kube.cluster_id().await?;
                if &found != expected {
                    return Err(ProviderError::new(
                        ErrorKind::Denied,
                        format!(
                            "this is another cluster: namespace kube-system has uid {found}, cluster_id wants {expected}"
                        ),
                    ));
                }
            }
            Ok(kube)
        };
        cx.bounded(cx.sessions().get(&self.key(), connect)).await?
    }
}
