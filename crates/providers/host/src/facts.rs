//! Data source `host_facts`.

use stack_core::Schema;
use stack_provider::{Cx, DataSource, ProviderError, async_trait};

use crate::HostClient;
use crate::probe::{Answer, Probe};

/// What a machine is.
#[derive(Clone, Debug, Schema)]
pub struct Facts {
    /// Id of the installation (`/etc/machine-id`).
    #[schema(computed)]
    pub id: Option<String>,
    /// Host name.
    #[schema(computed)]
    pub hostname: Option<String>,
    /// Distribution: `debian`, `ubuntu`.
    #[schema(computed)]
    pub distribution: Option<String>,
    /// Version of the distribution: `12`, `24.04`.
    #[schema(computed)]
    pub distribution_version: Option<String>,
    /// Code name of the distribution: `bookworm`, `noble`.
    #[schema(computed)]
    pub codename: Option<String>,
    /// Architecture in the distribution's words: `amd64`, `arm64`.
    #[schema(computed)]
    pub architecture: Option<String>,
    /// Release of the running kernel.
    #[schema(computed)]
    pub kernel: Option<String>,
    /// Number of processors.
    #[schema(computed)]
    pub cpus: Option<i64>,
    /// Memory in MiB.
    #[schema(computed)]
    pub memory_mib: Option<i64>,
}

impl Facts {
    pub(crate) fn of(answer: &Answer) -> Self {
        let text = |key| answer.get(key).map(str::to_owned);
        let number = |key| answer.get(key).and_then(|n| n.parse::<i64>().ok());
        let hostname = text("hostname");
        Self {
            id: text("machine_id").or_else(|| hostname.clone()),
            hostname,
            distribution: text("distribution"),
            distribution_version: text("version"),
            codename: text("codename"),
            architecture: text("architecture"),
            kernel: text("kernel"),
            cpus: number("cpus"),
            memory_mib: number("memory_kib").map(|kib| kib / 1024),
        }
    }
}

/// What the machine is: distribution, architecture, size.
pub struct HostFacts;

#[async_trait]
impl DataSource for HostFacts {
    const TYPE: &'static str = "host_facts";
    type Model = Facts;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, _: Facts) -> Result<Facts, ProviderError> {
        Ok(Facts::of(&client.probe(cx, Probe::Facts).await?))
    }
}
