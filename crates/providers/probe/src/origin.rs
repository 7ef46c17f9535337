//! Where a probe starts from, and the stream from there to its target.

use std::io;
use std::time::Duration;

use stack_kube::{Json, Kube, Selection};
use stack_provider::{Cx, ErrorKind, ProviderError};
use stack_ssh::{Class, SshError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Client;
use crate::arguments::Pod;

/// A stream to the target.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream of any kind.
pub(crate) type BoxStream = Box<dyn Stream>;

/// Where a probe starts from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// This machine.
    Local,
    /// The provider's host.
    Host,
    /// A container.
    Pod(Pod),
}

/// Why there is no stream.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// The target does not answer: a result.
    Target(String),
    /// The place to start from cannot be used: an error.
    Origin(ProviderError),
}

impl From<ProviderError> for Unreached {
    fn from(error: ProviderError) -> Self {
        Self::Origin(error)
    }
}

/// Writes a line to standard error when the connection stands, then carries bytes both ways until either side ends.
/// The address comes as arguments, never as part of the program.
const RELAY: &str = r#"
if command -v bash >/dev/null 2>&1; then
  exec bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 111
    echo relay-connected >&2
    cat <&3 & from=$!
    cat <&0 >&3 & to=$!
    wait -n
    kill $from $to 2>/dev/null
    exit 0' relay "$1" "$2"
fi
if command -v socat >/dev/null 2>&1; then
  socat -u OPEN:/dev/null "TCP:$1:$2,connect-timeout=20" || exit 111
  echo relay-connected >&2
  exec socat - "TCP:$1:$2"
fi
if command -v nc >/dev/null 2>&1; then
  nc -z -w 20 "$1" "$2" || { echo "nc: no connection to $1 port $2" >&2; exit 111; }
  echo relay-connected >&2
  exec nc "$1" "$2"
fi
echo relay-missing >&2
exit 127
"#;

impl Origin {
    /// Connects to an address as it is seen from here.
    pub(crate) async fn connect(
        &self,
        cx: &Cx,
        client: &Client,
        host: &str,
        port: u16,
    ) -> Result<BoxStream, Unreached> {
        match self {
            Self::Local => {
                let stream = tokio::net::TcpStream::connect((host, port)).await;
                let stream = stream.map_err(|e| Unreached::Target(connect_text(&e)))?;
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Host => through_host(cx, client, host, port).await,
            Self::Pod(pod) => through_pod(cx, client, pod, host, port).await,
        }
    }
}

fn connect_text(error: &io::Error) -> String {
    format!("no connection: {error}")
}

async fn through_host(cx: &Cx, client: &Client, host: &str, port: u16) -> Result<BoxStream, Unreached> {
    let Some(connection) = &client.ssh else {
        let text = "probing from a host needs the provider's `ssh` block";
        return Err(ProviderError::invalid("from", text).into());
    };
    let key = connection.session_key().map_err(ssh_error)?;
    let session = loop {
        let connect = async { stack_ssh::Session::connect(connection).await.map_err(ssh_error) };
        let session = cx.bounded(cx.sessions().get(&key, connect)).await??;
        if !session.is_closed() {
            break session;
        }
        cx.sessions().drop_broken(&key, &session);
    };
    match session.tunnel(host, port).await {
        Ok(tunnel) => Ok(Box::new(tunnel)),
        Err(error @ SshError::TunnelRefused { .. }) => {
            let reason = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            Err(Unreached::Target(format!(
                "no connection from the host: {reason}"
            )))
        }
        Err(error) => Err(ssh_error(error).into()),
    }
}

fn ssh_error(error: SshError) -> ProviderError {
    let kind = match error.class() {
        Class::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Denied,
    };
    ProviderError::new(kind, error.to_string()).source(error)
}

async fn through_pod(
    cx: &Cx,
    client: &Client,
    pod: &Pod,
    host: &str,
    port: u16,
) -> Result<BoxStream, Unreached> {
    let kube = cluster(cx, client).await?;
    let name = match &pod.name {
        Some(name) => name.clone(),
        None => running(cx, &kube, pod)
            .await?
            .into_iter()
            .next()
            .unwrap_or_default(),
    };
    let port = port.to_string();
    let command = ["sh", "-c", RELAY, "relay", host, &port];
    let started = kube.exec_stream(&pod.namespace, &name, pod.container.as_deref(), &command);
    let mut stream = cx.bounded(started).await?.map_err(ProviderError::from)?;
    let mut told = Vec::new();
    loop {
        let line = stream.error_line().await;
        match line.as_str() {
            "relay-connected" => return Ok(Box::new(stream)),
            "relay-missing" => return Err(no_relay(pod, &name).into()),
            "" => break,
            _ => told.push(line),
        }
    }
    if stream.code().await == Some(127) && told.is_empty() {
        return Err(no_relay(pod, &name).into());
    }
    // The first line says why (no such name, refused), the second that the shell could not open it.
    let reason = told.first().map_or("the relay ended", |line| cause(line));
    Err(Unreached::Target(format!("no connection from the pod: {reason}")))
}

/// What a shell says behind its own name and the line of the program.
fn cause(line: &str) -> &str {
    let line = line.split_once(": line ").map_or(line, |(_, rest)| {
        rest.split_once(": ").map_or(rest, |(_, rest)| rest)
    });
    ["bash: ", "relay: "]
        .iter()
        .find_map(|name| line.strip_prefix(name))
        .unwrap_or(line)
}

fn no_relay(pod: &Pod, name: &str) -> ProviderError {
    let text = format!(
        "container {} of pod {name} in namespace {} has neither bash nor socat nor nc to connect with; probe from \
         another container",
        pod.container.as_deref().unwrap_or("(the first)"),
        pod.namespace
    );
    ProviderError::invalid("pod", text)
}

/// The cluster of the provider.
pub(crate) async fn cluster(cx: &Cx, client: &Client) -> Result<std::sync::Arc<Kube>, ProviderError> {
    let Some(access) = &client.access else {
        let text = "probing from a pod needs the provider's `kubernetes` block";
        return Err(ProviderError::invalid("from", text));
    };
    access.session(cx).await
}

/// Names of the ready pods that a selection names, in order; waits a little for the first, for a rollout may have ended
/// a moment ago.
pub(crate) async fn running(cx: &Cx, kube: &Kube, pod: &Pod) -> Result<Vec<String>, ProviderError> {
    let Some(selector) = &pod.selector else {
        let text = "a pod needs a name or a selector";
        return Err(ProviderError::invalid("pod", text));
    };
    let selection = Selection {
        namespace: Some(&pod.namespace),
        labels: Some(selector),
    };
    for _ in 0..20 {
        let pods = cx.bounded(kube.list("v1", "Pod", &selection)).await??;
        let mut names: Vec<String> = pods.iter().filter(|p| is_ready(p)).filter_map(name).collect();
        if !names.is_empty() {
            names.sort();
            return Ok(names);
        }
        cx.progress(&format!("waiting for a ready pod with labels {selector}"));
        cx.sleep(Duration::from_millis(500)).await?;
    }
    let text = format!(
        "no pod with labels {selector} is ready in namespace {}",
        pod.namespace
    );
    Err(ProviderError::new(ErrorKind::NotFound, text))
}

fn name(pod: &Json) -> Option<String> {
    pod["metadata"]["name"].as_str().map(str::to_owned)
}

fn is_ready(pod: &Json) -> bool {
    let leaving = pod["metadata"]["deletionTimestamp"].is_string();
    let ready = stack_kube::ready::condition(pod, "Ready", "True") == stack_kube::ready::Readiness::Ready;
    ready && !leaving
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shells_complaint_is_cut_to_its_cause() {
        for (line, wanted) in [
            (
                "relay: connect: Connection refused",
                "connect: Connection refused",
            ),
            (
                "relay: line 1: /dev/tcp/127.0.0.1/9: Connection refused",
                "/dev/tcp/127.0.0.1/9: Connection refused",
            ),
            (
                "bash: a.example: Name or service not known",
                "a.example: Name or service not known",
            ),
            ("nc: no connection to a port 1", "nc: no connection to a port 1"),
        ] {
            assert_eq!(cause(line), wanted);
        }
    }
}
