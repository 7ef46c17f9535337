//! What the engine gives a provider along with a call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stack_core::{Decode, ResourceAddress, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{ErrorKind, Hidden, ProviderError, Sessions};

/// Who an object belongs to. The first two identify it for ever; the others are informational and never compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Lineage of the state (tag `stack:lineage`).
    pub lineage: String,
    /// Token of this create attempt, random, at most 36 ASCII characters (tag `stack:token`).
    pub token: String,
    /// Address of the resource instance (tag `stack:address`).
    pub address: ResourceAddress,
    /// Environment (tag `stack:environment`).
    pub environment: String,
}

/// Receives what a provider reports while a call runs.
#[async_trait]
pub trait Observer: Send + Sync {
    /// A short text on what is being done now: shown, never stored.
    fn progress(&self, text: &str);

    /// The identity of the object is known: makes it durable before the call goes on.
    async fn partial(&self, object: Value) -> Result<(), ProviderError>;
}

/// The context of one call.
#[derive(Clone)]
pub struct Cx {
    cancel: CancellationToken,
    deadline: Instant,
    sessions: Arc<Sessions>,
    observer: Arc<dyn Observer>,
    hidden: Hidden,
}

/// An observer that drops what it is told; for reads.
struct Silent;

#[async_trait]
impl Observer for Silent {
    fn progress(&self, _: &str) {}
    async fn partial(&self, _: Value) -> Result<(), ProviderError> {
        Ok(())
    }
}

impl Cx {
    /// A context that ends after `timeout` or when `cancel` is triggered.
    pub fn new(sessions: Arc<Sessions>, cancel: CancellationToken, timeout: Duration) -> Self {
        Self {
            cancel,
            deadline: Instant::now() + timeout,
            sessions,
            observer: Arc::new(Silent),
            hidden: Hidden::default(),
        }
    }

    /// The same context, for a call that says nothing of what is hidden.
    #[must_use]
    pub fn hiding(self, hidden: Hidden) -> Self {
        Self { hidden, ..self }
    }

    /// What nothing may say.
    pub(crate) fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    /// The same context, reporting to `observer`.
    #[must_use]
    pub fn observed(&self, observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            ..self.clone()
        }
    }

    /// The same context with another time, which begins now.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self {
            deadline: Instant::now() + timeout,
            ..self.clone()
        }
    }

    /// Who is told.
    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// When the call must be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Time left, zero when over.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Triggered when the user abandons running calls.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Sessions shared between providers.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Tells the user what is being done now.
    pub fn progress(&self, text: &str) {
        self.observer.progress(text);
    }

    /// Makes the identity of a half-made object durable. Call it the moment the identity is known.
    ///
    /// # Errors
    /// It could not be written; the call must stop.
    pub async fn partial(&self, object: &(impl Decode + Sync)) -> Result<(), ProviderError> {
        self.observer.partial(object.encode()).await
    }

    /// Waits.
    ///
    /// # Errors
    /// The time is over, or the call was abandoned.
    pub async fn sleep(&self, pause: Duration) -> Result<(), ProviderError> {
        self.bounded(tokio::time::sleep(pause)).await
    }

    /// Awaits a future within the time of the call.
    ///
    /// # Errors
    /// The time is over, or the call was abandoned.
    pub async fn bounded<T>(&self, future: impl Future<Output = T>) -> Result<T, ProviderError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ProviderError::new(ErrorKind::Cancelled, "interrupted")),
            out = future => Ok(out),
            () = tokio::time::sleep_until(self.deadline) => {
                Err(ProviderError::new(ErrorKind::Timeout, "not done in time; raise it with a `timeouts` block"))
            }
        }
    }

    /// Asks again and again until the answer is `Some`. `what` is reported as progress ("waiting for running").
    ///
    /// # Errors
    /// As `ask`, or the time is over, or the call was abandoned.
    pub async fn poll<T, F>(&self, pause: Duration, what: &str, mut ask: F) -> Result<T, ProviderError>
    where
        F: AsyncFnMut() -> Result<Option<T>, ProviderError>,
    {
        loop {
            if let Some(answer) = self.bounded(ask()).await?? {
                return Ok(answer);
            }
            self.progress(what);
            self.sleep(pause).await?;
        }
    }
}
