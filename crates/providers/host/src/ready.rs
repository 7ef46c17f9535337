//! `host_ready`: waits until a machine can be worked on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use stack_core::{Schema, Value};
use stack_provider::{Cx, ErrorKind, Failure, Owner, Ownership, ProviderError, Resource, async_trait};
use stack_ssh::Script;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::HostClient;
use crate::client::LOGIN;
use crate::facts::Facts;
use crate::probe::{Answer, FUNCTIONS, Probe};
use crate::words::failed;

/// A machine that answers over SSH with a pinned key, whose first boot (cloud-init) is over and whose system is up.
#[derive(Clone, Debug, Schema)]
pub struct Ready {
    /// Values whose change makes it wait anew.
    #[schema(replace)]
    pub triggers: Option<BTreeMap<String, String>>,
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
}

impl Ready {
    fn with(self, facts: Facts) -> Self {
        Self {
            triggers: self.triggers,
            id: facts.id,
            hostname: facts.hostname,
            distribution: facts.distribution,
            distribution_version: facts.distribution_version,
            codename: facts.codename,
            architecture: facts.architecture,
        }
    }
}

/// Pause between two attempts to reach the machine.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one attempt to open a TCP connection may take while the machine boots.
const KNOCK: Duration = Duration::from_secs(2);

/// How long a refused login may last: while a machine boots, its users may not be there yet, and PAM refuses everyone
/// but root.
const LOGIN_PATIENCE: Duration = Duration::from_secs(60);

/// `/run/cloud-init/result.json`, as documented by cloud-init ("boot status").
#[derive(Deserialize)]
struct CloudInit {
    v1: CloudInitResult,
}

#[derive(Deserialize)]
struct CloudInitResult {
    #[serde(default)]
    errors: Vec<String>,
}

/// Waits until a machine can be worked on.
pub struct HostReady;

#[async_trait]
impl Resource for HostReady {
    const TYPE: &'static str = "host_ready";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 20.0;
    type Model = Ready;
    type Client = HostClient;

    async fn read(cx: &Cx, client: &HostClient, prior: &Ready) -> Result<Option<Ready>, ProviderError> {
        let facts = Facts::of(&client.probe(cx, Probe::Facts).await?);
        if prior.id.is_some() && prior.id != facts.id {
            return Ok(None);
        }
        Ok(Some(prior.clone().with(facts)))
    }

    async fn create(
        cx: &Cx,
        client: &HostClient,
        _: &Owner,
        planned: Ready,
    ) -> Result<Ready, Failure<Ready>> {
        reach(cx, client).await?;
        let answer = loop {
            if let Some(answer) = booted(cx, client).await? {
                break answer;
            }
            cx.progress("waiting for the first boot to end");
            cx.sleep(PAUSE).await?;
        };
        if let Some(result) = answer.bytes("cloud_init") {
            let errors = serde_json::from_slice::<CloudInit>(&result).map(|r| r.v1.errors);
            let errors = errors.unwrap_or_else(|e| vec![format!("its result cannot be read: {e}")]);
            if !errors.is_empty() {
                let message = format!(
                    "cloud-init failed: {}; see /var/log/cloud-init-output.log on the machine",
                    errors.join("; ")
                );
                return Err(ProviderError::new(ErrorKind::InvalidArgument, message).into());
            }
        }
        Ok(planned.with(Facts::of(&answer)))
    }

    async fn delete(_: &Cx, _: &HostClient, _: &Ready) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, _: &HostClient, _: &Owner, _: &Value) -> Result<Option<Ready>, ProviderError> {
        Ok(None)
    }
}

/// Waits for a session.
async fn reach(cx: &Cx, client: &HostClient) -> Result<(), ProviderError> {
    let connection = client.connection();
    let mut refused_since = None;
    loop {
        // A plain connection first: it fails sooner than a whole session does while there is no machine.
        let knock = TcpStream::connect((connection.address.as_str(), connection.port));
        let open = matches!(cx.bounded(tokio::time::timeout(KNOCK, knock)).await?, Ok(Ok(_)));
        if open {
            match client.session(cx).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == ErrorKind::Unavailable => {}
                Err(error) if error.kind == ErrorKind::Denied && is_login(&error) => {
                    let since = *refused_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > LOGIN_PATIENCE {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        cx.progress("waiting for SSH");
        cx.sleep(PAUSE).await?;
    }
}

/// Whether a denial is about the user rather than about the machine's key.
fn is_login(error: &ProviderError) -> bool {
    error.operation.as_deref() == Some(LOGIN)
}

async fn booted(cx: &Cx, client: &HostClient) -> Result<Option<Answer>, ProviderError> {
    let script = Script::new()
        .text(FUNCTIONS)
        .text(include_str!("scripts/ready.sh"));
    match client.look(cx, &script).await {
        // cloud-init may restart the SSH server or the machine.
        Err(error) if error.kind == ErrorKind::Unavailable => Ok(None),
        Err(error) => Err(error),
        Ok(output) if !output.success() => Err(failed("the machine cannot be asked", &output)),
        Ok(output) => {
            let answer = Answer::parse(&output.text());
            Ok(answer.get("ready").is_some().then_some(answer))
        }
    }
}
