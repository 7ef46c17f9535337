//! Namespaces, bridges, links and routes, made and removed idempotently.

use std::path::Path;

use crate::command::Command;

/// Runs `ip` commands, one a line, and stops at the first that fails.
pub(crate) async fn ip(lines: &str) -> anyhow::Result<()> {
    Command::new("ip")
        .args(["-batch", "-"])
        .input(lines.to_owned())
        .run()
        .await
}

/// Whether the machine has this interface.
pub(crate) fn interface_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Whether there is a network namespace of this name.
pub(crate) fn netns_exists(name: &str) -> bool {
    Path::new("/run/netns").join(name).exists()
}

/// Removes an interface of the machine, and with one end of a link the other.
pub(crate) async fn remove_interface(name: &str) -> anyhow::Result<()> {
    if interface_exists(name) {
        Command::new("ip").args(["link", "delete", name]).run().await?;
    }
    Ok(())
}

/// Removes a network namespace.
pub(crate) async fn remove_netns(name: &str) -> anyhow::Result<()> {
    if netns_exists(name) {
        Command::new("ip").args(["netns", "delete", name]).run().await?;
    }
    Ok(())
}

/// Removes the route that keeps a network from leaving the machine.
pub(crate) async fn remove_blackhole(network: &str) -> anyhow::Result<()> {
    let shown = Command::new("ip")
        .args(["-4", "route", "show", "type", "blackhole", "exact", network])
        .output()
        .await?;
    if !shown.trim().is_empty() {
        Command::new("ip")
            .args(["-4", "route", "delete", "blackhole", network])
            .run()
            .await?;
    }
    Ok(())
}

/// One end of a link in a network namespace, its other end on a bridge of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    /// The namespace; it exists.
    pub(crate) netns: &'a str,
    /// The bridge; it exists.
    pub(crate) bridge: &'a str,
    /// Name of the machine's end.
    pub(crate) outside: &'a str,
    /// Name of the namespace's end.
    pub(crate) inside: &'a str,
    /// The namespace's address with its prefix length.
    pub(crate) address: &'a str,
    /// Its hardware address, where neighbours must not see it change.
    pub(crate) mac: Option<&'a str>,
}

impl Link<'_> {
    /// Makes the link and brings both ends up.
    pub(crate) async fn add(&self) -> anyhow::Result<()> {
        let Self { netns, .. } = *self;
        ip(&self.render_outside()).await?;
        Command::new("ip")
            .args(["-n", netns, "-batch", "-"])
            .input(self.render_inside())
            .run()
            .await
    }

    fn render_outside(&self) -> String {
        let Self {
            netns,
            bridge,
            outside,
            inside,
            mac,
            address: _,
        } = *self;
        let mac = mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
        format!(
            "link add {outside} type veth peer name {inside}{mac} netns {netns}\nlink set {outside} master {bridge} up\n"
        )
    }

    fn render_inside(&self) -> String {
        let Self { inside, address, .. } = *self;
        format!("link set lo up\naddress add {address} dev {inside}\nlink set {inside} up\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_joins_namespace_and_bridge() {
        let link = Link {
            netns: "n",
            bridge: "b",
            outside: "out",
            inside: "eth0",
            address: "10.0.0.2/24",
            mac: Some("02:00:00:00:00:01"),
        };
        let expected = "link add out type veth peer name eth0 address 02:00:00:00:00:01 netns n\nlink set out master b up\n";
        assert_eq!(link.render_outside(), expected);
        assert_eq!(
            link.render_inside(),
            "link set lo up\naddress add 10.0.0.2/24 dev eth0\nlink set eth0 up\n"
        );
    }

    #[tokio::test]
    async fn what_is_not_there_is_removed_without_an_error() {
        remove_interface("stacknosuch").await.unwrap();
        remove_netns("stack-no-such").await.unwrap();
    }
}
