//! Errors of remote calls, with what the engine must know to act on them.

use std::fmt;
use std::time::Duration;

use stack_core::Path;

/// What kind of failure it was; decides whether the engine tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The arguments can never work. Not retried.
    InvalidArgument,
    /// Credentials, permissions or trust (a host key that is not the pinned one). Not retried.
    Denied,
    /// The object, or something it needs, does not exist. Not retried.
    NotFound,
    /// Made a moment ago and not visible yet everywhere. Retried.
    NotYetVisible,
    /// Another object or operation is in the way and may go away (a dependency still in use). Retried.
    Conflict,
    /// An object of this name exists and is not ours. Not retried; the message names the way to import it.
    AlreadyExists,
    /// The service asks to slow down. Retried with growing pauses.
    Throttled,
    /// The service cannot be reached or fails by itself. Retried.
    Unavailable,
    /// The operation's time is over. Not retried.
    Timeout,
    /// The command was interrupted. Not retried.
    Cancelled,
    /// A bug or an answer that makes no sense. Not retried.
    Internal,
}

impl ErrorKind {
    /// Whether another try of the same call may succeed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::NotYetVisible | Self::Conflict | Self::Throttled | Self::Unavailable
        )
    }
}

/// A failed remote call.
#[derive(Debug)]
pub struct ProviderError {
    /// What kind.
    pub kind: ErrorKind,
    /// Lower-case fragment: what failed, why, and the way out. Never a secret.
    pub message: String,
    /// The argument that caused it.
    pub attribute: Option<Path>,
    /// The remote operation: `RunInstances`, `PUT /api/users/x`.
    pub operation: Option<String>,
    /// Id the service gave the request, for its support.
    pub request_id: Option<String>,
    /// Least time to wait before another try, where the service said so.
    pub retry_after: Option<Duration>,
    /// The cause.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            message,
            attribute: None,
            operation: None,
            request_id: None,
            retry_after: None,
            source: None,
        }
    }

    /// Arguments that cannot work.
    pub fn invalid(attribute: &str, message: impl Into<String>) -> Self {
        Self {
            attribute: Some(Path::of(&[attribute])),
            ..Self::new(ErrorKind::InvalidArgument, message)
        }
    }

    /// A bug or an answer that makes no sense.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Names the argument that caused it.
    #[must_use]
    pub fn attribute(mut self, path: Path) -> Self {
        self.attribute = Some(path);
        self
    }

    /// Names the remote operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Adds the service's id of the request.
    #[must_use]
    pub fn request_id(mut self, id: Option<impl Into<String>>) -> Self {
        self.request_id = id.map(Into::into);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = &self.operation {
            write!(f, "{operation}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProviderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|e| e.as_ref() as &(dyn std::error::Error + 'static))
    }
}

impl From<stack_core::DecodeError> for ProviderError {
    fn from(error: stack_core::DecodeError) -> Self {
        Self::new(ErrorKind::InvalidArgument, error.message).attribute(error.path)
    }
}
