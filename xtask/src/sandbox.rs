//! The sandbox as the developer commands use it: started, proved empty, stopped.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::run::{Stream, Workspace, eprintln_line, output, step, watch};

/// A running sandbox.
pub(crate) struct Sandbox<'w> {
    workspace: &'w Workspace,
    /// What `stack-sandbox up` says of its addresses.
    pub(crate) addresses: BTreeMap<String, String>,
}

impl<'w> Sandbox<'w> {
    /// Starts what does not run yet.
    pub(crate) fn up(workspace: &'w Workspace) -> Result<Self> {
        step("starting the sandbox", || {
            let mut addresses = BTreeMap::new();
            let mut command = workspace.command(workspace.program("stack-sandbox"));
            let code = watch(command.arg("up"), Stream::Out, |line| {
                if let Some((name, value)) = line.split_once('=') {
                    addresses.insert(name.to_owned(), value.to_owned());
                }
            })?;
            if code != Some(0) {
                bail!("`stack-sandbox up` ended with {code:?}; `stack-sandbox status` explains");
            }
            Ok(Self { workspace, addresses })
        })
    }

    /// Stops everything.
    pub(crate) fn down(workspace: &Workspace) -> Result<()> {
        step("stopping the sandbox", || {
            crate::run::must(workspace.command(workspace.program("stack-sandbox")).arg("down"))
        })
    }

    /// A sandbox in which nothing is left of earlier runs.
    pub(crate) fn fresh(workspace: &'w Workspace) -> Result<Self> {
        let sandbox = Self::up(workspace)?;
        let left = sandbox.remains()?;
        if left.is_empty() {
            return Ok(sandbox);
        }
        eprintln_line(&format!("an earlier run has left {}: starting over", left.join(", ")));
        Self::down(workspace)?;
        Self::up(workspace)
    }

    /// An address that `up` gave.
    pub(crate) fn address(&self, name: &str) -> Result<&str> {
        self.addresses.get(name).map(String::as_str).with_context(|| format!("`stack-sandbox up` names no {name}"))
    }

    /// A command that finds the parts of the sandbox, and its helm and kubectl first on PATH.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = self.workspace.command(program);
        let programs = PathBuf::from(self.address("HELM")?);
        let programs = programs.parent().context("the path of helm has no folder")?.to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
        command.envs(&self.addresses).env("PATH", path);
        Ok(command)
    }

    /// What is in EC2, on hosts and in the cluster beyond an empty sandbox.
    pub(crate) fn remains(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for (action, what) in [
            ("DescribeInstances", "instanceId"),
            ("DescribeSecurityGroups", "groupName"),
            ("DescribeKeyPairs", "keyName"),
        ] {
            let answer = self.ec2(action)?;
            let opening = format!("<{what}>");
            // A terminated instance stays visible for a while, as on EC2.
            for part in answer.split("<instancesSet>").filter(|part| !part.contains("<name>terminated</name>")) {
                let names = part.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("</").next());
                left.extend(names.filter(|name| *name != "default").map(|name| format!("{what} {name}")));
            }
        }
        left.extend(self.kube("namespaces", &["default", "kube-node-lease", "kube-public", "kube-system"])?);
        left.extend(self.kube("customresourcedefinitions", &[])?);
        left.extend(self.kube("mutatingwebhookconfigurations,validatingwebhookconfigurations", &[])?);
        let releases = output(self.command("helm")?.args(["list", "--all-namespaces", "--short"]))?;
        left.extend(releases.lines().map(|name| format!("helm release {name}")));
        Ok(left)
    }

    /// A read-only call of EC2's API, by the program curl.
    fn ec2(&self, action: &str) -> Result<String> {
        let scope = format!("sandbox/20260101/{}/ec2/aws4_request", self.address("AWS_REGION")?);
        let header = format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let body = format!("Action={action}&Version=2016-11-15");
        let arguments = ["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*"];
        let mut command = self.command("curl")?;
        output(command.args(arguments).args(["--header", &header, "--data", &body, self.address("AWS_ENDPOINT_URL")?]))
            .with_context(|| format!("asking the EC2 endpoint for {action}"))
    }

    /// Names of cluster-wide objects beyond those that belong to an empty cluster.
    fn kube(&self, kind: &str, known: &[&str]) -> Result<Vec<String>> {
        let listed = output(self.command("kubectl")?.args(["get", kind, "--output", "name"]))?;
        let names = listed.lines().filter(|name| !known.iter().any(|k| name.ends_with(&format!("/{k}"))));
        Ok(names.map(str::to_owned).collect())
    }
}

/// A new key for the secrets of a state, in a file that only this user reads.
pub(crate) fn state_key(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    let folder = workspace.cache.join("keys");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(STANDARD.encode(key).as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

