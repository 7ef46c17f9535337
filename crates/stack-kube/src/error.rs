//! Errors of the API server, with what the engine must know to act on them.

use std::time::Duration;

use stack_provider::{ErrorKind, ProviderError};

/// One of several reasons of an error, by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field, as the API server writes it: `.spec.replicas`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A failed call to the API server.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct KubeError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// HTTP status code, 0 where no answer came.
    pub code: u16,
    /// Reason as in the API reference (`StatusReason`): `NotFound`, `Conflict`; empty where none was given.
    pub reason: String,
    /// What went wrong, and the way out where there is one.
    pub message: String,
    /// Causes by field (conflicts of server-side apply, invalid fields).
    pub causes: Vec<Cause>,
    /// Least time to wait before another try, where the server said so.
    pub retry_after: Option<Duration>,
    /// The error underneath.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl KubeError {
    /// An error that did not come from the API server.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: 0,
            reason: String::new(),
            message: message.into(),
            causes: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Fields that another field manager owns stand in the way of a server-side apply.
    pub fn is_field_conflict(&self) -> bool {
        self.code == 409 && self.causes.iter().any(|c| !c.field.is_empty())
    }

    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// What the API server said.
    pub(crate) fn from_status(status: kube::core::Status) -> Self {
        let pause = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
        let causes = status
            .details
            .into_iter()
            .flat_map(|d| d.causes)
            .map(|c| Cause {
                field: c.field,
                message: c.message,
            })
            .collect::<Vec<_>>();
        Self {
            kind: classify(status.code, &status.reason, &status.message, !causes.is_empty()),
            code: status.code,
            reason: status.reason,
            message: status.message,
            causes,
            retry_after: (pause > 0).then(|| Duration::from_secs(pause.into())),
            source: None,
        }
    }
}

/// The kind of an answer. A webhook that cannot be called is a service that is not there (yet), whatever the code.
fn classify(code: u16, reason: &str, message: &str, has_causes: bool) -> ErrorKind {
    let webhook = message.contains("failed calling webhook") || message.contains("no endpoints available");
    // Server-side apply answers 500 for a field that the kind does not have.
    let misspelt = message.contains("failed to create typed patch object");
    match code {
        _ if misspelt => ErrorKind::InvalidArgument,
        _ if webhook => ErrorKind::Unavailable,
        401 | 403 => {
            // A namespace that is being removed, or whose service account is still to come, answers 403.
            if message.contains("being terminated")
                || message.contains("serviceaccount \"default\" not found")
            {
                ErrorKind::Conflict
            } else {
                ErrorKind::Denied
            }
        }
        404 => ErrorKind::NotFound,
        409 if reason == "AlreadyExists" => ErrorKind::AlreadyExists,
        409 if has_causes => ErrorKind::InvalidArgument,
        409 => ErrorKind::Conflict,
        429 => ErrorKind::Throttled,
        400 | 405 | 413 | 415 | 422 => ErrorKind::InvalidArgument,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

impl From<kube::Error> for KubeError {
    fn from(error: kube::Error) -> Self {
        use kube::Error as E;
        match error {
            E::Api(status) => Self::from_status(*status),
            E::Service(e) => Self::new(
                ErrorKind::Unavailable,
                "the API server cannot be reached; check the kubeconfig's server address and that the cluster runs",
            )
            .because(e),
            E::HyperError(e) => {
                Self::new(ErrorKind::Unavailable, "the connection to the API server broke").because(e)
            }
            E::ReadEvents(e) => {
                Self::new(ErrorKind::Unavailable, "the connection to the API server broke").because(e)
            }
            E::UpgradeConnection(e) => upgrade(e),
            E::Auth(e) => Self::new(
                ErrorKind::Denied,
                "the kubeconfig's credentials cannot be used; renew them or name another context",
            )
            .because(e),
            E::InferKubeconfig(e) => Self::new(
                ErrorKind::InvalidArgument,
                "the kubeconfig cannot be used; check config_path and config_context",
            )
            .because(e),
            E::SerdeError(e) => {
                Self::new(ErrorKind::Internal, "the API server's answer makes no sense").because(e)
            }
            other => Self::new(ErrorKind::Internal, "the call to the API server failed").because(other),
        }
    }
}

/// A command in a pod could not be started: the answer carries only a status code.
fn upgrade(error: kube::client::UpgradeConnectionError) -> KubeError {
    let kube::client::UpgradeConnectionError::ProtocolSwitch(code) = &error else {
        return KubeError::new(ErrorKind::Unavailable, "the command's connection broke").because(error);
    };
    let code = code.as_u16();
    let mut answer = KubeError::new(
        classify(code, "", "", false),
        format!("the API server refused to run a command in the pod (status {code})"),
    );
    answer.code = code;
    answer
}

impl From<KubeError> for ProviderError {
    fn from(error: KubeError) -> Self {
        let mut message = error.message;
        if message.is_empty() {
            message = format!("status {} {}", error.code, error.reason);
        }
        let mut out = ProviderError::new(error.kind, message);
        out.retry_after = error.retry_after;
        out.source = error.source;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> KubeError {
        KubeError::from_status(kube::core::Status {
            status: None,
            code,
            message: message.into(),
            metadata: None,
            reason: reason.into(),
            details: None,
        })
    }

    #[test]
    fn a_webhook_that_cannot_be_called_is_retried() {
        let text =
            "Internal error occurred: failed calling webhook \"x\": no endpoints available for service";
        assert_eq!(status(500, "InternalError", text).kind, ErrorKind::Unavailable);
    }

    #[test]
    fn codes_have_kinds() {
        for (code, reason, kind) in [
            (403, "Forbidden", ErrorKind::Denied),
            (404, "NotFound", ErrorKind::NotFound),
            (409, "AlreadyExists", ErrorKind::AlreadyExists),
            (409, "Conflict", ErrorKind::Conflict),
            (422, "Invalid", ErrorKind::InvalidArgument),
            (429, "TooManyRequests", ErrorKind::Throttled),
            (503, "ServiceUnavailable", ErrorKind::Unavailable),
        ] {
            assert_eq!(status(code, reason, "").kind, kind, "{code} {reason}");
        }
        let terminating = "unable to create new content in namespace x because it is being terminated";
        assert_eq!(status(403, "Forbidden", terminating).kind, ErrorKind::Conflict);
    }
}
