//! A running sandbox, asked by clients that are not ours.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::Program;

/// A running sandbox.
pub struct Sandbox {
    addresses: BTreeMap<String, String>,
}

/// Names that `stack-sandbox up` gives and that are needed here.
const NAMES: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "HELM",
    "KUBECONFIG",
    "KUBECTL",
    "KUBE_CONTEXT",
    "STRIPE_CA",
];

impl Sandbox {
    /// The sandbox that `stack-sandbox up` described by these names and values.
    pub fn new(addresses: BTreeMap<String, String>) -> Self {
        Self { addresses }
    }

    /// The sandbox that the environment describes.
    ///
    /// # Errors
    /// A name is missing: the sandbox is not up, or was not named.
    pub fn from_environment() -> Result<Self> {
        let value = |name: &str| {
            let value = std::env::var(name).with_context(|| {
                format!(
                    "{name} is not set; run `cargo xtask test`, which starts the sandbox and names its parts"
                )
            })?;
            Ok((name.to_owned(), value))
        };
        Ok(Self {
            addresses: NAMES.into_iter().map(value).collect::<Result<_>>()?,
        })
    }

    /// All names that `up` gave.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// A name that `up` gave.
    ///
    /// # Errors
    /// It gave no such name.
    pub fn address(&self, name: &str) -> Result<&str> {
        self.addresses
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("`stack-sandbox up` names no {name}"))
    }

    /// Variables for a program that uses the sandbox: its addresses, and its own programs first on PATH.
    ///
    /// # Errors
    /// The sandbox has no helm.
    pub fn variables(&self) -> Result<BTreeMap<String, String>> {
        let programs = PathBuf::from(self.address("HELM")?);
        let programs = programs
            .parent()
            .context("the path of helm has no folder")?
            .display()
            .to_string();
        let mut variables = self.addresses.clone();
        variables.insert(
            "PATH".to_owned(),
            format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()),
        );
        Ok(variables)
    }

    fn program(&self, program: impl AsRef<OsStr>) -> Result<Program> {
        Ok(Program::new(program).envs(self.variables()?))
    }

    /// The program kubectl.
    ///
    /// # Errors
    /// The sandbox has none.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<Program> {
        Ok(self.program(self.address("KUBECTL")?)?.args(arguments))
    }

    /// The program helm.
    ///
    /// # Errors
    /// The sandbox has none.
    pub fn helm(&self, arguments: &[&str]) -> Result<Program> {
        Ok(self.program(self.address("HELM")?)?.args(arguments))
    }

    /// A read-only call of EC2's API by curl; gives the answer in XML. (The endpoint checks no signature.)
    ///
    /// # Errors
    /// The endpoint does not answer, or refuses.
    pub fn ec2(&self, query: &str) -> Result<String> {
        let scope = format!(
            "sandbox/20260101/{}/ec2/aws4_request",
            self.address("AWS_REGION")?
        );
        let header =
            format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let body = format!("{query}&Version=2016-11-15");
        let options = [
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ];
        let words = [
            "--header",
            &header,
            "--data",
            &body,
            self.address("AWS_ENDPOINT_URL")?,
        ];
        self.program("curl")?
            .args(options)
            .args(words)
            .ok()
            .with_context(|| format!("asking the EC2 endpoint: {query}"))
    }

    /// Instances that are not terminated, each as its XML. A terminated one stays visible for a while, as on EC2.
    ///
    /// # Errors
    /// As [`ec2`](Self::ec2).
    pub fn instances(&self) -> Result<Vec<String>> {
        let answer = self.ec2("Action=DescribeInstances")?;
        let sets = answer.split("<instancesSet>").skip(1);
        Ok(sets
            .filter(|set| !set.contains("<name>terminated</name>"))
            .map(str::to_owned)
            .collect())
    }

    /// What is in EC2 and in the cluster beyond an empty sandbox.
    ///
    /// # Errors
    /// A part does not answer.
    pub fn remains(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for instance in self.instances()? {
            left.push(format!(
                "instance {}",
                texts(&instance, "instanceId").next().unwrap_or("?")
            ));
        }
        let groups = self.ec2("Action=DescribeSecurityGroups")?;
        left.extend(
            texts(&groups, "groupName")
                .filter(|name| *name != "default")
                .map(|name| format!("security group {name}")),
        );
        let keys = self.ec2("Action=DescribeKeyPairs")?;
        left.extend(texts(&keys, "keyName").map(|name| format!("key pair {name}")));
        left.extend(self.kube_names(
            "namespaces",
            &["default", "kube-node-lease", "kube-public", "kube-system"],
        )?);
        left.extend(self.kube_names("customresourcedefinitions", &[])?);
        left.extend(self.kube_names(
            "mutatingwebhookconfigurations,validatingwebhookconfigurations",
            &[],
        )?);
        left.extend(
            self.kube_names("clusterroles,clusterrolebindings", &[])?
                .into_iter()
                .filter(|name| name.contains("istio")),
        );
        let releases = self.helm(&["list", "--all-namespaces", "--short"])?.ok()?;
        left.extend(releases.lines().map(|name| format!("helm release {name}")));
        Ok(left)
    }

    /// Names of objects of the cluster, without those that belong to an empty one.
    fn kube_names(&self, kind: &str, known: &[&str]) -> Result<Vec<String>> {
        let listed = self.kubectl(&["get", kind, "--output", "name"])?.ok()?;
        let names = listed
            .lines()
            .filter(|name| !known.iter().any(|k| name.ends_with(&format!("/{k}"))));
        Ok(names.map(str::to_owned).collect())
    }
}

/// Texts of all elements of this name.
pub fn texts<'x>(xml: &'x str, element: &str) -> impl Iterator<Item = &'x str> {
    let opening = format!("<{element}>");
    let places: Vec<usize> = xml
        .match_indices(&opening)
        .map(|(at, _)| at + opening.len())
        .collect();
    places
        .into_iter()
        .filter_map(move |at| xml[at..].split("</").next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_elements_are_found() {
        let xml = "<a><n>one</n><m>x</m></a><n>two</n>";
        assert_eq!(texts(xml, "n").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(texts(xml, "k").count(), 0);
    }
}
