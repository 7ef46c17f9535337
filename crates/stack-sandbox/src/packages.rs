//! Debian packages that the sandbox's programs come from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::command::Command;
use crate::progress::Progress;

/// Installs Debian packages, one installation at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packages {
    one_at_a_time: Arc<Mutex<()>>,
}

impl Packages {
    /// Of `wanted`, those that are not installed.
    pub(crate) fn missing(wanted: &[&'static str]) -> Vec<&'static str> {
        let output = std::process::Command::new("dpkg-query")
            .args(["-W", "-f=${Package} ${db:Status-Status}\n"])
            .args(wanted)
            .output();
        let known = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        wanted
            .iter()
            .copied()
            .filter(|package| !known.lines().any(|line| line == format!("{package} installed")))
            .collect()
    }

    /// Installs those of `wanted` that are missing.
    ///
    /// # Errors
    /// Where the installation fails; the error carries the tail of what apt wrote.
    pub(crate) async fn ensure(&self, progress: &Progress, wanted: &[&'static str]) -> anyhow::Result<()> {
        let _guard = self.one_at_a_time.lock().await;
        let missing = Self::missing(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!("installing the packages {}", missing.join(", "));
        progress
            .step(text, async {
                // Only the distribution's own list: others may not answer, and hang.
                let sources = sources_option();
                let apt = || {
                    Command::new("apt-get")
                        .args(&sources)
                        .env("DEBIAN_FRONTEND", "noninteractive")
                };
                apt().args(["-q", "update"]).run().await?;
                let _quiet = Quiet::begin()?;
                apt()
                    .args([
                        "install",
                        "-q",
                        "-y",
                        "--no-install-recommends",
                        "-o",
                        "DPkg::Options::=--force-confold",
                    ])
                    .args(&missing)
                    .run()
                    .await
            })
            .await
    }
}

/// As long as this lives, packages that are installed do not start their services: the sandbox starts its own, on
/// its own addresses (invoke-rc.d(8), `policy-rc.d`).
struct Quiet {
    ours: bool,
}

impl Quiet {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> anyhow::Result<Self> {
        // A machine with a policy of its own keeps it.
        let ours = !Path::new(Self::POLICY).exists();
        if ours {
            fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(Self::POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.ours {
            // Nothing can be done about a failure here, and the file's text says what it does.
            let _ = fs::remove_file(Self::POLICY);
        }
    }
}

/// Options that limit apt to the distribution's own list of sources, where there is one by the usual name.
pub(crate) fn sources_option() -> Vec<String> {
    for name in ["sources.list.d/debian.sources", "sources.list.d/ubuntu.sources"] {
        if Path::new("/etc/apt").join(name).is_file() {
            return vec![
                "-o".into(),
                format!("Dir::Etc::SourceList={name}"),
                "-o".into(),
                "Dir::Etc::SourceParts=/dev/null".into(),
            ];
        }
    }
    Vec::new()
}
