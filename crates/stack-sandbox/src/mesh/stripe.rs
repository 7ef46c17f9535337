//! The part `stripe`: a stand-in for api.stripe.com, outside of the cluster.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rcgen::ExtendedKeyUsagePurpose;

use crate::cluster::layout::{STRIPE_ADDRESS, STRIPE_NAME, VPC_PREFIX};
use crate::cluster::links::{Link, interface_exists, ip, remove_interface, remove_netns};
use crate::cluster::pki::{Authority, Subject, write_identity, write_public};
use crate::cluster::programs::remove_folder;
use crate::command::Command;
use crate::home::Home;
use crate::network;
use crate::packages::Packages;
use crate::part::{Context, Part, PartStatus};
use crate::process::{self, Process, Service};

const PACKAGES: &[&str] = &["curl", "iproute2", "python3", "util-linux"];

const NETNS: &str = "stack-stripe";
const LINK: &str = "stackstripe";
const MAC: &str = "02:ac:1f:00:fa:0a";

/// The part `stripe`.
#[derive(Debug)]
pub(crate) struct Stripe;

#[async_trait]
impl Part for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
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
        if Process::find(&cx.home, "stripe").is_none() {
            lines.push(format!(
                "start a stand-in for {STRIPE_NAME} on {STRIPE_ADDRESS}, in a network namespace"
            ));
        }
        lines
    }

    async fn install(&self, cx: &Context) -> anyhow::Result<()> {
        network::able()?;
        cx.packages.ensure(&cx.progress, PACKAGES).await
    }

    async fn up(&self, cx: &Context) -> anyhow::Result<()> {
        if runs(&cx.home) && answers(&cx.home).await? {
            return Ok(());
        }
        stop(&cx.home).await?;
        let folder = cx.home.data("stripe");
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(cx.home.run())?;
        let authority = Authority::new("sandbox Stripe CA")?;
        let identity = authority.sign(&Subject {
            organization: None,
            name: STRIPE_NAME,
            alternatives: &[STRIPE_NAME],
            usages: &[ExtendedKeyUsagePurpose::ServerAuth],
        })?;
        write_identity(&folder, "server", &identity)?;
        write_public(&authority_file(&cx.home), &authority.pem())?;
        ip(&format!("netns add {NETNS}\n")).await?;
        let address = format!("{STRIPE_ADDRESS}/{VPC_PREFIX}");
        let link = Link {
            netns: NETNS,
            bridge: network::BRIDGE,
            outside: LINK,
            inside: "eth0",
            address: &address,
            mac: Some(MAC),
        };
        link.add().await?;
        let process = Service::new("stripe", "nsenter")
            .arg(format!("--net=/run/netns/{NETNS}"))
            .arg("python3")
            .arg(cx.files("stripe").join("serve.py"))
            .arg(STRIPE_ADDRESS)
            .arg(folder.join("server.crt"))
            .arg(folder.join("server.key"))
            .start(&cx.home)
            .await?;
        process.ready(Duration::from_secs(20), || answers(&cx.home)).await
    }

    async fn down(&self, cx: &Context) -> anyhow::Result<()> {
        stop(&cx.home).await
    }

    async fn status(&self, cx: &Context) -> PartStatus {
        if let Err(error) = network::able() {
            return PartStatus::unable(
                error.to_string(),
                "run as root, on a machine or virtual machine of your own",
            );
        }
        if Process::find(&cx.home, "stripe").is_none() {
            return PartStatus::down(format!("no stand-in for {STRIPE_NAME}"));
        }
        match answers(&cx.home).await {
            Ok(true) if runs(&cx.home) => {
                PartStatus::up(format!("{STRIPE_NAME} on {STRIPE_ADDRESS}, port 443"))
            }
            _ => PartStatus::faulty(
                format!("the stand-in for {STRIPE_NAME} does not answer"),
                "run `stack-sandbox up stripe`: it starts anew",
            ),
        }
    }

    fn addresses(&self, cx: &Context) -> Vec<(&'static str, String)> {
        vec![
            ("STRIPE_ADDRESS", STRIPE_ADDRESS.to_owned()),
            ("STRIPE_CA", authority_file(&cx.home).display().to_string()),
        ]
    }
}

fn authority_file(home: &Home) -> PathBuf {
    home.run().join("stripe-ca.pem")
}

fn runs(home: &Home) -> bool {
    Process::find(home, "stripe").is_some() && interface_exists(LINK)
}

/// Whether an HTTPS request from the machine gets the answer to a request without a key.
async fn answers(home: &Home) -> anyhow::Result<bool> {
    let status = Command::new("curl")
        .args([
            "--silent",
            "--max-time",
            "3",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args([
            "--resolve",
            &format!("{STRIPE_NAME}:443:{STRIPE_ADDRESS}"),
            "--cacert",
        ])
        .arg(authority_file(home))
        .arg(format!("https://{STRIPE_NAME}/v1/charges"))
        .output()
        .await?;
    Ok(status == "401")
}

async fn stop(home: &Home) -> anyhow::Result<()> {
    process::stop(home, "stripe", Duration::ZERO).await?;
    remove_interface(LINK).await?;
    remove_netns(NETNS).await?;
    if let Err(error) = fs::remove_file(authority_file(home))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error.into());
    }
    remove_folder(&home.data("stripe"))
}
