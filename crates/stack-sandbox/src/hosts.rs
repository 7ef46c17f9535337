//! What hosts boot from and fetch packages through: the system image and the forward proxy on the bridge.
//!
//! The hosts themselves are run by the EC2 endpoint, which knows the instances behind which they stand.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;

use crate::command::{Command, exists};
use crate::network::{self, GATEWAY};
use crate::packages::{Packages, sources_option};
use crate::part::{Context, Part, PartStatus};
use crate::process::{self, Process, Service};
use crate::{digest, ec2};

/// Port of the forward proxy on the bridge.
const PROXY_PORT: u16 = 3128;

const PROXY: &str = "proxy";

/// The release that hosts run.
const RELEASE: &str = "bookworm";

/// tinyproxy-bin is the program alone, without a service that would start by itself.
const PACKAGES: &[&str] = &[
    "debian-archive-keyring",
    "mmdebstrap",
    "systemd-container",
    "tinyproxy-bin",
];

/// The part `hosts`.
#[derive(Debug)]
pub(crate) struct Hosts;

#[async_trait]
impl Part for Hosts {
    fn name(&self) -> &'static str {
        "hosts"
    }

    fn needs(&self) -> &'static [&'static str] {
        &["network"]
    }

    fn installs(&self, cx: &Context) -> Vec<String> {
        let mut lines = Vec::new();
        let missing = missing_packages();
        if !missing.is_empty() {
            lines.push(format!("install the Debian packages {}", missing.join(", ")));
        }
        if image(cx).is_none() {
            lines.push(format!(
                "make the image of the hosts in {} (300 MB)",
                cx.home.images().display()
            ));
        }
        if Process::find(&cx.home, PROXY).is_none() {
            lines.push(format!("start a proxy for packages on {GATEWAY}:{PROXY_PORT}"));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        network::able()?;
        overlays()?;
        cx.packages.ensure(&cx.progress, &missing_packages()).await?;
        if image(cx).is_none() {
            cx.progress
                .step("making the image of the hosts", make_image(cx))
                .await?;
        }
        image(cx).map_or(Ok(()), |image| remove_others(cx, &image))
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        let begun = Instant::now();
        if proxy_answers().await && Process::find(&cx.home, PROXY).is_some() {
            return Ok(());
        }
        let image = image(cx).context("the image of the hosts is gone")?;
        let configuration = write_configuration(cx, &image)?;
        let proxy = Service::new(PROXY, "tinyproxy")
            .args(["-d", "-c"])
            .arg(&configuration)
            .start(&cx.home)
            .await?;
        proxy
            .ready(Duration::from_secs(10), || async { Ok(proxy_answers().await) })
            .await?;
        cx.progress.done(
            format!("proxy for packages on {GATEWAY}:{PROXY_PORT}"),
            begun.elapsed(),
        );
        Ok(())
    }

    async fn down(&self, cx: &Context) -> anyhow::Result<()> {
        process::stop(&cx.home, PROXY, Duration::from_secs(2)).await?;
        remove(&cx.home.data(PROXY))
    }

    async fn status(&self, cx: &Context) -> PartStatus {
        if let Err(error) = network::able().and_then(|()| overlays()) {
            return PartStatus::unable(
                format!("{error:#}"),
                "run as root, on a machine or virtual machine of your own",
            );
        }
        let Some(image) = image(cx) else {
            return PartStatus::down("the image of the hosts is not made");
        };
        match (Process::find(&cx.home, PROXY), proxy_answers().await) {
            (Some(_), true) => PartStatus::up(format!(
                "image {}, proxy for packages on {GATEWAY}:{PROXY_PORT}",
                image.file_name().unwrap_or_default().to_string_lossy()
            )),
            (Some(process), false) => PartStatus::faulty(
                format!("the proxy (pid {}) does not answer", process.pid()),
                "stack-sandbox up hosts",
            ),
            (None, _) => PartStatus::down("the image is made; the proxy does not run"),
        }
    }
}

/// The image of the hosts, when the part is up.
pub(crate) fn image_in_use(cx: &Context) -> Option<PathBuf> {
    Process::find(&cx.home, PROXY).and_then(|_| image(cx))
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing = Packages::missing(PACKAGES);
    // The full package brings the same program.
    if exists("tinyproxy") {
        missing.retain(|package| *package != "tinyproxy-bin");
    }
    missing
}

fn overlays() -> anyhow::Result<()> {
    let kinds = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    // A module that is not loaded yet is not in the list.
    let module = Path::new("/lib/modules").exists();
    anyhow::ensure!(
        module || kinds.contains("\toverlay\n"),
        "the kernel has no overlay file system"
    );
    Ok(())
}

fn recipe(cx: &Context) -> PathBuf {
    cx.files("hosts").join("host-image.sh")
}

fn image(cx: &Context) -> Option<PathBuf> {
    let digest = digest::of_files(&[recipe(cx)]).ok()?;
    Some(cx.home.images().join(format!("host-{digest}"))).filter(|image| image.is_dir())
}

async fn make_image(cx: &Context) -> anyhow::Result<()> {
    let images = cx.home.images();
    fs::create_dir_all(&images)?;
    let image = images.join(format!("host-{}", digest::of_files(&[recipe(cx)])?));
    let mut command = Command::new(recipe(cx))
        .arg(&image)
        .arg(format!("http://{GATEWAY}:{PROXY_PORT}"));
    let sources = machine_sources().await;
    if !sources.is_empty() {
        let list = images.join("sources.list");
        fs::write(&list, sources)?;
        command = command.arg(list);
    }
    command.run().await
}

/// Removes images of earlier recipes, unless hosts may still run from one.
fn remove_others(cx: &Context, image: &Path) -> anyhow::Result<()> {
    if ec2::running(cx) {
        return Ok(());
    }
    for entry in fs::read_dir(cx.home.images())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("host-") && entry.path() != image {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The machine's own package sources for the release, where it runs the same one: its mirror answers.
async fn machine_sources() -> String {
    let command = Command::new("apt-get").args(sources_option()).args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]);
    sources_list(&command.output().await.unwrap_or_default())
}

fn sources_list(targets: &str) -> String {
    let lines: BTreeSet<String> = targets
        .lines()
        .filter_map(|line| {
            let [uri, release, component] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
            let ours = release == RELEASE
                || release
                    .strip_prefix(RELEASE)
                    .is_some_and(|rest| rest.starts_with('-'));
            // Through the proxy only plain HTTP is seen; packages carry signatures of their own.
            (ours && component == "main" && uri.starts_with("http://"))
                .then(|| format!("deb {uri} {release} {component}\n"))
        })
        .collect();
    // Without the release itself the list is of no use.
    if lines.iter().any(|line| line.contains(&format!(" {RELEASE} "))) {
        lines.into_iter().collect()
    } else {
        String::new()
    }
}

/// Writes the proxy's configuration, and the hosts it may reach: the image's package mirrors.
fn write_configuration(cx: &Context, image: &Path) -> anyhow::Result<PathBuf> {
    let folder = cx.home.data(PROXY);
    fs::create_dir_all(&folder)?;
    let list =
        fs::read_to_string(image.join("etc/apt/sources.list")).context("the image has no sources.list")?;
    let filter = folder.join("allowed");
    fs::write(
        &filter,
        mirrors(&list)
            .iter()
            .map(|host| format!("^{}$\n", host.replace('.', "\\.")))
            .collect::<String>(),
    )?;
    let template = fs::read_to_string(cx.files(PROXY).join("tinyproxy.conf"))?;
    let mut text = template
        .replace("@ADDRESS@", GATEWAY)
        .replace("@PORT@", &PROXY_PORT.to_string())
        .replace("@FILTER@", &filter.to_string_lossy());
    if let Some(upstream) = upstream() {
        let _ = writeln!(text, "Upstream http {upstream}");
    }
    let configuration = folder.join("tinyproxy.conf");
    fs::write(&configuration, text)?;
    Ok(configuration)
}

fn mirrors(sources: &str) -> BTreeSet<String> {
    sources
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("http://"))
        .filter_map(|rest| rest.split(['/', ':']).next())
        .map(str::to_owned)
        .collect()
}

/// The proxy that this machine's own apt goes through, as `host:port`.
fn upstream() -> Option<String> {
    let output = std::process::Command::new("apt-config")
        .args(["shell", "proxy", "Acquire::http::Proxy"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let address = text
        .trim()
        .strip_prefix("proxy='")?
        .strip_suffix('\'')?
        .strip_prefix("http://")?;
    Some(address.trim_end_matches('/').to_owned())
}

async fn proxy_answers() -> bool {
    let connect = tokio::net::TcpStream::connect((GATEWAY, PROXY_PORT));
    tokio::time::timeout(Duration::from_secs(1), connect)
        .await
        .is_ok_and(|result| result.is_ok())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_sources_are_taken_where_they_are_the_release() {
        let targets = "http://mirror.example/debian/ bookworm main\n\
            http://mirror.example/debian/ bookworm-updates main\n\
            http://mirror.example/debian/ bookworm main\n\
            http://mirror.example/debian/ bookworm contrib\n\
            https://other.example/apt cloud-sdk-bookworm main\n";
        assert_eq!(
            sources_list(targets),
            "deb http://mirror.example/debian/ bookworm main\ndeb http://mirror.example/debian/ bookworm-updates main\n"
        );
        assert_eq!(sources_list("http://mirror.example/ubuntu/ noble main\n"), "");
    }

    #[test]
    fn the_proxy_may_reach_the_mirrors_alone() {
        let sources =
            "deb http://mirror.example/debian bookworm main\ndeb http://two.example:8080/security x main\n";
        assert_eq!(
            mirrors(sources).into_iter().collect::<Vec<_>>(),
            ["mirror.example", "two.example"]
        );
    }
}
