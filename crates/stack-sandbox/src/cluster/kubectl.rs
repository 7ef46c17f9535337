//! kubectl, with the administrator's kubeconfig.

use std::path::PathBuf;

use crate::command::Command;
use crate::home::Home;

use super::layout::{NODE, kubeconfig};

/// Runs kubectl against the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// With the program in `programs`.
    pub(crate) fn new(home: &Home, programs: &std::path::Path) -> Self {
        Self {
            program: programs.join("kubectl"),
            kubeconfig: kubeconfig(home),
            cache: home.data("cluster").join("kubectl"),
        }
    }

    /// A call with these arguments.
    pub(crate) fn call(&self, arguments: &[&str]) -> Command {
        Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(&self.cache)
            .args(arguments)
    }

    /// Whether the API server says that it is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<bool> {
        let answer = self
            .call(&["get", "--raw", "/readyz", "--request-timeout=5s"])
            .output()
            .await?;
        Ok(answer.trim() == "ok")
    }

    /// Whether the node says that it is ready.
    pub(crate) async fn node_ready(&self) -> anyhow::Result<bool> {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        let status = self
            .call(&["get", "node", NODE, "-o", path, "--request-timeout=5s"])
            .output()
            .await?;
        Ok(status.trim() == "True")
    }

    /// Applies manifests, as JSON or YAML.
    pub(crate) async fn apply(&self, manifests: String) -> anyhow::Result<()> {
        self.call(&[
            "apply",
            "--server-side",
            "--field-manager=stack-sandbox",
            "-f",
            "-",
        ])
        .input(manifests)
        .run()
        .await
    }
}
