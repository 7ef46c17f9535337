//! `host_package`

use std::collections::{BTreeMap, BTreeSet};

use stack_core::{Path, Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};
use stack_ssh::{Output, Script};

use crate::HostClient;
use crate::probe::{Answer, Probe, STAMPS};
use crate::words::{arguments, record};

/// Packages of the distribution (apt). Those that are installed already stay when the resource goes.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Package {
    /// Names of the packages.
    pub names: BTreeSet<String>,
    /// Brings the package lists up to date first where they are older than an hour or lack the package.
    #[schema(default = true)]
    pub update: bool,
    /// Keeps services from being started by the installation (`policy-rc.d`), so that their files can be put in place
    /// first; a `host_service` starts them.
    #[schema(default = false)]
    pub hold_services: bool,
    /// Installs recommended packages too.
    #[schema(default = true)]
    pub install_recommends: bool,
    /// Identifies the installation.
    #[schema(computed)]
    pub id: Option<String>,
    /// Whether the packages were imported, so that the machine keeps no record of who installed them.
    #[schema(computed)]
    pub imported: Option<bool>,
    /// Installed versions by name.
    #[schema(computed, recomputed)]
    pub versions: Option<BTreeMap<String, String>>,
    /// The packages that this resource installed, and so removes.
    #[schema(computed, recomputed)]
    pub installed: Option<BTreeSet<String>>,
}

fn versions(answer: &Answer) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(' ').map(|(n, v)| (n.to_owned(), v.to_owned()));
    answer.all("package").filter_map(pair).collect()
}

/// The id of packages that were imported; others have the token of their create attempt.
fn joined(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

impl Package {
    fn record(&self) -> String {
        record(self.id.as_deref().unwrap_or_default())
    }

    async fn install(
        self,
        cx: &Cx,
        client: &HostClient,
        token: &str,
        ours: &BTreeSet<String>,
    ) -> Result<Self, ProviderError> {
        let script = Script::new()
            .text(STAMPS)
            .set("update", self.update.to_string())
            .set("hold", self.hold_services.to_string())
            .set("recommends", self.install_recommends.to_string())
            .set("token", token)
            .arguments(&self.names)
            .text(include_str!("scripts/package.sh"));
        cx.progress("installing packages");
        let output = client.change(cx, script).await?;
        if !output.success() {
            return Err(apt_error(&output));
        }
        let answer = Answer::parse(&output.text());
        let ours = ours.iter().cloned().chain(answer.all("ours").map(str::to_owned));
        Ok(Self {
            versions: Some(versions(&answer)),
            installed: Some(ours.filter(|name| self.names.contains(name)).collect()),
            ..self
        })
    }
}

/// What a failure of apt means: names that do not exist are the configuration's fault, the network may come back.
fn apt_error(output: &Output) -> ProviderError {
    let all = String::from_utf8_lossy(&output.stderr);
    let network = [
        "Failed to fetch",
        "Temporary failure",
        "Could not resolve",
        "Could not connect",
        "Unable to connect",
        "Connection failed",
    ];
    let reason: Vec<_> = all
        .lines()
        .filter_map(|line| line.strip_prefix("E: "))
        .take(3)
        .collect();
    let reason = if reason.is_empty() {
        output.reason()
    } else {
        reason.join("; ")
    };
    if all.contains("Unable to locate package") || all.contains("has no installation candidate") {
        return ProviderError::invalid("names", reason);
    }
    let kind = if all.contains("Could not get lock") || network.iter().any(|text| all.contains(text)) {
        ErrorKind::Unavailable
    } else {
        ErrorKind::InvalidArgument
    };
    ProviderError::new(kind, reason).operation("apt-get")
}

/// Removes packages, and then the record where one is given.
async fn purge(
    cx: &Cx,
    client: &HostClient,
    names: &BTreeSet<String>,
    record: &str,
) -> Result<(), ProviderError> {
    if names.is_empty() && record.is_empty() {
        return Ok(());
    }
    cx.progress("removing packages");
    let script = Script::new()
        .set("record", record)
        .arguments(names)
        .text(include_str!("scripts/purge.sh"));
    let output = client.change(cx, script).await?;
    if output.success() {
        Ok(())
    } else {
        Err(apt_error(&output))
    }
}

/// Packages of the distribution.
pub struct HostPackage;

#[async_trait]
impl Resource for HostPackage {
    const TYPE: &'static str = "host_package";
    const OWNERSHIP: Ownership = Ownership::Token;
    const TYPICAL_SECONDS: f64 = 20.0;
    const TIMEOUT_SECONDS: u64 = 1200;
    type Model = Package;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, prior: &Package) -> Result<Option<Package>, ProviderError> {
        let (stamp, now) = tokio::join!(
            client.probe(cx, Probe::Stamp(prior.record())),
            client.probe(cx, Probe::Packages(prior.names.iter().cloned().collect()))
        );
        let (recorded, now) = (stamp?.get("stamp") == Some("yes"), versions(&now?));
        if now.is_empty() || !(recorded || prior.imported == Some(true)) {
            return Ok(None);
        }
        Ok(Some(Package {
            names: now.keys().cloned().collect(),
            versions: Some(now),
            ..prior.clone()
        }))
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: Package,
    ) -> Result<Package, Failure<Package>> {
        let made = planned
            .install(cx, client, &owner.token, &BTreeSet::new())
            .await?;
        Ok(Package {
            id: Some(owner.token.clone()),
            imported: Some(false),
            ..made
        })
    }

    async fn update(
        cx: &Cx,
        client: &HostClient,
        prior: &Package,
        planned: Package,
    ) -> Result<Package, Failure<Package>> {
        let ours = prior.installed.clone().unwrap_or_default();
        let unwanted = ours.difference(&planned.names).cloned().collect();
        let updated = planned.install(cx, client, "", &ours).await?;
        match purge(cx, client, &unwanted, "").await {
            Ok(()) => Ok(updated),
            Err(error) => {
                let (mut names, mut installed) = (updated.names.clone(), ours);
                names.extend(unwanted);
                installed.extend(updated.installed.clone().unwrap_or_default());
                let object = Package {
                    names,
                    installed: Some(installed),
                    ..updated
                };
                Err(Failure::with(error, object))
            }
        }
    }

    async fn delete(cx: &Cx, client: &HostClient, prior: &Package) -> Result<(), ProviderError> {
        let record = match prior.imported {
            Some(true) => "",
            _ => prior.id.as_deref().unwrap_or_default(),
        };
        let ours = prior.installed.clone().unwrap_or_default();
        purge(cx, client, &ours, record).await
    }

    async fn find(
        cx: &Cx,
        client: &HostClient,
        owner: &Owner,
        planned: &Value,
    ) -> Result<Option<Package>, ProviderError> {
        let Some(wanted) = arguments::<Package>(planned) else {
            return Ok(None);
        };
        client.settle(cx).await?;
        let (stamp, now) = tokio::join!(
            client.probe(cx, Probe::Stamp(record(&owner.token))),
            client.probe(cx, Probe::Packages(wanted.names.iter().cloned().collect()))
        );
        let (stamp, now) = (stamp?, versions(&now?));
        // Where nothing was installed yet, nothing is ours; what lacks is installed by an update.
        let Some(ours) = stamp.bytes("content").filter(|_| !now.is_empty()) else {
            return Ok(None);
        };
        let ours = String::from_utf8_lossy(&ours).into_owned();
        Ok(Some(Package {
            id: Some(owner.token.clone()),
            imported: Some(false),
            names: now.keys().cloned().collect(),
            versions: Some(now),
            installed: Some(ours.split_whitespace().map(str::to_owned).collect()),
            ..wanted
        }))
    }

    async fn import(cx: &Cx, client: &HostClient, id: &str) -> Result<Package, ProviderError> {
        let names: BTreeSet<_> = id.split(',').map(|name| name.trim().to_owned()).collect();
        let prior = Package {
            names,
            update: true,
            hold_services: false,
            install_recommends: true,
            id: None,
            imported: Some(true),
            versions: None,
            installed: Some(BTreeSet::new()),
        };
        let wanted = prior.names.len();
        match Self::read(cx, client, &prior).await? {
            Some(found) if found.names.len() == wanted => Ok(Package {
                id: Some(joined(&found.names)),
                ..found
            }),
            _ => {
                let message = format!("not all of {id} are installed (names are separated by commas)");
                Err(ProviderError::new(ErrorKind::NotFound, message))
            }
        }
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let Some(names) = config.attribute("names").and_then(Value::as_sequence) else {
            return Vec::new();
        };
        let at = || Path::of(&["names"]);
        if names.is_empty() {
            return vec![(at(), "at least one package is required".to_owned())];
        }
        let bad = names
            .iter()
            .filter_map(Value::as_str)
            .filter(|name| !is_package(name));
        bad.map(|name| (at(), format!("{name:?} is no package name")))
            .collect()
    }
}

/// Debian policy 5.6.1, with an architecture allowed (`libc6:i386`). Nothing here has a meaning to the shell.
fn is_package(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stderr: &str) -> Output {
        Output {
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
            status: 22,
        }
    }

    #[test]
    fn apt_failures_are_told_apart() {
        let unknown = apt_error(&output("Reading...\nE: Unable to locate package rabitmq\n"));
        assert_eq!(unknown.kind, ErrorKind::InvalidArgument);
        assert_eq!(unknown.message, "Unable to locate package rabitmq");
        assert_eq!(unknown.attribute, Some(Path::of(&["names"])));
        let network = apt_error(&output("E: Failed to fetch http://mirror/x  Could not connect\n"));
        assert_eq!(network.kind, ErrorKind::Unavailable);
        let broken = apt_error(&output(
            "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
        ));
        assert_eq!(broken.kind, ErrorKind::InvalidArgument);
    }

    #[test]
    fn package_names_are_checked() {
        for good in ["rabbitmq-server", "g++", "libc6:i386", "7zip"] {
            assert!(is_package(good), "{good}");
        }
        for bad in ["", "-y", "a b", "a;b", "A", "a=1", "a/b", "*"] {
            assert!(!is_package(bad), "{bad}");
        }
    }
}
