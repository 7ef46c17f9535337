//! Commands that replace a state as a whole: repair, another key, moved and forgotten objects.
//!
//! Such a command takes the lock, looks, and writes one snapshot, by one rename: a crash leaves the old state or the new
//! one, wholly. Nothing is written before it is asked to.

use std::sync::Arc;
use std::time::Duration;

use stack_state::load::{Checked, SNAPSHOT_NAME, Stored, TornEnd};
use stack_state::repair::{self, Repaired};
use stack_state::seal::Sealer;
use stack_state::{State, key::KeySource};

use super::{StoreError, backend_error, load_error, snapshot_bytes};
use crate::backend::{Backend, Holder, Writer};

/// A state that is locked and not yet written. The lock ends with it.
pub struct Exclusive {
    backend: Arc<dyn Backend>,
    writer: Box<dyn Writer>,
    stored: Stored,
}

/// What a repair would do.
pub struct Repairing {
    /// What is kept and what is lost.
    pub found: Repaired,
    sealer: Sealer,
}

impl Exclusive {
    /// Takes the lock and reads what is stored; `None`, and no lock, if nothing is.
    ///
    /// # Errors
    /// Another holds the lock, or the place cannot be read or written.
    pub fn lock(
        backend: Arc<dyn Backend>,
        holder: &Holder,
        timeout: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let failed = |e| backend_error(&*backend, e);
        // Taking the lock makes the place.
        if is_empty(&backend.read().map_err(failed)?) {
            return Ok(None);
        }
        Self::lock_or_make(backend, holder, timeout).map(Some)
    }

    /// Takes the lock and reads what is stored, be it nothing.
    ///
    /// # Errors
    /// Another holds the lock, or the place cannot be read or written.
    pub fn lock_or_make(
        backend: Arc<dyn Backend>,
        holder: &Holder,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let failed = |e| backend_error(&*backend, e);
        let writer = backend.lock(holder, timeout).map_err(failed)?;
        let stored = backend.read().map_err(failed)?;
        Ok(Self {
            backend,
            writer,
            stored,
        })
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        is_empty(&self.stored)
    }

    /// The state, opened by `seal`, and ends of journals that do not count.
    ///
    /// # Errors
    /// It is damaged or of a newer format, or `seal` refuses.
    pub fn load(&self, seal: &dyn stack_core::codec::Seal) -> Result<(State, Vec<TornEnd>), StoreError> {
        let loaded = self
            .checked()?
            .open(seal)
            .map_err(|e| load_error(&*self.backend, e))?;
        Ok((loaded.state, loaded.torn))
    }

    /// What seals and opens for this state with a key.
    ///
    /// # Errors
    /// The state is damaged or of a newer format.
    pub fn sealer(&self, keys: Arc<dyn KeySource>) -> Result<Sealer, StoreError> {
        let checked = self.checked()?;
        Ok(Sealer::new(keys, checked.lineage().clone(), *checked.salt()))
    }

    fn checked(&self) -> Result<Checked<'_>, StoreError> {
        let checked = Checked::parse(&self.stored).map_err(|e| load_error(&*self.backend, e))?;
        // Only torn bytes: nothing was ever acknowledged.
        checked.ok_or_else(|| {
            load_error(
                &*self.backend,
                stack_state::load::LoadError::NoHeader { epoch: 0 },
            )
        })
    }

    /// Finds out what a repair would keep. Changes nothing.
    ///
    /// # Errors
    /// Nothing can be kept, a file is of a newer format, or the key is missing or another one.
    pub fn examine(&self, keys: Arc<dyn KeySource>) -> Result<Repairing, StoreError> {
        let failed = |e| load_error(&*self.backend, e);
        let (lineage, salt) = repair::basis(&self.stored).unwrap_or_else(|| ("".into(), Default::default()));
        let sealer = Sealer::new(keys, lineage, salt);
        let found = repair::examine(&self.stored, &sealer).map_err(failed)?;
        Ok(Repairing { found, sealer })
    }

    /// Carries a repair out, and says where the files are kept as they were.
    ///
    /// # Errors
    /// Something cannot be written, or another process wrote meanwhile. What was stored is then still there.
    pub fn repair(mut self, repairing: Repairing) -> Result<Vec<String>, StoreError> {
        let epoch = repairing.found.state.epoch;
        let epoch = self.begin(epoch)?;
        let mut kept = Vec::new();
        let journals = self.stored.journals.iter();
        let journals = journals.map(|(epoch, bytes)| (stack_state::load::journal_name(*epoch), bytes));
        let snapshot = self
            .stored
            .snapshot
            .iter()
            .map(|bytes| (SNAPSHOT_NAME.to_owned(), bytes));
        for (name, bytes) in snapshot.chain(journals) {
            let path = self.writer.keep_copy(&name, bytes);
            kept.push(path.map_err(|e| backend_error(&*self.backend, e))?);
        }
        self.put(repairing.found.state, epoch, &repairing.sealer)?;
        Ok(kept)
    }

    /// Writes the state in the place of what is stored, with the next serial.
    ///
    /// # Errors
    /// Something cannot be sealed or written, or another process wrote meanwhile. What was stored is then still there.
    pub fn write(mut self, state: State, torn: &[TornEnd], sealer: &Sealer) -> Result<(), StoreError> {
        // Before anything is written, the key is asked for.
        snapshot_bytes(&*self.backend, &state, sealer)?;
        let epoch = self.begin(state.epoch)?;
        for end in torn {
            let kept = self.writer.keep_aside(end);
            kept.map_err(|e| backend_error(&*self.backend, e))?;
        }
        self.put(state, epoch, sealer)
    }

    /// Raises the epoch, and makes sure that what was looked at is what is there.
    fn begin(&mut self, after: u64) -> Result<u64, StoreError> {
        let failed = |e| backend_error(&*self.backend, e);
        let epoch = self.writer.begin(after).map_err(failed)?;
        if self.backend.read().map_err(failed)? != self.stored {
            return Err(StoreError::Moved {
                location: self.backend.location(),
            });
        }
        Ok(epoch)
    }

    fn put(&mut self, mut state: State, epoch: u64, sealer: &Sealer) -> Result<(), StoreError> {
        state.epoch = epoch;
        state.serial += 1;
        let bytes = snapshot_bytes(&*self.backend, &state, sealer)?;
        self.writer
            .replace(&bytes)
            .map_err(|e| backend_error(&*self.backend, e))
    }
}

fn is_empty(stored: &Stored) -> bool {
    stored.snapshot.is_none() && stored.journals.values().all(Vec::is_empty)
}
