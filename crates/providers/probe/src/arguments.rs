//! Arguments that all probes share.

use std::time::Duration;

use stack_core::{Path, Schema};
use stack_provider::ProviderError;

use crate::origin::Origin;

/// A container to probe from.
#[derive(Clone, Debug, PartialEq, Eq, Schema)]
pub(crate) struct Pod {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod; else `selector`.
    pub name: Option<String>,
    /// Labels of the pod (`app=cart`): the first ready one is taken.
    pub selector: Option<String>,
    /// Container in the pod; its first, or the one its annotations name, where left out.
    pub container: Option<String>,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Schema)]
pub(crate) struct TlsSettings {
    /// Certificates of the authorities to trust, in PEM; those of this machine where left out.
    pub ca_pem: Option<String>,
    /// Name that the certificate must have, and that is sent to the server; the host where left out.
    pub server_name: Option<String>,
    /// Send the name (SNI). Names that are addresses are never sent.
    #[schema(default = true)]
    pub sni: bool,
}

/// How often, how long, and until what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Tries at most.
    pub(crate) attempts: u32,
    /// Time of one try.
    pub(crate) timeout: Duration,
    /// Pause between tries.
    pub(crate) interval: Duration,
    /// The outcome that ends the tries.
    pub(crate) wants_success: bool,
}

/// Reads where a probe starts from.
///
/// # Errors
/// The word is unknown, or a pod is wanted and none is named.
pub(crate) fn origin(from: &str, pod: Option<&Pod>) -> Result<Origin, ProviderError> {
    match (from, pod) {
        ("local", _) => Ok(Origin::Local),
        ("host", _) => Ok(Origin::Host),
        ("pod", Some(pod)) => Ok(Origin::Pod(pod.clone())),
        ("pod", None) => Err(ProviderError::invalid(
            "pod",
            "from = \"pod\" needs a `pod` block",
        )),
        _ => Err(ProviderError::invalid("from", "must be local, host or pod")),
    }
}

/// Reads how often, how long, and until what.
///
/// # Errors
/// A number is zero, or the word is unknown.
pub(crate) fn policy(
    attempts: u32,
    timeout: u32,
    interval: u32,
    expect: &str,
) -> Result<Policy, ProviderError> {
    if attempts == 0 {
        return Err(ProviderError::invalid("attempts", "must be at least 1"));
    }
    if timeout == 0 {
        return Err(ProviderError::invalid("timeout", "must be at least 1 second"));
    }
    let wants_success = match expect {
        "success" => true,
        "failure" => false,
        _ => return Err(ProviderError::invalid("expect", "must be success or failure")),
    };
    Ok(Policy {
        attempts,
        timeout: Duration::from_secs(timeout.into()),
        interval: Duration::from_secs(interval.into()),
        wants_success,
    })
}

/// The path of an argument of a data source.
pub(crate) fn at(name: &str) -> Path {
    Path::of(&[name])
}
