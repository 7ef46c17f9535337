//! The node: containerd, kubelet and kube-proxy in namespaces of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

use crate::command::Command;
use crate::home::Home;
use crate::network;
use crate::process::{self, Process, Service};

use super::layout::{
    API_ADDRESS, BRIDGE, DNS_SERVICE, DOMAIN, NODE, NODE_ADDRESS, NODE_LINK, NODE_NETNS, NODE_PODS,
    NODE_PREFIX, NODE_VPC_ADDRESS, NODE_VPC_LINK, NODE_VPC_MAC, POD_NETWORK, SERVICE_NETWORK, VPC_PREFIX,
    api_url, node, pki,
};
use super::links::{Link, ip, remove_blackhole, remove_interface, remove_netns};

/// Folders of the machine that the node mounts its own over.
const MOUNT_POINTS: [&str; 2] = ["/var/lib/kubelet", "/var/lib/cni"];

/// The controllers of cgroups, version 1, that the node has a group of its own in.
const CONTROLLERS: [&str; 9] = [
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd",
];

/// Routes and the bridge, before anything runs: without them the API server's calls to services would leave the
/// machine by its default route.
pub(crate) async fn connect_machine() -> anyhow::Result<()> {
    let bridge = format!(
        "route replace blackhole {SERVICE_NETWORK} metric 9999\nroute replace blackhole {POD_NETWORK} metric 9999\n\
         link add {BRIDGE} type bridge\naddress add {API_ADDRESS}/{NODE_PREFIX} dev {BRIDGE}\nlink set {BRIDGE} up\n"
    );
    ip(&bridge).await?;
    let setting = format!("/proc/sys/net/ipv4/conf/{BRIDGE}/forwarding");
    fs::write(&setting, "0").with_context(|| format!("cannot write {setting}"))
}

/// The node's namespace with its two links, and the machine's routes to it.
pub(crate) async fn connect_node() -> anyhow::Result<()> {
    ip(&format!("netns add {NODE_NETNS}\n")).await?;
    let inner = format!("{NODE_ADDRESS}/{NODE_PREFIX}");
    let vpc = format!("{NODE_VPC_ADDRESS}/{VPC_PREFIX}");
    let plain = Link {
        netns: NODE_NETNS,
        bridge: BRIDGE,
        outside: NODE_LINK,
        inside: "eth0",
        address: &inner,
        mac: None,
    };
    plain.add().await?;
    let vpc = Link {
        bridge: network::BRIDGE,
        outside: NODE_VPC_LINK,
        inside: "vpc0",
        address: &vpc,
        mac: Some(NODE_VPC_MAC),
        ..plain
    };
    vpc.add().await?;
    // A service address that no rule rewrites stays on the bridge.
    let service = ["-n", NODE_NETNS, "route", "add", SERVICE_NETWORK, "dev", "eth0"];
    Command::new("ip").args(service).run().await?;
    ip(&format!(
        "route replace {NODE_PODS} via {NODE_ADDRESS}\nroute replace {SERVICE_NETWORK} via {NODE_ADDRESS}\n"
    ))
    .await?;
    // What pods send into the VPC comes from the node's address, which security groups know.
    Command::new("ip")
        .args([
            "netns",
            "exec",
            NODE_NETNS,
            "iptables",
            "-w",
            "-t",
            "nat",
            "-A",
            "POSTROUTING",
        ])
        .args(["-s", POD_NETWORK, "-o", "vpc0", "-j", "MASQUERADE"])
        .run()
        .await
}

/// Removes what [`connect_machine`] and [`connect_node`] made.
pub(crate) async fn disconnect() -> anyhow::Result<()> {
    remove_interface(NODE_LINK).await?;
    remove_interface(NODE_VPC_LINK).await?;
    remove_netns(NODE_NETNS).await?;
    remove_interface(BRIDGE).await?;
    for network in [SERVICE_NETWORK, POD_NETWORK] {
        remove_blackhole(network).await?;
    }
    Ok(())
}

/// Writes the node's configuration and starts it, with the images of `store`.
pub(crate) async fn start(home: &Home, files: &Path, programs: &Path) -> anyhow::Result<Process> {
    let folder = node(home);
    let keys = pki(home);
    fs::create_dir_all(folder.join("cni"))?;
    write_json(&folder.join("cni/10-sandbox.conflist"), &cni())?;
    fs::write(folder.join("containerd.toml"), render_containerd(&folder))?;
    write_json(&folder.join("kubelet.yaml"), &kubelet(&keys))?;
    write_json(&folder.join("kube-proxy.yaml"), &kube_proxy(&keys))?;
    for (from, to) in [("ca.crt", "ca.crt"), ("kubelet.conf", "kubelet.conf")] {
        fs::copy(keys.join(from), folder.join(to)).with_context(|| format!("cannot copy {from}"))?;
    }
    make_mount_points(home)?;
    make_cgroups(home)?;
    Service::new(NODE, "bash")
        .arg(files.join("node.sh"))
        .arg(NODE_NETNS)
        .arg(cgroup_record(home))
        .arg(files.join("node-init.sh"))
        .env("NODE", NODE)
        .env("ADDRESS", NODE_ADDRESS)
        .env("API", api_url())
        .env("DIR", &folder)
        .env("PROGRAMS", programs)
        .env("LOGS", home.logs())
        .start(home)
        .await
}

/// Ends the node with all that runs in it, at once, and removes its groups and mount points.
pub(crate) async fn stop(home: &Home) -> anyhow::Result<()> {
    process::stop(home, NODE, Duration::ZERO).await?;
    remove_cgroups(home).await?;
    remove_mount_points(home)
}

/// A command inside the running node.
pub(crate) fn inside(home: &Home) -> anyhow::Result<Command> {
    let process = Process::find(home, NODE).context("the node does not run")?;
    let path = format!("/proc/{0}/task/{0}/children", process.pid());
    let children = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let first = children
        .split_ascii_whitespace()
        .next()
        .context("the node has not started yet")?;
    Ok(Command::new("nsenter").args(["--target", first, "--mount", "--pid", "--net", "--"]))
}

/// Whether the machine's cgroups are of version 1, which the node's own tree is made of.
pub(crate) fn has_cgroups() -> bool {
    CONTROLLERS
        .iter()
        .all(|controller| cgroup_mount(controller).is_dir())
}

fn cgroup_mount(controller: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(controller)
}

fn cgroup_record(home: &Home) -> PathBuf {
    home.run().join(format!("{NODE}.cgroups"))
}

/// The path of a controller's group in `/proc/PID/cgroup` (cgroups(7)).
fn parse_cgroup<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name.trim_start_matches("name=") == controller)
            .then_some(path)
    })
}

fn make_cgroups(home: &Home) -> anyhow::Result<()> {
    let own = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let mut groups = Vec::new();
    for controller in CONTROLLERS {
        let path =
            parse_cgroup(&own, controller).with_context(|| format!("no cgroup controller {controller}"))?;
        groups.push(
            cgroup_mount(controller)
                .join(path.trim_start_matches('/'))
                .join(NODE_NETNS),
        );
    }
    // The record comes first: what is in it is removed even if this process ends here.
    let record: String = groups
        .iter()
        .map(|group| format!("{}\n", group.display()))
        .collect();
    fs::write(cgroup_record(home), record)?;
    for group in &groups {
        fs::create_dir_all(group).with_context(|| format!("cannot make the cgroup {}", group.display()))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            // A new group of the controller cpuset has neither, and takes no process before it has.
            let value = group.parent().and_then(|parent| fs::read(parent.join(file)).ok());
            if let Some(value) = value {
                fs::write(group.join(file), value)
                    .with_context(|| format!("cannot write {file} of the cgroup"))?;
            }
        }
    }
    Ok(())
}

async fn remove_cgroups(home: &Home) -> anyhow::Result<()> {
    let Ok(record) = fs::read_to_string(cgroup_record(home)) else {
        return Ok(());
    };
    let begun = Instant::now();
    for group in record.lines() {
        // The last processes of a group leave it a moment after they have ended.
        while let Err(error) = remove_tree_of_groups(Path::new(group)) {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(error).with_context(|| format!("cannot remove the cgroup {group}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    fs::remove_file(cgroup_record(home)).context("cannot remove the record of cgroups")
}

fn remove_tree_of_groups(group: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree_of_groups(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

fn mount_record(home: &Home) -> PathBuf {
    home.run().join(format!("{NODE}.mount-points"))
}

fn make_mount_points(home: &Home) -> anyhow::Result<()> {
    let made: Vec<&str> = MOUNT_POINTS
        .into_iter()
        .filter(|point| !Path::new(point).exists())
        .collect();
    fs::write(mount_record(home), made.join("\n"))?;
    for point in made {
        fs::create_dir_all(point).with_context(|| format!("cannot make {point}"))?;
    }
    Ok(())
}

fn remove_mount_points(home: &Home) -> anyhow::Result<()> {
    let Ok(record) = fs::read_to_string(mount_record(home)) else {
        return Ok(());
    };
    for point in record.lines() {
        // One that is not empty is somebody else's by now.
        let _ = fs::remove_dir(point);
    }
    fs::remove_file(mount_record(home)).context("cannot remove the record of mount points")
}

fn write_json(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    fs::write(path, format!("{value:#}\n")).with_context(|| format!("cannot write {}", path.display()))
}

/// The network of pods: a bridge in the node. There is no route out of the machine to masquerade for.
fn cni() -> serde_json::Value {
    json!({"cniVersion": "0.4.0", "name": "sandbox", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "hairpinMode": true,
         "ipMasq": false, "mtu": 1500,
         "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": NODE_PODS}]]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
}

fn render_containerd(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "sandbox.local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#
    )
}

fn kubelet(keys: &Path) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true},
                           "x509": {"clientCAFile": keys.join("ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": keys.join("kubelet-server.crt"),
        "tlsPrivateKeyFile": keys.join("kubelet-server.key"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "clusterDomain": DOMAIN,
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": "",
        "registerNode": true,
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        // The machine's disk is not the sandbox's to judge.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "healthzBindAddress": "127.0.0.1",
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
    })
}

fn kube_proxy(keys: &Path) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": keys.join("kube-proxy.conf")},
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controllers_path_is_found_with_and_without_a_name() {
        let text = "9:name=systemd:/a\n4:memory:/process/1e16\n2:cpu,cpuacct:/b\n0::/\n";
        assert_eq!(parse_cgroup(text, "systemd"), Some("/a"));
        assert_eq!(parse_cgroup(text, "memory"), Some("/process/1e16"));
        assert_eq!(parse_cgroup(text, "cpuacct"), Some("/b"));
        assert_eq!(parse_cgroup(text, "pids"), None);
    }

    #[test]
    fn a_tree_of_groups_is_removed_from_its_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let group = folder.path().join("node");
        fs::create_dir_all(group.join("kubepods/pod1")).unwrap();
        remove_tree_of_groups(&group).unwrap();
        assert!(!group.exists());
        remove_tree_of_groups(&group).unwrap();
    }

    #[test]
    fn containerd_keeps_its_data_in_the_nodes_folder() {
        let text = render_containerd(Path::new("/home/sandbox/node1"));
        assert!(text.contains("root = \"/home/sandbox/node1/containerd\""));
        assert!(text.contains("conf_dir = \"/home/sandbox/node1/cni\""));
        assert!(text.contains("SystemdCgroup = false"));
    }

    #[test]
    fn kubelet_names_the_clusters_dns() {
        assert_eq!(kubelet(Path::new("/keys"))["clusterDNS"][0], "10.79.0.10");
        assert_eq!(
            kubelet(Path::new("/keys"))["tlsCertFile"],
            "/keys/kubelet-server.crt"
        );
    }
}
