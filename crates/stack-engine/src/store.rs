//! The state of a running command: what is recorded in it, durably and in order.
//!
//! A thread owns the backend's writer. It takes all batches that wait, folds them into the state, writes them as one
//! frame of the journal and answers all of them after one sync (group commit). Nothing is written twice: the state as a
//! whole is written when the command ends, as the new snapshot.
//!
//! Guarantees: a batch is durable when [`Store::append`] returns; batches are durable in the order in which they were
//! given; records that change nothing are not written; a batch that is refused by the legality table writes nothing
//! from the refused record on. After a failed write or sync every later call fails and the files stay as they are, so
//! that the next command finds every acknowledged record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use stack_state::key::KeySource;
use stack_state::load::{Aside, Checked, LoadError, Loaded, Stored, TornEnd};
use stack_state::seal::Sealer;
use stack_state::snapshot::{self, SnapshotError};
use stack_state::{
    FoldError, Header, Lineage, OperationId, Record, Salt, State, WireError, changes, encode_record, fold,
    frame,
};
use tokio::sync::oneshot;

use crate::backend::{Backend, BackendError, Holder, Writer};

mod exclusive;

pub use exclusive::{Exclusive, Repairing};

/// Batches that are written with one sync at most, so that the first of them does not wait for ever.
const GROUP_BATCHES: usize = 4096;

/// Bytes of a frame beyond which no further batch joins it.
const GROUP_BYTES: usize = 4 << 20;

/// Stack of the writer's thread: values nest, and sealing, parsing and writing them recurses.
const STACK: usize = 8 << 20;

/// The state cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Where it is kept.
    #[error("state {location}")]
    Backend {
        /// Where.
        location: String,
        /// Why.
        #[source]
        source: Arc<BackendError>,
    },
    /// What is stored gives no state.
    #[error("state {location}")]
    Load {
        /// Where.
        location: String,
        /// Why.
        #[source]
        source: Arc<LoadError>,
    },
    /// The snapshot cannot be made.
    #[error("state {location}")]
    Snapshot {
        /// Where.
        location: String,
        /// Why.
        #[source]
        source: Arc<SnapshotError>,
    },
    /// A record cannot be stored.
    #[error("a {record} record cannot be stored")]
    Record {
        /// Kind of the record.
        record: &'static str,
        /// Why.
        #[source]
        source: Arc<WireError>,
    },
    /// A record cannot follow what is in the state: a mistake in `stack`.
    #[error("a record was refused; please report this")]
    Illegal {
        /// Why.
        #[source]
        source: FoldError,
    },
    /// Another process wrote while a state was looked at.
    #[error(
        "state {location} was written by another process meanwhile; nothing was changed, run the command again"
    )]
    Moved {
        /// Where it is kept.
        location: String,
    },
    /// The machine refuses a thread or random numbers.
    #[error("cannot start writing the state: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// The store is closed, or writing ended with an earlier error.
    #[error("the state is not written any more, after an earlier error")]
    Ended,
}

impl StoreError {
    /// An error of a backend, with its place.
    pub fn from_backend(backend: &dyn Backend, source: BackendError) -> Self {
        backend_error(backend, source)
    }

    /// Whether another process holds the lock.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Backend { source, .. } if matches!(**source, BackendError::Locked { .. }))
    }
}

/// What a command says when it opens the state to write.
pub struct StoreSettings {
    /// Where the state is kept.
    pub backend: Arc<dyn Backend>,
    /// Key for what is sensitive.
    pub keys: Arc<dyn KeySource>,
    /// Name of the environment.
    pub environment: String,
    /// Version of `stack`.
    pub tool_version: String,
    /// When the environment may be removed (RFC 3339); `None` keeps what the state says.
    pub expires: Option<String>,
    /// Who writes.
    pub holder: Holder,
    /// How long to wait for the lock.
    pub lock_timeout: Duration,
}

/// An open state. One for each command; its lock ends with it.
pub struct Store {
    shared: Arc<Mutex<State>>,
    sealer: Arc<Sealer>,
    sender: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
    operations: AtomicU64,
    torn: Vec<String>,
}

type Answer = oneshot::Sender<Result<(), StoreError>>;

enum Message {
    Append(Vec<Record>, Answer),
    Close(Answer),
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // The state is changed record by record, each wholly or not at all, so a panic elsewhere leaves it usable.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Reads the state without a lock, for commands that write nothing; `None` if nothing was ever recorded.
    ///
    /// # Errors
    /// It cannot be read, is damaged or of a newer format, or something sensitive in it does not open.
    pub fn read(backend: &dyn Backend, keys: Arc<dyn KeySource>) -> Result<Option<State>, StoreError> {
        let stored = backend.read().map_err(|e| backend_error(backend, e))?;
        Ok(load(backend, &stored, keys)?.map(|(loaded, _)| loaded.state))
    }

    /// Reads the state as [`Store::read`] does, but with whatever opens its sealed parts.
    ///
    /// # Errors
    /// It cannot be read, is damaged or of a newer format, or `seal` refuses.
    pub fn read_with(
        backend: &dyn Backend,
        seal: &dyn stack_core::codec::Seal,
    ) -> Result<Option<State>, StoreError> {
        let stored = backend.read().map_err(|e| backend_error(backend, e))?;
        let checked = Checked::parse(&stored).map_err(|e| load_error(backend, e))?;
        let Some(checked) = checked else { return Ok(None) };
        Ok(Some(
            checked.open(seal).map_err(|e| load_error(backend, e))?.state,
        ))
    }

    /// Takes the lock, reads the state and gets ready to write. Journals that an earlier command left are folded into
    /// a new snapshot, and a torn end is kept aside ([`Store::torn`]).
    ///
    /// # Errors
    /// Another holds the lock, or the state cannot be read or written.
    pub async fn open(settings: StoreSettings) -> Result<(Self, State), StoreError> {
        let (answer, opened) = oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("state".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                match Committer::open(settings) {
                    Ok((mut committer, torn)) => {
                        let parts = (Arc::clone(&committer.shared), Arc::clone(&committer.sealer), torn);
                        if answer.send(Ok(parts)).is_ok() {
                            committer.run(&receiver);
                        }
                    }
                    // Nobody waits for the answer if the command was given up meanwhile.
                    Err(error) => drop(answer.send(Err(error))),
                }
            });
        let thread = thread.map_err(|e| StoreError::Start {
            reason: e.to_string(),
        })?;
        let (shared, sealer, torn) = opened.await.map_err(|_| StoreError::Ended)??;
        let state = locked(&shared).clone();
        let operations = AtomicU64::new(state.next_operation().0);
        Ok((
            Self {
                shared,
                sealer,
                sender,
                thread,
                operations,
                torn,
            },
            state,
        ))
    }

    /// Records what happened; durable on return. Concurrent calls share one sync.
    ///
    /// # Errors
    /// A record cannot be stored or is illegal (then the records before it in the same call are stored), or the state
    /// cannot be written, now or since an earlier call.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let (answer, done) = oneshot::channel();
        self.sender
            .send(Message::Append(records, answer))
            .map_err(|_| StoreError::Ended)?;
        done.await.map_err(|_| StoreError::Ended)?
    }

    /// The state with everything that was appended. It may be ahead of the disk by the batch that is being written.
    pub fn state(&self) -> State {
        locked(&self.shared).clone()
    }

    /// Looks at the state without a copy. Keep it short: writing waits meanwhile.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&locked(&self.shared))
    }

    /// An id for the next operation, fresh within the lineage.
    pub fn next_operation(&self) -> OperationId {
        OperationId(self.operations.fetch_add(1, Ordering::Relaxed))
    }

    /// What seals for this state; also for plan files and run records of the same lineage.
    pub fn sealer(&self) -> Arc<Sealer> {
        Arc::clone(&self.sealer)
    }

    /// Where torn ends of journals were kept that were found when the state was opened. What they hold was never
    /// acknowledged to anyone.
    pub fn torn(&self) -> &[String] {
        &self.torn
    }

    /// Writes the snapshot, if anything was recorded, and gives the lock back. Dropping the store instead is safe: the
    /// next command folds the journal.
    ///
    /// # Errors
    /// The snapshot cannot be written; every record is still in the journal.
    pub async fn close(self) -> Result<(), StoreError> {
        let (answer, done) = oneshot::channel();
        self.sender
            .send(Message::Close(answer))
            .map_err(|_| StoreError::Ended)?;
        let result = done.await.map_err(|_| StoreError::Ended)?;
        // The thread has answered and only has to drop the lock.
        drop(self.thread.join());
        result
    }
}

fn backend_error(backend: &dyn Backend, source: BackendError) -> StoreError {
    StoreError::Backend {
        location: backend.location(),
        source: Arc::new(source),
    }
}

fn load_error(backend: &dyn Backend, source: LoadError) -> StoreError {
    StoreError::Load {
        location: backend.location(),
        source: Arc::new(source),
    }
}

fn load(
    backend: &dyn Backend,
    stored: &Stored,
    keys: Arc<dyn KeySource>,
) -> Result<Option<(Loaded, Sealer)>, StoreError> {
    let Some(checked) = Checked::parse(stored).map_err(|e| load_error(backend, e))? else {
        return Ok(None);
    };
    let sealer = Sealer::new(keys, checked.lineage().clone(), *checked.salt());
    let loaded = checked.open(&sealer).map_err(|e| load_error(backend, e))?;
    Ok(Some((loaded, sealer)))
}

/// A state in which nothing is recorded yet, with what there is of a journal that never got a whole frame.
fn fresh(settings: &StoreSettings, stored: &Stored) -> Result<(Loaded, Sealer), StoreError> {
    let lineage = Lineage::from(uuid::Uuid::new_v4().to_string());
    let mut salt = Salt::default();
    aws_lc_rs::rand::fill(&mut salt.0).map_err(|_| StoreError::Start {
        reason: "no random numbers".to_owned(),
    })?;
    let torn = stored.journals.iter().filter(|(_, bytes)| !bytes.is_empty());
    let torn = torn
        .map(|(epoch, bytes)| TornEnd {
            why: Aside::Torn,
            epoch: *epoch,
            offset: 0,
            bytes: bytes.clone(),
        })
        .collect();
    let sealer = Sealer::new(Arc::clone(&settings.keys), lineage.clone(), salt);
    let state = State::new(lineage, &settings.environment, salt);
    Ok((
        Loaded {
            state,
            replayed: false,
            torn,
        },
        sealer,
    ))
}

/// The writing side, on its own thread.
struct Committer {
    shared: Arc<Mutex<State>>,
    sealer: Arc<Sealer>,
    backend: Arc<dyn Backend>,
    writer: Box<dyn Writer>,
    epoch: u64,
    header: Header,
    /// A journal of this epoch exists.
    started: bool,
    /// Nothing is written any more.
    ended: bool,
}

impl Committer {
    fn open(settings: StoreSettings) -> Result<(Self, Vec<String>), StoreError> {
        let backend = Arc::clone(&settings.backend);
        let failed = |e| backend_error(&*backend, e);
        let mut writer = backend
            .lock(&settings.holder, settings.lock_timeout)
            .map_err(failed)?;
        let found = backend.read().map_err(failed)?;
        let look = |stored: &Stored| match load(&*backend, stored, Arc::clone(&settings.keys))? {
            Some(loaded) => Ok(loaded),
            None => fresh(&settings, stored),
        };
        // Whatever is wrong is said before anything is written.
        let (mut loaded, mut sealer) = look(&found)?;
        let epoch = writer.begin(loaded.state.epoch).map_err(failed)?;
        // A holder that was superseded may have written until then, and what it wrote was acknowledged.
        let stored = backend.read().map_err(failed)?;
        if stored != found {
            (loaded, sealer) = look(&stored)?;
        }
        drop(found);
        loaded.state.epoch = epoch;
        let mut torn = Vec::new();
        for end in &loaded.torn {
            torn.push(writer.keep_aside(end).map_err(failed)?);
        }
        if loaded.replayed || !stored.journals.is_empty() {
            let bytes = snapshot_bytes(&*backend, &loaded.state, &sealer)?;
            writer.replace(&bytes).map_err(failed)?;
        }
        let state = loaded.state;
        let header = Header {
            lineage: state.lineage.clone(),
            environment: state.environment.clone(),
            epoch,
            serial: state.serial + 1,
            tool_version: settings.tool_version,
            expires: settings.expires.or_else(|| state.expires.clone()),
            salt: state.salt,
        };
        let shared = Arc::new(Mutex::new(state));
        let sealer = Arc::new(sealer);
        Ok((
            Self {
                shared,
                sealer,
                backend,
                writer,
                epoch,
                header,
                started: false,
                ended: false,
            },
            torn,
        ))
    }

    /// Serves until the store is closed or dropped.
    fn run(&mut self, receiver: &mpsc::Receiver<Message>) {
        while let Ok(message) = receiver.recv() {
            let mut next = Some(message);
            let mut group = Group::default();
            while let Some(message) = next.take() {
                match message {
                    Message::Append(records, answer) => self.join(&mut group, records, answer),
                    Message::Close(answer) => {
                        self.commit(group);
                        drop(answer.send(self.close()));
                        return;
                    }
                }
                if group.answers.len() < GROUP_BATCHES && group.payload.len() < GROUP_BYTES {
                    next = receiver.try_recv().ok();
                }
            }
            self.commit(group);
        }
    }

    /// Folds a batch into the state and adds it to the group that is written next.
    fn join(&mut self, group: &mut Group, records: Vec<Record>, answer: Answer) {
        let result = if self.ended {
            Err(StoreError::Ended)
        } else {
            self.fold(group, records)
        };
        group.answers.push((answer, result));
    }

    fn fold(&mut self, group: &mut Group, records: Vec<Record>) -> Result<(), StoreError> {
        let mut state = locked(&self.shared);
        for record in records {
            if !changes(&state, &record) {
                continue;
            }
            if !self.started {
                let header = Record::Header(self.header.clone());
                group.add(&mut state, header, &self.sealer)?;
                self.started = true;
            }
            group.add(&mut state, record, &self.sealer)?;
        }
        Ok(())
    }

    /// Writes the group as one frame, and answers.
    fn commit(&mut self, group: Group) {
        let written = if group.records == 0 {
            Ok(())
        } else {
            self.write(&group)
        };
        if written.is_err() {
            self.ended = true;
        }
        for (answer, result) in group.answers {
            // Whoever gave up waiting does not hear it.
            drop(answer.send(written.clone().and(result)));
        }
    }

    fn write(&mut self, group: &Group) -> Result<(), StoreError> {
        let position = locked(&self.shared).position;
        let (bytes, position) = frame::encode(position, self.epoch, group.records, &group.payload);
        self.writer
            .append(&bytes)
            .map_err(|e| backend_error(&*self.backend, e))?;
        locked(&self.shared).position = position;
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if self.ended {
            return Err(StoreError::Ended);
        }
        self.ended = true;
        if !self.started {
            return Ok(());
        }
        let state = locked(&self.shared).clone();
        let bytes = snapshot_bytes(&*self.backend, &state, &self.sealer)?;
        self.writer
            .replace(&bytes)
            .map_err(|e| backend_error(&*self.backend, e))
    }
}

fn snapshot_bytes(backend: &dyn Backend, state: &State, sealer: &Sealer) -> Result<Vec<u8>, StoreError> {
    snapshot::encode(state, sealer).map_err(|source| StoreError::Snapshot {
        location: backend.location(),
        source: Arc::new(source),
    })
}

/// Batches that are written with one sync.
#[derive(Default)]
struct Group {
    payload: Vec<u8>,
    records: u32,
    answers: Vec<(Answer, Result<(), StoreError>)>,
}

impl Group {
    /// Encodes and folds one record; neither if one of them fails.
    fn add(&mut self, state: &mut State, record: Record, sealer: &Sealer) -> Result<(), StoreError> {
        let (kind, length) = (record.kind(), self.payload.len());
        encode_record(&mut self.payload, &record, sealer).map_err(|source| StoreError::Record {
            record: kind,
            source: Arc::new(source),
        })?;
        if let Err(source) = fold(state, record) {
            self.payload.truncate(length);
            return Err(StoreError::Illegal { source });
        }
        self.records += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
