//! etcd and Kubernetes' control plane: processes of the machine.

use std::path::Path;
use std::time::Duration;

use crate::home::Home;
use crate::process::{self, Process, Service};

use super::kubectl::Kubectl;
use super::layout::{API_ADDRESS, API_PORT, DOMAIN, POD_NETWORK, SERVICE_NETWORK, pki};

/// Names of the processes, in the order in which they are stopped.
pub(crate) const PROCESSES: [&str; 4] = [
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
];

/// Starts etcd and the API server, and waits until it is ready; then the controllers and the scheduler.
pub(crate) async fn start(home: &Home, programs: &Path, kubectl: &Kubectl) -> anyhow::Result<()> {
    let keys = pki(home);
    let data = home.data("cluster").join("etcd");
    // Not the usual ports: a machine may have an etcd of its own.
    Service::new("etcd", "etcd")
        .args(etcd_arguments(&keys, &data))
        .start(home)
        .await?;
    let api = Service::new("kube-apiserver", programs.join("kube-apiserver")).args(api_arguments(&keys));
    let api = api.start(home).await?;
    api.ready(Duration::from_secs(120), || kubectl.ready()).await?;
    Service::new(
        "kube-controller-manager",
        programs.join("kube-controller-manager"),
    )
    .args(controller_arguments(&keys))
    .start(home)
    .await?;
    Service::new("kube-scheduler", programs.join("kube-scheduler"))
        .args(scheduler_arguments(&keys))
        .start(home)
        .await?;
    Ok(())
}

/// Ends the control plane at once: its data goes too.
pub(crate) async fn stop(home: &Home) -> anyhow::Result<()> {
    for name in PROCESSES {
        process::stop(home, name, Duration::ZERO).await?;
    }
    Ok(())
}

/// Of the processes, those that do not run.
pub(crate) fn missing(home: &Home) -> Vec<&'static str> {
    PROCESSES
        .into_iter()
        .filter(|name| Process::find(home, name).is_none())
        .collect()
}

fn flags(keys: &Path, table: &[(&str, &str)]) -> Vec<String> {
    // `@name` is a file among the keys.
    table
        .iter()
        .map(|(flag, value)| match value.strip_prefix('@') {
            Some(file) => format!("--{flag}={}", keys.join(file).display()),
            None => format!("--{flag}={value}"),
        })
        .collect()
}

fn etcd_arguments(keys: &Path, data: &Path) -> Vec<String> {
    let client = "https://127.0.0.1:12379";
    let peer = "https://127.0.0.1:12380";
    flags(
        keys,
        &[
            ("name", "sandbox"),
            ("data-dir", &data.display().to_string()),
            ("unsafe-no-fsync", "true"),
            ("listen-client-urls", client),
            ("advertise-client-urls", client),
            ("listen-peer-urls", peer),
            ("initial-advertise-peer-urls", peer),
            ("initial-cluster", &format!("sandbox={peer}")),
            ("cert-file", "@etcd-server.crt"),
            ("key-file", "@etcd-server.key"),
            ("trusted-ca-file", "@etcd-ca.crt"),
            ("client-cert-auth", "true"),
            ("peer-cert-file", "@etcd-server.crt"),
            ("peer-key-file", "@etcd-server.key"),
            ("peer-trusted-ca-file", "@etcd-ca.crt"),
            ("peer-client-cert-auth", "true"),
        ],
    )
}

fn api_arguments(keys: &Path) -> Vec<String> {
    flags(
        keys,
        &[
            ("etcd-servers", "https://127.0.0.1:12379"),
            ("etcd-cafile", "@etcd-ca.crt"),
            ("etcd-certfile", "@apiserver-etcd-client.crt"),
            ("etcd-keyfile", "@apiserver-etcd-client.key"),
            ("bind-address", API_ADDRESS),
            ("advertise-address", API_ADDRESS),
            ("secure-port", &API_PORT.to_string()),
            ("tls-cert-file", "@apiserver.crt"),
            ("tls-private-key-file", "@apiserver.key"),
            ("client-ca-file", "@ca.crt"),
            ("service-cluster-ip-range", SERVICE_NETWORK),
            (
                "service-account-issuer",
                &format!("https://kubernetes.default.svc.{DOMAIN}"),
            ),
            ("service-account-key-file", "@sa.pub"),
            ("service-account-signing-key-file", "@sa.key"),
            ("authorization-mode", "Node,RBAC"),
            ("enable-admission-plugins", "NodeRestriction"),
            ("allow-privileged", "true"),
            ("kubelet-client-certificate", "@apiserver-kubelet-client.crt"),
            ("kubelet-client-key", "@apiserver-kubelet-client.key"),
            ("kubelet-certificate-authority", "@ca.crt"),
            ("kubelet-preferred-address-types", "InternalIP"),
            ("proxy-client-cert-file", "@front-proxy-client.crt"),
            ("proxy-client-key-file", "@front-proxy-client.key"),
            ("requestheader-client-ca-file", "@front-proxy-ca.crt"),
            ("requestheader-allowed-names", "front-proxy-client"),
            ("requestheader-username-headers", "X-Remote-User"),
            ("requestheader-group-headers", "X-Remote-Group"),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        ],
    )
}

fn controller_arguments(keys: &Path) -> Vec<String> {
    flags(
        keys,
        &[
            ("kubeconfig", "@controller-manager.conf"),
            ("authentication-kubeconfig", "@controller-manager.conf"),
            ("authorization-kubeconfig", "@controller-manager.conf"),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
            ("use-service-account-credentials", "true"),
            // The accounts of its controllers are made at its start; the default limit makes that take 4 s.
            ("kube-api-qps", "500"),
            ("kube-api-burst", "1000"),
            ("root-ca-file", "@ca.crt"),
            ("service-account-private-key-file", "@sa.key"),
            ("cluster-signing-cert-file", "@ca.crt"),
            ("cluster-signing-key-file", "@ca.key"),
            ("requestheader-client-ca-file", "@front-proxy-ca.crt"),
            ("client-ca-file", "@ca.crt"),
            ("cluster-cidr", POD_NETWORK),
            ("service-cluster-ip-range", SERVICE_NETWORK),
            ("allocate-node-cidrs", "false"),
            ("flex-volume-plugin-dir", "@flexvolume"),
        ],
    )
}

fn scheduler_arguments(keys: &Path) -> Vec<String> {
    flags(
        keys,
        &[
            ("kubeconfig", "@scheduler.conf"),
            ("authentication-kubeconfig", "@scheduler.conf"),
            ("authorization-kubeconfig", "@scheduler.conf"),
            ("bind-address", "127.0.0.1"),
            ("leader-elect", "false"),
            ("requestheader-client-ca-file", "@front-proxy-ca.crt"),
            ("client-ca-file", "@ca.crt"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_full_paths_and_values_stay() {
        let arguments = api_arguments(Path::new("/keys"));
        assert!(arguments.contains(&"--client-ca-file=/keys/ca.crt".to_owned()));
        assert!(arguments.contains(&"--bind-address=10.77.0.254".to_owned()));
        assert!(arguments.iter().all(|argument| !argument.contains('@')));
    }

    #[test]
    fn no_secret_is_an_argument() {
        let keys = Path::new("/keys");
        let all = [
            etcd_arguments(keys, keys),
            api_arguments(keys),
            controller_arguments(keys),
            scheduler_arguments(keys),
        ];
        assert!(all.iter().flatten().all(|argument| !argument.contains("BEGIN")));
    }
}
