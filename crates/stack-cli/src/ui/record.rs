//! Run records: the JSON lines of one run, kept beside the state.
//!
//! A record is written as the run goes, by a thread of its own, so that a run that is killed leaves what it had said. It is
//! no part of the state, and a record that cannot be written stops nothing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use stack_core::{Diagnostics, SourceMap};
use stack_engine::backend::Holder;
use stack_engine::event::{Event, Events};

use super::plan::Counts;
use super::{Progress, json};
use crate::exit::Exit;

/// Records that are kept; the oldest go first.
const KEPT: usize = 100;
/// End of the name of a record.
const ENDING: &str = ".jsonl";

/// The folder of records of an environment.
pub(crate) fn folder(environment: &Path) -> PathBuf {
    environment.join("runs")
}

/// Names of the records, the oldest first.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|n| n.strip_suffix(ENDING))
                .map(str::to_owned),
        );
    }
    names.sort_unstable();
    Ok(names)
}

/// The file of a record.
pub(crate) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

/// The time as names have it, so that they sort by it: `20260101T120000.000Z`.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond()
    )
}

enum Entry {
    Event(Box<Event>),
    Text(String),
}

/// Writes the record of this run.
pub(crate) struct Recorder {
    entries: Mutex<Option<Sender<Entry>>>,
    writer: Mutex<Option<JoinHandle<io::Result<()>>>>,
    sources: SourceMap,
    begin: Instant,
}

impl Recorder {
    /// Begins a record in the folder of an environment, and removes the oldest ones.
    pub(crate) fn start(
        environment: &Path,
        who: &Holder,
        name: &str,
        sources: &SourceMap,
    ) -> io::Result<Self> {
        let folder = folder(environment);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = file(&folder, &format!("{}-{}", now(), id.get(..8).unwrap_or_default()));
        let mut record = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        record.write_all(json::run_line(who, name).as_bytes())?;
        let names = names(&folder)?;
        for old in &names[..names.len().saturating_sub(KEPT)] {
            fs::remove_file(file(&folder, old))?;
        }
        let (sender, entries) = mpsc::channel();
        let of_thread = sources.clone();
        let writer = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || write(record, &entries, &of_thread))?;
        Ok(Self {
            entries: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
            sources: sources.clone(),
            begin: Instant::now(),
        })
    }

    fn send(&self, entry: Entry) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = &*entries {
            // A writer that failed says so at the end.
            drop(entries.send(entry));
        }
    }

    /// Adds lines that are no events.
    pub(crate) fn lines(&self, text: String) {
        self.send(Entry::Text(text));
    }

    /// Adds what is said at the end.
    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics) {
        for diagnostic in diagnostics.iter() {
            self.lines(json::diagnostic_line(diagnostic, &self.sources));
        }
    }

    /// Ends the record.
    pub(crate) fn end(&self, exit: Exit, counts: Counts) -> io::Result<()> {
        self.lines(json::run_ended_line(exit, counts, self.begin.elapsed()));
        drop(self.entries.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer.map(JoinHandle::join) {
            Some(Ok(written)) => written,
            Some(Err(_)) => Err(io::Error::other("the writer failed")),
            None => Ok(()),
        }
    }
}

/// Writes what comes, everything that waits at once.
fn write(mut record: File, entries: &Receiver<Entry>, sources: &SourceMap) -> io::Result<()> {
    while let Ok(first) = entries.recv() {
        let mut text = String::new();
        for entry in std::iter::once(first).chain(entries.try_iter().take(1000)) {
            match entry {
                Entry::Event(event) => text.push_str(&json::event_line(&event, sources)),
                Entry::Text(lines) => text.push_str(&lines),
            }
        }
        record.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Shows events and records them.
pub(crate) struct Recorded {
    /// Who shows them.
    pub(crate) shown: Arc<dyn Progress>,
    /// The record.
    pub(crate) recorder: Arc<Recorder>,
}

impl Events for Recorded {
    fn event(&self, event: Event) {
        self.recorder.send(Entry::Event(Box::new(event.clone())));
        self.shown.event(event);
    }
}

impl Progress for Recorded {
    fn finish(&self) {
        self.shown.finish();
    }

    fn lines(&self, text: &str) {
        self.recorder.lines(text.to_owned());
        self.shown.lines(text);
    }
}
