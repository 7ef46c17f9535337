//! Clients that are not ours, pointed at what the job has made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use stack_e2e::{Program, Said, Sandbox, Stack};
use tempfile::TempDir;

/// What clients need to know of the job that is applied.
pub(crate) struct Made {
    pub(crate) address: String,
    pub(crate) host: String,
    pub(crate) instance: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) ca: String,
    pub(crate) ssh_user: String,
    pub(crate) ssh_key: String,
    pub(crate) host_keys: Vec<String>,
    folder: TempDir,
}

impl Made {
    /// Reads the outputs and writes the files that clients want.
    pub(crate) fn read(stack: &Stack<'_>) -> Result<Self> {
        let keys = stack.output("ssh_host_keys")?;
        let keys = keys.as_array().context("ssh_host_keys is no list")?;
        let made = Self {
            address: stack.text("address")?,
            host: stack.text("host")?,
            instance: stack.text("instance_id")?,
            username: stack.text("username")?,
            password: stack.text("password")?,
            ca: stack.text("ca_cert_pem")?,
            ssh_user: stack.text("ssh_user")?,
            ssh_key: stack.text("ssh_private_key")?,
            host_keys: keys
                .iter()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect(),
            folder: tempfile::tempdir()?,
        };
        made.write("ca.pem", &made.ca)?;
        made.write("key", &made.ssh_key)?;
        let known = made
            .host_keys
            .iter()
            .map(|key| format!("{} {key}\n", made.address))
            .collect::<String>();
        made.write("known_hosts", &known)?;
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// A shell script on the instance, over OpenSSH, as the user of the image.
    pub(crate) fn ssh(&self, known_hosts: &str, script: &str) -> Result<Said> {
        let option = |name: &str, value: String| ["-o".to_owned(), format!("{name}={value}")];
        let options = [
            option("BatchMode", "yes".to_owned()),
            option("StrictHostKeyChecking", "yes".to_owned()),
            option("UserKnownHostsFile", self.path(known_hosts).display().to_string()),
            option("GlobalKnownHostsFile", "/dev/null".to_owned()),
            option("IdentitiesOnly", "yes".to_owned()),
            option("IdentityFile", self.path("key").display().to_string()),
            option("ConnectTimeout", "10".to_owned()),
        ];
        let target = format!("{}@{}", self.ssh_user, self.address);
        Program::new("ssh")
            .args(["-F", "/dev/null"])
            .args(options.as_flattened())
            .args([target.as_str(), "sh", "-eu"])
            .input(script)
            .run()
    }

    /// The same; it must succeed.
    pub(crate) fn on_host(&self, script: &str) -> Result<String> {
        let said = self.ssh("known_hosts", script)?;
        if said.code != Some(0) {
            bail!(
                "on the host, {script:?} ended with {:?}: {}{}",
                said.code,
                said.out,
                said.err
            );
        }
        Ok(said.out)
    }

    /// Sends and receives a message with pika; with TLS if `tls`.
    pub(crate) fn pika(&self, tls: bool, username: &str, password: &str) -> Result<Said> {
        let python = std::env::var_os("E2E_PYTHON")
            .context("E2E_PYTHON is not set; run `cargo xtask test`, which makes an environment with pika and names its python")?;
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rabbitmq_egress/amqp.py");
        let settings = json!({
            "host": self.address,
            "port": if tls { 5671 } else { 5672 },
            "username": username,
            "password": password,
            "ca": tls.then_some(&self.ca),
            "server_name": self.host,
        });
        Program::new(python)
            .args([script])
            .input(settings.to_string())
            .run()
    }

    /// `openssl s_client` to the TLS port, with options of its own.
    pub(crate) fn openssl(&self, options: &[&str]) -> Result<Said> {
        let ca = self.path("ca.pem").display().to_string();
        let target = format!("{}:5671", self.address);
        let words = [
            "s_client",
            "-brief",
            "-connect",
            &target,
            "-CAfile",
            &ca,
            "-no-CApath",
            "-verify_return_error",
        ];
        Program::new("openssl").args(words).args(options).run()
    }

    /// A request to the management API with curl; the password goes in on standard input.
    pub(crate) fn console(&self, path: &str, username: &str, password: &str) -> Result<String> {
        let config = format!(
            "url = \"http://{}:15672{path}\"\nuser = \"{username}:{password}\"\n",
            self.address
        );
        let words = [
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "10",
            "--write-out",
            "\n%{http_code}",
            "--config",
            "-",
        ];
        Program::new("curl").args(words).input(config).ok()
    }

    /// Whether a TCP connection can be made from this machine; a closed port gives no answer at all.
    pub(crate) fn is_open(&self, port: u16) -> Result<bool> {
        let url = format!("telnet://{}:{port}", self.address);
        // curl ends with 7 or 28 where it cannot connect, and with 28 too where it can: then it has said so before.
        let words = [
            "--verbose",
            "--noproxy",
            "*",
            "--connect-timeout",
            "3",
            "--max-time",
            "4",
            &url,
        ];
        Ok(Program::new("curl")
            .args(words)
            .run()?
            .err
            .contains("* Connected to"))
    }
}

/// A script in a container of the cluster.
pub(crate) fn in_pod(
    sandbox: &Sandbox,
    namespace: &str,
    pod: &str,
    container: &str,
    words: &[&str],
) -> Result<Said> {
    let kubectl = [
        "exec",
        "--namespace",
        namespace,
        pod,
        "--container",
        container,
        "--",
    ];
    sandbox.kubectl(&kubectl)?.args(words).run()
}

/// A counter of a cluster in the egress gateway, as its Envoy tells; 0 where it has no such cluster.
pub(crate) fn gateway_count(sandbox: &Sandbox, cluster: &str) -> Result<u64> {
    let request = ["pilot-agent", "request", "GET", "clusters"];
    let said = in_pod(
        sandbox,
        "istio-system",
        "deployment/istio-egressgateway",
        "istio-proxy",
        &request,
    )?;
    if said.code != Some(0) {
        bail!("the gateway does not tell its counters: {}", said.err);
    }
    let own = said
        .out
        .lines()
        .filter(|line| line.starts_with(&format!("{cluster}::")));
    Ok(own
        .filter_map(|line| line.rsplit_once("::cx_total::")?.1.trim().parse::<u64>().ok())
        .sum())
}

/// Asks again until the answer is yes.
pub(crate) fn eventually(what: &str, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !ask()? {
        if started.elapsed() > Duration::from_secs(60) {
            bail!("{what}: not within a minute");
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}
