//! The bridge that hosts and nodes share, with the operator's machine on it as 172.31.0.1.
//!
//! It stands for the VPC 172.31.0.0/16: nothing on it is routed out of the machine, since forwarding from it is
//! off and what is on it has no default route.

use std::time::Instant;

use anyhow::Context as _;
use async_trait::async_trait;
use serde::Deserialize;

use crate::command::{Command, exists};
use crate::packages::Packages;
use crate::part::{Context, Part, PartStatus};

/// Name of the bridge.
pub(crate) const BRIDGE: &str = "stackbr0";

/// The operator's address on the bridge.
pub(crate) const GATEWAY: &str = "172.31.0.1";

const PREFIX_LENGTH: u8 = 16;

/// Fixed, since a bridge otherwise changes its address with its members, and neighbours remember the old one.
const MAC: &str = "02:ac:1f:00:00:01";

const PACKAGES: &[&str] = &["iproute2", "iptables", "util-linux"];

/// `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` (capabilities(7)).
const CAPABILITIES: u64 = 1 << 12 | 1 << 21;

/// The part `network`.
#[derive(Debug)]
pub(crate) struct Network;

#[async_trait]
impl Part for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn installs(&self, _cx: &Context) -> Vec<String> {
        let mut lines = Vec::new();
        let missing = Packages::missing(PACKAGES);
        if !missing.is_empty() {
            lines.push(format!("install the Debian packages {}", missing.join(", ")));
        }
        if !bridge_exists() {
            lines.push(format!("add the bridge {BRIDGE} with {GATEWAY}/{PREFIX_LENGTH}"));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        able()?;
        cx.packages.ensure(&cx.progress, PACKAGES).await
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        let begun = Instant::now();
        if let Some(other) = occupied().await? {
            anyhow::bail!(
                "the addresses {GATEWAY}/{PREFIX_LENGTH} are in use on this machine (route `{other}`): remove that \
                 route, or use a machine that has none into 172.31.0.0/16"
            );
        }
        if !bridge_exists() {
            ip(&["link", "add", BRIDGE, "address", MAC, "type", "bridge"]).await?;
            // Settings of the interface go with it, unlike rules of a firewall.
            set("ipv6", "disable_ipv6", "1")?;
            set("ipv4", "forwarding", "0")?;
        }
        ip(&[
            "address",
            "replace",
            &format!("{GATEWAY}/{PREFIX_LENGTH}"),
            "dev",
            BRIDGE,
        ])
        .await?;
        ip(&["link", "set", BRIDGE, "up"]).await?;
        cx.progress
            .done(format!("bridge {BRIDGE} with {GATEWAY}"), begun.elapsed());
        Ok(())
    }

    async fn down(&self, _cx: &Context) -> anyhow::Result<()> {
        if bridge_exists() {
            ip(&["link", "delete", BRIDGE]).await?;
        }
        Ok(())
    }

    async fn status(&self, _cx: &Context) -> PartStatus {
        if let Err(error) = able() {
            return PartStatus::unable(
                error.to_string(),
                "run as root, on a machine or virtual machine of your own",
            );
        }
        match occupied().await {
            Ok(Some(other)) => PartStatus::unable(
                format!("172.31.0.0/16 is in use on this machine: route `{other}`"),
                "remove the route, or use a machine that has none into 172.31.0.0/16",
            ),
            Err(error) => PartStatus::unable(format!("{error:#}"), "install iproute2"),
            Ok(None) if bridge_exists() => {
                PartStatus::up(format!("bridge {BRIDGE}, {GATEWAY}/{PREFIX_LENGTH}"))
            }
            Ok(None) => PartStatus::down(format!("no bridge {BRIDGE}")),
        }
    }
}

/// Whether the bridge is there.
pub(crate) fn bridge_exists() -> bool {
    // Unlike /sys/class/net this is always of the network namespace that the process is in.
    let links = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    links
        .lines()
        .any(|line| line.trim_start().starts_with(&format!("{BRIDGE}:")))
}

/// Whether this process may make network namespaces, bridges and mounts.
///
/// # Errors
/// Where it may not; the text says what is missing.
pub(crate) fn able() -> anyhow::Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "needs root, for network namespaces and mounts"
    );
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    anyhow::ensure!(
        effective & CAPABILITIES == CAPABILITIES,
        "needs the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN, which this root does not have (a container?)"
    );
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Route {
    dst: String,
    #[serde(default)]
    dev: String,
}

/// A route of the machine into the sandbox's network that is not the sandbox's.
async fn occupied() -> anyhow::Result<Option<String>> {
    if !exists("ip") {
        return Ok(None);
    }
    let text = Command::new("ip")
        .args(["-json", "-4", "route", "show", "table", "main"])
        .output()
        .await?;
    let routes: Vec<Route> = serde_json::from_str(&text).context("cannot read the machine's routes")?;
    Ok(foreign(&routes).map(|route| format!("{} dev {}", route.dst, route.dev)))
}

fn foreign(routes: &[Route]) -> Option<&Route> {
    routes
        .iter()
        .find(|route| route.dev != BRIDGE && route.dst.starts_with("172.31."))
}

async fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    Command::new("ip").args(arguments).run().await
}

fn set(family: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let path = format!("/proc/sys/net/{family}/conf/{BRIDGE}/{key}");
    match std::fs::write(&path, value) {
        // A machine without IPv6 has no such setting.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("cannot write {path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_the_machine_into_the_network_is_found() {
        let text = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
            {"dst":"172.31.0.0/16","dev":"stackbr0"},{"dst":"172.31.16.0/20","dev":"ens5"}]"#;
        let routes: Vec<Route> = serde_json::from_str(text).unwrap();
        assert_eq!(foreign(&routes).unwrap().dev, "ens5");
        assert!(foreign(&routes[..2]).is_none());
    }
}
