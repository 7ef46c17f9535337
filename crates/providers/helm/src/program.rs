//! The program `helm` as a child: its own process group, nothing of our environment but a list, secrets on standard
//! input only, and a polite end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use stack_provider::{Cx, ErrorKind, ProviderError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

/// Variables of our environment that a child sees. Credentials reach it through the kubeconfig only.
const ALLOWED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// How long Helm may take to end after SIGTERM: it then records the release as failed. SIGKILL would leave it pending.
const GRACE: Duration = Duration::from_secs(60);

/// The program and where it keeps its files.
pub(crate) struct Program {
    binary: PathBuf,
    home: PathBuf,
    environment: Vec<(OsString, OsString)>,
    major: OnceCell<u32>,
}

/// What a run left behind.
pub(crate) struct Ran {
    /// Whether it succeeded.
    pub(crate) ok: bool,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Program {
    /// The program with the environment as it is now.
    ///
    /// # Errors
    /// There is no place for its files.
    pub(crate) fn new(binary: Option<String>) -> Result<Self, ProviderError> {
        let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        let cache = var("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")));
        let Some(cache) = cache else {
            let text = "charts need a place; set HOME or XDG_CACHE_HOME in the environment";
            return Err(ProviderError::new(ErrorKind::InvalidArgument, text));
        };
        let allowed = ALLOWED
            .iter()
            .filter_map(|name| Some((OsString::from(name), var(name)?)));
        Ok(Self {
            binary: PathBuf::from(binary.unwrap_or_else(|| "helm".to_owned())),
            home: cache.join("stack").join("helm"),
            environment: allowed.collect(),
            major: OnceCell::new(),
        })
    }

    /// Folder for charts and for Helm's own files.
    pub(crate) fn home(&self) -> &PathBuf {
        &self.home
    }

    /// Major version, asked once.
    ///
    /// # Errors
    /// The program is missing or too old.
    pub(crate) async fn major(&self, cx: &Cx) -> Result<u32, ProviderError> {
        let ask = async {
            let args = ["version", "--template", "{{.Version}}"].map(OsString::from);
            let ran = self.run(cx, &args, &[], b"").await?;
            let text = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
            usable(&text).ok_or_else(|| {
                let text = format!(
                    "helm 3.13 or newer is needed, {} is {text:?}",
                    self.binary.display()
                );
                ProviderError::new(ErrorKind::InvalidArgument, text)
            })
        };
        self.major.get_or_try_init(|| ask).await.copied()
    }

    /// Runs the program to its end. A failing run is no error here.
    ///
    /// # Errors
    /// It cannot be started, the time is over, or the call was abandoned.
    pub(crate) async fn run(
        &self,
        cx: &Cx,
        args: &[OsString],
        extra: &[(&str, OsString)],
        stdin: &[u8],
    ) -> Result<Ran, ProviderError> {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .env_clear()
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .env("HELM_CACHE_HOME", self.home.join("cache"))
            .env("HELM_CONFIG_HOME", self.home.join("config"))
            .env("HELM_DATA_HOME", self.home.join("data"))
            .env("HELM_NO_PLUGINS", "1")
            .env("KUBECACHEDIR", self.home.join("discovery"))
            .envs(extra.iter().map(|(k, v)| (*k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|error| {
            let text = format!(
                "the program {} cannot be started; install Helm, or name it with `binary`",
                self.binary.display()
            );
            ProviderError::new(ErrorKind::InvalidArgument, text).source(error)
        })?;
        let mut running = Running::of(child, stdin.to_vec());
        tokio::select! {
            biased;
            ran = &mut running.task => {
                let ran = ran.map_err(|e| ProviderError::internal("a task broke off").source(e))?;
                ran.map_err(|e| ProviderError::new(ErrorKind::Unavailable, "helm broke off").source(e))
            }
            () = cx.cancelled().cancelled() => {
                running.end().await;
                Err(ProviderError::new(ErrorKind::Cancelled, "interrupted"))
            }
            () = tokio::time::sleep_until(cx.deadline()) => {
                running.end().await;
                let text = "helm was not done in time; raise it with `timeout` and a `timeouts` block";
                Err(ProviderError::new(ErrorKind::Timeout, text))
            }
        }
    }
}

/// A child at work. A task of its own reads what it writes, to the end: Helm dies of a pipe that nobody reads, before it
/// has recorded that it failed.
struct Running {
    pid: Option<Pid>,
    task: JoinHandle<std::io::Result<Ran>>,
}

impl Running {
    fn of(child: Child, input: Vec<u8>) -> Self {
        Self {
            pid: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
            task: tokio::spawn(communicate(child, input)),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid
            && !self.task.is_finished()
        {
            // It may have ended a moment ago.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Asks the child to end and waits; only one that does not is ended by force.
    async fn end(&mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            self.signal(Signal::KILL);
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Running {
    /// The call was dropped before its end: SIGTERM makes Helm record the release as failed by itself.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

async fn communicate(mut child: Child, input: Vec<u8>) -> std::io::Result<Ran> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends without reading says why itself.
            let _ = stdin.write_all(&input).await;
            let _ = stdin.shutdown().await;
        }
    };
    let ((), stdout, stderr) = tokio::join!(feed, read_all(stdout), read_all(stderr));
    let status = child.wait().await?;
    Ok(Ran {
        ok: status.success(),
        stdout: stdout?,
        stderr: String::from_utf8_lossy(&stderr?).trim().to_owned(),
    })
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut text).await?;
    }
    Ok(text)
}

/// The major version in `v4.2.0`, if it is one that works.
fn usable(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix('v')?.split('.');
    let (major, minor): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (major > 3 || major == 3 && minor >= 13).then_some(major)
}

/// The JSON object in an output that may have lines before it.
pub(crate) fn json(stdout: &[u8]) -> Result<serde_json::Value, ProviderError> {
    let start = stdout.iter().position(|b| *b == b'{').unwrap_or(0);
    serde_json::from_slice(&stdout[start..])
        .map_err(|e| ProviderError::internal("the output of helm makes no sense").source(e))
}

/// What kind of failure a text on standard error tells of.
pub(crate) fn classify(stderr: &str) -> ErrorKind {
    let has = |texts: &[&str]| texts.iter().any(|t| stderr.contains(t));
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        ErrorKind::Conflict
    } else if has(&["failed calling webhook", "no endpoints available"]) {
        ErrorKind::Unavailable
    } else if has(&[
        "context deadline exceeded",
        "timed out waiting",
        "context canceled",
        "resource not ready",
    ]) {
        ErrorKind::Timeout
    } else if has(&[
        "connection refused",
        "cluster unreachable",
        "i/o timeout",
        "EOF",
        "no such host",
        "connection reset",
    ]) {
        ErrorKind::Unavailable
    } else if has(&["is forbidden", "Unauthorized", "unauthorized"]) {
        ErrorKind::Denied
    } else {
        ErrorKind::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_with_labels_are_usable() {
        assert_eq!(usable("v4.2.0"), Some(4));
        assert_eq!(usable("v3.21.1+g1"), Some(3));
        assert_eq!(usable("v3.12.3"), None);
        assert_eq!(usable("v2.17.0"), None);
        assert_eq!(usable("helm"), None);
    }

    #[test]
    fn json_is_found_behind_other_lines() {
        assert_eq!(json(b"Pulled: x\nDigest: y\n{\"a\":1}\n").unwrap()["a"], 1);
        assert!(json(b"release gone").is_err());
    }

    #[test]
    fn texts_have_kinds() {
        for (text, kind) in [
            (
                "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                ErrorKind::Conflict,
            ),
            (
                "Error: failed calling webhook \"x\": connection refused",
                ErrorKind::Unavailable,
            ),
            (
                "Error: UPGRADE FAILED: context deadline exceeded",
                ErrorKind::Timeout,
            ),
            (
                "Error: Kubernetes cluster unreachable: Get \"https://x\"",
                ErrorKind::Unavailable,
            ),
            (
                "Error: values don't meet the specifications of the schema(s)",
                ErrorKind::InvalidArgument,
            ),
        ] {
            assert_eq!(classify(text), kind, "{text}");
        }
    }
}
