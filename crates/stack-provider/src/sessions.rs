//! Sessions (SSH, Kubernetes) shared between providers.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::ProviderError;

type Slot = Arc<OnceCell<Arc<dyn Any + Send + Sync>>>;

/// A pool of sessions by identity. Two callers that ask for one key get one session; a failed connect is not kept.
#[derive(Default)]
pub struct Sessions {
    slots: Mutex<HashMap<String, Slot>>,
}

impl Sessions {
    /// An empty pool.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The session of this key, made by `connect` where there is none. The key must name the kind, the remote end and
    /// the credentials' digest, never a secret.
    ///
    /// # Errors
    /// As `connect`; or the key is in use for another kind of session.
    pub async fn get<S, F>(&self, key: &str, connect: F) -> Result<Arc<S>, ProviderError>
    where
        S: Send + Sync + 'static,
        F: Future<Output = Result<S, ProviderError>> + Send,
    {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(key.to_owned()).or_default().clone()
        };
        let session = slot
            .get_or_try_init(|| async { connect.await.map(|s| Arc::new(s) as Arc<dyn Any + Send + Sync>) })
            .await?;
        Arc::clone(session)
            .downcast::<S>()
            .map_err(|_| ProviderError::internal(format!("session {key} is of another kind")))
    }

    /// Forgets a session that broke, so that the next caller connects anew. Keeps one that somebody else has already
    /// made since.
    pub fn drop_broken<S: Send + Sync + 'static>(&self, key: &str, broken: &Arc<S>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let same = slots.get(key).and_then(|slot| slot.get()).is_some_and(|current| {
            Arc::clone(current)
                .downcast::<S>()
                .is_ok_and(|current| Arc::ptr_eq(&current, broken))
        });
        if same {
            slots.remove(key);
        }
    }
}
