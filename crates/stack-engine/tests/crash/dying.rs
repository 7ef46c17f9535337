//! A backend whose process dies at a chosen write: nothing after it reaches the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stack_engine::backend::{Backend, BackendError, Holder, Writer};
use stack_state::load::{Stored, TornEnd};

/// Lets a number of writes through, then fails for good.
pub(crate) struct Dying {
    inner: Arc<dyn Backend>,
    left: Arc<AtomicUsize>,
}

impl Dying {
    pub(crate) fn new(inner: Arc<dyn Backend>, writes: usize) -> Self {
        Self {
            inner,
            left: Arc::new(AtomicUsize::new(writes)),
        }
    }
}

impl Backend for Dying {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn read(&self) -> Result<Stored, BackendError> {
        self.inner.read()
    }
    fn lock(&self, holder: &Holder, timeout: Duration) -> Result<Box<dyn Writer>, BackendError> {
        Ok(Box::new(DyingWriter {
            inner: self.inner.lock(holder, timeout)?,
            left: self.left.clone(),
        }))
    }
}

struct DyingWriter {
    inner: Box<dyn Writer>,
    left: Arc<AtomicUsize>,
}

impl DyingWriter {
    fn live(&self) -> Result<(), BackendError> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        left.map(|_| ()).map_err(|_| BackendError::Ended)
    }
}

impl Writer for DyingWriter {
    fn begin(&mut self, after: u64) -> Result<u64, BackendError> {
        self.inner.begin(after)
    }
    fn append(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        self.live()?;
        self.inner.append(frame)
    }
    fn keep_aside(&mut self, end: &TornEnd) -> Result<String, BackendError> {
        self.inner.keep_aside(end)
    }
    fn replace(&mut self, snapshot: &[u8]) -> Result<(), BackendError> {
        self.live()?;
        self.inner.replace(snapshot)
    }
}
