//! `probe_envoy`

use std::time::Duration;

use stack_core::{Schema, Secret};
use stack_kube::Kube;
use stack_provider::{Cx, DataSource, ErrorKind, ProviderError, async_trait};

use crate::Client;
use crate::arguments::{Pod, TlsSettings, at, origin, policy};
use crate::attempt::{Speech, Target};
use crate::origin::{cluster, running};
use crate::sources::{http, login};
use crate::tls::Tls;

/// How long a counter may lag behind the connection it counts.
const LAG: Duration = Duration::from_secs(5);

/// The connection that is to pass the gateway.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Through {
    /// What is spoken: `tcp`, `tls`, `amqp`, `amqps`, `http`, `https`.
    pub kind: String,
    /// Where it starts from: `local`, `host`, `pod`.
    #[schema(default = "pod")]
    pub from: String,
    /// The container to start from.
    #[schema(block)]
    pub pod: Option<Pod>,
    /// Name or address to connect to, as it is seen from there.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the request, for `http` and `https`.
    #[schema(default = "/")]
    pub path: String,
    /// Certificates of the authorities to trust, in PEM; those of this machine where left out.
    pub ca_pem: Option<String>,
    /// Name that the certificate must have, and that is sent to the server; `host` where left out.
    pub server_name: Option<String>,
    /// User to log in as, for `amqp` and `amqps`.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<Secret<String>>,
    /// Virtual host to open.
    #[schema(default = "/")]
    pub virtual_host: String,
    /// Time of one try, in seconds.
    #[schema(default = 10)]
    pub timeout: u32,
    /// Tries at most.
    #[schema(default = 1)]
    pub attempts: u32,
    /// Pause between tries, in seconds.
    #[schema(default = 1)]
    pub interval: u32,
}

impl Through {
    fn target(&self) -> Result<Target, ProviderError> {
        let settings = TlsSettings {
            ca_pem: self.ca_pem.clone(),
            server_name: self.server_name.clone(),
            sni: true,
        };
        let tls = || Tls::new(&settings, &self.host, &[]).map(Some);
        let amqp =
            || login(self.username.as_ref(), self.password.as_ref(), &self.virtual_host).map(Speech::Amqp);
        let (tls, speech) = match self.kind.as_str() {
            "tcp" => (None, Speech::Silence),
            "tls" => (tls()?, Speech::Silence),
            "amqp" => (None, amqp()?),
            "amqps" => (tls()?, amqp()?),
            scheme @ ("http" | "https") => {
                let url = format!("{scheme}://{}:{}{}", self.host, self.port, self.path);
                let (_, tls, speech) =
                    http(&url, "GET", Default::default(), Vec::new(), self.ca_pem.as_ref())?;
                (tls, speech)
            }
            _ => {
                let text = "must be tcp, tls, amqp, amqps, http or https";
                return Err(ProviderError::invalid("probe", text).attribute(at("probe").attribute("kind")));
            }
        };
        Ok(Target {
            origin: origin(&self.from, self.pod.as_ref())?,
            host: self.host.clone(),
            port: self.port,
            tls,
            speech,
        })
    }
}

/// Whether a connection passes a gateway: its counters before and after the probe's own connection.
#[derive(Clone, Debug, Schema)]
pub(crate) struct Envoy {
    /// Namespace of the gateway.
    pub namespace: String,
    /// Labels of the gateway's pods; the counters of all ready ones are added up.
    pub selector: String,
    /// Container with the proxy.
    #[schema(default = "istio-proxy")]
    pub container: String,
    /// Name of Envoy's cluster: `outbound|5671||broker.example`.
    pub cluster: String,
    /// Counter of the cluster's members.
    #[schema(default = "cx_total")]
    pub counter: String,
    /// The connection.
    #[schema(block, min = 1)]
    pub probe: Option<Through>,
    /// Whether the connection succeeded.
    #[schema(computed)]
    pub success: Option<bool>,
    /// Why it did not; null where it did.
    #[schema(computed)]
    pub error: Option<String>,
    /// Time of the connection, in milliseconds.
    #[schema(computed)]
    pub latency_ms: Option<i64>,
    /// The counter before.
    #[schema(computed)]
    pub before: Option<i64>,
    /// The counter after.
    #[schema(computed)]
    pub after: Option<i64>,
    /// Whether the counter grew.
    #[schema(computed)]
    pub grew: Option<bool>,
}

impl Envoy {
    /// The counter, added up over the gateway's pods.
    async fn count(&self, cx: &Cx, kube: &Kube) -> Result<i64, ProviderError> {
        let pods = Pod {
            namespace: self.namespace.clone(),
            name: None,
            selector: Some(self.selector.clone()),
            container: Some(self.container.clone()),
        };
        let mut sum = 0;
        for pod in running(cx, kube, &pods).await? {
            let command = ["pilot-agent", "request", "GET", "clusters"];
            let asked = kube.exec(&self.namespace, &pod, Some(&self.container), &command);
            let output = cx.bounded(asked).await?.map_err(ProviderError::from)?;
            if output.code != 0 {
                let text = format!(
                    "pod {pod} does not tell its counters (exit {}): {}",
                    output.code,
                    String::from_utf8_lossy(&output.stderr).trim()
                );
                return Err(ProviderError::new(ErrorKind::Unavailable, text).operation("pilot-agent request"));
            }
            sum += counted(
                &String::from_utf8_lossy(&output.stdout),
                &self.cluster,
                &self.counter,
            );
        }
        Ok(sum)
    }
}

/// The counter of a cluster in what Envoy's `/clusters` tells, added up over the cluster's members:
/// `outbound|5671||broker::10.0.0.1:5671::cx_total::7`.
fn counted(text: &str, cluster: &str, counter: &str) -> i64 {
    let own = text
        .lines()
        .filter_map(|line| line.strip_prefix(cluster)?.strip_prefix("::"));
    own.filter_map(|rest| {
        let (rest, number) = rest.rsplit_once("::")?;
        let (_, name) = rest.rsplit_once("::")?;
        (name == counter).then(|| number.trim().parse::<i64>().ok())?
    })
    .sum()
}

/// The data source `probe_envoy`.
pub(crate) struct ProbeEnvoy;

#[async_trait]
impl DataSource for ProbeEnvoy {
    const TYPE: &'static str = "probe_envoy";
    const TIMEOUT_SECONDS: u64 = 600;
    type Model = Envoy;
    type Client = Client;

    async fn read(cx: &Cx, client: &Client, mut arguments: Envoy) -> Result<Envoy, ProviderError> {
        let Some(through) = arguments.probe.clone() else {
            return Err(ProviderError::invalid("probe", "is not set"));
        };
        let target = through.target()?;
        let policy = policy(through.attempts, through.timeout, through.interval, "success")?;
        let kube = cluster(cx, client).await?;
        let before = arguments.count(cx, &kube).await?;
        let findings = target.probe(cx, client, policy).await?;
        let until = tokio::time::Instant::now() + LAG;
        let after = loop {
            let after = arguments.count(cx, &kube).await?;
            if after > before || !findings.success() || tokio::time::Instant::now() > until {
                break after;
            }
            cx.sleep(Duration::from_millis(300)).await?;
        };
        arguments.success = Some(findings.success());
        arguments.latency_ms = Some(findings.latency_ms());
        arguments.error = findings.error;
        arguments.before = Some(before);
        arguments.after = Some(after);
        arguments.grew = Some(after > before);
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_one_cluster_are_added_up() {
        let text = "outbound|5671||b.example::default_priority::max_connections::1024\n\
            outbound|5671||b.example::10.0.0.1:5671::cx_total::7\n\
            outbound|5671||b.example::[fd00::1]:5671::cx_total::2\n\
            outbound|5671||b.example::10.0.0.1:5671::cx_active::1\n\
            outbound|5671||b.example.other::10.0.0.2:5671::cx_total::9\n";
        assert_eq!(counted(text, "outbound|5671||b.example", "cx_total"), 9);
        assert_eq!(counted(text, "outbound|5671||b.example", "cx_active"), 1);
        assert_eq!(counted(text, "outbound|443||b.example", "cx_total"), 0);
    }
}
