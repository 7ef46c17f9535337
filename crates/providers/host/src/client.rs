//! The client: a session on first use, scripts, errors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stack_provider::{Cx, ErrorKind, ProviderError};
use stack_ssh::{Class, Connection, Output, Script, Session, SshError};

use crate::probe::{Answer, Probe, Queue};

/// Seconds one script waits for the lock of the machine; then the user is told and it waits again.
const LOCK_WAIT: u32 = 15;

/// The operation that a denied login names, to be told from a machine that is not trusted.
pub(crate) const LOGIN: &str = "SSH login";

/// One machine. Connects on first use; the session is shared with everyone who reaches the same machine alike.
#[derive(Clone)]
pub struct HostClient(Arc<Inner>);

struct Inner {
    connection: Connection,
    session_key: String,
    probes: Queue,
}

impl HostClient {
    /// A client for this connection, checked but not yet connected.
    pub(crate) fn new(connection: Connection) -> Result<Self, ProviderError> {
        let checked = connection.check().and_then(|()| connection.session_key());
        let session_key = checked.map_err(|error| {
            let attribute = match &error {
                SshError::PrivateKey { .. } => "private_key",
                _ => "host_keys",
            };
            provider_error(error).attribute(stack_core::Path::of(&[attribute]))
        })?;
        Ok(Self(Arc::new(Inner {
            connection,
            session_key,
            probes: Queue::default(),
        })))
    }

    /// How the machine is reached.
    pub(crate) fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// The session, made if there is none that lives.
    pub(crate) async fn session(&self, cx: &Cx) -> Result<Arc<Session>, ProviderError> {
        let key = &self.0.session_key;
        loop {
            let connect = async { Session::connect(&self.0.connection).await.map_err(provider_error) };
            let session = cx.bounded(cx.sessions().get(key, connect)).await??;
            if !session.is_closed() {
                return Ok(session);
            }
            cx.sessions().drop_broken(key, &session);
        }
    }

    async fn exec(&self, cx: &Cx, script: &Script) -> Result<Output, ProviderError> {
        let session = self.session(cx).await?;
        let output = cx.bounded(session.exec(script, true)).await?.map_err(|error| {
            if error.class() == Class::Unavailable {
                cx.sessions().drop_broken(&self.0.session_key, &session);
            }
            provider_error(error)
        })?;
        if output.status != 0 && output.reason().starts_with("sudo: ") {
            let message = format!(
                "user {:?} on {} may not become root without a password ({}); allow it in sudoers (`NOPASSWD: ALL`) or log in as root",
                self.0.connection.user,
                self.0.connection.endpoint(),
                output.reason()
            );
            return Err(ProviderError::new(ErrorKind::Denied, message));
        }
        Ok(output)
    }

    /// Runs a script that changes nothing; once more if the connection turns out to be dead.
    pub(crate) async fn look(&self, cx: &Cx, script: &Script) -> Result<Output, ProviderError> {
        match self.exec(cx, script).await {
            Err(error) if error.kind == ErrorKind::Unavailable => self.exec(cx, script).await,
            done => done,
        }
    }

    /// Runs a script that changes something, under the lock of the machine.
    pub(crate) async fn change(&self, cx: &Cx, script: Script) -> Result<Output, ProviderError> {
        let script = script.locked(LOCK_WAIT);
        loop {
            let output = self.exec(cx, &script).await?;
            if !Script::is_not_locked(output.status) {
                return Ok(output);
            }
            if !output.reason().is_empty() {
                // Not waiting helps: the lock file itself cannot be used.
                return Err(ProviderError::new(ErrorKind::Denied, output.reason()));
            }
            cx.progress("waiting for another change on the machine");
            cx.sleep(Duration::from_millis(50)).await?;
        }
    }

    /// Waits until what runs on the machine under its lock has ended: a script goes on when nobody listens any more, and
    /// what an interrupted command began is known only then.
    pub(crate) async fn settle(&self, cx: &Cx) -> Result<(), ProviderError> {
        self.change(cx, Script::new()).await.map(|_| ())
    }

    /// Looks at one thing, together with everyone else who looks at this moment.
    pub(crate) async fn probe(&self, cx: &Cx, probe: Probe) -> Result<Answer, ProviderError> {
        let answer = self.0.probes.ask(self, cx, probe);
        cx.bounded(answer).await?
    }

    pub(crate) fn probes(&self) -> &Queue {
        &self.0.probes
    }
}

/// The causes of an error without the error itself, whose text is the message already.
#[derive(Debug)]
struct CauseOf(SshError);

impl fmt::Display for CauseOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(&self.0) {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CauseOf {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0).and_then(std::error::Error::source)
    }
}

/// What the engine must know of a failure of the transport.
pub(crate) fn provider_error(error: SshError) -> ProviderError {
    let kind = match error.class() {
        Class::Invalid => ErrorKind::InvalidArgument,
        Class::Denied => ErrorKind::Denied,
        Class::Unavailable => ErrorKind::Unavailable,
        Class::Internal => ErrorKind::Internal,
    };
    let mut described = ProviderError::new(kind, error.to_string());
    if matches!(error, SshError::NotAccepted { .. }) {
        described = described.operation(LOGIN);
    }
    if std::error::Error::source(&error).is_some() {
        described.source(CauseOf(error))
    } else {
        described
    }
}
