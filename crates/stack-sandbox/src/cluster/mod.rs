//! The part `cluster`: a Kubernetes cluster of one node, from etcd to kubelet.

pub(crate) mod images;
pub(crate) mod kubectl;
pub(crate) mod layout;
pub(crate) mod links;
pub(crate) mod pki;
pub(crate) mod programs;

mod control_plane;
mod dns;
mod node;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;

use crate::command;
use crate::network;
use crate::packages::Packages;
use crate::part::{Context, Part, PartStatus};
use crate::process::Process;

use self::images::Image;
use self::kubectl::Kubectl;
use self::layout::{CLUSTER_SUBNET, NODE, NODE_VPC_ADDRESS, kubeconfig, pki};
use self::programs::{GoModule, link_program, remove_folder};

const PACKAGES: &[&str] = &[
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "ebtables",
    "etcd-server",
    "iproute2",
    "ipset",
    "iptables",
    "libc-bin",
    "openssl",
    "procps",
    "python3",
    "runc",
    "socat",
    "util-linux",
];

/// The programs of Kubernetes that the cluster runs.
const COMMANDS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
];

/// The release of Kubernetes, as `sandbox/cluster/tools/kubernetes/go.mod` names it.
const KUBERNETES: &str = "v1.36.3";

/// The parts, each after the parts it needs.
pub(crate) fn parts() -> Vec<Box<dyn Part>> {
    vec![Box::new(Cluster)]
}

/// The part `cluster`.
#[derive(Debug)]
struct Cluster;

/// The modules that the cluster's programs are built from.
struct Modules {
    kubernetes: GoModule,
    coredns: GoModule,
    images: GoModule,
}

impl Modules {
    fn new(cx: &Context) -> Self {
        let own = |name: &'static str, folder: PathBuf, packages: &[&str]| GoModule {
            name,
            folder,
            packages: packages.iter().map(|package| (*package).to_owned()).collect(),
            linker_flags: "-s -w".to_owned(),
            pure: true,
        };
        Self {
            kubernetes: GoModule {
                name: "kubernetes",
                folder: cx.files("cluster").join("tools/kubernetes"),
                packages: COMMANDS
                    .iter()
                    .map(|command| format!("k8s.io/kubernetes/cmd/{command}"))
                    .collect(),
                linker_flags: render_version_flags(KUBERNETES),
                pure: true,
            },
            coredns: own("coredns", cx.files("cluster").join("tools/coredns"), &["."]),
            images: own(
                "client",
                cx.files("images").join("tools"),
                &["./cmd/client", "./cmd/pause"],
            ),
        }
    }

    fn images(&self, cx: &Context) -> anyhow::Result<Vec<Image>> {
        let small = self.images.target(&cx.home)?;
        let image = |name, reference, programs| Image {
            name,
            reference,
            programs,
            envoy: None,
        };
        Ok(vec![
            image("pause", "sandbox.local/pause:1", small.clone()),
            image(
                "coredns",
                "sandbox.local/coredns:1",
                self.coredns.target(&cx.home)?,
            ),
            image("tools", "sandbox.local/tools:1", small.clone()),
            image("client", "sandbox.local/client:1", small),
        ])
    }
}

/// Linker flags by which Kubernetes' programs know their version.
fn render_version_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let values = [
        ("gitVersion", version),
        ("gitMajor", major),
        ("gitMinor", minor),
        ("gitTreeState", "clean"),
        ("gitCommit", "unknown"),
        ("buildDate", "2026-01-01T00:00:00Z"),
    ];
    let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
    let flags = packages
        .iter()
        .flat_map(|package| values.map(|(name, value)| format!("-X {package}.{name}={value}")));
    std::iter::once("-s -w".to_owned())
        .chain(flags)
        .collect::<Vec<_>>()
        .join(" ")
}

#[async_trait]
impl Part for Cluster {
    fn name(&self) -> &'static str {
        "cluster"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["network"]
    }

    fn installs(&self, cx: &Context) -> Vec<String> {
        let mut lines = Vec::new();
        let missing = Packages::missing(PACKAGES);
        if !missing.is_empty() {
            lines.push(format!("install the Debian packages {}", missing.join(", ")));
        }
        let modules = Modules::new(cx);
        if !modules.kubernetes.built(&cx.home) {
            lines.push(format!(
                "build Kubernetes {KUBERNETES} from its Go module (about 8 minutes on two cores)"
            ));
        }
        if !(modules.coredns.built(&cx.home) && modules.images.built(&cx.home)) {
            lines.push("build CoreDNS and the plain client from their Go modules".to_owned());
        }
        if Process::find(&cx.home, NODE).is_none() {
            lines.push(format!(
                "start Kubernetes on {}, with routes for {}, {} and {} that end on this machine",
                layout::api_url(),
                "10.77.0.0/24",
                layout::POD_NETWORK,
                layout::SERVICE_NETWORK,
            ));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        able()?;
        cx.packages.ensure(&cx.progress, PACKAGES).await?;
        let modules = Modules::new(cx);
        for module in [&modules.images, &modules.coredns, &modules.kubernetes] {
            module.build(cx, async |_| Ok(())).await?;
        }
        fs::create_dir_all(cx.home.bin())?;
        let programs = modules.kubernetes.target(&cx.home)?;
        link_program(&programs.join("kubectl"), &cx.home.bin().join("kubectl"))?;
        for image in modules.images(cx)? {
            image.build(cx).await?;
        }
        images::fill_store(cx).await.map(drop)
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        let programs = Modules::new(cx).kubernetes.target(&cx.home)?;
        let kubectl = Kubectl::new(&cx.home, &programs);
        if trouble(cx, &kubectl).await.is_none() {
            return Ok(());
        }
        stop(cx).await?;
        let begun = Instant::now();
        let store = images::fill_store(cx).await?;
        node::connect_machine().await?;
        node::connect_node().await?;
        fs::create_dir_all(cx.home.run())?;
        pki::write(&pki(&cx.home), &kubeconfig(&cx.home))?;
        images::copy_store(&store, &layout::node(&cx.home).join("containerd"))?;
        let node = node::start(&cx.home, &cx.files("cluster"), &programs).await?;
        control_plane::start(&cx.home, &programs, &kubectl).await?;
        cx.progress.done("the API server is ready", begun.elapsed());
        let manifests = cx.files("cluster").join("coredns.yaml");
        let manifests =
            fs::read_to_string(&manifests).with_context(|| format!("cannot read {}", manifests.display()))?;
        kubectl
            .apply(format!("{manifests}---\n{}\n", dns::render_config_map()))
            .await?;
        node.ready(Duration::from_secs(120), || kubectl.node_ready())
            .await?;
        cx.progress.done("the node is ready", begun.elapsed());
        kubectl
            .call(&[
                "rollout",
                "status",
                "deployment/coredns",
                "-n",
                "kube-system",
                "--timeout=120s",
            ])
            .run()
            .await
            .context("the cluster's DNS does not start")?;
        fs::write(complete(cx), "").context("cannot record that the cluster is complete")
    }

    async fn down(&self, cx: &Context) -> anyhow::Result<()> {
        images::stop_import(&cx.home).await?;
        stop(cx).await
    }

    async fn status(&self, cx: &Context) -> PartStatus {
        if let Err(error) = able() {
            return PartStatus::unable(
                error.to_string(),
                "run as root, on a machine or virtual machine of your own",
            );
        }
        let modules = Modules::new(cx);
        if !modules.kubernetes.built(&cx.home)
            && let Err(error) = programs::ensure_go()
        {
            return PartStatus::unable("Kubernetes is not built", error.to_string());
        }
        let Ok(programs) = modules.kubernetes.target(&cx.home) else {
            return PartStatus::unable(
                "the sources of its programs cannot be read",
                "set STACK_SANDBOX_FILES",
            );
        };
        let runs = Process::find(&cx.home, NODE).is_some() || control_plane::missing(&cx.home).len() < 4;
        match trouble(cx, &Kubectl::new(&cx.home, &programs)).await {
            None => PartStatus::up(format!(
                "Kubernetes {KUBERNETES} on {}, {NODE} is ready",
                layout::api_url()
            )),
            Some(trouble) if runs => {
                PartStatus::faulty(trouble, "run `stack-sandbox up cluster`: it starts anew")
            }
            Some(_) => PartStatus::down("no cluster"),
        }
    }

    fn addresses(&self, cx: &Context) -> Vec<(&'static str, String)> {
        vec![
            ("KUBECONFIG", kubeconfig(&cx.home).display().to_string()),
            ("KUBE_API", layout::api_url()),
            ("KUBE_CONTEXT", layout::CONTEXT.to_owned()),
            ("KUBECTL", cx.home.bin().join("kubectl").display().to_string()),
            ("NODE_VPC_ADDRESS", NODE_VPC_ADDRESS.to_owned()),
            ("CLUSTER_SUBNET", CLUSTER_SUBNET.to_owned()),
        ]
    }
}

/// # Errors
/// Where the machine cannot run a node.
fn able() -> anyhow::Result<()> {
    network::able()?;
    anyhow::ensure!(
        node::has_cgroups(),
        "the machine has no cgroups of version 1, which the node is made of (boot with `systemd.unified_cgroup_hierarchy=0`)"
    );
    Ok(())
}

/// Marks a cluster whose start was not cut off.
fn complete(cx: &Context) -> PathBuf {
    cx.home.run().join("cluster.complete")
}

/// Why the cluster does not run, if it does not.
async fn trouble(cx: &Context, kubectl: &Kubectl) -> Option<String> {
    let missing = control_plane::missing(&cx.home);
    if !missing.is_empty() {
        return Some(format!("{} does not run", missing.join(", ")));
    }
    if Process::find(&cx.home, NODE).is_none() {
        return Some(format!("{NODE} does not run"));
    }
    if !links::interface_exists(layout::NODE_VPC_LINK) || !links::interface_exists(layout::NODE_LINK) {
        return Some(format!("{NODE} is cut off from its networks"));
    }
    if !complete(cx).is_file() {
        return Some("its start was interrupted".to_owned());
    }
    match kubectl.node_ready().await {
        Ok(true) => None,
        Ok(false) => Some(format!("{NODE} is not ready")),
        Err(error) => Some(format!(
            "the API server does not answer: {}",
            command::tail(&format!("{error:#}"))
        )),
    }
}

/// Ends everything and removes all traces.
async fn stop(cx: &Context) -> anyhow::Result<()> {
    remove_file(complete(cx))?;
    let results = [
        node::stop(&cx.home).await,
        control_plane::stop(&cx.home).await,
        if command::exists("ip") {
            node::disconnect().await
        } else {
            Ok(())
        },
        remove_folder(&cx.home.data("cluster")),
        remove_file(kubeconfig(&cx.home)),
    ];
    results.into_iter().collect()
}

fn remove_file(path: PathBuf) -> anyhow::Result<()> {
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_know_their_version() {
        let flags = render_version_flags("v1.36.3");
        assert!(flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 "));
        assert!(flags.contains("client-go/pkg/version.gitMinor=36"));
    }

    #[test]
    fn the_version_is_the_one_that_is_built() {
        let module = include_str!("../../../../sandbox/cluster/tools/kubernetes/go.mod");
        assert!(module.contains(&format!("k8s.io/kubernetes {KUBERNETES} ")));
    }
}
