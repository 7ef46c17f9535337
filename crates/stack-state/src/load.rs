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
        "{}",
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
        "{}: frame {found} does not continue frame {at}: a file or a part of one is missing",
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
    /// A journal of another state.
    #[error(
        "{} is of lineage {found}, the state of {expected}: the file was put here from elsewhere; move it away",
        journal_name(*epoch)
    )]
    Foreign {
        /// Epoch of the journal.
        epoch: u64,
        /// Lineage of the journal.
        found: Lineage,
        /// Lineage of the state.
        expected: Lineage,
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

/// Why the end of a journal does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It is incomplete: it was being written when the process or machine died.
    Torn,
    /// It was written by a process that had lost the lock.
    Fenced,
}

/// The end of a journal that does not count. Nothing in it was acknowledged to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornEnd {
    /// Why it does not count.
    pub why: Aside,
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
    /// Ends of journals that do not count.
    pub torn: Vec<TornEnd>,
}

/// A journal: its epoch, what it holds, and its bytes.
type Journal<'b> = (u64, Frames<'b>, &'b [u8]);

/// Stored bytes whose checksums hold; the sealed parts are still closed.
pub struct Checked<'b> {
    snapshot: Option<Snapshot>,
    journals: Vec<Journal<'b>>,
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
            journals.push((*epoch, frames, bytes.as_slice()));
        }
        if let Some(snapshot) = snapshot {
            let (lineage, salt) = (snapshot.head().lineage.clone(), snapshot.head().salt);
            check_lineages(&journals, &lineage)?;
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
            .find_map(|(epoch, frames, _)| Some((*epoch, frames.frames.first()?)));
        let Some((epoch, frame)) = first else {
            return Ok(None);
        };
        let Some(header) = header(frame) else {
            return Err(LoadError::NoHeader { epoch });
        };
        let (lineage, salt) = (header.lineage.clone(), header.salt);
        check_lineages(&journals, &lineage)?;
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
        let start_epoch = state.epoch;
        let mut torn = Vec::new();
        for (epoch, frames, bytes) in &self.journals {
            let mut fenced = None;
            for frame in &frames.frames {
                if *epoch < start_epoch && is_fenced(frame.position, start) {
                    fenced = Some(frame);
                    break;
                }
                fold_frame(&mut state, start, *epoch, frame, seal)?;
            }
            let end = match (fenced, frames.torn) {
                (Some(frame), _) => Some((Aside::Fenced, frame.offset)),
                (None, Some(end)) => Some((Aside::Torn, end.offset)),
                (None, None) => None,
            };
            torn.extend(end.map(|(why, offset)| TornEnd {
                why,
                epoch: *epoch,
                offset,
                bytes: bytes[offset..].to_vec(),
            }));
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

/// The header a journal file begins with, if the frame is its first.
pub(crate) fn header(frame: &Frame<'_>) -> Option<Header> {
    let line = frame.payload.split(|b| *b == b'\n').next().unwrap_or_default();
    match decode_record(line, &NoSeal) {
        Ok(Record::Header(header)) => Some(header),
        Ok(_) | Err(_) => None,
    }
}

fn check_lineages(journals: &[Journal<'_>], expected: &Lineage) -> Result<(), LoadError> {
    for (epoch, frames, _) in journals {
        let found = frames.frames.first().and_then(header);
        if let Some(found) = found.filter(|header| header.lineage != *expected) {
            return Err(LoadError::Foreign {
                epoch: *epoch,
                found: found.lineage,
                expected: expected.clone(),
            });
        }
    }
    Ok(())
}

/// Whether a journal of an earlier epoch goes beyond the snapshot. Who raised the epoch has read that journal and folded it
/// in; what it did not see was written after the lock was lost, and not acknowledged.
pub(crate) fn is_fenced(frame: Position, snapshot: Position) -> bool {
    frame.sequence > snapshot.sequence || (frame.sequence == snapshot.sequence && frame != snapshot)
}

/// Folds a frame into the state, unless the snapshot, which stands at `start`, has it already. After an error the records
/// before the one that is named are folded in.
pub(crate) fn fold_frame(
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
