//! From what is stored to a state: the snapshot with the journals folded in.

use std::collections::BTreeMap;

use stack_core::codec::{NoSeal, Seal};

use crate::fold::{FoldError, fold};
use crate::frame::{self, Frame, FrameError, Frames};
use crate::integrity::{self, IntegrityError};
use crate::record::{Header, Record};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::state::{Lineage, Position, Salt, State};
use crate::wire::{WireError, decode_record};

/// Name of the snapshot where it is stored.
pub const SNAPSHOT_NAME: &str = "state.json";

/// Name of the journal of one epoch where it is stored.
pub fn journal_name(epoch: u64) -> String {
    format!("journal-{epoch}.log")
}

/// What is stored of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// Journals by the epoch of the lock they were written under.
    pub journals: BTreeMap<u64, Vec<u8>>,
}

/// Stored bytes that give no state. Nothing has been changed when it is raised.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The snapshot.
    #[error("{SNAPSHOT_NAME}")]
    Snapshot {
        /// What is wrong with it.
        #[source]
        source: SnapshotError,
    },
    /// A journal file.
    #[error(
        "{} is damaged; take the file from a backup; without one, move it away, but then the objects that it records are \
         not managed any more",
        journal_name(*epoch)
    )]
    Journal {
        /// Epoch of the journal.
        epoch: u64,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
    /// A record that cannot be read.
    #[error("{}: record {record} of frame {sequence}", journal_name(*epoch))]
    Record {
        /// Epoch of the journal.
        epoch: u64,
        /// Sequence number of the frame.
        sequence: u64,
        /// Number of the record in the frame, from 1.
        record: usize,
        /// Why.
        #[source]
        source: WireError,
    },
    /// A record that cannot follow what is before it.
    #[error("{}: record {record} of frame {sequence} is illegal", journal_name(*epoch))]
    Illegal {
        /// Epoch of the journal.
        epoch: u64,
        /// Sequence number of the frame.
        sequence: u64,
        /// Number of the record in the frame, from 1.
        record: usize,
        /// Why.
        #[source]
        source: FoldError,
    },
    /// A journal that does not continue what is before it.
    #[error(
        "{}: frame {found} does not continue frame {at}: a file is missing, or a process wrote that had lost the lock; \
         take the folder from a backup",
        journal_name(*epoch)
    )]
    Gap {
        /// Epoch of the journal.
        epoch: u64,
        /// Sequence number of the frame that does not fit.
        found: u64,
        /// Sequence number of the last frame folded in.
        at: u64,
    },
    /// A journal without snapshot that does not begin with a header.
    #[error("{} does not begin with a header, and there is no {SNAPSHOT_NAME}", journal_name(*epoch))]
    NoHeader {
        /// Epoch of the journal.
        epoch: u64,
    },
    /// The result cannot be.
    #[error("the journal leads to an inconsistent state")]
    Integrity {
        /// Why.
        #[source]
        source: IntegrityError,
    },
}

/// The incomplete end of a journal: bytes that were being written when the process or machine died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornEnd {
    /// Epoch of the journal.
    pub epoch: u64,
    /// Where it starts in the file.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A state as it was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The state.
    pub state: State,
    /// Whether a journal added to the snapshot: its writer did not end cleanly, or still runs.
    pub replayed: bool,
    /// Incomplete ends of journals.
    pub torn: Vec<TornEnd>,
}

/// Stored bytes whose checksums hold; the sealed parts are still closed.
pub struct Checked<'b> {
    snapshot: Option<Snapshot>,
    journals: Vec<(u64, Frames<'b>)>,
    lineage: Lineage,
    salt: Salt,
    header: Option<Header>,
}

impl<'b> Checked<'b> {
    /// Checks formats, checksums and digests. `None` if nothing is recorded.
    ///
    /// # Errors
    /// Something is damaged, missing or of a newer format.
    pub fn parse(stored: &'b Stored) -> Result<Option<Self>, LoadError> {
        let snapshot = stored.snapshot.as_deref().map(Snapshot::parse).transpose();
        let snapshot = snapshot.map_err(|source| LoadError::Snapshot { source })?;
        let mut journals = Vec::new();
        for (epoch, bytes) in &stored.journals {
            let frames = frame::decode(bytes).map_err(|source| LoadError::Journal {
                epoch: *epoch,
                source,
            })?;
            journals.push((*epoch, frames));
        }
        if let Some(snapshot) = snapshot {
            let (lineage, salt) = (snapshot.head().lineage.clone(), snapshot.head().salt);
            return Ok(Some(Self {
                snapshot: Some(snapshot),
                journals,
                lineage,
                salt,
                header: None,
            }));
        }
        let first = journals
            .iter()
            .find_map(|(epoch, frames)| Some((*epoch, frames.frames.first()?)));
        let Some((epoch, frame)) = first else {
            return Ok(None);
        };
        let line = frame.payload.split(|b| *b == b'\n').next().unwrap_or_default();
        let Ok(Record::Header(header)) = decode_record(line, &NoSeal) else {
            return Err(LoadError::NoHeader { epoch });
        };
        let (lineage, salt) = (header.lineage.clone(), header.salt);
        Ok(Some(Self {
            snapshot: None,
            journals,
            lineage,
            salt,
            header: Some(header),
        }))
    }

    /// The history it belongs to; sealed parts are bound to it.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Salt for a key derived from a passphrase.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Opens the sealed parts and folds the journals into the snapshot.
    ///
    /// # Errors
    /// A sealed part does not open, or a journal does not follow from what is before it.
    pub fn open(self, seal: &dyn Seal) -> Result<Loaded, LoadError> {
        let mut state = match (self.snapshot, self.header) {
            (Some(snapshot), _) => snapshot
                .open(seal)
                .map_err(|source| LoadError::Snapshot { source })?,
            (None, Some(header)) => State::new(header.lineage, &header.environment, header.salt),
            (None, None) => State::new(self.lineage, "", self.salt),
        };
        let start = state.position;
        let mut torn = Vec::new();
        for (epoch, frames) in &self.journals {
            for frame in &frames.frames {
                fold_frame(&mut state, start, *epoch, frame, seal)?;
            }
            if let Some(end) = frames.torn {
                torn.push(TornEnd {
                    epoch: *epoch,
                    offset: end.offset,
                    bytes: end.bytes.to_vec(),
                });
            }
            state.epoch = state.epoch.max(*epoch);
        }
        integrity::check(&state).map_err(|source| LoadError::Integrity { source })?;
        Ok(Loaded {
            replayed: state.position != start,
            state,
            torn,
        })
    }
}

/// Folds a frame into the state, unless the snapshot, which stands at `start`, has it already.
fn fold_frame(
    state: &mut State,
    start: Position,
    epoch: u64,
    frame: &Frame<'_>,
    seal: &dyn Seal,
) -> Result<(), LoadError> {
    let sequence = frame.position.sequence;
    let gap = LoadError::Gap {
        epoch,
        found: sequence,
        at: state.position.sequence,
    };
    if sequence < start.sequence {
        return Ok(());
    }
    if sequence == start.sequence {
        return if frame.position == start { Ok(()) } else { Err(gap) };
    }
    if sequence != state.position.sequence + 1 || frame.previous != state.position.digest {
        return Err(gap);
    }
    let lines = frame
        .payload
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty());
    for (i, line) in lines.enumerate() {
        let number = i + 1;
        let record = decode_record(line, seal).map_err(|source| LoadError::Record {
            epoch,
            sequence,
            record: number,
            source,
        })?;
        fold(state, record).map_err(|source| LoadError::Illegal {
            epoch,
            sequence,
            record: number,
            source,
        })?;
    }
    state.position = frame.position;
    Ok(())
}
