//! What can be had back from stored bytes that are damaged, and what cannot.
//!
//! Kept is the longest beginning that is whole: the snapshot, and the records of the journals up to the first that is missing,
//! unreadable or cannot follow. Later records are not kept even where they can be read, because they may rest on what is
//! missing; they are named, so that the objects they speak of can be looked for.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use stack_core::codec::{Seal, SealError};
use zeroize::Zeroizing;

use crate::frame::{self, Frame, FrameError};
use crate::integrity;
use crate::load::{LoadError, SNAPSHOT_NAME, Stored, fold_frame, header, is_fenced, journal_name};
use crate::record::Record;
use crate::seal::Withheld;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::state::{Lineage, Salt, State};
use crate::wire::decode_record;

/// What a repair would keep, and what is lost.
#[derive(Debug)]
pub struct Repaired {
    /// The state that is kept.
    pub state: State,
    /// What is wrong, file by file. Empty if nothing is.
    pub problems: Vec<Problem>,
    /// Sealed parts that do not open and read as nothing, by place.
    pub given_up: Vec<String>,
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
    /// What it says that is not kept, as far as it can be read.
    pub lost: Vec<String>,
}

/// Opens what opens; what was changed reads as nothing.
struct Lenient<'s> {
    inner: &'s dyn Seal,
    places: Mutex<Vec<String>>,
}

impl Seal for Lenient<'_> {
    fn seal(&self, plaintext: &str, context: &str) -> Result<String, SealError> {
        self.inner.seal(plaintext, context)
    }

    fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<String>, SealError> {
        match self.inner.open(sealed, context) {
            Err(SealError::Damaged { .. }) => {
                let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                places.push(context.to_owned());
                Ok(Zeroizing::new("null".to_owned()))
            }
            other => other,
        }
    }
}

/// Lineage and salt of what is stored, as far as they can be read: a sealer needs them.
pub fn basis(stored: &Stored) -> Option<(Lineage, Salt)> {
    if let Some(bytes) = &stored.snapshot {
        let head = Snapshot::parse_changed(bytes).ok()?;
        return Some((head.head().lineage.clone(), head.head().salt));
    }
    let first = stored.journals.values().find_map(|bytes| {
        let (frames, _) = frame::decode_prefix(bytes);
        frames.frames.first().and_then(header)
    })?;
    Some((first.lineage, first.salt))
}

/// Finds out what can be kept. Changes nothing.
///
/// # Errors
/// Nothing can be kept (the snapshot is missing or cannot be read), a file is of a newer format, or the key is missing
/// or another one.
pub fn examine(stored: &Stored, seal: &dyn Seal) -> Result<Repaired, LoadError> {
    let lenient = Lenient {
        inner: seal,
        places: Mutex::default(),
    };
    let mut problems = Vec::new();
    let mut state = start(stored, &lenient, &mut problems)?;
    let (start, start_epoch) = (state.position, state.epoch);
    let mut broken = false;
    for (epoch, bytes) in &stored.journals {
        let (frames, error) = frame::decode_prefix(bytes);
        if let Some(FrameError::Newer { version }) = error {
            let source = FrameError::Newer { version };
            return Err(LoadError::Journal {
                epoch: *epoch,
                source,
            });
        }
        let problem = |what: String, from: usize| Problem {
            file: journal_name(*epoch),
            what,
            lost: told(&bytes[from..]),
        };
        if let Some(found) = frames.frames.first().and_then(header)
            && found.lineage != state.lineage
        {
            let what = format!("it belongs to another state, of lineage {}", found.lineage);
            problems.push(problem(what, 0));
            continue;
        }
        if broken {
            problems.push(problem("it continues what is lost before it".to_owned(), 0));
            continue;
        }
        let mut fenced = false;
        for frame in &frames.frames {
            if *epoch < start_epoch && is_fenced(frame.position, start) {
                fenced = true;
                break;
            }
            match fold_frame(&mut state, start, *epoch, frame, &lenient) {
                Ok(()) => {}
                Err(error) => {
                    refuse_key(&error)?;
                    problems.push(problem(text_of(&error), frame.offset));
                    broken = true;
                    break;
                }
            }
        }
        if let Some(FrameError::Damaged { offset, what }) = error
            && !broken
            && !fenced
        {
            let mut found = problem(format!("damaged at byte {offset}: {what}"), offset);
            if *epoch < start_epoch {
                // Everything in it that counts has been folded into the snapshot.
                found.lost.clear();
            } else {
                broken = true;
            }
            problems.push(found);
        }
        state.epoch = state.epoch.max(*epoch);
    }
    integrity::check(&state).map_err(|source| LoadError::Integrity { source })?;
    let given_up = lenient
        .places
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if !given_up.is_empty() && !problems.iter().any(|p| p.file == SNAPSHOT_NAME) {
        problems.push(Problem {
            file: SNAPSHOT_NAME.to_owned(),
            what: "sealed values in it do not open".to_owned(),
            lost: Vec::new(),
        });
    }
    Ok(Repaired {
        state,
        problems,
        given_up,
    })
}

/// The state that the snapshot holds, or that the first journal begins.
fn start(stored: &Stored, seal: &dyn Seal, problems: &mut Vec<Problem>) -> Result<State, LoadError> {
    let Some(bytes) = &stored.snapshot else {
        let mut first = None;
        for (epoch, bytes) in &stored.journals {
            let (frames, error) = frame::decode_prefix(bytes);
            match (frames.frames.first(), error) {
                (Some(frame), _) => first = Some((*epoch, header(frame), frame.position.sequence)),
                (None, Some(source)) => {
                    return Err(LoadError::Journal {
                        epoch: *epoch,
                        source,
                    });
                }
                (None, None) => continue,
            }
            break;
        }
        return match first {
            Some((_, Some(header), 1)) => Ok(State::new(header.lineage, &header.environment, header.salt)),
            Some((epoch, ..)) => Err(LoadError::NoHeader { epoch }),
            None => Err(LoadError::NoHeader { epoch: 0 }),
        };
    };
    let failed = |source| LoadError::Snapshot { source };
    let snapshot = match Snapshot::parse(bytes) {
        Ok(snapshot) => snapshot,
        Err(SnapshotError::Damaged { what }) => {
            let changed = Snapshot::parse_changed(bytes).map_err(failed)?;
            problems.push(Problem {
                file: SNAPSHOT_NAME.to_owned(),
                what: format!("{what}; everything in it is taken as it stands now, changed or not"),
                lost: Vec::new(),
            });
            changed
        }
        Err(other) => return Err(failed(other)),
    };
    snapshot.open(seal).map_err(failed)
}

/// Passes an error on that only another key, or another version, can help with.
fn refuse_key(error: &LoadError) -> Result<(), LoadError> {
    if let LoadError::Record {
        epoch,
        sequence,
        record,
        source,
    } = error
        && let Some(seal) = source.seal_error()
    {
        let source = crate::WireError::Seal {
            place: "the journal".to_owned(),
            source: seal.clone(),
        };
        return Err(LoadError::Record {
            epoch: *epoch,
            sequence: *sequence,
            record: *record,
            source,
        });
    }
    Ok(())
}

fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What the readable frames of a part of a journal speak of, once each.
fn told(bytes: &[u8]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    let frames = frame::salvage(bytes);
    let readable: usize = frames
        .iter()
        .map(|f| frame::HEADER_LENGTH + f.payload.len())
        .sum();
    for text in frames.iter().flat_map(records) {
        if seen.insert(text.clone()) {
            out.push(text);
        }
    }
    if readable < bytes.len() {
        out.push(format!("{} bytes that cannot be read", bytes.len() - readable));
    }
    out
}

fn records(frame: &Frame<'_>) -> Vec<String> {
    let lines = frame
        .payload
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty());
    let sequence = frame.position.sequence;
    lines
        .filter_map(|line| match decode_record(line, &Withheld::default()) {
            Ok(Record::Header(_)) => None,
            Ok(record) => Some(describe(&record)),
            Err(_) => Some(format!("a record of frame {sequence} that cannot be read")),
        })
        .collect()
}

/// A record in a few words, without values.
fn describe(record: &Record) -> String {
    let kind = record.kind();
    match record {
        Record::Header(_) => kind.to_owned(),
        Record::Begin(begin) => format!("operation {} on {} begun", begin.operation, begin.address),
        Record::Partial { operation, .. } => format!("identity of the object of operation {operation}"),
        Record::End { operation, .. } => format!("end of operation {operation}"),
        Record::Write { address, .. } => format!("{address} recorded"),
        Record::Remove { address, .. } => format!("{address} found gone"),
        Record::Forget { address, .. } => format!("{address} forgotten"),
        Record::Depose { address, .. } | Record::Restore { address, .. } => format!("{kind} of {address}"),
        Record::Move { from, to } => format!("{from} moved to {to}"),
        Record::Output { name, .. } => format!("output {name}"),
        Record::Provider { address, .. } => format!("arguments of {address}"),
        Record::Check { name, .. } => format!("result of {name}"),
        Record::Pin { key, .. } => format!("host keys of {}", key.object),
    }
}
