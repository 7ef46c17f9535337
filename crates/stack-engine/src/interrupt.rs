//! Signals of the user, in two stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio_util::sync::CancellationToken;

/// Whether the user wants to stop. The first signal starts nothing new; the second abandons running calls, which is
/// safe because every one of them is in the journal.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signals: Arc<AtomicU8>,
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Interrupt {
    /// No signal yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one signal; returns how many there were, this one included.
    pub fn signal(&self) -> u8 {
        let before = self
            .signals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_add(1)));
        let count = before.unwrap_or(u8::MAX).saturating_add(1);
        self.stop.cancel();
        if count > 1 {
            self.abandon.cancel();
        }
        count
    }

    /// Triggered by the first signal.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Triggered by the second signal.
    pub fn abandon(&self) -> &CancellationToken {
        &self.abandon
    }

    /// Whether nothing new may start.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}
